//! What a draft changes, for those who show it: a person before it is done, a record with it.

use super::Draft;
use crate::aggregate::Aggregate;
use crate::ids::{EventId, TransactionId};
use crate::notice::ProviderEvent;

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
}
