//! What one customer may have open and may have stored. The books count it from their rows, so that it holds also right after
//! a start; how often a customer may request something is in `rate_limit`.

use cashier_core::books::{Books, STORED_PERIOD_DAYS, StoredBytes};
use cashier_core::ids::CustomerId;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::time::UnixTime;

/// Open deposits where the setting is omitted: nobody pays 200 things at once, and each is asked about at its provider until it
/// expires.
pub(super) const OPEN_DEPOSITS_MAX: u32 = 200;
/// Stored bytes where the setting is omitted: 130,000 deposits with texts of 500 bytes, and 4,000 of the longest.
pub(super) const STORED_BYTES_PER_CUSTOMER_MAX: u64 = 64 * 1024 * 1024;

/// Customers that a start names; more are counted.
const CUSTOMERS_SHOWN_MAX: usize = 16;

/// Limits of one customer; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CustomerLimits {
    /// Deposits of which no payment or end is known.
    pub open_deposits: u32,
    /// Comments, metadata and return URLs of deposits, and the same again of withdrawals, of this period and the one before,
    /// so that what the disk grows by is bounded too.
    pub stored_bytes: u64,
}

impl CustomerLimits {
    /// Where a setting is omitted, the default.
    pub fn of_settings(open_deposits: Option<u32>, stored_bytes: Option<u64>) -> Self {
        Self {
            open_deposits: open_deposits.unwrap_or(OPEN_DEPOSITS_MAX),
            stored_bytes: stored_bytes.unwrap_or(STORED_BYTES_PER_CUSTOMER_MAX),
        }
    }

    /// # Errors
    /// 429 RET_ERR_FREQUENT, naming the limit, where the customer has reached it; 400 where the request alone is beyond it.
    ///
    /// `open`: the customer's open deposits, for another one.
    pub fn check(&self, open: Option<u32>, stored: StoredBytes, stores: u32) -> Result<(), Refusal> {
        let Self { open_deposits, stored_bytes } = *self;
        if let Some(open) = open.filter(|open| open_deposits > 0 && *open >= open_deposits) {
            return Err(frequent(format!(
                "open_deposits_max: {open} deposits are not paid, at most {open_deposits} may be; pay them or let them expire"
            )));
        }
        if stores == 0 || stored_bytes == 0 {
            return Ok(());
        }
        let wanted = stored.sum().saturating_add(stores.into());
        match stored.seconds_until(stores.into(), stored_bytes) {
            Some(0) => Ok(()),
            Some(seconds) => Err(Refusal {
                retry_after_seconds: seconds.unsigned_abs(),
                ..frequent(format!(
                    "stored_bytes_per_customer_max: comment, metadata_json and return URLs would take {wanted} bytes, at most \
                     {stored_bytes} are stored for a customer in {STORED_PERIOD_DAYS} to {} days; without them, or with shorter \
                     ones, it is taken now",
                    2 * STORED_PERIOD_DAYS
                ))
            }),
            None => Err(Refusal::invalid(format!(
                "stored_bytes_per_customer_max: comment, metadata_json and return URLs take {stores} bytes, at most \
                 {stored_bytes} are stored for a customer"
            ))),
        }
    }

    /// Logs that a request, which was taken, brings the customer near the limit of stored bytes.
    pub(super) fn note(&self, customer: CustomerId, stored: StoredBytes, stores: u32) {
        let (before, near) = (stored.sum(), self.near());
        let stored = before.saturating_add(stores.into());
        if before < near && stored >= near {
            tracing::warn!(
                %customer, stored, most = self.stored_bytes, setting = "stored_bytes_per_customer_max",
                "a customer has stored nine tenths of the limit"
            );
        }
    }

    /// Logs which customers are near the limit of stored bytes or beyond it, as also the first start with a limit may find.
    pub fn report(&self, books: &Books, now: UnixTime) {
        let (customers, shown) = books.customers_storing(self.near(), now, CUSTOMERS_SHOWN_MAX);
        if customers > 0 {
            let ids: Vec<String> = shown.iter().map(ToString::to_string).collect();
            tracing::warn!(
                customers,
                ids = ids.join(", "),
                most = self.stored_bytes,
                setting = "stored_bytes_per_customer_max",
                "customers have stored nine tenths of the limit, or more: beyond it their requests are refused until older texts no longer count"
            );
        }
    }

    /// Nine tenths; nobody is near where there is no limit.
    fn near(&self) -> u64 {
        if self.stored_bytes == 0 { u64::MAX } else { (self.stored_bytes - self.stored_bytes / 10).max(1) }
    }
}

fn frequent(message: String) -> Refusal {
    Refusal::new(RefusalCode::Frequent, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: u64 = 7;

    #[test]
    fn b1_a_limit_is_reached_exactly_and_named_with_the_time_of_its_end_and_0_is_none() {
        let limits = CustomerLimits { open_deposits: 2, stored_bytes: 100 };
        let code = |open, before, current, stores| {
            let stored = StoredBytes { before, current, seconds_left: LEFT.cast_signed() };
            let refused = limits.check(open, stored, stores).err()?;
            let name = refused.message.split(':').next().unwrap().to_owned();
            Some((refused.code.number(), name, refused.retry_after_seconds))
        };
        let open = Some((429, "open_deposits_max".to_owned(), 0));
        let later = |seconds| Some((429, "stored_bytes_per_customer_max".to_owned(), seconds));
        assert_eq!([code(Some(1), 0, 0, 0), code(Some(1), 20, 30, 50)], [None, None]);
        assert_eq!([code(Some(2), 0, 0, 0), code(None, 0, 0, 0)], [open.clone(), None], "a withdrawal opens none");
        assert_eq!([code(Some(1), 20, 30, 51), code(None, 100, 0, 1)], [later(LEFT), later(LEFT)]);
        assert_eq!(code(Some(1), 0, 100, 1), later(LEFT + 30 * 24 * 60 * 60), "it was all stored lately");
        let beyond = Some((400, "stored_bytes_per_customer_max".to_owned(), 0));
        assert_eq!(code(Some(0), 0, 0, 101), beyond, "a repetition would never succeed");
        assert_eq!(code(Some(0), 100, 100, 0), None, "what stores nothing is taken");
        assert_eq!(code(Some(3), 100, 100, 1), open);
        let much = StoredBytes { before: u64::MAX, current: u64::MAX, seconds_left: 1 };
        assert!(CustomerLimits::default().check(Some(u32::MAX), much, u32::MAX).is_ok());
        assert_eq!([limits.near(), CustomerLimits::default().near()], [90, u64::MAX]);
    }
}
