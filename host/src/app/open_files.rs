//! How many connections the listeners may have: as many as the system's limit of open files leaves beside what payments need. A
//! connection that takes the last descriptor would make the next call to a provider fail.

/// Connections of customers and providers: twice the 2,000 that may idle while others pay.
const CUSTOMER_CONNECTIONS_MAX: usize = 4096;
/// A back office of some hundred people with one connection each.
const MANAGER_CONNECTIONS_MAX: usize = 512;
/// A few collectors of metrics and load balancers that keep theirs open.
const WATCH_CONNECTIONS_MAX: usize = 64;

/// Open files for calls to providers, the databases, modules and logs: one gateway has up to 256 calls at once.
const RESERVED_FILES_MAX: usize = 8192;
/// Fewer do not carry one gateway at its limit with the databases.
const RESERVED_FILES_MIN: usize = 512;

/// Connections that a listener has in any case; without them nobody can be served.
const CONNECTIONS_MIN: usize = 16;

/// The open files of this process, divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenFiles {
    pub(super) limit: usize,
    pub(super) reserved: usize,
    pub(super) customer: usize,
    pub(super) manager: usize,
    pub(super) watch: usize,
}

impl OpenFiles {
    /// Divides `limit` open files.
    pub(super) fn divide(limit: usize) -> Self {
        let reserved = (limit / 4).clamp(RESERVED_FILES_MIN, RESERVED_FILES_MAX);
        let left = limit.saturating_sub(reserved);
        let share = |part: usize, most: usize| (left / part).clamp(CONNECTIONS_MIN, most);
        let (manager, watch) = (share(8, MANAGER_CONNECTIONS_MAX), share(16, WATCH_CONNECTIONS_MAX));
        let customer = left.saturating_sub(manager + watch).clamp(CONNECTIONS_MIN, CUSTOMER_CONNECTIONS_MAX);
        Self { limit, reserved, customer, manager, watch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b3_connections_leave_files_for_payments_whatever_the_limit_is() {
        let table = [
            (1_024, OpenFiles { limit: 1_024, reserved: 512, customer: 416, manager: 64, watch: 32 }),
            (4_096, OpenFiles { limit: 4_096, reserved: 1_024, customer: 2_624, manager: 384, watch: 64 }),
            (65_536, OpenFiles { limit: 65_536, reserved: 8_192, customer: 4_096, manager: 512, watch: 64 }),
            (64, OpenFiles { limit: 64, reserved: 512, customer: 16, manager: 16, watch: 16 }),
        ];
        for (limit, expected) in table {
            assert_eq!(OpenFiles::divide(limit), expected);
        }
        let most = OpenFiles::divide(usize::MAX);
        assert_eq!((most.customer, most.manager, most.watch), (4_096, 512, 64));
        for limit in 640..10_000 {
            let OpenFiles { reserved, customer, manager, watch, .. } = OpenFiles::divide(limit);
            assert!(reserved + customer + manager + watch <= limit, "{limit}");
        }
    }
}
