//! Counts of webhooks that fail verification: failures in a minute, and what they cost one provider in bytes times configs.

use std::time::Duration;

/// In which failures are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// Bytes times configs that forged webhooks of one provider may take in a second: a few percent of one processor.
const FORGED_BYTES_PER_SECOND_MAX: u64 = 16 * 1024 * 1024;

/// The same at once: the largest webhook for 64 configs.
const FORGED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is counted of it: every config is asked again four seconds after a flood, however much it cost.
const SPENT_MAX: u64 = 2 * FORGED_BYTES_MAX;

/// What showing a webhook to one config costs besides its bytes: two changes of threads.
const TRY_BYTES: u64 = 4 * 1024;

/// Failures since a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    began: Duration,
    failed: u32,
}

impl Window {
    pub(super) fn count(&self, now: Duration) -> u32 {
        if now.saturating_sub(self.began) < WINDOW { self.failed } else { 0 }
    }

    pub(super) fn add(&mut self, now: Duration) -> u32 {
        match self.count(now) {
            0 => *self = Self { began: now, failed: 1 },
            failed => self.failed = failed.saturating_add(1),
        }
        self.failed
    }
}

/// What forged webhooks of one provider cost lately.
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

    pub(super) fn charge(&mut self, now: Duration, length: usize, tries: usize) {
        self.refill(now);
        let cost = (length as u64 + TRY_BYTES).saturating_mul(tries as u64);
        self.spent = self.spent.saturating_add(cost).min(SPENT_MAX);
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = u64::try_from(now.saturating_sub(self.refilled).as_micros()).unwrap_or(u64::MAX);
        self.spent = self.spent.saturating_sub(elapsed.saturating_mul(FORGED_BYTES_PER_SECOND_MAX) / 1_000_000);
        self.refilled = now;
    }
}
