//! What webhooks that are not verified may cost: so many a minute from one client address and to one provider, and so many
//! bytes times configs of one provider. Addresses whose webhooks verified lately have limits of their own, four times as high,
//! and no webhook is called forged because of a limit. It verifies nothing.

mod cost;
mod known;
mod lanes;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_core::ids::ConfigId;
use cashier_core::network::network_of;

pub use self::cost::NoticeFailure;
use self::cost::{Cost, Failures, FailuresMax};
use self::known::KnownSenders;
pub use self::known::{KNOWN_ADDRESS_TIME_MAX, NoticeScope};
use self::lanes::Lanes;
pub(super) use self::lanes::{NoNoticeTurn, NoticeTurn};
use crate::ports::Clock;

/// Webhooks to one provider, in a minute, that may fail verification before the next ones are looked at more sparingly: far
/// more than a wrong secret makes, far fewer than a flood.
pub const FAILED_NOTICES_PER_PROVIDER_PER_MINUTE: u32 = 1_200;

/// Addresses whose failures are counted at one time; those beyond count towards their provider alone.
const FAILING_ADDRESSES_MAX: usize = 16_384;

/// Bytes of a webhook up to which it is small; providers' own are nearly all smaller.
pub const SMALL_NOTICE_LENGTH_MAX: usize = 64 * 1024;

/// What the settings say about webhooks that fail verification.
#[derive(Debug, Clone, Copy)]
pub struct NoticeRules {
    /// From one client address in a minute; 0 is no limit.
    pub failed_per_minute: u32,
    /// Without trusted proxies everything that a proxy on this machine passes on comes from one loopback address.
    pub loopback_is_exempt: bool,
}

impl NoticeRules {
    /// More than a provider sends before an operator sees that its secret is wrong, in each minute.
    pub const FAILED_PER_MINUTE: u32 = 60;

    /// As the settings have it.
    pub fn new(failed_per_minute: Option<u32>, loopback_is_exempt: bool) -> Self {
        Self { failed_per_minute: failed_per_minute.unwrap_or(Self::FAILED_PER_MINUTE), loopback_is_exempt }
    }
}

/// Counts, limits, and the lanes in which webhooks wait.
pub(super) struct NoticeLimits {
    rules: NoticeRules,
    clock: Arc<dyn Clock>,
    state: Mutex<NoticeCounts>,
    rejected: AtomicU64,
    limited: AtomicU64,
}

#[derive(Default)]
struct NoticeCounts {
    failing: BTreeMap<IpAddr, Failures>,
    scopes: BTreeMap<NoticeScope, ScopeUse>,
    known: KnownSenders,
    /// When each config last verified one.
    verified: BTreeMap<ConfigId, Duration>,
}

/// What webhooks for one provider used lately.
#[derive(Default)]
struct ScopeUse {
    by_known: SendersUse,
    by_others: SendersUse,
}

/// The same of senders that are known, or of the others.
#[derive(Default)]
struct SendersUse {
    failures: Failures,
    cost: Cost,
    lanes: Option<Box<Lanes>>,
}

impl ScopeUse {
    fn by(&mut self, is_known: bool) -> &mut SendersUse {
        if is_known { &mut self.by_known } else { &mut self.by_others }
    }
}

impl SendersUse {
    fn is_over(&mut self, now: Duration) -> bool {
        let has_some = self.lanes.as_ref().is_some_and(|lanes| lanes.are_used());
        !has_some && self.cost.is_over(now) && self.failures.are_over(now)
    }
}

/// Who sends a webhook, as far as limits go.
#[derive(Debug, Clone, Copy)]
pub struct NoticeSender {
    address: Option<IpAddr>,
    scope: NoticeScope,
    is_known: bool,
    is_restricted: bool,
    /// What webhooks that are not verified may cost its like is used up.
    is_spent: bool,
}

impl NoticeSender {
    /// Its address, or the provider, is beyond its limit of failures: it waits its turn among few, and is answered 429
    /// where it fails too.
    pub(super) fn is_restricted(&self) -> bool {
        self.is_restricted
    }

    /// A webhook from there verified lately.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Its address, where it is known.
    pub(super) fn known_address(&self) -> Option<IpAddr> {
        self.address.filter(|_| self.is_known)
    }

    /// Whether a large body of it is read.
    pub fn may_send_large(&self) -> bool {
        !self.waits()
    }

    /// Whether it waits its turn: either it or everybody together failed too often.
    fn waits(&self) -> bool {
        self.is_restricted || self.is_spent
    }
}

impl NoticeLimits {
    pub(super) fn new(rules: NoticeRules, clock: Arc<dyn Clock>) -> Self {
        Self { rules, clock, state: Mutex::default(), rejected: AtomicU64::new(0), limited: AtomicU64::new(0) }
    }

    /// What is known now of who sends a webhook from `ip`.
    pub(super) fn sender(&self, scope: NoticeScope, ip: &str) -> NoticeSender {
        let (address, now) = (ip.parse().ok().map(network_of), self.clock.monotonic());
        let mut state = self.lock();
        let is_known = address.is_some_and(|address| state.known.is_known(scope, address, now));
        let counted = address.filter(|address| self.counts(*address));
        let failing = counted.and_then(|address| state.failing.get(&address));
        let beyond = failing.is_some_and(|failures| failures.are_beyond(now, self.of_address(is_known)));
        let (mut many, mut is_spent) = (false, false);
        if let Some(of_scope) = state.scopes.get_mut(&scope) {
            let used = of_scope.by(is_known);
            many = used.failures.are_beyond(now, of_provider(is_known));
            is_spent = used.cost.is_spent(now);
        }
        let is_exempt = address.is_some_and(|address| !self.counts(address));
        NoticeSender { address, scope, is_known, is_restricted: !is_exempt && (beyond || many), is_spent }
    }

