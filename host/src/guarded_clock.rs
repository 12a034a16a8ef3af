//! The clock that stamps rows and decides what is due. It compares the system's clock with the newest time recorded before
//! and with the time since boot. Where they disagree the clock is *implausible*: stamps go on from the last plausible time,
//! and the flows do nothing that cannot be taken back (docs/settings.md, the clock). It knows neither file nor network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;

use crate::ports::{Clock, Fault};

/// How far the system's clock may be from the recorded time plus the time since boot. More than clocks are corrected by in
/// service, and a quarter of what an idempotency window leaves unused.
const CLOCK_STEP_MAX: i64 = 15 * 60;
/// How far a start may be after the newest recorded time: a server that was off for a week needs no person.
const CLOCK_GAP_MAX: i64 = 7 * 24 * 60 * 60;
/// How long the clock of such a start must run on before it is believed: a machine that booted with a wrong clock is set right
/// by then where anything sets it.
const CLOCK_CONFIRM_SECONDS: i64 = 30 * 60;
/// No clock of this program was ever before 2026-01-01.
const EARLIEST: i64 = 1_767_225_600;
/// The allowed difference follows slow corrections by one second in this many: twenty times what NTP slews, and too slow for
/// a clock that is set in small steps.
const SLEW: i64 = 100;
/// Pause between two records of the time: a restart loses at most this much.
const RECORD_PAUSE: i64 = 60;
/// How far a provider's `Date` header may be from the system's clock to agree with it.
const PEER_DIFFERENCE_MAX: i64 = 5 * 60;
/// Answers of one host that end an implausible clock, where no second host agrees.
const PEER_ANSWERS_MIN: u32 = 3;
/// Readings of the two clocks until they are of one moment; no machine is suspended that often.
const READINGS_MAX: u32 = 3;
/// Hosts that end it together, by one answer each.
const PEER_HOSTS_MIN: usize = 2;

/// What is recorded of the clock, while it is plausible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockRecord {
    /// The newest plausible time.
    pub newest: UnixTime,
    /// The boot it was recorded in, and the system's time less the time since boot, in seconds.
    pub boot: Option<(Box<str>, i64)>,
    /// Orders created up to here were stamped by a clock that was ahead; see [`Clock::stamped_ahead_until`].
    pub ahead_until: UnixTime,
    /// When the clock was last found plausible after it was not; see [`Clock::plausible_since`].
    pub plausible_since: UnixTime,
}

/// Where the record is kept.
pub trait ClockStore: Send + Sync {
    /// # Errors
    /// The record cannot be read or is damaged.
    fn read(&self) -> Result<Option<ClockRecord>, Fault>;
    /// # Errors
    /// The record was not written; the one before it stays.
    fn write(&self, record: &ClockRecord) -> Result<(), Fault>;
    /// The system's time that an operator accepted by `cashier clock accept`, once.
    fn take_accepted(&self) -> Option<UnixTime>;
}

/// The machine's clock, guarded.
pub struct GuardedClock {
    machine: Arc<dyn Clock>,
    store: Arc<dyn ClockStore>,
    guard: Mutex<Guard>,
}

struct Guard {
    record: ClockRecord,
    /// The expected difference between the system's time and the time since boot, and when it last followed a correction.
    expected: i64,
    followed: i64,
    /// How far the system's clock may be ahead of what is expected.
    ahead_max: i64,
    /// It started in another boot, so that a clock that is ahead is the time it was off, or wrong.
    other_boot: bool,
    /// The time since boot from which on the clock, such a one, has run without a step and no provider has disagreed.
    unconfirmed: Option<i64>,
    /// Stamps while the clock is implausible are the time since boot plus this.
    stamps: i64,
    implausible: Option<Box<str>>,
    recorded: Option<i64>,
    /// Answers of providers that agree with an implausible clock, by host.
    agreeing: BTreeMap<Box<str>, u32>,
}

impl GuardedClock {
    /// Judges the machine's clock by the record; one that is missing or damaged leaves the earliest time alone.
    pub fn open(machine: Arc<dyn Clock>, store: Arc<dyn ClockStore>) -> Self {
        let record = store.read().unwrap_or_else(|fault| {
            tracing::warn!(%fault, "reading the clock's record failed: the clock is judged without it");
            None
        });
        let (wall, boot) = reading(&*machine);
        let guard = Guard::new(record, wall, boot, &machine.boot_id());
        let clock = Self { machine, store, guard: Mutex::new(guard) };
        clock.observe();
        clock
    }

