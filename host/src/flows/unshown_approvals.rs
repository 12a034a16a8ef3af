//! Approvals that are asked for and not shown yet: the publisher shows one once its commit is durable, and until then the limits and the
//! search for the same request must know it. It decides nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cashier_core::approval::Approval;
use cashier_core::ids::ApprovalId;

type UnshownRows = Arc<Mutex<BTreeMap<ApprovalId, Approval>>>;

/// The approvals that were asked for in commits under way.
#[derive(Default)]
pub(super) struct UnshownApprovals(UnshownRows);

/// The request for one, until it is shown or came to nothing.
pub(super) struct Asking {
    rows: UnshownRows,
    id: Option<ApprovalId>,
}

impl UnshownApprovals {
    pub(super) fn begin(&self) -> Asking {
        Asking { rows: Arc::clone(&self.0), id: None }
    }

    /// To be read before the snapshot: what is shown meanwhile is in one of the two.
    pub(super) fn rows(&self) -> Vec<Approval> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Asking {
    /// It is asked for in the commit that is decided now. To be called under the ledger's lock.
    pub(super) fn asked(&mut self, row: &Approval) {
        self.id = Some(row.id);
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).insert(row.id, row.clone());
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.rows.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
    }
}
