//! The clock of one adapter: the machine's time, short pauses that are over at once, and a time limit that ends when the test says.

use std::time::{Duration, Instant, SystemTime};

use cashier_core::time::UnixTime;
use cashier_host::ports::Clock;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// What is shorter is a pause between two tries; what is longer is a time limit.
const PAUSE_MAX: Duration = Duration::from_secs(1);

pub struct CallClock {
    began: Instant,
    limits_ended: watch::Sender<usize>,
}

impl Default for CallClock {
    fn default() -> Self {
        Self { began: Instant::now(), limits_ended: watch::Sender::new(0) }
    }
}

impl CallClock {
    /// Ends every time limit that runs now.
    pub fn end_limits(&self) {
        self.limits_ended.send_modify(|ended| *ended += 1);
    }
}

impl Clock for CallClock {
    fn now(&self) -> UnixTime {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the system clock is set");
        UnixTime(i64::try_from(since.as_secs()).expect("a time of this age"))
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        if length < PAUSE_MAX {
            return Box::pin(tokio::task::yield_now());
        }
        let mut ended = self.limits_ended.subscribe();
        Box::pin(async move {
            // A clock that is gone ends nothing.
            if ended.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