    /// Takes an operator's acceptance and records the time, each when it is due. Blocks for the disk.
    pub fn observe(&self) {
        let accepted = self.store.take_accepted();
        let boot_id = self.machine.boot_id();
        let due = {
            let (mut guard, wall, boot) = self.judged();
            if let Some(accepted) = accepted {
                tracing::warn!(%accepted, "an operator accepted the system clock");
                guard.accept(accepted, wall, boot, CLOCK_GAP_MAX);
            }
            guard.due_record(wall, boot, &boot_id)
        };
        if let Some(record) = due
            && let Err(fault) = self.store.write(&record)
        {
            tracing::warn!(%fault, "recording the clock failed");
        }
    }

    fn judged(&self) -> (MutexGuard<'_, Guard>, UnixTime, i64) {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, boot) = reading(&*self.machine);
        guard.judge(wall, boot);
        (guard, wall, boot)
    }
}

impl Clock for GuardedClock {
    fn now(&self) -> UnixTime {
        let (guard, wall, boot) = self.judged();
        guard.stamp(wall, boot)
    }

    fn wall(&self) -> UnixTime {
        self.machine.wall()
    }

    fn implausible(&self) -> Option<Box<str>> {
        self.judged().0.implausible.clone()
    }

    fn stamped_ahead_until(&self) -> UnixTime {
        self.judged().0.record.ahead_until
    }

    fn plausible_since(&self) -> UnixTime {
        self.judged().0.record.plausible_since
    }

    fn peer_stated(&self, host: &str, date: i64) {
        let (mut guard, wall, boot) = self.judged();
        guard.peer_stated(host, date, wall, boot);
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }

    fn since_boot(&self) -> Duration {
        self.machine.since_boot()
    }

    fn boot_id(&self) -> Box<str> {
        self.machine.boot_id()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        self.machine.sleep(length)
    }
}

/// The system's time and the time since boot, of one moment: a machine that was suspended between the two is read again.
fn reading(machine: &dyn Clock) -> (UnixTime, i64) {
    let mut before = seconds(machine.since_boot());
    for _ in 0..READINGS_MAX {
        let (wall, boot) = (machine.wall(), seconds(machine.since_boot()));
        if boot.saturating_sub(before) <= 1 {
            return (wall, boot);
        }
        before = boot;
    }
    (machine.wall(), seconds(machine.since_boot()))
}

fn seconds(length: Duration) -> i64 {
    i64::try_from(length.as_secs()).unwrap_or(i64::MAX)
}

impl Guard {
    fn new(record: Option<ClockRecord>, wall: UnixTime, boot: i64, boot_id: &str) -> Self {
        let known = record.unwrap_or_default();
        // A record from this boot is as good as having run all along.
        let same_boot = known.boot.as_ref().filter(|(id, _)| !id.is_empty() && **id == *boot_id).map(|(_, at)| *at);
        let newest = known.newest.0.max(EARLIEST);
        let (expected, ahead_max) = match same_boot {
            Some(expected) => (expected, CLOCK_STEP_MAX),
            None if known.newest.is_set() => (newest.saturating_sub(boot), CLOCK_GAP_MAX),
            None => (newest.saturating_sub(boot), i64::MAX),
        };
        let (followed, stamps) = (boot, expected.max(newest.saturating_sub(boot)));
        let mut guard = Self {
            other_boot: same_boot.is_none() && known.newest.is_set(),
            unconfirmed: None,
            record: known,
            expected,
            followed,
            ahead_max,
            stamps,
            implausible: None,
            recorded: None,
            agreeing: BTreeMap::new(),
        };
        guard.judge(wall, boot);
        guard
    }

    /// The time of stamps.
    fn stamp(&self, wall: UnixTime, boot: i64) -> UnixTime {
        let believed = self.implausible.is_none() || self.unconfirmed.is_some();
        if believed { wall } else { UnixTime(self.stamps.saturating_add(boot)) }
    }

