//! Tests of the platform's protocol against a fake platform of our own. Time is tokio's, which stands still until every task
//! waits, so that no verdict hangs on the machine.

mod answers;
mod by_hand;
mod calls;
mod fake_dial;
mod flow;
mod found_orders;
mod listed;
mod look_ups;
mod nasty;
mod odd_rows;
mod random;
mod searching;
mod sockets;
mod special;
mod stated_numbers;
mod steps;
mod sweeping;
mod tokens;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ports::{Clock, Entropy, Spawn};

/// Runs with tokio's time.
struct TokioClock(Instant);

impl TokioClock {
    fn arc() -> Arc<dyn Clock> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for TokioClock {
    fn now(&self) -> UnixTime {
        UnixTime(1_779_270_000).plus(self.monotonic().as_secs() as i64)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(length))
    }
}

/// The same numbers for the same seed.
struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    fn arc(seed: u64) -> Arc<dyn Entropy> {
        Arc::new(Self(Mutex::new(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn bits(&self) -> u128 {
        let mut seed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        u128::from(cashier_fake_platform::next(&mut seed)) << 64 | u128::from(cashier_fake_platform::next(&mut seed))
    }
}

/// Tasks that end when it is dropped, as in a crash.
#[derive(Default)]
struct OwnTasks(Mutex<JoinSet<()>>);

fn spawner() -> Arc<OwnTasks> {
    Arc::default()
}

impl Spawn for OwnTasks {
    fn spawn(&self, flow: BoxFuture<'static, ()>) {
        self.background(flow);
    }

    fn background(&self, task: BoxFuture<'static, ()>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}
