//! Whose turn it is among the unread notices that are shown to their module again; it shows none itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use cashier_core::ids::{ConfigId, EventId};

/// The turn of unread notices.
#[derive(Debug, Default)]
pub(super) struct ReplayTurn {
    running: AtomicBool,
    /// The last one that was shown; the next turn begins after it, so that one that fails starves no other.
    last: Mutex<(ConfigId, EventId)>,
}

impl ReplayTurn {
    /// Whether no other turn is under way; it is now.
    pub(super) fn begin(&self) -> bool {
        !self.running.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end(&self) {
        self.running.store(false, Ordering::Release);
    }

    pub(super) fn passed(&self, event: (ConfigId, EventId)) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = event;
    }

    pub(super) fn last(&self) -> (ConfigId, EventId) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
