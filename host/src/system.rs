//! The operating system behind the ports `Clock`, `Entropy` and `Spawn`. The only module that uses its clocks, its
//! randomness and the runtime's tasks.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::ports::{Clock, Entropy, Spawn};

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    boot_id: Box<str>,
}

impl SystemClock {
    pub fn new() -> Self {
        // Elsewhere the time since boot is that since the start, which no other process shares.
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { started: Instant::now(), boot_id: boot_id.trim().into() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        // A clock before 1970 is not set; zero means "not set" everywhere else.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[cfg(target_os = "linux")]
    fn since_boot(&self) -> Duration {
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::try_from(since).unwrap_or_else(|_| self.monotonic())
    }

    fn boot_id(&self) -> Box<str> {
        self.boot_id.clone()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(length))
    }
}

/// The system's randomness.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bits(&self) -> u128 {
        let mut bytes = [0; 16];
        match getrandom::fill(&mut bytes) {
            Ok(()) => u128::from_ne_bytes(bytes),
            // With guessable references, forged webhooks could name payments: without randomness the cashier cannot run.
            Err(_) => std::process::abort(),
        }
    }
}

/// Flows and background tasks as tasks of the runtime.
#[derive(Debug)]
pub struct Tasks {
    runtime: Handle,
    flows: Mutex<JoinSet<()>>,
    background: Mutex<JoinSet<()>>,
}

/// Ended flows are dropped from the set when it reaches this size, so that it stays about as small as the flows in progress.
const REAP_AT: usize = 256;

impl Tasks {
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, flows: Mutex::default(), background: Mutex::default() }
    }

    /// Aborts the background tasks and waits for the flows in progress; `false` when some were still running at the deadline.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.background.lock().unwrap_or_else(std::sync::PoisonError::into_inner).abort_all();
        let in_progress = || std::mem::take(&mut *self.flows.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let all = async {
            // A flow may start another while it ends.
            loop {
                let mut flows = in_progress();
                if flows.is_empty() {
                    return;
                }
                while flows.join_next().await.is_some() {}
            }
        };
        tokio::time::timeout(deadline, all).await.is_ok()
    }
}

impl Spawn for Tasks {
    fn spawn(&self, flow: BoxFuture<'static, ()>) {
        let mut flows = self.flows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if flows.len() >= REAP_AT {
            while flows.try_join_next().is_some() {}
        }
        // Log lines of the flow carry the span of the request that started it.
        flows.spawn_on(flow.in_current_span(), &self.runtime);
    }

    fn background(&self, task: BoxFuture<'static, ()>) {
        self.background.lock().unwrap_or_else(std::sync::PoisonError::into_inner).spawn_on(task, &self.runtime);
    }
}
