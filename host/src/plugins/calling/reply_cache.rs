//! Replies that a module lets the host use again, such as an access token: per gateway, by name, for a limited time. One
//! exchange at a time fetches a name; the others that need it wait for that reply.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_provider_sdk::{CachePolicy, HttpReply};
use tokio::sync::Semaphore;

/// Names per gateway. A token per purpose is two or three; names made of order data would grow without end.
const NAMES_MAX: usize = 16;
/// Longest name.
const NAME_LENGTH_MAX: usize = 64;
/// Longest time to live: tokens live hours, and a day costs one more fetch at most.
const TTL_SECONDS_MAX: u32 = 24 * 60 * 60;

/// The cached replies of one gateway.
#[derive(Default)]
pub(super) struct ReplyCache {
    slots: Mutex<BTreeMap<String, CacheSlot>>,
}

/// A name, whether a reply is cached for it or not.
struct CacheSlot {
    fetch: Arc<Semaphore>,
    reply: Option<CachedReply>,
}

struct CachedReply {
    reply: HttpReply,
    expires: Duration,
    fetched: FetchTime,
}

/// When a cached reply was fetched: distinguishes it from the reply that replaced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FetchTime(Duration);

impl ReplyCache {
    /// The reply under `name`, if it has not expired at `now`, a monotonic time.
    pub(super) fn get(&self, name: &str, now: Duration) -> Option<(HttpReply, FetchTime)> {
        let slots = self.slots();
        let cached = slots.get(name)?.reply.as_ref().filter(|cached| now < cached.expires)?;
        Some((cached.reply.clone(), cached.fetched))
    }

    /// The right to fetch `name`, for one holder at a time; `None` when the reply will not be cached.
    pub(super) fn fetch_lock(&self, name: &str) -> Option<Arc<Semaphore>> {
        let mut slots = self.slots();
        if !slots.contains_key(name) && (slots.len() >= NAMES_MAX || name.len() > NAME_LENGTH_MAX) {
            return None;
        }
        let empty = || CacheSlot { fetch: Arc::new(Semaphore::new(1)), reply: None };
        Some(Arc::clone(&slots.entry(name.to_owned()).or_insert_with(empty).fetch))
    }

    /// Caches a reply that arrived at `now`, if it is a success.
    pub(super) fn put(&self, policy: &CachePolicy, reply: &HttpReply, now: Duration) {
        let seconds = u64::from(policy.ttl_seconds.min(TTL_SECONDS_MAX));
        if let Some(slot) = self.slots().get_mut(&policy.name).filter(|_| reply.is_success() && seconds > 0) {
            let expires = now.saturating_add(Duration::from_secs(seconds));
            slot.reply = Some(CachedReply { reply: reply.clone(), expires, fetched: FetchTime(now) });
        }
    }

    /// Removes the reply that was fetched at `fetched`, unless another has replaced it.
    pub(super) fn invalidate(&self, name: &str, fetched: FetchTime) {
        if let Some(slot) = self.slots().get_mut(name)
            && slot.reply.as_ref().is_some_and(|cached| cached.fetched == fetched)
        {
            slot.reply = None;
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, CacheSlot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
