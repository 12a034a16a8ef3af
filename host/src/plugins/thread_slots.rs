//! Slots for the threads on which a module's instances are configured and dropped: a fixed number at a time, and callers
//! beyond it wait. A slot that is held too long belongs to a thread that never returned. `module_thread` takes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::ports::Clock;

/// Threads that may be stuck in one instance, or in configuring and dropping instances of one config: a stuck thread costs
/// its stack and what it holds, and a module that blocks three for a config blocks all. The other configs of the module
/// keep their own.
pub(super) const STUCK_MAX: usize = 3;

/// Configs of one module that are configured at one time, those that are stuck not counted: each costs a thread, and the
/// rest waits for milliseconds where calls return.
const CONFIGURING_MAX: usize = 16;

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
    /// The config of each slot, and since when it is held, a monotonic time.
    slots: BTreeMap<u64, (i64, Duration)>,
}

/// A slot of a thread, released when dropped.
pub(super) struct ThreadSlot {
    table: Arc<SlotTable>,
    number: u64,
}

/// Every slot of the config is held by a thread that never returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AllSlotsStuck;

impl ThreadSlots {
    /// Waits for a slot. The wait ends: every holder releases its slot or is stuck after `call`.
    pub(super) async fn take(
        &self,
        config: i64,
        call: Duration,
        clock: &dyn Clock,
    ) -> Result<ThreadSlot, AllSlotsStuck> {
        loop {
            // Created before the check, so that a slot released after it is noticed.
            let released = self.0.released.notified();
            let wait = {
                let mut held = self.0.lock();
                let now = clock.monotonic();
                match held.wait(config, call, now)? {
                    Some(wait) => wait,
                    None => return Ok(self.slot(&mut held, config, now)),
                }
            };
            tokio::select! {
                () = released => {}
                () = clock.sleep(wait) => {}
            }
        }
    }

    /// A slot beyond the limit, for work that cannot wait; configuring waits for it.
    pub(super) fn take_at_once(&self, config: i64, clock: &dyn Clock) -> ThreadSlot {
        self.slot(&mut self.0.lock(), config, clock.monotonic())
    }

    /// How many threads have held a slot longer than `call` at `now`, a monotonic time.
    pub(super) fn stuck(&self, call: Duration, now: Duration) -> usize {
        self.0.lock().slots.values().filter(|(_, since)| since.saturating_add(call) <= now).count()
    }

    fn slot(&self, held: &mut HeldSlots, config: i64, now: Duration) -> ThreadSlot {
        held.last_number += 1;
        held.slots.insert(held.last_number, (config, now));
        ThreadSlot { table: Arc::clone(&self.0), number: held.last_number }
    }
}

impl HeldSlots {
    /// How long to wait for a slot of this config; none where one is free.
    fn wait(&self, config: i64, call: Duration, now: Duration) -> Result<Option<Duration>, AllSlotsStuck> {
        let own = self.slots.values().filter(|(of, _)| *of == config).count();
        let ends = self.slots.values().map(|(of, since)| (*of, since.saturating_add(call)));
        let running = ends.filter(|(_, end)| *end > now);
        if own >= STUCK_MAX {
            let end = running.filter(|(of, _)| *of == config).map(|(_, end)| end).min();
            return end.map(|end| Some(end.saturating_sub(now))).ok_or(AllSlotsStuck);
        }
        let ends: Vec<Duration> = running.map(|(_, end)| end).collect();
        let next = ends.iter().min().filter(|_| ends.len() >= CONFIGURING_MAX);
        Ok(next.map(|end| end.saturating_sub(now)))
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
        self.table.lock().slots.remove(&self.number);
        self.table.released.notify_waiters();
    }
}
