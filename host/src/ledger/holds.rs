//! How long the ledger's lock is held: every decision and read of the books waits for it, so the longest hold is the longest
//! that one request can delay all others.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock};
use std::time::Duration;

use cashier_core::books::Books;

use crate::ports::Clock;

/// The longest holds, in microseconds.
#[derive(Default)]
pub(super) struct HoldMeter {
    clock: OnceLock<Arc<dyn Clock>>,
    longest: AtomicU64,
    recent: AtomicU64,
}

impl HoldMeter {
    /// Measures from now on.
    pub(super) fn measure_by(&self, clock: Arc<dyn Clock>) {
        // A second clock would be the same.
        let _ = self.clock.set(clock);
    }

    pub(super) fn longest(&self) -> u64 {
        self.longest.load(Ordering::Relaxed)
    }

    /// The longest since it was asked last.
    pub(super) fn take_recent(&self) -> u64 {
        self.recent.swap(0, Ordering::Relaxed)
    }

    pub(super) fn hold<'l>(&'l self, books: MutexGuard<'l, Books>) -> Held<'l> {
        Held { books, since: self.now(), meter: self }
    }

    fn now(&self) -> Duration {
        self.clock.get().map(|clock| clock.monotonic()).unwrap_or_default()
    }
}

/// The lock, measured from when it was taken until it is released.
pub(super) struct Held<'l> {
    books: MutexGuard<'l, Books>,
    since: Duration,
    meter: &'l HoldMeter,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let held = self.meter.now().saturating_sub(self.since).as_micros();
        let held = u64::try_from(held).unwrap_or(u64::MAX);
        self.meter.longest.fetch_max(held, Ordering::Relaxed);
        self.meter.recent.fetch_max(held, Ordering::Relaxed);
    }
}

impl Deref for Held<'_> {
    type Target = Books;

    fn deref(&self) -> &Books {
        &self.books
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Books {
        &mut self.books
    }
}
