//! Places for the threads on which a module is configured and its instances are let go: so many at one time, and whoever
//! comes later waits. One that is held too long is a thread that never returned. Which calls take one is `module_thread`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::ports::Clock;

/// Threads that may be stuck in one instance, or in the configuring and letting go of one module: a stuck thread costs
/// its stack and what it holds, and a module that swallows three swallows all.
pub(super) const STUCK_MAX: usize = 3;

/// The places of one module.
#[derive(Clone, Default)]
pub(super) struct ThreadSlots(Arc<Places>);

#[derive(Default)]
struct Places {
    held: Mutex<Held>,
    given_back: Notify,
}

#[derive(Default)]
struct Held {
    last_number: u64,
    /// Since when each place is held, a monotonic time.
    since: BTreeMap<u64, Duration>,
}

/// A place of a thread, given back when dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
}

/// Every place is held by a thread that never returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AllStuck;

impl ThreadSlots {
    /// Waits for a place. A thread that holds one longer than `call` is stuck, so that this ends: every holder gives its
    /// place back or is stuck in time.
    pub(super) async fn take(&self, call: Duration, clock: &dyn Clock) -> Result<Place, AllStuck> {
        loop {
            // Made before the look, so that what is given back after it is heard of.
            let given_back = self.0.given_back.notified();
            let next_stuck = {
                let mut held = self.0.lock();
                let now = clock.monotonic();
                if held.since.len() < STUCK_MAX {
                    return Ok(self.place(&mut held, now));
                }
                let ends = held.since.values().map(|since| since.saturating_add(call));
                ends.filter(|end| *end > now).min().map(|end| end.saturating_sub(now))
            };
            let Some(wait) = next_stuck else { return Err(AllStuck) };
            tokio::select! {
                () = given_back => {}
                () = clock.sleep(wait) => {}
            }
        }
    }

    /// A place for work that cannot wait and that nobody waits for: whoever configures meanwhile does.
    pub(super) fn take_at_once(&self, clock: &dyn Clock) -> Place {
        self.place(&mut self.0.lock(), clock.monotonic())
    }

    /// How many threads have held a place longer than `call` at `now`, a monotonic time.
    pub(super) fn stuck(&self, call: Duration, now: Duration) -> usize {
        self.0.lock().since.values().filter(|since| since.saturating_add(call) <= now).count()
    }

    fn place(&self, held: &mut Held, now: Duration) -> Place {
        held.last_number += 1;
        held.since.insert(held.last_number, now);
        Place { places: Arc::clone(&self.0), number: held.last_number }
    }
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Held> {
        // Every change is whole before its guard is dropped.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().since.remove(&self.number);
        self.places.given_back.notify_waiters();
    }
}
