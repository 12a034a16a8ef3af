//! What one customer may have open and may have stored. The books count it from their rows, so that it holds also right after
//! a start; how often a customer may request something is in `rate_limit`.

use cashier_core::books::CustomerUse;
use cashier_core::refusal::{Refusal, RefusalCode};

/// Open deposits where the setting is omitted: nobody pays 200 things at once, and each is asked about at its provider until it
/// expires.
pub(super) const OPEN_DEPOSITS_MAX: u32 = 200;
/// Stored bytes where the setting is omitted: 130,000 deposits with texts of 500 bytes, and 4,000 of the longest.
pub(super) const STORED_BYTES_PER_CUSTOMER_MAX: u64 = 64 * 1024 * 1024;

/// Limits of one customer; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CustomerLimits {
    /// Deposits of which no payment or end is known.
    pub open_deposits: u32,
    /// Comments, metadata and return URLs, in all, so that the disk is bounded too.
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
    /// 429 RET_ERR_FREQUENT, naming the limit, where the customer has reached it.
    pub fn check(&self, taken: CustomerUse, opens_deposit: bool, stores: u32) -> Result<(), Refusal> {
        let Self { open_deposits, stored_bytes } = *self;
        if opens_deposit && open_deposits > 0 && taken.open_deposits >= open_deposits {
            let open = taken.open_deposits;
            return Err(frequent(format!(
                "open_deposits_max: {open} deposits are not paid, at most {open_deposits} may be; pay them or let them expire"
            )));
        }
        let wanted = taken.stored_bytes.saturating_add(stores.into());
        if stores > 0 && stored_bytes > 0 && wanted > stored_bytes {
            return Err(frequent(format!(
                "stored_bytes_per_customer_max: comment, metadata_json and return URLs would take {wanted} bytes, at most \
                 {stored_bytes} are stored for a customer"
            )));
        }
        Ok(())
    }
}

fn frequent(message: String) -> Refusal {
    Refusal::new(RefusalCode::Frequent, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_a_limit_is_reached_exactly_and_named_and_0_is_none() {
        let limits = CustomerLimits { open_deposits: 2, stored_bytes: 100 };
        let code = |open_deposits, stored_bytes, opens, stores| {
            let refused = limits.check(CustomerUse { open_deposits, stored_bytes }, opens, stores).err()?;
            assert_eq!(refused.code.number(), 429);
            Some(refused.message.split(':').next()?.to_owned())
        };
        let (open, stored) = (Some("open_deposits_max".to_owned()), Some("stored_bytes_per_customer_max".to_owned()));
        assert_eq!([code(1, 0, true, 0), code(1, 50, true, 50)], [None, None]);
        assert_eq!([code(2, 0, true, 0), code(2, 0, false, 0)], [open.clone(), None], "a withdrawal opens none");
        assert_eq!([code(1, 50, true, 51), code(0, 100, false, 1)], [stored.clone(), stored]);
        assert_eq!(code(0, 200, true, 0), None, "what stores nothing is taken");
        assert_eq!(code(3, 200, true, 1), open);
        let none = CustomerLimits::default();
        let much = CustomerUse { open_deposits: u32::MAX, stored_bytes: u64::MAX };
        assert!(none.check(much, true, u32::MAX).is_ok());
    }
}
