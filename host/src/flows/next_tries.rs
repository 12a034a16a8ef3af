//! When the janitor tries a transaction again, for who explains it. The janitor answers; before it has started nobody does.

use std::sync::OnceLock;
use std::time::Duration;

use cashier_core::ids::TransactionId;

/// Answers with the monotonic time before which a transaction is not tried again, and how often its duty was tried in a row.
type Pauses = Box<dyn Fn(TransactionId) -> Option<(Duration, u32)> + Send + Sync>;

/// The janitor's answer, once it runs.
#[derive(Default)]
pub(super) struct NextTries(OnceLock<Pauses>);

impl NextTries {
    /// Whom to ask; the first one stays.
    pub(super) fn answered_by(&self, pauses: Pauses) {
        // A second janitor of one cashier is not started.
        let _ = self.0.set(pauses);
    }

    pub(super) fn of(&self, id: TransactionId) -> Option<(Duration, u32)> {
        self.0.get().and_then(|pauses| pauses(id))
    }
}
