//! Keys with which something may still arrive at the platform, or be executed there against what the books have: what the sweep looks
//! at, how far it came, and what it found. In memory alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cashier_core::ids::Login;

use super::finance_order::OrderKey;
use crate::ports::Fault;

/// Void keys that are remembered until a restart, so that a request which arrives late is declined. A pending one that is not
/// remembered moves nothing.
const VOID_KEYS_KEPT_MAX: usize = 4096;

/// Keys of which there may be two requests, because one had no answer, or because the order of another won: the sweep looks at them.
const WATCHED_KEPT_MAX: usize = 1024;

/// How long a key is looked at: no queue keeps a message for an hour.
const WATCHED_FOR: Duration = Duration::from_secs(60 * 60);

/// Keys that are shown; a platform where more go wrong is wrong as a whole.
const MISTAKES_KEPT_MAX: usize = 1024;

#[derive(Default)]
pub(super) struct LateKeys(Mutex<LateKeyLists>);

#[derive(Default)]
struct LateKeyLists {
    void: VecDeque<WatchedKey>,
    /// Void as long as nobody posts them.
    absent: VecDeque<WatchedKey>,
    watched: VecDeque<WatchedKey>,
    /// By the key.
    mistakes: BTreeMap<Box<str>, (WatchedKey, KeyMistake)>,
    /// The pending order that was looked at last.
    swept: u64,
}

/// A key, and the account that its orders are of.
#[derive(Debug, Clone)]
pub(super) struct WatchedKey {
    pub(super) of: OrderKey,
    pub(super) login: Login,
    /// By the monotonic clock.
    pub(super) since: Duration,
}

/// What went wrong with a key at the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyMistake {
    /// Both moved the balance.
    Twice(u64, u64),
    /// It moved the balance, or is about to, after the key was void.
    Void(u64),
}

