//! What webhooks that fail verification may cost: so many a minute from one client address and to one provider, and so many
//! bytes times configs of one provider. An address whose webhooks verified lately is bound by none of it, and no webhook is
//! called forged because of a limit. It verifies nothing.

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
use sha2::{Digest, Sha256};

use self::cost::{Cost, Window};
use self::known::KnownSenders;
use self::lanes::{JudgingPermit, LargeLanes, RestrictedLane};
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
    large: LargeLanes,
    rejected: AtomicU64,
    limited: AtomicU64,
}

#[derive(Default)]
struct NoticeCounts {
    failing: BTreeMap<IpAddr, Window>,
    providers: BTreeMap<u16, ProviderUse>,
    known: KnownSenders,
    /// When each config last verified one.
    verified: BTreeMap<ConfigId, Duration>,
}

/// What webhooks of one provider used lately.
#[derive(Default)]
struct ProviderUse {
    failed: Window,
    cost: Cost,
    lane: Option<Box<RestrictedLane>>,
}

/// Who sends a webhook, as far as limits go.
#[derive(Debug, Clone, Copy)]
pub struct NoticeSender {
    address: Option<IpAddr>,
    provider: u16,
    is_known: bool,
    is_restricted: bool,
    /// What forged webhooks of the provider may cost is used up.
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

    /// Whether a large body of it is read.
    pub fn may_send_large(&self) -> bool {
        self.is_known || !(self.is_restricted || self.is_spent)
    }

    /// Whether it waits its turn: what it may be is not known, and either it or everybody together failed too often.
    fn waits(&self) -> bool {
        self.is_restricted || (self.is_spent && !self.is_known)
    }

    /// Whether it is shown to every config, and not only to those that it probably belongs to.
    pub(super) fn is_shown_to_all(&self) -> bool {
        self.is_known || !self.is_spent
    }
}

impl NoticeLimits {
    pub(super) fn new(rules: NoticeRules, clock: Arc<dyn Clock>) -> Self {
        Self {
            rules,
            clock,
            state: Mutex::default(),
            large: LargeLanes::default(),
            rejected: AtomicU64::new(0),
            limited: AtomicU64::new(0),
        }
    }

    /// What is known now of who sends a webhook from `ip` to `provider`.
    pub(super) fn sender(&self, provider: &str, ip: &str) -> NoticeSender {
        let (address, provider, now) = (network(ip), slot(provider), self.clock.monotonic());
        let mut state = self.lock();
        let is_known = address.is_some_and(|address| state.known.is_known(address, now));
        let counted = address.filter(|address| self.counts(*address));
        let failed = counted.and_then(|address| state.failing.get(&address)).map_or(0, |window| window.count(now));
        let of_provider = state.providers.entry(provider).or_default();
        let beyond = failed >= self.rules.failed_per_minute && self.rules.failed_per_minute > 0;
        let many = of_provider.failed.count(now) >= FAILED_NOTICES_PER_PROVIDER_PER_MINUTE;
        let is_spent = of_provider.cost.is_spent(now);
        let is_exempt = is_known || address.is_some_and(|address| !self.counts(address));
        NoticeSender { address, provider, is_known, is_restricted: !is_exempt && (beyond || many), is_spent }
    }

    /// Waits until it may be verified; `None` where too many wait. Small ones wait only if [`NoticeSender::waits`].
    pub(super) async fn lane(&self, sender: &NoticeSender, length: usize) -> Option<JudgingPermit> {
        if length > SMALL_NOTICE_LENGTH_MAX {
            return Some(self.large.turn(sender.is_known).await);
        }
        if !sender.waits() {
            return Some(JudgingPermit::default());
        }
        let lane = self.lock().providers.entry(sender.provider).or_default().lane.get_or_insert_default().clone();
        lane.turn().await
    }

    /// Notes a webhook that this config verified.
    pub(super) fn verified(&self, sender: &NoticeSender, config: ConfigId) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        state.verified.insert(config, now);
        if let Some(address) = sender.address {
            state.known.proved(address, now);
        }
    }

    /// Notes a webhook that no config verified, and what it cost: it was shown to so many configs.
    pub(super) fn failed(&self, sender: &NoticeSender, provider: &str, length: usize, tries: usize) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let of_provider = state.providers.entry(sender.provider).or_default();
        of_provider.cost.charge(now, length, tries);
        if of_provider.failed.add(now) == FAILED_NOTICES_PER_PROVIDER_PER_MINUTE {
            tracing::warn!(
                provider,
                "webhooks that fail verification reached the provider's limit: the next ones are answered 429"
            );
        }
        self.count_address(&mut state, sender, now);
    }

    /// Notes a webhook whose body did not arrive whole: it took capacity like one that fails verification.
    pub(super) fn unfinished(&self, sender: &NoticeSender) {
        self.count_address(&mut self.lock(), sender, self.clock.monotonic());
    }

    fn count_address(&self, state: &mut NoticeCounts, sender: &NoticeSender, now: Duration) {
        let Some(address) = sender.address.filter(|address| self.counts(*address)) else { return };
        let has_space = state.failing.len() < FAILING_ADDRESSES_MAX || state.failing.contains_key(&address);
        if has_space && state.failing.entry(address).or_default().add(now) == self.rules.failed_per_minute {
            tracing::warn!(%address, "webhooks that fail verification reached the address's limit: the next ones are answered 429");
        }
    }

    /// Notes the cost of a webhook about which nothing is known yet.
    pub(super) fn charge(&self, sender: &NoticeSender, length: usize, tries: usize) {
        let now = self.clock.monotonic();
        self.lock().providers.entry(sender.provider).or_default().cost.charge(now, length, tries);
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
        let NoticeCounts { failing, providers, known, .. } = &mut *self.lock();
        failing.retain(|_, window| window.count(now) > 0);
        known.forget_idle(now);
        providers.retain(|_, of_provider| {
            let is_waited_for = of_provider.lane.as_ref().is_some_and(|lane| lane.is_waited_for());
            is_waited_for || !of_provider.cost.is_over(now) || of_provider.failed.count(now) > 0
        });
    }

    fn counts(&self, address: IpAddr) -> bool {
        !(self.rules.loopback_is_exempt && address.is_loopback())
    }

    fn lock(&self) -> MutexGuard<'_, NoticeCounts> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address that failures are counted by.
fn network(ip: &str) -> Option<IpAddr> {
    ip.parse().ok().map(network_of)
}

/// A name that nobody configured is counted like a provider's, in a table of limited size.
fn slot(provider: &str) -> u16 {
    let [first, second, ..] = <[u8; 32]>::from(Sha256::digest(provider));
    u16::from_be_bytes([first, second])
}
