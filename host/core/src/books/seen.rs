//! The keys of all verified events, permanently, as hashes in 25 bytes each: by which a repeated notice is known.

use super::growing_table::GrowingTable;
use super::hash_index::wide_hash;
use crate::ids::{ConfigId, EventId};

/// A deduplication key as a hash; its text is only on disk.
pub(super) struct SeenEvent {
    pub(super) key: [u64; 2],
    pub(super) id: EventId,
}

#[derive(Default)]
pub(super) struct SeenEvents(GrowingTable<SeenEvent>);

impl SeenEvents {
    pub(super) fn reserve(&mut self, keys: usize) {
        self.0.reserve(keys);
    }

    pub(super) fn reserve_segments(&mut self, count: usize) {
        self.0.reserve_segments(count);
    }

    pub(super) fn table(&self) -> &GrowingTable<SeenEvent> {
        &self.0
    }

    pub(super) fn known(&self, config: ConfigId, event_id: &str) -> Option<EventId> {
        self.find(key_of(config, event_id))
    }

    /// Adds a key; the first row of a key stays.
    pub(super) fn remember(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        self.remember_hashed(key_of(config, event_id), id);
    }

    pub(super) fn remember_hashed(&mut self, key: [u64; 2], id: EventId) {
        if self.find(key).is_none() {
            self.0.insert_new(key[0], SeenEvent { key, id }, |known| known.key[0]);
        }
    }

    /// Gives a key to the row that has it on disk, if any.
    pub(super) fn restore(&mut self, config: ConfigId, event_id: &str, owner: Option<EventId>) {
        let key = key_of(config, event_id);
        self.0.remove(key[0], |known| known.key == key);
        if let Some(id) = owner {
            self.0.insert_new(key[0], SeenEvent { key, id }, |known| known.key[0]);
        }
    }

    pub(super) fn moved(&self) -> u64 {
        self.0.moved()
    }

    fn find(&self, key: [u64; 2]) -> Option<EventId> {
        self.0.find(key[0], |known| known.key == key).map(|known| known.id)
    }
}

fn key_of(config: ConfigId, event_id: &str) -> [u64; 2] {
    let hash = wide_hash((config.0, event_id));
    [(hash >> 64) as u64, hash as u64]
}
