//! How often one customer may request something, and one config's webhooks may make us call its provider: all limits in
//! one table. Time comes from the clock port.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cashier_core::ids::{ConfigId, CustomerId, ManagerId, TransactionId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Role;
use governor::clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::notice_limits::{NoticeLimits, NoticeRules};
use crate::ports::Clock;

/// Withdrawal requests of one customer in a minute: each is a row that a person reads.
pub const WITHDRAWALS_PER_MINUTE: u32 = 30;

/// Webhooks of one config, in a minute, that may be verified by calling its provider: senders who are not authenticated
/// must not make us call providers.
pub const NETWORK_VERIFICATIONS_PER_MINUTE: u32 = 100;

/// The same of each address that is known to the provider, which neither others nor another known one use up.
const NETWORK_VERIFICATIONS_OF_KNOWN_PER_MINUTE: u32 = 400;

/// Refused commands of one session's owner under one brand that are recorded in a minute: a person who mistypes makes fewer,
/// and a client that goes on writes some 10 MB a day.
pub const REFUSALS_RECORDED_PER_MINUTE: u32 = 10;

/// The same of all managers of one brand, which no other brand's use up: four clients that go on. Sessions of every brand have
/// such a share too.
pub const REFUSALS_OF_BRAND_RECORDED_PER_MINUTE: u32 = 40;

/// The same of all sessions of other types of one brand, of which there are as many as customers.
pub const REFUSALS_OF_OTHERS_RECORDED_PER_MINUTE: u32 = 6;

/// Cancellations of one transaction that managers request in a minute: each is a call of its provider and a record, also where
/// it changes nothing.
pub const CANCELS_OF_ONE_PER_MINUTE: u32 = 6;

/// Cancellations that one manager requests in a minute, of any transactions.
pub const CANCELS_OF_MANAGER_PER_MINUTE: u32 = 60;

/// Every rate limit of the flows.
pub(super) struct RateLimits {
    /// Deposits of one customer; the operator sets how many.
    pub(super) deposits: RateLimit<CustomerId>,
    pub(super) withdrawals: RateLimit<CustomerId>,
    pub(super) network_verifications: NetworkVerifications,
    /// Refused commands that are recorded: of one session's owner, of all managers of a brand, of all others of it.
    pub(super) refusals: RateLimit<(Role, ManagerId, Box<str>)>,
    pub(super) refusals_of_brand: RateLimit<Box<str>>,
    pub(super) refusals_of_others: RateLimit<Box<str>>,
    /// Cancellations: of one transaction, and by one manager.
    pub(super) cancels_of_one: RateLimit<TransactionId>,
    pub(super) cancels_of_manager: RateLimit<(Role, ManagerId)>,
    /// Webhooks that fail verification.
    pub(super) notices: NoticeLimits,
}

impl RateLimits {
    pub(super) fn new(deposits_per_minute: u32, notices: NoticeRules, clock: &Arc<dyn Clock>) -> Self {
        Self {
            deposits: RateLimit::new(deposits_per_minute, Arc::clone(clock)),
            withdrawals: RateLimit::new(WITHDRAWALS_PER_MINUTE, Arc::clone(clock)),
            network_verifications: NetworkVerifications {
                by_known: RateLimit::new(NETWORK_VERIFICATIONS_OF_KNOWN_PER_MINUTE, Arc::clone(clock)),
                by_others: RateLimit::new(NETWORK_VERIFICATIONS_PER_MINUTE, Arc::clone(clock)),
            },
            refusals: RateLimit::new(REFUSALS_RECORDED_PER_MINUTE, Arc::clone(clock)),
            refusals_of_brand: RateLimit::new(REFUSALS_OF_BRAND_RECORDED_PER_MINUTE, Arc::clone(clock)),
            refusals_of_others: RateLimit::new(REFUSALS_OF_OTHERS_RECORDED_PER_MINUTE, Arc::clone(clock)),
            cancels_of_one: RateLimit::new(CANCELS_OF_ONE_PER_MINUTE, Arc::clone(clock)),
            cancels_of_manager: RateLimit::new(CANCELS_OF_MANAGER_PER_MINUTE, Arc::clone(clock)),
            notices: NoticeLimits::new(notices, Arc::clone(clock)),
        }
    }

    /// Forgets keys whose allowance is whole again.
    pub(super) fn forget_idle(&self) {
        self.deposits.forget_idle();
        self.withdrawals.forget_idle();
        self.refusals.forget_idle();
        self.refusals_of_brand.forget_idle();
        self.refusals_of_others.forget_idle();
        self.cancels_of_one.forget_idle();
        self.cancels_of_manager.forget_idle();
        self.network_verifications.by_known.forget_idle();
        self.network_verifications.by_others.forget_idle();
        self.notices.forget_idle();
    }
}

/// How often webhooks of one config may be verified by calling its provider.
pub(super) struct NetworkVerifications {
    by_known: RateLimit<(ConfigId, IpAddr)>,
    by_others: RateLimit<ConfigId>,
}

impl NetworkVerifications {
    /// # Errors
    /// 429 RET_ERR_FREQUENT when senders of this kind have used up the config's allowance.
    pub(super) fn check(&self, config: ConfigId, known: Option<IpAddr>) -> Result<(), Refusal> {
        match known {
            Some(address) => self.by_known.check((config, address)),
            None => self.by_others.check(config),
        }
    }
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, PortClock, NoOpMiddleware<Duration>>;

/// One limit, counted per key.
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
    /// `per_minute` requests per key, all of which may come at once; 0 is no limit.
    fn new(per_minute: u32, clock: Arc<dyn Clock>) -> Self {
        let limiter = NonZeroU32::new(per_minute).map(|per_minute| {
            let quota = Quota::per_minute(per_minute);
            RateLimiter::new(quota, DashMapStateStore::default(), PortClock(clock))
        });
        Self { limiter }
    }

    /// # Errors
    /// 429 RET_ERR_FREQUENT when the key has used up its allowance.
    pub(super) fn check(&self, key: K) -> Result<(), Refusal> {
        let within = self.limiter.as_ref().is_none_or(|limiter| limiter.check_key(&key).is_ok());
        let frequent = || Refusal::new(RefusalCode::Frequent, "too many requests in a short time, try again later");
        if within { Ok(()) } else { Err(frequent()) }
    }

    fn forget_idle(&self) {
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
        let limit = RateLimit::new(3, Arc::clone(&hand) as _);
        let (eager, calm) = (CustomerId(1), CustomerId(2));
        assert!((0..3).all(|_| limit.check(eager).is_ok()));
        assert_eq!(limit.check(eager).unwrap_err().code, RefusalCode::Frequent);
        assert!(limit.check(calm).is_ok());
        *hand.0.lock().unwrap() += Duration::from_secs(20);
        assert!(limit.check(eager).is_ok(), "a third of a minute gives one back");
        limit.forget_idle();
        assert!(limit.check(eager).is_err());
    }

    #[test]
    fn zero_is_no_limit() {
        let limit = RateLimit::new(0, Arc::new(Hand(Mutex::default())));
        assert!((0..10_000).all(|_| limit.check(CustomerId(1)).is_ok()));
    }
}
