//! What webhooks that fail verification may cost: so many a minute from one client address and to one provider, and so many
//! bytes times configs of one provider. An address whose webhooks verified lately is bound by none of it, and no webhook is
//! called forged because of a limit. It verifies nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_core::ids::ConfigId;
use cashier_core::network::network_of;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ports::Clock;

/// Webhooks to one provider, in a minute, that may fail verification before the next ones are looked at more sparingly: far
/// more than a wrong secret makes, far fewer than a flood.
pub const FAILED_NOTICES_PER_PROVIDER_PER_MINUTE: u32 = 1_200;

/// In which failures are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// Addresses whose failures are counted at one time; those beyond count towards their provider alone.
const FAILING_ADDRESSES_MAX: usize = 16_384;

/// Addresses that are remembered because a webhook of theirs verified; providers send from tens.
const KNOWN_ADDRESSES_MAX: usize = 4_096;

/// How long an address is known after a webhook of it verified: a provider with one payment a day stays known.
const KNOWN_ADDRESS_TIME: Duration = Duration::from_hours(24);

/// Bytes times configs that forged webhooks of one provider may take in a second: a few percent of one processor.
const FORGED_BYTES_PER_SECOND_MAX: u64 = 16 * 1024 * 1024;

/// The same at once: the largest webhook for 64 configs.
const FORGED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is counted of it: every config is asked again four seconds after a flood, however much it cost.
const SPENT_MAX: u64 = 2 * FORGED_BYTES_MAX;

/// What showing a webhook to one config costs besides its bytes: two changes of threads.
const TRY_BYTES: u64 = 4 * 1024;

/// Bytes of a webhook up to which it is small; providers' own are nearly all smaller.
pub const SMALL_NOTICE_LENGTH_MAX: usize = 64 * 1024;

/// Large webhooks that are verified at one time, from addresses that are known, and as many from others: small ones, also those
/// for the same config, never wait for more than one of them.
const LARGE_JUDGED_MAX: usize = 1;

/// Small webhooks of one provider, from senders beyond a limit, that are verified at one time.
const RESTRICTED_JUDGED_MAX: usize = 4;

/// And that may wait for it.
const RESTRICTED_WAITING_MAX: usize = 256;

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
    large_of_known: Arc<Semaphore>,
    large_of_others: Arc<Semaphore>,
    rejected: AtomicU64,
    limited: AtomicU64,
}

#[derive(Default)]
struct NoticeCounts {
    failing: BTreeMap<IpAddr, Window>,
    providers: BTreeMap<u16, ProviderCost>,
    /// When a webhook from there last verified.
    known: BTreeMap<IpAddr, Duration>,
    /// When each config last verified one.
    verified: BTreeMap<ConfigId, Duration>,
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

/// The right to be verified now.
#[expect(dead_code, reason = "permits are held, not read")]
pub(super) struct JudgingPermit(Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>);

/// In which the small webhooks of one provider wait whose senders are beyond a limit.
#[derive(Debug)]
struct RestrictedLane {
    judged: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for RestrictedLane {
    fn default() -> Self {
        let judged = Arc::new(Semaphore::new(RESTRICTED_JUDGED_MAX));
        Self { judged, waiting: Arc::new(Semaphore::new(RESTRICTED_WAITING_MAX)) }
    }
}

impl NoticeLimits {
    pub(super) fn new(rules: NoticeRules, clock: Arc<dyn Clock>) -> Self {
        Self {
            rules,
            clock,
            state: Mutex::default(),
            large_of_known: Arc::new(Semaphore::new(LARGE_JUDGED_MAX)),
            large_of_others: Arc::new(Semaphore::new(LARGE_JUDGED_MAX)),
            rejected: AtomicU64::new(0),
            limited: AtomicU64::new(0),
        }
    }

    /// What is known now of who sends a webhook from `ip` to `provider`.
    pub(super) fn sender(&self, provider: &str, ip: &str) -> NoticeSender {
        let (address, provider, now) = (network(ip), slot(provider), self.clock.monotonic());
        let mut state = self.lock();
        let is_known = address.and_then(|address| state.known.get(&address)).is_some_and(|at| is_recent(*at, now));
        let counted = address.filter(|address| self.counts(*address));
        let failed = counted.and_then(|address| state.failing.get(&address)).map_or(0, |window| window.count(now));
        let cost = state.providers.entry(provider).or_default();
        cost.refill(now);
        let beyond = failed >= self.rules.failed_per_minute && self.rules.failed_per_minute > 0;
        let many = cost.window.count(now) >= FAILED_NOTICES_PER_PROVIDER_PER_MINUTE;
        let is_spent = cost.spent >= FORGED_BYTES_MAX;
        let is_exempt = is_known || address.is_some_and(|address| !self.counts(address));
        NoticeSender { address, provider, is_known, is_restricted: !is_exempt && (beyond || many), is_spent }
    }

