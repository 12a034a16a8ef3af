//! Hash indexes that hold row numbers alone: a lookup compares the key with the row, so that no key is stored twice.
//! Hashing has no random seed; the keys come from the books and from verified notices, but those of `order_keys`.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::growing_table::GrowingTable;

/// The number of a row in the order of insertion.
pub(super) type Slot = u32;

/// A row number with enough of its key's hash to rehash it without reading the row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hash: u32,
    pub(super) slot: Slot,
}

/// An index for keys of which a row can have several.
#[derive(Default)]
pub(super) struct HashedSlotIndex(GrowingTable<Entry>);

impl HashedSlotIndex {
    pub(super) fn reserve(&mut self, entries: usize) {
        self.0.reserve(entries);
    }

    pub(super) fn reserve_segments(&mut self, count: usize) {
        self.0.reserve_segments(count);
    }

    pub(super) fn table(&self) -> &GrowingTable<Entry> {
        &self.0
    }

    pub(super) fn insert(&mut self, key: impl Hash, slot: Slot) {
        self.insert_hashed(short_hash(key), slot);
    }

    pub(super) fn insert_hashed(&mut self, hash: u32, slot: Slot) {
        let entry = Entry { hash, slot };
        if self.0.find(spread(entry.hash), |known| *known == entry).is_none() {
            self.0.insert_new(spread(entry.hash), entry, |known| spread(known.hash));
        }
    }

    /// The first inserted row under the key for which `is_match` holds.
    pub(super) fn find(&self, key: impl Hash, is_match: impl Fn(Slot) -> bool) -> Option<Slot> {
        self.candidates(key).filter(|slot| is_match(*slot)).min()
    }

    /// The rows whose key has the hash of this one, in no order.
    pub(super) fn candidates(&self, key: impl Hash) -> impl Iterator<Item = Slot> {
        let hash = short_hash(key);
        self.0.candidates(spread(hash)).filter(move |known| known.hash == hash).map(|known| known.slot)
    }

    pub(super) fn moved(&self) -> u64 {
        self.0.moved()
    }
}

/// An index for keys of which a row has one: the key is hashed again from the row when its segment grows.
#[derive(Default)]
pub(super) struct SlotIndex(GrowingTable<Slot>);

impl SlotIndex {
    pub(super) fn reserve(&mut self, entries: usize) {
        self.0.reserve(entries);
    }

    pub(super) fn reserve_segments(&mut self, count: usize) {
        self.0.reserve_segments(count);
    }

    pub(super) fn table(&self) -> &GrowingTable<Slot> {
        &self.0
    }

    /// Inserts a row that is not in the index.
    pub(super) fn insert_new(&mut self, hash: u64, slot: Slot, hash_again: impl Fn(Slot) -> u64) {
        self.0.insert_new(hash, slot, |known| hash_again(*known));
    }

    pub(super) fn insert(&mut self, hash: u64, slot: Slot, hash_again: impl Fn(Slot) -> u64) {
        if self.0.find(hash, |known| *known == slot).is_none() {
            self.insert_new(hash, slot, hash_again);
        }
    }

    pub(super) fn remove(&mut self, hash: u64, slot: Slot) {
        self.0.remove(hash, |known| *known == slot);
    }

    /// The first inserted row under the hash for which `is_match` holds.
    pub(super) fn find(&self, hash: u64, is_match: impl Fn(Slot) -> bool) -> Option<Slot> {
        self.candidates(hash).filter(|slot| is_match(*slot)).min()
    }

    /// The rows whose key may have this hash, in no order.
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = Slot> {
        self.0.candidates(hash).copied()
    }

    pub(super) fn moved(&self) -> u64 {
        self.0.moved()
    }
}

/// The hash of a [`SlotIndex`]'s key.
pub(super) fn key_hash(key: impl Hash) -> u64 {
    hash_of(0, key)
}

/// The hash of a [`HashedSlotIndex`]'s key, and of a row's idempotency key: the same in every run.
pub(super) fn short_hash(key: impl Hash) -> u32 {
    (hash_of(0, key) >> 32) as u32
}

/// The table derives its bucket from the low bits and its tag from the high ones, so 32 bits are spread over both.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A key without its text: 128 bits, so that two of a billion events collide with a probability below 10^-20.
pub(super) fn wide_hash(key: impl Hash) -> u128 {
    u128::from(hash_of(1, &key)) << 64 | u128::from(hash_of(2, &key))
}

fn hash_of(domain: u8, key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(domain);
    key.hash(&mut hasher);
    hasher.finish()
}
