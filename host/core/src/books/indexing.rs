//! Inserts and replaces rows: each is packed into its slot, and every index is updated. Lists what is unsettled.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::duty;
use crate::ids::{ConfigId, OperationId, Seq, TransactionId};
use crate::operation::BalanceOperation;
use crate::status::TransactionStatus;
use crate::time::UnixTime;
use crate::transaction::Transaction;

use super::hash_index::{Slot, key_hash};
use super::order_keys::KeySeed;
use super::rows::{Chain, Row};
use super::{Activity, Books, row_codec};

impl Books {
    /// Seeds the hashes of idempotency keys with what customers do not know: before there are rows, and always with the same.
    pub fn seed_keys(&mut self, secret: &str) {
        self.by_key.seed = KeySeed::of(secret);
    }

    /// The next transactions with due work ([`duty::has_work`](crate::duty::has_work)), by rising id: a piece of them.
    pub fn unsettled_after(&self, id: TransactionId, most: usize) -> Vec<TransactionId> {
        self.unsettled.range((Bound::Excluded(id), Bound::Unbounded)).take(most).copied().collect()
    }

    /// The next transactions with due work or under review, by rising id: a piece of what the work list examines.
    pub fn work_after(&self, id: TransactionId, most: usize) -> Vec<TransactionId> {
        let after = (Bound::Excluded(id), Bound::Unbounded);
        let next =
            |ids: &BTreeSet<TransactionId>| -> Vec<TransactionId> { ids.range(after).take(most).copied().collect() };
        let mut ids = [next(&self.unsettled), next(&self.reviewed)].concat();
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(most);
        ids
    }

    pub fn unsettled_count(&self) -> usize {
        self.unsettled.len()
    }

    /// All of them, to compare whole books.
    pub fn unsettled(&self) -> Vec<TransactionId> {
        self.unsettled.iter().copied().collect()
    }

    pub(super) fn put_transaction(&mut self, transaction: &Transaction, seq: Seq) {
        let slot = self.slot(transaction.id);
        let operations = match slot.and_then(|slot| self.rows.get(slot)) {
            Some(row) => row_codec::unpack(row, &self.interner).map(|known| known.operations).unwrap_or_default(),
            None => self.early_operations.remove(&transaction.id).unwrap_or_default(),
        };
        self.put(slot, transaction, &operations, seq);
    }

    pub(super) fn put_operation(&mut self, operation: &BalanceOperation, seq: Seq) {
        let id = operation.transaction_id;
        let slot = self.slot(id);
        match slot.and_then(|slot| self.rows.get(slot)).and_then(|row| row_codec::unpack(row, &self.interner)) {
            Some(mut known) => {
                place_operation(&mut known.operations, operation);
                self.put(slot, &known.transaction, &known.operations, seq);
            }
            None => place_operation(self.early_operations.entry(id).or_default(), operation),
        }
    }

    /// Packs a transaction into its slot, or into a new one, and updates every index.
    pub(super) fn put(
        &mut self,
        slot: Option<Slot>,
        transaction: &Transaction,
        operations: &[BalanceOperation],
        seq: Seq,
    ) {
        let mut row = row_codec::pack(transaction, operations, &mut self.interner);
        row.touched = seq.0;
        let (slot, before) = match slot.and_then(|slot| self.rows.get(slot).map(|row| (slot, row))) {
            Some((slot, known)) => {
                row.earlier = known.earlier;
                (slot, TransactionStatus::from_number(known.status.into()))
            }
            None => {
                let slot = self.rows.next_slot();
                row.earlier = self.chain(&row, slot);
                (slot, None)
            }
        };
        let before_postings = self.before_postings(transaction, slot);
        self.postings.replace(before_postings.as_ref(), Some((transaction, operations)));
        let taken = self.rows.get(slot).map(Row::taken);
        self.uses.replace(row.customer_id, taken, Some(row.taken()));
        self.index(slot, transaction, before);
        self.touches.note(seq.0, slot);
        if duty::has_work(transaction, operations) {
            self.unsettled.insert(transaction.id);
        } else {
            self.unsettled.remove(&transaction.id);
        }
        if transaction.status == TransactionStatus::ManualReview {
            self.reviewed.insert(transaction.id);
        } else {
            self.reviewed.remove(&transaction.id);
        }
        match self.rows.get_mut(slot) {
            Some(known) => *known = row,
            None => self.rows.push(row),
        }
    }

