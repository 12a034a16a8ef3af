//! What happened lately, by key: for so long, and of so many keys at once. Beyond that the one is forgotten that did not happen
//! again for longest. It has no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// When each key was last noted.
#[derive(Debug)]
pub struct Recent<K> {
    most: usize,
    time: Duration,
    at: BTreeMap<K, Duration>,
    /// The same, the one that is forgotten next first.
    oldest: BTreeSet<(Duration, K)>,
}

impl<K: Copy + Ord> Recent<K> {
    /// Of at most `most` keys, each for `time`.
    pub fn new(most: usize, time: Duration) -> Self {
        Self { most, time, at: BTreeMap::new(), oldest: BTreeSet::new() }
    }

    /// Notes it, and returns the key that is forgotten for it.
    pub fn note(&mut self, key: K, now: Duration) -> Option<K> {
        if let Some(before) = self.at.insert(key, now) {
            self.oldest.remove(&(before, key));
        }
        self.oldest.insert((now, key));
        let is_beyond = self.at.len() > self.most;
        is_beyond.then(|| self.oldest.first().map(|(_, key)| *key)).flatten().inspect(|key| self.forget(key))
    }

    /// Whether it was noted within the time.
    pub fn contains(&self, key: &K, now: Duration) -> bool {
        self.at.get(key).is_some_and(|at| now.saturating_sub(*at) < self.time)
    }

    /// Those from `first` to `last`, with when they were noted.
    pub fn range(&self, first: K, last: K) -> impl Iterator<Item = (K, Duration)> {
        self.at.range(first..=last).map(|(key, at)| (*key, *at))
    }

    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    pub fn forget(&mut self, key: &K) {
        if let Some(at) = self.at.remove(key) {
            self.oldest.remove(&(at, *key));
        }
    }

    /// Forgets what was noted too long ago, and returns one of it; `None` once nothing is left to forget.
    pub fn forget_old(&mut self, now: Duration) -> Option<K> {
        let (at, key) = *self.oldest.first()?;
        (now.saturating_sub(at) >= self.time).then(|| self.forget(&key))?;
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_key_is_known_for_its_time_from_its_last_note_and_the_oldest_goes_for_a_new_one() {
        let mut recent = Recent::new(2, 10 * SECOND);
        assert_eq!(recent.note('a', SECOND), None);
        assert_eq!(recent.note('b', 2 * SECOND), None);
        assert_eq!(recent.note('a', 5 * SECOND), None, "noted again");
        assert_eq!(recent.note('c', 6 * SECOND), Some('b'), "the oldest");
        assert_eq!(recent.range('a', 'b').collect::<Vec<_>>(), [('a', 5 * SECOND)]);
        assert!(recent.contains(&'a', 14 * SECOND) && !recent.contains(&'a', 15 * SECOND));
        assert_eq!(recent.forget_old(15 * SECOND), Some('a'));
        assert_eq!(recent.forget_old(15 * SECOND), None, "c is younger");
        assert_eq!((recent.at.len(), recent.oldest.len(), recent.is_empty()), (1, 1, false));
    }
}
