//! What a request's flow left requeue, so that the janitor takes it up in its next round: a pause that a transaction earned
//! by one duty must not put off another. It only names transactions; what is due is derived from their state.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cashier_core::ids::TransactionId;

/// What ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Left {
    /// A posting. The janitor's own tries end here too, so a pause that a posting earned holds.
    Posting,
    /// A question that a notice raised.
    Query,
}

/// At most one entry per transaction with a duty; emptied by every round.
#[derive(Debug, Default)]
pub(super) struct Requeue(Mutex<BTreeMap<TransactionId, Left>>);

impl Requeue {
    pub(super) fn push(&self, id: TransactionId, left: Left) {
        let mut requeue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = requeue.entry(id).or_insert(left);
        *known = left.max(*known);
    }

    /// Everything left since the last time, by id.
    pub(super) fn take(&self) -> BTreeMap<TransactionId, Left> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
