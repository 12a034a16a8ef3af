//! What a roster of groups, customers, accounts and rates changed. Whether it may be applied is judged by the trading server.

use std::fmt;

use crate::ids::Login;

/// How many entries of one list were added, updated or unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub added: u64,
    pub updated: u64,
    pub unchanged: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, updated, unchanged } = self;
        write!(f, "{added} added, {updated} updated, {unchanged} unchanged")
    }
}

/// The result of applying a roster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportReport {
    pub groups: Tally,
    pub customers: Tally,
    pub accounts: Tally,
    pub rates: Tally,
}

impl ImportReport {
    /// The lists by name.
    pub fn lists(&self) -> [(&'static str, Tally); 4] {
        let Self { groups, customers, accounts, rates } = *self;
        [("groups", groups), ("customers", customers), ("accounts", accounts), ("rates", rates)]
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Few rosters have rates.
        let is_shown = |(name, tally): &(&str, Tally)| *name != "rates" || *tally != Tally::default();
        self.lists().into_iter().filter(is_shown).try_for_each(|(name, tally)| writeln!(f, "{name}: {tally}"))
    }
}

/// One field of a row before and after; a new row is one change, from nothing to all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterChange {
    /// Such as `account 2000009 customer_id`.
    pub field: Box<str>,
    pub before: Box<str>,
    pub after: Box<str>,
}

/// An account that was known before and that changes what its orders were taken under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebound {
    pub login: Login,
    /// `customer_id`, `currency` or `account_mode`, by its own row or by its group's.
    pub field: &'static str,
}

/// What a roster would change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RosterPlan {
    pub report: ImportReport,
    pub changes: Vec<RosterChange>,
    pub rebound: Vec<Rebound>,
}
