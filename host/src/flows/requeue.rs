//! What a request's flow left unfinished, so that the janitor takes it up at its next look: the backoff of one duty must
//! not delay another. It only names transactions; what is due is derived from their state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cashier_core::ids::{ConfigId, TransactionId};

/// What ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unfinished {
    /// A posting. The janitor's own tries end here too, so a backoff that a posting caused holds.
    Posting,
    /// A query that an update called for.
    Query,
}

/// At most one entry per transaction with a duty and per config; emptied by every look and round.
#[derive(Debug, Default)]
pub(super) struct Requeue(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    transactions: BTreeMap<TransactionId, Unfinished>,
    /// Configs whose open payments are all to be queried.
    configs: BTreeSet<ConfigId>,
}

impl Requeue {
    pub(super) fn push(&self, id: TransactionId, unfinished: Unfinished) {
        let mut entries = self.entries();
        let known = entries.transactions.entry(id).or_insert(unfinished);
        *known = unfinished.max(*known);
    }

    /// The provider stated something that could not be read and names no payment: it may be about any open one of these
    /// configs, which share a merchant account.
    pub(super) fn push_configs(&self, account: &[ConfigId]) {
        self.entries().configs.extend(account);
    }

    /// Everything pushed since the last call, by id.
    pub(super) fn take(&self) -> BTreeMap<TransactionId, Unfinished> {
        std::mem::take(&mut self.entries().transactions)
    }

    /// Every config pushed since the last call.
    pub(super) fn take_configs(&self) -> BTreeSet<ConfigId> {
        std::mem::take(&mut self.entries().configs)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
