//! The index of idempotency keys. Customers choose these, so their hashes begin with a seed that no customer knows: else keys
//! could be chosen that share a segment, and growing that takes longer with each of them.

use super::hash_index::{SlotIndex, key_hash};
use super::rows::Row;

/// What the hashes begin with. It belongs to the database, because an image of the books holds them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeySeed(u64);

#[derive(Default)]
pub(super) struct OrderKeys {
    pub(super) seed: KeySeed,
    pub(super) slots: SlotIndex,
}

impl KeySeed {
    pub(super) fn of(secret: &str) -> Self {
        Self(key_hash(("idempotency keys", secret)))
    }

    pub(super) fn hash(self, customer: u64, space: u8, key: &str) -> u64 {
        key_hash((self.0, customer, space, key))
    }

    pub(super) fn hash_of(self, row: &Row) -> u64 {
        row.front().map_or(0, |front| self.hash(row.customer_id, row.key_space, front.idempotency_key))
    }
}
