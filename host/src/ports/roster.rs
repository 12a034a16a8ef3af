//! Groups, customers and accounts that a trading server of ours is given, and what came of it. It reads no text and judges no
//! row.

use super::Fault;

/// Why nothing of a roster was written, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterRefusal {
    Mistakes(Vec<RosterMistake>),
    /// This trading server keeps its customers, accounts and groups itself.
    Unsupported,
    /// It would change something else than what was judged: rows changed in between.
    Stale,
    /// It is not known whether it was written; where it was only judged, it was not.
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
