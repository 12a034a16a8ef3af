//! Lanes in which webhooks wait their turn to be verified.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Large webhooks that are verified at one time, from addresses that are known, and as many from others: small ones, also those
/// for the same config, never wait for more than one of them.
const LARGE_JUDGED_MAX: usize = 1;

/// Small webhooks of one provider, from senders beyond a limit, that are verified at one time.
const RESTRICTED_JUDGED_MAX: usize = 4;

/// And that may wait for it.
const RESTRICTED_WAITING_MAX: usize = 256;

/// The right to be verified now.
#[derive(Default)]
#[expect(dead_code, reason = "permits are held, not read")]
pub(in crate::flows) struct JudgingPermit(Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>);

/// In which large webhooks wait.
pub(super) struct LargeLanes {
    of_known: Arc<Semaphore>,
    of_others: Arc<Semaphore>,
}

impl Default for LargeLanes {
    fn default() -> Self {
        let lane = || Arc::new(Semaphore::new(LARGE_JUDGED_MAX));
        Self { of_known: lane(), of_others: lane() }
    }
}

impl LargeLanes {
    pub(super) async fn turn(&self, is_known: bool) -> JudgingPermit {
        let lane = if is_known { &self.of_known } else { &self.of_others };
        JudgingPermit(Arc::clone(lane).acquire_owned().await.ok(), None)
    }
}

/// In which the small webhooks of one provider wait whose senders are beyond a limit.
#[derive(Debug, Clone)]
pub(super) struct RestrictedLane {
    judged: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for RestrictedLane {
    fn default() -> Self {
        let judged = Arc::new(Semaphore::new(RESTRICTED_JUDGED_MAX));
        Self { judged, waiting: Arc::new(Semaphore::new(RESTRICTED_WAITING_MAX)) }
    }
}

impl RestrictedLane {
    /// `None` where too many wait.
    pub(super) async fn turn(self) -> Option<JudgingPermit> {
        let waiting = self.waiting.try_acquire_owned().ok()?;
        Some(JudgingPermit(self.judged.acquire_owned().await.ok(), Some(waiting)))
    }

    pub(super) fn is_waited_for(&self) -> bool {
        Arc::strong_count(&self.waiting) > 1
    }
}
