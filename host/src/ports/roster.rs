//! Groups, customers and accounts that a trading server of ours is given, and what came of it. It reads no text and judges no
//! row.

use cashier_core::roster::ImportReport;

use super::Fault;

/// What came of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterOutcome {
    Imported(ImportReport),
    /// Nothing of it was written.
    Mistakes(Vec<RosterMistake>),
    /// This trading server keeps its customers, accounts and groups itself.
    Unsupported,
    /// It is not known whether it was written.
    Fault(Fault),
}

/// One thing wrong with a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterMistake {
    /// The row, such as `line 3: customers[0]`; empty where the whole text is meant.
    pub place: String,
    /// The field and what is wrong with it.
    pub what: String,
}
