//! Lanes in which webhooks of one provider wait their turn to be verified, for a limited time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ports::Clock;

/// Large webhooks of one provider that are verified at one time: small ones, also those for the same config, never wait for
/// more than one of them.
const LARGE_JUDGED_MAX: usize = 1;

/// And that are in memory, waiting or while their provider is asked: a quarter of what bodies may take, so that no provider that
/// is slow takes it from the others.
const LARGE_HELD_MAX: usize = 16;

/// Small webhooks of one provider, from senders beyond a limit, that are verified at one time.
const RESTRICTED_JUDGED_MAX: usize = 4;

/// And that wait or are verified.
const RESTRICTED_HELD_MAX: usize = 256;

/// How long one waits for its turn: a module that hangs holds it for each of its configs, and senders hang up after some 10 s.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);

/// The right to be in memory, and to be verified now.
#[derive(Default)]
pub(in crate::flows) struct NoticeTurn {
    judging: Option<OwnedSemaphorePermit>,
    #[expect(dead_code, reason = "held, not read")]
    held: Option<OwnedSemaphorePermit>,
}

impl NoticeTurn {
    /// Lets the next one be verified; this one waits for a provider's network meanwhile.
    pub(in crate::flows) fn end_judging(&mut self) {
        self.judging = None;
    }
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flows) enum NoNoticeTurn {
    TooManyWait,
    TooLong,
}

/// The lanes of one provider's webhooks, from senders that are known or from the others.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) large: NoticeLane,
    pub(super) restricted: NoticeLane,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            large: NoticeLane::new(LARGE_JUDGED_MAX, LARGE_HELD_MAX),
            restricted: NoticeLane::new(RESTRICTED_JUDGED_MAX, RESTRICTED_HELD_MAX),
        }
    }
}

impl Lanes {
    pub(super) fn are_used(&self) -> bool {
        [&self.large, &self.restricted].iter().any(|lane| Arc::strong_count(&lane.held) > 1)
    }
}

#[derive(Debug, Clone)]
pub(super) struct NoticeLane {
    judging: Arc<Semaphore>,
    held: Arc<Semaphore>,
}

impl NoticeLane {
    fn new(judging: usize, held: usize) -> Self {
        Self { judging: Arc::new(Semaphore::new(judging)), held: Arc::new(Semaphore::new(held)) }
    }

    pub(super) async fn turn(self, clock: &dyn Clock) -> Result<NoticeTurn, NoNoticeTurn> {
        let held = self.held.try_acquire_owned().map_err(|_| NoNoticeTurn::TooManyWait)?;
        match select(Box::pin(self.judging.acquire_owned()), clock.sleep(TURN_WAIT_MAX)).await {
            Either::Left((judging, _)) => Ok(NoticeTurn { judging: judging.ok(), held: Some(held) }),
            Either::Right(_) => Err(NoNoticeTurn::TooLong),
        }
    }
}
