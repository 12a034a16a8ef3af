//! Where a row is: from the id of a transaction to its slot and its row, and back; and whose an id of a provider is.

use super::Books;
use super::hash_index::{Slot, key_hash};
use super::row_codec;
use super::rows::Row;
use crate::ids::{ConfigId, TransactionId};

impl Books {
    /// Ids are handed out one by one and rows are inserted by rising id, so that a row's slot is nearly always its id
    /// minus the first row's.
    pub(super) fn slot(&self, id: TransactionId) -> Option<Slot> {
        let has_id = |slot| self.rows.get(slot).is_some_and(|row| row.id == id.0);
        let expected = self.expected_slot(id.0).filter(|slot| has_id(*slot));
        expected.or_else(|| self.displaced.find(key_hash(id.0), has_id))
    }

    pub(super) fn expected_slot(&self, id: u64) -> Option<Slot> {
        let first = self.rows.first_id().unwrap_or(id);
        Slot::try_from(id.checked_sub(first)?).ok()
    }

    pub(super) fn row(&self, id: TransactionId) -> Option<&Row> {
        self.rows.get(self.slot(id)?)
    }

    pub(super) fn id_of(&self, slot: Option<Slot>) -> Option<TransactionId> {
        self.rows.get(slot?).map(|row| TransactionId(row.id))
    }

    pub(super) fn row_matching(&self, is_match: impl Fn(&Row) -> bool) -> impl Fn(Slot) -> bool {
        move |slot| self.rows.get(slot).is_some_and(&is_match)
    }

    /// The transactions that have this id of the provider, of whatever kind, as one of its ids or as that of a payment that any statement names.
    pub fn with_any_id(&self, value: &str) -> Vec<TransactionId> {
        let named = self.by_provider_id.candidates(value).filter_map(|slot| {
            let row = row_codec::unpack(self.rows.get(slot)?, &self.interner)?.transaction;
            let known = *row.provider_payment_id == *value
                || row.refs.iter().any(|known| *known.value == *value)
                || row.facts.payments().any(|payment| payment == value);
            known.then_some(row.id)
        });
        let mut named: Vec<TransactionId> = if value.is_empty() { Vec::new() } else { named.collect() };
        named.sort_unstable();
        named.dedup();
        named
    }

    /// The configs of the transactions that have this provider id, of whatever kind and provider.
    pub fn configs_with_id(&self, value: &str) -> Vec<ConfigId> {
        let config = |slot| {
            let row = row_codec::unpack(self.rows.get(slot)?, &self.interner)?.transaction;
            row.refs.iter().any(|known| *known.value == *value).then_some(row.config_id)
        };
        self.by_provider_id.candidates(value).filter_map(config).collect()
    }
}
