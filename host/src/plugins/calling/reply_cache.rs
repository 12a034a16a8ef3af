//! Replies that a module lets the host show again, such as an access token: per gateway, by name, for a time.
//! One errand at a time fetches a name; whoever wants it meanwhile waits for that one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cashier_provider_sdk::{CachePolicy, HttpReply};
use tokio::sync::Semaphore;

/// Names one module may keep. A token per purpose is two or three; names made of order data would grow without end.
const NAMES_MAX: usize = 16;
/// Longest name.
const NAME_LENGTH_MAX: usize = 64;
/// The longest a reply is shown again: tokens live hours, and a forgotten one is fetched once a day.
const SECONDS_MAX: u32 = 24 * 60 * 60;

/// The kept replies of one gateway.
#[derive(Default)]
pub(super) struct ReplyCache {
    slots: Mutex<BTreeMap<String, Slot>>,
}

struct Slot {
    errand: Arc<Semaphore>,
    kept: Option<Kept>,
}

struct Kept {
    reply: HttpReply,
    until: Duration,
    stamp: Stamp,
}

/// Tells one fetching of a name from the next, so that only the reply that was shown is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(Duration);

impl ReplyCache {
    /// The reply under `name` that may be shown at `now`, a monotonic time.
    pub(super) fn fresh(&self, name: &str, now: Duration) -> Option<(HttpReply, Stamp)> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = slots.get(name)?.kept.as_ref().filter(|kept| now < kept.until)?;
        Some((kept.reply.clone(), kept.stamp))
    }

    /// The right to fetch `name`, one holder at a time; `None` when no more names are kept.
    pub(super) fn errand(&self, name: &str) -> Option<Arc<Semaphore>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(name) && (slots.len() >= NAMES_MAX || name.len() > NAME_LENGTH_MAX) {
            return None;
        }
        let fresh = || Slot { errand: Arc::new(Semaphore::new(1)), kept: None };
        Some(Arc::clone(&slots.entry(name.to_owned()).or_insert_with(fresh).errand))
    }

    /// Keeps a reply that arrived at `now`. One that is no success is not kept.
    pub(super) fn keep(&self, keep: &CachePolicy, reply: &HttpReply, now: Duration) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = u64::from(keep.ttl_seconds.min(SECONDS_MAX));
        if let Some(slot) = slots.get_mut(&keep.name).filter(|_| reply.is_success() && seconds > 0) {
            let until = now.saturating_add(Duration::from_secs(seconds));
            slot.kept = Some(Kept { reply: reply.clone(), until, stamp: Stamp(now) });
        }
    }

    /// Forgets the reply that was shown under `name`, unless another took its place.
    pub(super) fn forget(&self, name: &str, stamp: Stamp) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(name)
            && slot.kept.as_ref().is_some_and(|kept| kept.stamp == stamp)
        {
            slot.kept = None;
        }
    }
}
