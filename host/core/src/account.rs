//! Customer, group and account as the trading server states them (API.md section 8). The cashier reads these and never
//! changes them.

use crate::ids::{CustomerId, Login, ServerName};
use crate::money::{Currency, Money};
use crate::numbered::numbered;

/// A customer of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    pub customer_id: CustomerId,
    /// ISO 3166 alpha-2, upper case; may be empty.
    pub country: Box<str>,
    pub brand: Box<str>,
    /// 0 is active; every other number bars deposits and withdrawals.
    pub status: i64,
    pub deposit_allowed: bool,
    pub withdrawal_allowed: bool,
}

impl Customer {
    pub fn is_active(&self) -> bool {
        self.status == 0
    }
}

numbered! {
    /// Whether a group's accounts hold real money.
    AccountMode {
        Demo = 0,
        Real = 1,
    }
}

/// A group of accounts: their brand, currency and mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub group: Box<str>,
    pub brand: Box<str>,
    pub currency: Currency,
    pub account_mode: AccountMode,
    pub enabled: bool,
}

/// A trading account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub login: Login,
    pub customer_id: CustomerId,
    pub group: Box<str>,
    pub enabled: bool,
    pub balance: Money,
}

/// Customer, account and group of one login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    pub customer: Customer,
    pub account: Account,
    pub group: Group,
    /// The trading server that states them.
    pub server: ServerName,
    /// Seconds since it stated them; 0 where they were read for this question.
    pub age_seconds: u32,
}

impl AccountFacts {
    /// Whether account and group are enabled.
    pub fn account_open(&self) -> bool {
        self.account.enabled && self.group.enabled
    }
}