    /// Waits until it may be verified; `None` where too many wait. Small ones wait only if [`NoticeSender::waits`].
    pub(super) async fn lane(&self, sender: &NoticeSender, length: usize) -> Option<JudgingPermit> {
        if length > SMALL_NOTICE_LENGTH_MAX {
            let lane = if sender.is_known { &self.large_of_known } else { &self.large_of_others };
            return Some(JudgingPermit(Arc::clone(lane).acquire_owned().await.ok(), None));
        }
        if !sender.waits() {
            return Some(JudgingPermit(None, None));
        }
        let (judged, waiting) = {
            let mut state = self.lock();
            let lane = state.providers.entry(sender.provider).or_default().lane.get_or_insert_default();
            (Arc::clone(&lane.judged), Arc::clone(&lane.waiting).try_acquire_owned().ok()?)
        };
        Some(JudgingPermit(judged.acquire_owned().await.ok(), Some(waiting)))
    }

    /// Notes a webhook that this config verified.
    pub(super) fn verified(&self, sender: &NoticeSender, config: ConfigId) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        state.verified.insert(config, now);
        let Some(address) = sender.address else { return };
        if state.known.len() >= KNOWN_ADDRESSES_MAX && !state.known.contains_key(&address) {
            let oldest = state.known.iter().min_by_key(|(_, at)| **at).map(|(address, _)| *address);
            oldest.map(|oldest| state.known.remove(&oldest));
        }
        state.known.insert(address, now);
    }

    /// Notes a webhook that no config verified, and what it cost: it was shown to so many configs.
    pub(super) fn failed(&self, sender: &NoticeSender, provider: &str, length: usize, tries: usize) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let cost = state.providers.entry(sender.provider).or_default();
        cost.charge(now, length, tries);
        if cost.window.add(now) == FAILED_NOTICES_PER_PROVIDER_PER_MINUTE {
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
        self.lock().providers.entry(sender.provider).or_default().charge(now, length, tries);
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
        known.retain(|_, at| is_recent(*at, now));
        providers.retain(|_, cost| {
            cost.refill(now);
            let is_waited_for = cost.lane.as_ref().is_some_and(|lane| Arc::strong_count(&lane.waiting) > 1);
            is_waited_for || cost.spent > 0 || cost.window.count(now) > 0
        });
    }

    fn counts(&self, address: IpAddr) -> bool {
        !(self.rules.loopback_is_exempt && address.is_loopback())
    }

    fn lock(&self) -> MutexGuard<'_, NoticeCounts> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_recent(at: Duration, now: Duration) -> bool {
    now.saturating_sub(at) < KNOWN_ADDRESS_TIME
}

/// Failures since a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began: Duration,
    failed: u32,
}

impl Window {
    fn count(&self, now: Duration) -> u32 {
        if now.saturating_sub(self.began) < WINDOW { self.failed } else { 0 }
    }

    fn add(&mut self, now: Duration) -> u32 {
        match self.count(now) {
            0 => *self = Self { began: now, failed: 1 },
            failed => self.failed = failed.saturating_add(1),
        }
        self.failed
    }
}

/// What forged webhooks of one provider cost lately.
#[derive(Debug, Default)]
struct ProviderCost {
    window: Window,
    /// Bytes times configs; at most [`SPENT_MAX`], so that a flood is over soon after its last webhook.
    spent: u64,
    refilled: Duration,
    lane: Option<Box<RestrictedLane>>,
}

impl ProviderCost {
    fn refill(&mut self, now: Duration) {
        let elapsed = u64::try_from(now.saturating_sub(self.refilled).as_micros()).unwrap_or(u64::MAX);
        self.spent = self.spent.saturating_sub(elapsed.saturating_mul(FORGED_BYTES_PER_SECOND_MAX) / 1_000_000);
        self.refilled = now;
    }

    fn charge(&mut self, now: Duration, length: usize, tries: usize) {
        self.refill(now);
        let cost = (length as u64 + TRY_BYTES).saturating_mul(tries as u64);
        self.spent = self.spent.saturating_add(cost).min(SPENT_MAX);
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
