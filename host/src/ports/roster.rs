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
    /// The field and what is wrong with it.
    pub what: String,
    /// The same behind its row, such as `line 3: customers[0].country: …`.
    pub with_row: String,
}
