//! Which approvals are being decided, so that of two managers one decides. It knows no approval but by its id.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use cashier_core::ids::ApprovalId;

/// Approvals that are being decided.
#[derive(Debug, Default)]
pub(super) struct Deciding(Arc<Mutex<BTreeSet<ApprovalId>>>);

impl Deciding {
    /// `None` while another decides it.
    pub(super) fn begin(&self, id: ApprovalId) -> Option<DecidingOne> {
        let all = Arc::clone(&self.0);
        let is_first = all.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        is_first.then_some(DecidingOne { all, id })
    }

    /// Whether it is being decided, or was and is not shown so yet.
    pub(super) fn has(&self, id: ApprovalId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}

/// The right to decide one approval, until it is dropped.
pub struct DecidingOne {
    all: Arc<Mutex<BTreeSet<ApprovalId>>>,
    id: ApprovalId,
}

impl Drop for DecidingOne {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
