//! Time, randomness and tasks of the test cashier. Time stands still until a test moves it, or runs with tokio's time,
//! which tests pause; randomness is counted; tasks can be aborted all at once, as a crash does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::lock;
use crate::guarded_clock::{ClockRecord, ClockStore};
use crate::ports::{Clock, Entropy, Fault, Spawn};

/// By default it stands still, apart from [`TestClock::advance`]; its sleeps are tokio's either way.
#[derive(Default)]
pub(crate) struct TestClock {
    running_since: Option<Instant>,
    advanced_us: AtomicU64,
    skew_seconds: AtomicI64,
    boot: AtomicU64,
    record: Mutex<Option<ClockRecord>>,
    accepted: Mutex<Option<UnixTime>>,
}

impl TestClock {
    /// The time of the published examples.
    pub(crate) const START: UnixTime = UnixTime(1_779_270_000);

    /// A clock that runs with tokio's time.
    pub(crate) fn running() -> Self {
        Self { running_since: Some(Instant::now()), ..Self::default() }
    }

    pub(crate) fn advance(&self, length: Duration) {
        self.advanced_us.fetch_add(length.as_micros() as u64, Ordering::SeqCst);
    }

    /// Sets the wall time forward or back; the monotonic time does not change.
    pub(crate) fn jump(&self, seconds: i64) {
        self.skew_seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets the wall time right again.
    pub(crate) fn set_right(&self) {
        self.skew_seconds.store(0, Ordering::SeqCst);
    }

    /// The next start is in another boot of the machine.
    pub(crate) fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::SeqCst);
    }

    /// An operator accepts the wall time.
    pub(crate) fn accept(&self) {
        *lock(&self.accepted) = Some(self.wall());
    }

    /// Nothing is recorded of the clock, as before the first start.
    pub(crate) fn forget(&self) {
        *lock(&self.record) = None;
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        Self::START.plus(self.monotonic().as_secs() as i64 + self.skew_seconds.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        let run = self.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        run + Duration::from_micros(self.advanced_us.load(Ordering::SeqCst))
    }

    fn boot_id(&self) -> Box<str> {
        self.boot.load(Ordering::SeqCst).to_string().into()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(length))
    }
}

impl ClockStore for TestClock {
    fn read(&self) -> Result<Option<ClockRecord>, Fault> {
        Ok(lock(&self.record).clone())
    }

    fn write(&self, record: &ClockRecord) -> Result<(), Fault> {
        *lock(&self.record) = Some(record.clone());
        Ok(())
    }

    fn take_accepted(&self) -> Option<UnixTime> {
        lock(&self.accepted).take()
    }
}

#[derive(Default)]
pub(crate) struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn bits(&self) -> u128 {
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        u128::from(count.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 30
    }
}

/// Flows and background tasks of one cashier.
#[derive(Default)]
pub(super) struct TestTasks(Mutex<JoinSet<()>>);

impl TestTasks {
    pub(super) fn abort_all(&self) {
        lock(&self.0).abort_all();
    }
}

impl Spawn for TestTasks {
    fn spawn(&self, flow: BoxFuture<'static, ()>) {
        lock(&self.0).spawn(flow);
    }

    fn background(&self, task: BoxFuture<'static, ()>) {
        lock(&self.0).spawn(task);
    }
}
