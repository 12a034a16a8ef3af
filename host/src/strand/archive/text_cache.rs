//! The texts that were read last, within a number of bytes. Those of a transaction that a manager corrected are never in it again,
//! so that nothing in it is ever old.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cashier_core::ids::TransactionId;
use cashier_core::texts::Texts;

/// What the cache holds in all: a page of the longest texts, or some 100,000 short ones.
pub(super) const TEXT_CACHE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Corrected transactions that are remembered: managers correct some hundred a day. Beyond it nothing is cached until the next start.
pub(super) const CORRECTED_TEXTS_MAX: usize = 100_000;
/// What an entry takes beside its texts: two nodes of a tree, counts, lengths.
const ENTRY_BYTES: usize = 160;

#[derive(Default)]
pub(super) struct TextCache(Mutex<CachedTexts>);

#[derive(Default)]
struct CachedTexts {
    by_id: BTreeMap<TransactionId, CachedText>,
    /// The entries by when they were used last.
    by_use: BTreeMap<u64, TransactionId>,
    uses: u64,
    bytes: usize,
    corrected: BTreeSet<TransactionId>,
}

struct CachedText {
    texts: Arc<Texts>,
    used: u64,
}

impl TextCache {
    /// What is known of these, and the others.
    pub(super) fn find(&self, ids: &[TransactionId]) -> (Vec<(TransactionId, Arc<Texts>)>, Vec<TransactionId>) {
        let mut entries = self.lock();
        let (mut found, mut missing) = (Vec::with_capacity(ids.len()), Vec::new());
        for id in ids {
            match entries.touch(*id) {
                Some(texts) => found.push((*id, texts)),
                None => missing.push(*id),
            }
        }
        (found, missing)
    }

    pub(super) fn put(&self, id: TransactionId, texts: Texts) -> Arc<Texts> {
        let texts = Arc::new(texts);
        self.lock().put(id, &texts);
        texts
    }

    /// Whatever is read of this transaction from now on is read from the disk.
    pub(super) fn bypass(&self, id: TransactionId) {
        let mut entries = self.lock();
        if entries.corrected.len() < CORRECTED_TEXTS_MAX {
            entries.corrected.insert(id);
            entries.remove(id);
        } else {
            entries.by_id.clear();
            entries.by_use.clear();
            entries.bytes = 0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, CachedTexts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedTexts {
    fn touch(&mut self, id: TransactionId) -> Option<Arc<Texts>> {
        let entry = self.by_id.get_mut(&id)?;
        self.uses += 1;
        self.by_use.remove(&entry.used);
        self.by_use.insert(self.uses, id);
        entry.used = self.uses;
        Some(Arc::clone(&entry.texts))
    }

    fn put(&mut self, id: TransactionId, texts: &Arc<Texts>) {
        self.remove(id);
        if self.corrected.contains(&id) || self.corrected.len() >= CORRECTED_TEXTS_MAX {
            return;
        }
        let bytes = cost(texts);
        while self.bytes.saturating_add(bytes) > TEXT_CACHE_BYTES_MAX {
            let Some((_, oldest)) = self.by_use.first_key_value() else { return };
            self.remove(*oldest);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, id);
        self.by_id.insert(id, CachedText { texts: Arc::clone(texts), used: self.uses });
    }

    fn remove(&mut self, id: TransactionId) {
        if let Some(entry) = self.by_id.remove(&id) {
            self.by_use.remove(&entry.used);
            self.bytes = self.bytes.saturating_sub(cost(&entry.texts));
        }
    }
}

/// As long as what a text holds: the stored length of an empty metadata object counts as nothing.
fn cost(texts: &Texts) -> usize {
    texts.comment.len() + texts.metadata_json.len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(length: usize) -> Texts {
        Texts { comment: "".into(), metadata_json: "x".repeat(length).into() }
    }

    #[test]
    fn b1_the_cache_never_holds_more_bytes_than_it_may() {
        let cache = TextCache::default();
        let length = 16 * 1024;
        let most = TEXT_CACHE_BYTES_MAX / (length + ENTRY_BYTES);
        let ids: Vec<TransactionId> = (1..=3_000).map(TransactionId).collect();
        for id in &ids {
            cache.put(*id, texts(length));
            cache.find(&[TransactionId(1)]);
            assert!(cache.lock().bytes <= TEXT_CACHE_BYTES_MAX);
        }
        let (found, missing) = cache.find(&ids);
        assert_eq!((found.len(), missing.len()), (most, ids.len() - most));
        let newest: Vec<u64> = found.iter().map(|(id, _)| id.0).collect();
        assert_eq!(newest.first(), Some(&1), "what is used stays");
        assert_eq!(newest.last(), Some(&3_000));
        let entries = cache.lock();
        let held: usize = entries.by_id.values().map(|entry| cost(&entry.texts)).sum();
        assert_eq!((entries.bytes, entries.by_use.len()), (held, entries.by_id.len()));
    }

    #[test]
    fn texts_that_were_corrected_are_never_cached_again() {
        let cache = TextCache::default();
        cache.put(TransactionId(1), texts(10));
        cache.put(TransactionId(2), texts(10));
        cache.bypass(TransactionId(1));
        // What a reader had read before the correction comes late.
        cache.put(TransactionId(1), texts(10));
        let (found, missing) = cache.find(&[TransactionId(1), TransactionId(2)]);
        assert_eq!((found.len(), missing), (1, vec![TransactionId(1)]));
        (3..=CORRECTED_TEXTS_MAX as u64 + 3).for_each(|id| cache.bypass(TransactionId(id)));
        cache.put(TransactionId(2), texts(10));
        let (found, _) = cache.find(&[TransactionId(2)]);
        assert!(found.is_empty(), "beyond the bound nothing is cached");
        assert_eq!(cache.lock().bytes, 0);
    }

    #[test]
    fn b1_a_text_that_is_put_twice_counts_once_and_one_beyond_the_bound_is_not_kept() {
        let cache = TextCache::default();
        (0..3).for_each(|_| drop(cache.put(TransactionId(1), texts(100))));
        assert_eq!(cache.lock().bytes, 100 + ENTRY_BYTES);
        cache.put(TransactionId(2), texts(TEXT_CACHE_BYTES_MAX));
        let entries = cache.lock();
        assert_eq!((entries.by_id.len(), entries.bytes), (0, 0));
    }
}
