//! What a request's flow left unfinished, so that the janitor takes it up in its next round: the backoff of one duty must
//! not delay another. It only names transactions; what is due is derived from their state.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cashier_core::ids::TransactionId;

/// What ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unfinished {
    /// A posting. The janitor's own tries end here too, so a backoff that a posting caused holds.
    Posting,
    /// A query that an update called for.
    Query,
}

/// At most one entry per transaction with a duty; emptied by every round.
#[derive(Debug, Default)]
pub(super) struct Requeue(Mutex<BTreeMap<TransactionId, Unfinished>>);

impl Requeue {
    pub(super) fn push(&self, id: TransactionId, unfinished: Unfinished) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.entry(id).or_insert(unfinished);
        *known = unfinished.max(*known);
    }

    /// Everything pushed since the last call, by id.
    pub(super) fn take(&self) -> BTreeMap<TransactionId, Unfinished> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
