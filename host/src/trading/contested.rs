//! Why nothing is posted to an account until a person has decided, and which currency the balance keeps meanwhile. Pure.

use std::fmt;

use cashier_core::ids::CustomerId;
use cashier_core::money::{Currency, Money};

/// Why an account is contested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contested {
    /// Its balance is not the one that the cashier recorded.
    Edited { recorded: Money, found: Money },
    /// Its row is gone.
    Removed { recorded: Money },
    /// Its row, or that of its group or customer, cannot be read.
    Unreadable { why: Box<str>, customer_id: Option<CustomerId>, group: Box<str>, balance: UnreadBalance },
}

/// What is known of the balance of an account that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadBalance {
    Empty,
    In(Currency),
    /// Of a currency that its row does not say.
    Unknown,
}

impl fmt::Display for Contested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited { recorded, found } => write!(f, "the balance was changed from {recorded} to {found}"),
            Self::Removed { recorded } => write!(f, "the account was removed with a balance of {recorded}"),
            Self::Unreadable { why, .. } => f.write_str(why),
        }
    }
}

impl UnreadBalance {
    /// Why the account may not be of this currency; `None` where it may. `stays`: it is the one that the account's group has.
    pub(super) fn refuses(self, currency: Currency, stays: bool) -> Option<String> {
        match self {
            Self::Empty => None,
            Self::In(own) => {
                (own != currency).then(|| format!("has a balance in {own}, which cannot become {currency}"))
            }
            Self::Unknown => {
                (!stays).then(|| format!("has a balance of unknown currency, which cannot become {currency}"))
            }
        }
    }
}
