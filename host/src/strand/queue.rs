//! What waits for the strand's thread: commits in the order of their submission, and what is done between two batches. It knows
//! no thread and no lock.

use std::collections::VecDeque;
use std::sync::Arc;

use cashier_core::change::Commit;
use cashier_core::dependence::Refusals;
use cashier_core::ids::Seq;
use tokio::sync::oneshot;

use super::batch::BatchLimits;
use super::reseal::{ResealCursor, ResealStep};
use super::retention::{RetentionOrder, Retired};
use crate::ports::{Configuration, Fault, Loaded};

/// Whether submissions are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueState {
    Open,
    /// A commit failed or a reload is under way: submissions are dropped.
    Suspended,
    /// No more submissions; what is queued is still written.
    Closing,
    /// The thread is gone.
    Closed,
}

pub(super) type Reloaded = oneshot::Sender<Result<Loaded, Fault>>;

/// Batches that are written before old bodies are deleted, where commits never cease: each deletion is a sync more.
pub(super) const BATCHES_BEFORE_RETIRING: u64 = 8;

/// What is done between two batches: one after each, the first whose turn it is, and all of it where no commit waits.
pub(super) enum Between {
    Reseal(ResealCursor, oneshot::Sender<Result<ResealStep, Fault>>),
    /// After this commit, the last that was queued before it.
    Configuration(Seq, oneshot::Sender<Result<Configuration, Fault>>),
    /// After so many batches.
    Retire(u64, RetentionOrder, oneshot::Sender<Result<Retired, Fault>>),
}

pub(super) struct Queue {
    pub(super) state: QueueState,
    pub(super) waiting: VecDeque<(Arc<Commit>, usize)>,
    pub(super) bytes: usize,
    pub(super) reloads: VecDeque<Reloaded>,
    pub(super) between: VecDeque<Between>,
    /// A batch was taken last: one of those goes before the next.
    pub(super) took_batch: bool,
    /// Batches taken since the start.
    pub(super) batches: u64,
    /// The thread sleeps and must be woken; a wake costs a system call that a busy thread does not need.
    pub(super) idle: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: QueueState::Open,
            waiting: VecDeque::new(),
            bytes: 0,
            reloads: VecDeque::new(),
            between: VecDeque::new(),
            took_batch: false,
            batches: 0,
            idle: false,
        }
    }

    pub(super) fn take_between(&mut self) -> Option<Between> {
        let place = match self.waiting.front() {
            None => 0,
            Some((next, _)) if std::mem::take(&mut self.took_batch) => {
                self.between.iter().position(|between| match between {
                    Between::Reseal(..) => true,
                    Between::Configuration(last, _) => *last < next.seq,
                    Between::Retire(batches, ..) => self.batches >= *batches,
                })?
            }
            Some(_) => return None,
        };
        self.between.remove(place)
    }

    /// Moves the oldest commits into the batch until a limit is met; at least one, however large.
    pub(super) fn take(&mut self, limits: BatchLimits, batch: &mut Vec<Arc<Commit>>) {
        let mut taken = 0_usize;
        while let Some(&(_, bytes)) = self.waiting.front() {
            let full = batch.len() >= limits.commits || taken.saturating_add(bytes) > limits.bytes;
            if full && !batch.is_empty() {
                break;
            }
            if let Some((commit, _)) = self.waiting.pop_front() {
                taken = taken.saturating_add(bytes);
                self.bytes = self.bytes.saturating_sub(bytes);
                batch.push(commit);
            }
        }
    }

    /// Takes out the commits that rest on refused ones, which are refused with them.
    pub(super) fn refuse(&mut self, refusals: &mut Refusals) {
        self.waiting.retain(|(commit, bytes)| {
            let rests = refusals.reaches(commit);
            if rests {
                refusals.add(commit);
                self.bytes = self.bytes.saturating_sub(*bytes);
            }
            !rests
        });
    }

    pub(super) fn drop_waiting(&mut self) {
        self.waiting.clear();
        // Dropping their senders answers.
        self.between.clear();
        self.bytes = 0;
    }
}