    /// Puts a new row at the head of its chains and returns its links to earlier rows.
    fn chain(&mut self, row: &Row, slot: Slot) -> Chain {
        let customer = self.customers.push(row.customer_id, slot);
        let login = self.logins.push(row.login, slot);
        let provider = self.providers.push(self.interner.labels(row.labels).provider, slot);
        self.note_displaced(row.id, slot);
        Chain { customer, login, provider }
    }

    fn index(&mut self, slot: Slot, transaction: &Transaction, before: Option<TransactionStatus>) {
        let status = transaction.status;
        if before != Some(status) {
            if let Some(set) = before.and_then(|old| self.statuses.get_mut(usize::from(old.number()))) {
                set.remove(&slot);
            }
            if let Some(set) = self.statuses.get_mut(usize::from(status.number())) {
                set.insert(slot);
            }
        }
        let rows = &self.rows;
        let seed = self.by_key.seed;
        let key = seed.hash(transaction.customer_id.0, transaction.key_space.number(), &transaction.idempotency_key);
        let hash_again = |slot| rows.get(slot).map_or(0, |row| seed.hash_of(row));
        if transaction.binds_key() && before.is_none() {
            self.by_key.slots.insert_new(key, slot, hash_again);
        } else if transaction.binds_key() {
            self.by_key.slots.insert(key, slot, hash_again);
        } else if !transaction.idempotency_key.is_empty() {
            self.by_key.slots.remove(key, slot);
        }
        if before.is_none() {
            let reference = key_hash(transaction.reference.as_str());
            self.by_reference.insert_new(reference, slot, |slot| rows.get(slot).map_or(0, reference_hash));
        }
        if !transaction.provider_payment_id.is_empty() {
            self.by_provider_id.insert(&*transaction.provider_payment_id, slot);
        }
        for id in transaction.refs.iter() {
            self.by_provider_id.insert(&*id.value, slot);
        }
        // Nearly always one of the ids above: then it takes no further entry.
        for payment in transaction.facts.payments() {
            self.by_provider_id.insert(payment, slot);
        }
        self.count_activity(transaction.config_id, transaction.created_time, status, before);
    }

    /// The activity of a config; `None` when no transaction was made under it.
    pub fn config_activity(&self, config: ConfigId) -> Option<Activity> {
        self.configs.get(&config).copied()
    }

    /// Rows that are not in the slot that their id implies are found by an index.
    pub(super) fn note_displaced(&mut self, id: u64, slot: Slot) {
        if self.expected_slot(id) != Some(slot) {
            let rows = &self.rows;
            self.displaced.insert_new(key_hash(id), slot, |slot| rows.get(slot).map_or(0, |row| key_hash(row.id)));
        }
    }

    pub(super) fn count_activity(
        &mut self,
        config: ConfigId,
        created: UnixTime,
        status: TransactionStatus,
        before: Option<TransactionStatus>,
    ) {
        let activity = self.configs.entry(config).or_default();
        let open = |status: TransactionStatus| u64::from(!status.is_final());
        activity.transactions += u64::from(before.is_none());
        activity.open = (activity.open + open(status)).saturating_sub(before.map_or(0, open));
        activity.newest_created = activity.newest_created.max(created);
    }
}

pub(super) fn reference_hash(row: &Row) -> u64 {
    row.front().map_or(0, |front| key_hash(front.reference))
}

/// Inserts or replaces an operation, in the order of ids.
fn place_operation(operations: &mut Vec<BalanceOperation>, operation: &BalanceOperation) {
    let id: OperationId = operation.id;
    match operations.binary_search_by_key(&id, |known| known.id) {
        Ok(index) => {
            if let Some(known) = operations.get_mut(index) {
                *known = operation.clone();
            }
        }
        Err(index) => operations.insert(index, operation.clone()),
    }
}
