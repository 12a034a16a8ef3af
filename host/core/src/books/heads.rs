//! The newest row of each customer, login and provider: where the chain of its rows begins.

use std::hash::Hash;

use super::growing_table::GrowingTable;
use super::hash_index::{Slot, key_hash};
use super::rows::NO_SLOT;

/// The newest row of a customer, login or provider, and how many there are; each row links to the one before it.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) newest: Slot,
    pub(super) count: u32,
}

impl Head {
    pub(super) const EMPTY: Self = Self { newest: NO_SLOT, count: 0 };
}

pub(super) struct Heads<K>(GrowingTable<(K, Head)>);

impl<K> Default for Heads<K> {
    fn default() -> Self {
        Self(GrowingTable::default())
    }
}

impl<K: Copy + Eq + Hash> Heads<K> {
    pub(super) fn get(&self, key: &K) -> Option<&Head> {
        self.0.find(key_hash(key), |(known, _)| known == key).map(|(_, head)| head)
    }

    pub(super) fn reserve(&mut self, keys: usize) {
        self.0.reserve(keys);
    }

    /// Adds the head of a key that has none.
    pub(super) fn put(&mut self, key: K, head: Head) {
        self.0.insert_new(key_hash(key), (key, head), |(known, _)| key_hash(known));
    }

    /// Makes a row the newest and returns the one before it.
    pub(super) fn push(&mut self, key: K, slot: Slot) -> Slot {
        let hash = key_hash(key);
        match self.0.find_mut(hash, |(known, _)| *known == key) {
            Some((_, head)) => {
                head.count += 1;
                std::mem::replace(&mut head.newest, slot)
            }
            None => {
                self.put(key, Head { newest: slot, count: 1 });
                NO_SLOT
            }
        }
    }

    /// Takes a row out that links to `earlier`. Returns the newest row of the chain where one of it links to the removed row.
    pub(super) fn unlink(&mut self, key: K, slot: Slot, earlier: Slot) -> Option<Slot> {
        let (_, head) = self.0.find_mut(key_hash(key), |(known, _)| *known == key)?;
        head.count = head.count.saturating_sub(1);
        if head.newest != slot {
            return Some(head.newest);
        }
        head.newest = earlier;
        None
    }

    pub(super) fn moved(&self) -> u64 {
        self.0.moved()
    }
}
