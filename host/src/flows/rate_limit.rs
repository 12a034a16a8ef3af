//! How fast one asker may ask: a runaway client must not fill the ledger, and an open door must not make us call
//! providers. Time comes from the clock port.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cashier_core::refusal::{Refusal, RefusalCode};
use governor::clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::ports::Clock;

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, PortClock, NoOpMiddleware<Duration>>;

/// The rate_limit of one sort of request, counted per asker.
pub(super) struct RateLimit<K: Hash + Eq + Clone> {
    limiter: Option<Limiter<K>>,
}

/// The clock port as the limiter wants it.
#[derive(Clone)]
struct PortClock(Arc<dyn Clock>);

impl clock::Clock for PortClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// `per_minute` requests per asker, all of which may come at once; 0 is no limit.
    pub(super) fn new(per_minute: u32, clock: Arc<dyn Clock>) -> Self {
        let limiter = NonZeroU32::new(per_minute).map(|per_minute| {
            let quota = Quota::per_minute(per_minute);
            RateLimiter::new(quota, DashMapStateStore::default(), PortClock(clock))
        });
        Self { limiter }
    }

    /// 429 RET_ERR_FREQUENT for one who asks too often.
    pub(super) fn check(&self, asker: K) -> Result<(), Refusal> {
        let within = self.limiter.as_ref().is_none_or(|limiter| limiter.check_key(&asker).is_ok());
        let frequent = || Refusal::new(RefusalCode::Frequent, "too many requests in a short time, try again later");
        if within { Ok(()) } else { Err(frequent()) }
    }

    /// Forgets askers whose allowance is whole again.
    pub(super) fn forget_quiet(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use cashier_core::ids::CustomerId;
    use cashier_core::time::UnixTime;
    use futures_util::future::BoxFuture;

    use super::*;

    struct Hand(Mutex<Duration>);

    impl Clock for Hand {
        fn now(&self) -> UnixTime {
            UnixTime(1_795_160_000)
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn a_customer_who_asks_too_often_waits_and_others_do_not() {
        let hand = Arc::new(Hand(Mutex::default()));
        let rate_limit = RateLimit::new(3, Arc::clone(&hand) as _);
        let (eager, calm) = (CustomerId(1), CustomerId(2));
        assert!((0..3).all(|_| rate_limit.check(eager).is_ok()));
        assert_eq!(rate_limit.check(eager).unwrap_err().code, RefusalCode::Frequent);
        assert!(rate_limit.check(calm).is_ok());
        *hand.0.lock().unwrap() += Duration::from_secs(20);
        assert!(rate_limit.check(eager).is_ok(), "a third of a minute gives one back");
        rate_limit.forget_quiet();
        assert!(rate_limit.check(eager).is_err());
    }

    #[test]
    fn zero_is_no_limit() {
        let rate_limit = RateLimit::new(0, Arc::new(Hand(Mutex::default())));
        assert!((0..10_000).all(|_| rate_limit.check(CustomerId(1)).is_ok()));
    }
}
