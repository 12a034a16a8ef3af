//! Slots for the threads on which a module's instances are configured and dropped: a fixed number at a time, and callers
//! beyond it wait. A slot that is held too long belongs to a thread that never returned. `module_thread` takes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::ports::Clock;

/// Threads that may be stuck in one instance, or in configuring and dropping instances of one module: a stuck thread costs
/// its stack and what it holds, and a module that blocks three blocks all.
pub(super) const STUCK_MAX: usize = 3;

/// The slots of one module.
#[derive(Clone, Default)]
pub(super) struct ThreadSlots(Arc<SlotTable>);

#[derive(Default)]
struct SlotTable {
    held: Mutex<HeldSlots>,
    released: Notify,
}

#[derive(Default)]
struct HeldSlots {
    last_number: u64,
    /// Since when each slot is held, a monotonic time.
    since: BTreeMap<u64, Duration>,
}

/// A slot of a thread, released when dropped.
pub(super) struct ThreadSlot {
    table: Arc<SlotTable>,
    number: u64,
}

/// Every slot is held by a thread that never returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AllSlotsStuck;

impl ThreadSlots {
    /// Waits for a slot. The wait ends: every holder releases its slot or is stuck after `call`.
    pub(super) async fn take(&self, call: Duration, clock: &dyn Clock) -> Result<ThreadSlot, AllSlotsStuck> {
        loop {
            // Created before the check, so that a slot released after it is noticed.
            let released = self.0.released.notified();
            let next_stuck = {
                let mut held = self.0.lock();
                let now = clock.monotonic();
                if held.since.len() < STUCK_MAX {
                    return Ok(self.slot(&mut held, now));
                }
                let ends = held.since.values().map(|since| since.saturating_add(call));
                ends.filter(|end| *end > now).min().map(|end| end.saturating_sub(now))
            };
            let Some(wait) = next_stuck else { return Err(AllSlotsStuck) };
            tokio::select! {
                () = released => {}
                () = clock.sleep(wait) => {}
            }
        }
    }

    /// A slot beyond the limit, for work that cannot wait; configuring waits for it.
    pub(super) fn take_at_once(&self, clock: &dyn Clock) -> ThreadSlot {
        self.slot(&mut self.0.lock(), clock.monotonic())
    }

    /// How many threads have held a slot longer than `call` at `now`, a monotonic time.
    pub(super) fn stuck(&self, call: Duration, now: Duration) -> usize {
        self.0.lock().since.values().filter(|since| since.saturating_add(call) <= now).count()
    }

    fn slot(&self, held: &mut HeldSlots, now: Duration) -> ThreadSlot {
        held.last_number += 1;
        held.since.insert(held.last_number, now);
        ThreadSlot { table: Arc::clone(&self.0), number: held.last_number }
    }
}

impl SlotTable {
    fn lock(&self) -> MutexGuard<'_, HeldSlots> {
        // Every change is complete before its guard is dropped.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ThreadSlot {
    fn drop(&mut self) {
        self.table.lock().since.remove(&self.number);
        self.table.released.notify_waiters();
    }
}
