//! Counts of webhooks that are not verified: how many in a minute, and what they cost one provider in bytes times configs.

use std::time::Duration;

/// In which failures are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// How many times as many webhooks may be left unjudged as may be rejected: a provider whose module fails sends its own for as
/// long as that takes.
const UNJUDGED_TIMES: u32 = 10;

/// How many times as much senders that are known may cost, and fail: a wrong secret makes a provider's own webhooks fail.
const KNOWN_TIMES: u32 = 4;

/// Bytes times configs that forged webhooks of one provider may take in a second: a few percent of one processor.
const FORGED_BYTES_PER_SECOND_MAX: u64 = 16 * 1024 * 1024;

/// The same at once: the largest webhook for 64 configs.
const FORGED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is counted of it: every config is asked again four seconds after a flood, however much it cost.
const SPENT_MAX: u64 = 2 * FORGED_BYTES_MAX;

/// What showing a webhook to one config costs besides its bytes: two changes of threads.
const TRY_BYTES: u64 = 4 * 1024;

/// Why a webhook is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeFailure {
    /// Every config that was asked rejected it.
    Rejected,
    /// It may be authentic: a module that was asked failed, or none could say.
    Unjudged,
}

/// What is allowed in a minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailuresMax(u32);

impl FailuresMax {
    /// So many that are rejected; 0 is no limit.
    pub(super) fn new(rejected: u32, is_known: bool) -> Self {
        Self(if is_known { rejected.saturating_mul(KNOWN_TIMES) } else { rejected })
    }

    fn of(self, failure: NoticeFailure) -> Option<u32> {
        let most = match failure {
            NoticeFailure::Rejected => self.0,
            NoticeFailure::Unjudged => self.0.saturating_mul(UNJUDGED_TIMES),
        };
        (most > 0).then_some(most)
    }
}

/// Webhooks that were not verified lately, by why.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Failures {
    rejected: Window,
    unjudged: Window,
}

impl Failures {
    /// Whether the next one is beyond a limit.
    pub(super) fn are_beyond(&self, now: Duration, most: FailuresMax) -> bool {
        let reached = |window: &Window, failure| most.of(failure).is_some_and(|most| window.count(now) >= most);
        reached(&self.rejected, NoticeFailure::Rejected) || reached(&self.unjudged, NoticeFailure::Unjudged)
    }

    /// Counts one; whether a limit is reached by it.
    pub(super) fn add(&mut self, now: Duration, failure: NoticeFailure, most: FailuresMax) -> bool {
        let counted = match failure {
            NoticeFailure::Rejected => self.rejected.add(now),
            NoticeFailure::Unjudged => self.unjudged.add(now),
        };
        most.of(failure) == Some(counted)
    }

    pub(super) fn are_over(&self, now: Duration) -> bool {
        self.rejected.count(now) == 0 && self.unjudged.count(now) == 0
    }
}

/// Failures since a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began: Duration,
    failed: u32,
}

impl Window {
    fn count(&self, now: Duration) -> u32 {
        if now.saturating_sub(self.began) < WINDOW { self.failed } else { 0 }
    }

    fn add(&mut self, now: Duration) -> u32 {
        match self.count(now) {
            0 => *self = Self { began: now, failed: 1 },
            failed => self.failed = failed.saturating_add(1),
        }
        self.failed
    }
}

/// What webhooks of one provider cost lately that are not verified, or not yet.
#[derive(Debug, Default)]
pub(super) struct Cost {
    /// Bytes times configs; at most [`SPENT_MAX`], so that a flood is over soon after its last webhook.
    spent: u64,
    refilled: Duration,
}

impl Cost {
    /// Nothing is left of it.
    pub(super) fn is_over(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.spent == 0
    }

    pub(super) fn is_spent(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.spent >= FORGED_BYTES_MAX
    }

    /// Counts a webhook of this length that is shown to a config.
    pub(super) fn charge(&mut self, now: Duration, length: usize, is_known: bool) {
        self.refill(now);
        self.spent = self.spent.saturating_add(price(length, 1, is_known)).min(SPENT_MAX);
    }

    /// It was verified after it was shown to so many: it cost nothing.
    pub(super) fn refund(&mut self, length: usize, tries: usize, is_known: bool) {
        self.spent = self.spent.saturating_sub(price(length, tries, is_known));
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = u64::try_from(now.saturating_sub(self.refilled).as_micros()).unwrap_or(u64::MAX);
        self.spent = self.spent.saturating_sub(elapsed.saturating_mul(FORGED_BYTES_PER_SECOND_MAX) / 1_000_000);
        self.refilled = now;
    }
}

fn price(length: usize, tries: usize, is_known: bool) -> u64 {
    let price = (length as u64 + TRY_BYTES).saturating_mul(tries as u64);
    if is_known { price / u64::from(KNOWN_TIMES) } else { price }
}
