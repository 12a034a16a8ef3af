//! What a draft changes, for those who show it: a person before it is done, a record with it.

use super::Draft;
use crate::aggregate::Aggregate;
use crate::change::Change;
use crate::ids::{EventId, TransactionId};
use crate::notice::ProviderEvent;
use crate::reason::{Reason, ReasonCode};
use crate::status::TransactionStatus;

/// A transaction that needs a person, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    pub transaction: TransactionId,
    pub status: TransactionStatus,
    pub reason: Reason,
}

/// A transaction that a draft changes, as it was and as it would be.
#[derive(Debug, Clone)]
pub struct ChangedTransaction {
    /// `None` where the draft opens it.
    pub before: Option<Aggregate>,
    pub after: Aggregate,
}

impl Draft<'_> {
    /// Whether a row is changed or added so far.
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The transactions whose rows are changed so far, by id.
    pub fn changed_transactions(&self) -> Vec<ChangedTransaction> {
        let mut ids: Vec<TransactionId> = self.drafted_rows().map(|row| row.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let changed = |id: TransactionId| {
            Some(ChangedTransaction { before: self.books.aggregate(id), after: self.aggregate(id)? })
        };
        ids.into_iter().filter_map(changed).collect()
    }

    /// The row of an event that waits: for its transaction, for a person, or for a module that can read it.
    pub fn waiting_event(&self, id: EventId) -> Option<ProviderEvent> {
        self.notes.event_row(id);
        let is_it = |event: &&ProviderEvent| event.id == id;
        let unmatched = || self.books.unmatched().find(is_it);
        let unread = || self.books.unread().map(|known| &known.event).find(is_it);
        self.books.pending_event(id).or_else(unmatched).or_else(unread).cloned()
    }

    /// Transactions that this draft moves to manual review or to a failed credit with a reason: to be logged for the
    /// operator.
    pub fn needs_attention(&self) -> Vec<Attention> {
        let attention = |change: &Change| {
            let Change::Transaction(row) = change else { return None };
            let status = matches!(row.status, TransactionStatus::ManualReview | TransactionStatus::CreditFailed);
            let is_new = || {
                let before = self.books.transaction(row.id).map(|before| (before.status, before.reason.code));
                before != Some((row.status, row.reason.code))
            };
            let needed = status && row.reason.code != ReasonCode::None && is_new();
            needed.then(|| Attention { transaction: row.id, status: row.status, reason: row.reason.clone() })
        };
        self.changes.iter().filter_map(attention).collect()
    }
}