    fn judge(&mut self, wall: UnixTime, boot: i64) {
        let difference = wall.0.saturating_sub(boot);
        let apart = difference.saturating_sub(self.expected);
        let within = (-CLOCK_STEP_MAX..=self.ahead_max).contains(&apart);
        let after_a_gap = within && apart > CLOCK_STEP_MAX && self.other_boot;
        let confirmed = self.confirms(after_a_gap.then_some(difference), boot);
        if within && confirmed {
            if self.implausible.take().is_some() {
                tracing::warn!(%wall, "the system clock is plausible again");
                self.agreeing.clear();
                self.record.plausible_since = wall;
                self.recorded = None;
            }
            self.follow(difference, boot);
        } else if after_a_gap && self.implausible.is_none() {
            let reason = format!("the system clock is {apart} s after the newest recorded time, in another boot");
            tracing::warn!(reason = "CLOCK_IMPLAUSIBLE", %wall, "{reason}: nothing is expired, cancelled or repeated for half an hour");
            self.implausible = Some(reason.into());
        } else if self.implausible.is_none() {
            let way = if apart < 0 { "behind" } else { "ahead of" };
            let reason = format!("the system clock is {} s {way} the expected time", apart.unsigned_abs());
            let stamps = self.stamp(UnixTime(self.stamps.saturating_add(boot)), boot);
            tracing::warn!(reason = "CLOCK_IMPLAUSIBLE", %wall, %stamps, "{reason}: nothing is expired, cancelled or repeated");
            self.implausible = Some(reason.into());
        }
    }

    /// Whether a clock that is ahead after the machine was off has run on for long enough; a step of it, or its end, begins anew.
    fn confirms(&mut self, gap: Option<i64>, boot: i64) -> bool {
        let stepped = |difference: i64| difference.abs_diff(self.stamps) > CLOCK_STEP_MAX.unsigned_abs();
        match (self.unconfirmed, gap) {
            (None, None) => true,
            (Some(since), Some(difference)) if !stepped(difference) => {
                boot.saturating_sub(since) >= CLOCK_CONFIRM_SECONDS
            }
            (before, _) => {
                let next = gap.unwrap_or(self.expected);
                // It was ahead, and so are the stamps that were made meanwhile.
                if before.is_some() && next < self.stamps.saturating_sub(CLOCK_STEP_MAX) {
                    let ahead = UnixTime(self.stamps.saturating_add(boot));
                    self.record.ahead_until = self.record.ahead_until.max(ahead);
                }
                self.unconfirmed = gap.map(|_| boot);
                self.stamps = next;
                gap.is_none()
            }
        }
    }

    /// Takes a plausible reading over.
    fn follow(&mut self, difference: i64, boot: i64) {
        let apart = difference.saturating_sub(self.expected);
        if self.ahead_max == CLOCK_STEP_MAX {
            let most = boot.saturating_sub(self.followed) / SLEW;
            if most > 0 {
                self.expected = self.expected.saturating_add(apart.clamp(-most, most));
                self.followed = boot;
            }
        } else {
            (self.expected, self.ahead_max, self.followed) = (difference, CLOCK_STEP_MAX, boot);
        }
        (self.stamps, self.other_boot, self.unconfirmed) = (difference, false, None);
    }

    /// Judges anew as if this had been recorded just now.
    fn accept(&mut self, accepted: UnixTime, wall: UnixTime, boot: i64, ahead_max: i64) {
        let before = self.stamp(wall, boot);
        // A smaller step is within what a window leaves unused.
        if accepted < before.plus(-CLOCK_STEP_MAX) {
            self.record.ahead_until = self.record.ahead_until.max(before);
        }
        (self.expected, self.followed, self.ahead_max) = (accepted.0.saturating_sub(boot), boot, ahead_max);
        (self.other_boot, self.unconfirmed) = (false, None);
        self.record.newest = accepted;
        self.recorded = None;
        self.judge(wall, boot);
    }

    fn peer_stated(&mut self, host: &str, date: i64, wall: UnixTime, boot: i64) {
        if self.implausible.is_none() {
            return;
        }
        if date.abs_diff(wall.0) > PEER_DIFFERENCE_MAX.unsigned_abs() {
            self.agreeing.clear();
            self.unconfirmed = self.unconfirmed.map(|_| boot);
            return;
        }
        *self.agreeing.entry(host.into()).or_default() += 1;
        let answers = self.agreeing.values().max().copied().unwrap_or_default();
        if self.agreeing.len() >= PEER_HOSTS_MIN || answers >= PEER_ANSWERS_MIN {
            tracing::warn!(%wall, host, "providers' Date headers agree with the system clock: it is accepted");
            self.accept(wall, wall, boot, CLOCK_STEP_MAX);
        }
    }

    /// The record to write, when one is due.
    fn due_record(&mut self, wall: UnixTime, boot: i64, boot_id: &str) -> Option<ClockRecord> {
        let paused = self.recorded.is_none_or(|before| boot.saturating_sub(before) >= RECORD_PAUSE);
        if self.implausible.is_some() || !paused {
            return None;
        }
        self.recorded = Some(boot);
        self.record.newest = self.record.newest.max(wall);
        self.record.boot = (!boot_id.is_empty()).then(|| (boot_id.into(), self.expected));
        Some(self.record.clone())
    }
}

#[cfg(test)]
mod tests;
