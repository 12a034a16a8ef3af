//! A clock that a test controls, and randomness that is the same in every run. The clock stands still, runs as fast as the
//! machine's or faster, and can be advanced; a sleep ends when its time is reached either way.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use cashier_core::time::UnixTime;
use cashier_host::ports::{Clock, Entropy};
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

/// Where every test clock starts: the time of the published examples.
pub const START: i64 = 1_779_270_000;

/// How fast a test clock runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockSpeed {
    /// Only [`DeploymentClock::advance`] moves it.
    Stopped,
    /// This many of its seconds pass in one of the machine's.
    Times(u32),
}

/// The clock of one deployment; clones are the same clock.
#[derive(Clone)]
pub struct DeploymentClock(Arc<Inner>);

struct Inner {
    start: i64,
    clock_speed: ClockSpeed,
    began: Instant,
    moved: watch::Sender<Duration>,
    wrong_by: AtomicI64,
}

impl DeploymentClock {
    pub fn new(clock_speed: ClockSpeed) -> Self {
        Self::starting(START, clock_speed)
    }

    pub fn starting(start: i64, clock_speed: ClockSpeed) -> Self {
        Self(Arc::new(Inner {
            start,
            clock_speed,
            began: Instant::now(),
            moved: watch::Sender::new(Duration::ZERO),
            wrong_by: 0.into(),
        }))
    }

    /// A clock that agrees with the machine's, for deployments that include other processes.
    pub fn system_time() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the system clock is set");
        Self::starting(i64::try_from(since.as_secs()).unwrap(), ClockSpeed::Times(1))
    }

    /// Advances the clock and wakes every sleeper whose time is reached.
    pub fn advance(&self, by: Duration) {
        self.0.moved.send_modify(|moved| *moved += by);
    }

    /// Advances the clock by whole seconds.
    pub fn advance_seconds(&self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    /// Sets the cashier's system clock forward or back; peers and the time since boot keep the right time.
    pub fn jump(&self, seconds: i64) {
        self.0.wrong_by.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The right time.
    pub fn unix(&self) -> i64 {
        self.0.start + i64::try_from(self.0.passed().as_secs()).unwrap()
    }
}

impl Inner {
    fn passed(&self) -> Duration {
        let ran = match self.clock_speed {
            ClockSpeed::Stopped => Duration::ZERO,
            ClockSpeed::Times(times) => self.began.elapsed() * times,
        };
        ran + *self.moved.borrow()
    }

    /// Resolves when `moment` is reached.
    async fn until(&self, moment: Duration) {
        let mut moved = self.moved.subscribe();
        loop {
            let left = moment.saturating_sub(self.passed());
            if left.is_zero() {
                return;
            }
            let runs_out = async {
                match self.clock_speed {
                    ClockSpeed::Stopped => std::future::pending().await,
                    ClockSpeed::Times(times) => tokio::time::sleep(left / times).await,
                }
            };
            tokio::select! {
                () = runs_out => {}
                changed = moved.changed() => changed.expect("the clock outlives its sleepers"),
            }
        }
    }
}

impl Clock for DeploymentClock {
    fn now(&self) -> UnixTime {
        UnixTime(self.unix() + self.0.wrong_by.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.0.passed()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.0);
        let moment = inner.passed() + length;
        Box::pin(async move { inner.until(moment).await })
    }
}

impl cashier_sandbox_service::SandboxClock for DeploymentClock {
    fn now_unix(&self) -> i64 {
        self.unix()
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        Clock::sleep(self, delay)
    }
}

/// The same bits in every run: SHA-256 of seed and counter.
pub struct TestEntropy {
    seed: u64,
    drawn: Mutex<u64>,
}

impl TestEntropy {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: Mutex::new(0) }
    }
}

impl Entropy for TestEntropy {
    fn bits(&self) -> u128 {
        let mut drawn = self.drawn.lock().unwrap();
        *drawn += 1;
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"cashier")
            .chain_update(self.seed.to_be_bytes())
            .chain_update(drawn.to_be_bytes())
            .finalize()
            .into();
        u128::from_be_bytes(digest[..16].try_into().unwrap())
    }
}