impl LateKeys {
    fn with<T>(&self, change: impl FnOnce(&mut LateKeyLists) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn void(&self, key: WatchedKey) {
        self.with(|lists| keep(&mut lists.void, VOID_KEYS_KEPT_MAX, key));
    }

    /// A person holds its posting to be absent, and decides without the platform's word: nothing of it is wanted any more.
    pub(super) fn note_absent(&self, key: WatchedKey) {
        self.with(|lists| keep(&mut lists.absent, VOID_KEYS_KEPT_MAX, key));
    }

    /// It is to be posted: that was not decided after all.
    pub(super) fn note_wanted(&self, of: &OrderKey) {
        self.with(|lists| lists.absent.retain(|known| !known.of.has_uuid(&of.uuid)));
    }

    pub(super) fn is_void(&self, of: &OrderKey) -> bool {
        self.with(|lists| lists.void.iter().chain(&lists.absent).any(|known| known.of.has_uuid(&of.uuid)))
    }

    pub(super) fn watch(&self, key: WatchedKey) {
        self.with(|lists| keep(&mut lists.watched, WATCHED_KEPT_MAX, key));
    }

    /// Keys to be looked at now, of each list so many at most; the next call goes on behind them, and round. Those with a mistake are
    /// among them as long as it lasts.
    pub(super) fn take_watched(&self, now: Duration, at_once_max: usize) -> Vec<WatchedKey> {
        self.with(|lists| {
            let mistaken = lists.mistakes.values().map(|(key, _)| key.clone());
            let mut taken: Vec<WatchedKey> = mistaken.take(at_once_max).collect();
            let is_due = |known: &WatchedKey| now.saturating_sub(known.since) < WATCHED_FOR;
            lists.watched.retain(is_due);
            for list in [&mut lists.watched, &mut lists.void, &mut lists.absent] {
                let most = taken.len().saturating_add(at_once_max);
                for _ in 0..list.len() {
                    if taken.len() >= most {
                        break;
                    }
                    let Some(next) = list.pop_front() else { break };
                    if is_due(&next) && !taken.iter().any(|taken| taken.of.has_uuid(&next.of.uuid)) {
                        taken.push(next.clone());
                    }
                    list.push_back(next);
                }
            }
            taken
        })
    }

    pub(super) fn swept(&self) -> u64 {
        self.with(|lists| lists.swept)
    }

    pub(super) fn set_swept(&self, order: u64) {
        self.with(|lists| lists.swept = order);
    }

    /// What is wrong with a key as it was found just now; whether that is news.
    pub(super) fn note(&self, key: &WatchedKey, mistake: Option<KeyMistake>) -> bool {
        let uuid: Box<str> = key.of.uuid.to_ascii_lowercase().into();
        self.with(|lists| {
            let Some(mistake) = mistake else {
                lists.mistakes.remove(&uuid);
                return false;
            };
            let known = lists.mistakes.get(&uuid).map(|(_, known)| *known);
            let is_kept = known.is_some() || lists.mistakes.len() < MISTAKES_KEPT_MAX;
            if is_kept {
                lists.mistakes.insert(uuid, (key.clone(), mistake));
            }
            is_kept && known != Some(mistake)
        })
    }

    /// A sentence for the operator about the first of them.
    pub(super) fn problem(&self) -> Result<(), Fault> {
        let first =
            self.with(|lists| lists.mistakes.first_key_value().map(|(key, (_, mistake))| (key.clone(), *mistake)));
        let sentence = match first {
            None => return Ok(()),
            Some((key, KeyMistake::Twice(order, other))) => {
                format!("finance orders {order} and {other} both moved the balance under the key {key}")
            }
            Some((key, KeyMistake::Void(order))) => {
                format!("finance order {order} moves the balance under the key {key}, which was void before")
            }
        };
        Err(Fault::new(format!("{sentence}: a person must see to it")))
    }
}

/// Each key once, with the last time.
fn keep(list: &mut VecDeque<WatchedKey>, kept_max: usize, key: WatchedKey) {
    list.retain(|known| !known.of.has_uuid(&key.of.uuid));
    if list.len() >= kept_max {
        // Turned round by `take_watched`: the oldest may stand anywhere.
        let oldest = list.iter().enumerate().min_by_key(|(_, known)| known.since).map(|(at, _)| at);
        oldest.and_then(|at| list.remove(at));
    }
    list.push_back(key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize, since: u64) -> WatchedKey {
        let text = |form: &str| format!("{form}{number}").into();
        let of = OrderKey { key: text("k"), uuid: text("u"), other_uuid: text("o"), source: "cashier".into() };
        WatchedKey { of, login: Login(100), since: Duration::from_secs(since) }
    }

    fn numbers(keys: &LateKeys, at: u64, at_once_max: usize) -> Vec<String> {
        let taken = keys.take_watched(Duration::from_secs(at), at_once_max);
        taken.into_iter().map(|known| known.of.key.to_string()).collect()
    }

    #[test]
    fn keys_are_looked_at_in_turn_for_an_hour_each_once() {
        let keys = LateKeys::default();
        (1..=5).for_each(|number| keys.watch(key(number, 0)));
        keys.watch(key(2, 10));
        keys.void(key(2, 10));
        keys.void(key(9, 10));
        assert_eq!(numbers(&keys, 20, 3), ["k1", "k3", "k4", "k2", "k9"]);
        assert_eq!(numbers(&keys, 20, 3), ["k5", "k2", "k1", "k9"]);
        assert_eq!(numbers(&keys, 3_605, 9), ["k2", "k9"]);
        assert!(numbers(&keys, 3_610, 9).is_empty());
        assert!(keys.is_void(&key(9, 0).of), "it is remembered all the same");
    }

    #[test]
    fn a_key_that_is_absent_is_void_until_it_is_posted_after_all() {
        let keys = LateKeys::default();
        keys.void(key(1, 0));
        [1, 2, 3].into_iter().for_each(|number| keys.note_absent(key(number, 0)));
        assert_eq!(numbers(&keys, 20, 9), ["k1", "k2", "k3"]);
        [1, 2].into_iter().for_each(|number| keys.note_wanted(&key(number, 0).of));
        assert_eq!([1, 2, 3].map(|number| keys.is_void(&key(number, 0).of)), [true, false, true]);
    }

    #[test]
    fn the_oldest_of_too_many_is_forgotten_wherever_it_stands() {
        let keys = LateKeys::default();
        (0..WATCHED_KEPT_MAX).for_each(|number| keys.watch(key(number, number as u64)));
        assert_eq!(numbers(&keys, 1, 1), ["k0"]);
        keys.watch(key(5_000, 5_000));
        let left = numbers(&keys, 1, 5_000);
        assert_eq!((left.len(), left.contains(&"k0".to_owned())), (WATCHED_KEPT_MAX, false));
    }

    #[test]
    fn a_mistake_is_news_once_and_shown_while_it_lasts() {
        let (keys, one) = (LateKeys::default(), key(1, 0));
        assert!(keys.note(&one, Some(KeyMistake::Void(5))) && !keys.note(&one, Some(KeyMistake::Void(5))));
        assert!(keys.note(&one, Some(KeyMistake::Twice(4, 5))));
        assert!(keys.problem().unwrap_err().what.contains("finance orders 4 and 5"));
        assert_eq!(numbers(&keys, 50_000, 3), ["k1"]);
        assert!(!keys.note(&one, None));
        assert_eq!(keys.problem(), Ok(()));
    }
}