    /// Waits until it may be verified. Small ones wait only if [`NoticeSender::waits`].
    pub(super) async fn turn(&self, sender: &NoticeSender, length: usize) -> Result<NoticeTurn, NoNoticeTurn> {
        let is_large = length > SMALL_NOTICE_LENGTH_MAX;
        if !is_large && !sender.waits() {
            return Ok(NoticeTurn::default());
        }
        let lane = {
            let mut state = self.lock();
            let lanes = used(&mut state, sender).lanes.get_or_insert_default();
            if is_large { lanes.large.clone() } else { lanes.restricted.clone() }
        };
        lane.turn(&*self.clock).await
    }

    /// Whether webhooks of its like are shown to those configs alone that they probably belong to.
    pub(super) fn is_spent(&self, sender: &NoticeSender) -> bool {
        let now = self.clock.monotonic();
        used(&mut self.lock(), sender).cost.is_spent(now)
    }

    /// Counts a webhook that is shown to a config: what it costs, unless it is verified.
    pub(super) fn charge(&self, sender: &NoticeSender, length: usize) {
        let now = self.clock.monotonic();
        used(&mut self.lock(), sender).cost.charge(now, length, sender.is_known);
    }

    /// Notes a webhook that this config verified, after it was shown to so many.
    pub(super) fn verified(&self, sender: &NoticeSender, receiver: ConfigId, length: usize, tries: usize) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        used(&mut state, sender).cost.refund(length, tries, sender.is_known);
        state.verified.insert(receiver, now);
    }

    /// Notes that the provider of this mode sends from there.
    pub(super) fn proved(&self, sender: &NoticeSender, is_sandbox: bool) {
        let now = self.clock.monotonic();
        if let Some(address) = sender.address {
            self.lock().known.proved(sender.scope.of_mode(is_sandbox), address, now);
        }
    }

    /// Notes a webhook that no config verified.
    pub(super) fn failed(&self, sender: &NoticeSender, provider: &str, failure: NoticeFailure) {
        match failure {
            NoticeFailure::Rejected => drop(self.rejected.fetch_add(1, Ordering::Relaxed)),
            NoticeFailure::Unjudged => {}
        }
        let now = self.clock.monotonic();
        let mut state = self.lock();
        if used(&mut state, sender).failures.add(now, failure, of_provider(sender.is_known)) {
            let known = sender.is_known;
            tracing::warn!(
                provider,
                known,
                "webhooks that are not verified reached the provider's limit: the next ones are answered 429"
            );
        }
        self.count_address(&mut state, sender, failure);
    }

    /// Notes a webhook whose body did not arrive whole: it took capacity like one that is rejected.
    pub(super) fn unfinished(&self, sender: &NoticeSender) {
        self.count_address(&mut self.lock(), sender, NoticeFailure::Rejected);
    }

    fn count_address(&self, state: &mut NoticeCounts, sender: &NoticeSender, failure: NoticeFailure) {
        let Some(address) = sender.address.filter(|address| self.counts(*address)) else { return };
        let now = self.clock.monotonic();
        let has_space = state.failing.len() < FAILING_ADDRESSES_MAX || state.failing.contains_key(&address);
        let most = self.of_address(sender.is_known);
        if has_space && state.failing.entry(address).or_default().add(now, failure, most) {
            tracing::warn!(%address, "webhooks that are not verified reached the address's limit: the next ones are answered 429");
        }
    }

    /// Counts a webhook that is answered 429.
    pub(super) fn limited(&self) {
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    /// When each of these configs last verified a webhook.
    pub(super) fn last_verified(&self, configs: &[ConfigId]) -> Vec<Option<Duration>> {
        let state = self.lock();
        configs.iter().map(|config| state.verified.get(config).copied()).collect()
    }

    /// Webhooks that failed verification, and those answered 429, since the start.
    pub(super) fn counted(&self) -> (u64, u64) {
        (self.rejected.load(Ordering::Relaxed), self.limited.load(Ordering::Relaxed))
    }

    /// Forgets what counts no more.
    pub(super) fn forget_idle(&self) {
        let now = self.clock.monotonic();
        let NoticeCounts { failing, scopes, known, .. } = &mut *self.lock();
        failing.retain(|_, failures| !failures.are_over(now));
        known.forget_idle(now);
        scopes.retain(|_, of_scope| !(of_scope.by_known.is_over(now) && of_scope.by_others.is_over(now)));
    }

    fn of_address(&self, is_known: bool) -> FailuresMax {
        FailuresMax::new(self.rules.failed_per_minute, is_known)
    }

    fn counts(&self, address: IpAddr) -> bool {
        !(self.rules.loopback_is_exempt && address.is_loopback())
    }

    fn lock(&self) -> MutexGuard<'_, NoticeCounts> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_provider(is_known: bool) -> FailuresMax {
    FailuresMax::new(FAILED_NOTICES_PER_PROVIDER_PER_MINUTE, is_known)
}

fn used<'s>(state: &'s mut NoticeCounts, sender: &NoticeSender) -> &'s mut SendersUse {
    state.scopes.entry(sender.scope).or_default().by(sender.is_known)
}
