//! Puts rows back to what the database holds, where the commits that changed them were refused. A row that was never stored
//! leaves the books, with every trace that an index has of it.

use super::Books;
use super::hash_index::{Slot, key_hash};
use super::rows::{NO_SLOT, Row};
use crate::aggregate::Aggregate;
use crate::ids::{ConfigId, EventId, OperationId, Seq, TransactionId};
use crate::notice::ProviderEvent;

/// A verified event as the database holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub id: EventId,
    pub config: ConfigId,
    pub event_id: Box<str>,
    /// With the length of its notice's body.
    pub row: Option<(ProviderEvent, u64)>,
    /// The row that holds the key.
    pub owner: Option<EventId>,
}

impl Books {
    /// Makes a transaction what the database holds; `None` is no row. What it was found by before is compared with the row
    /// at each hit, so that ids which it lost need not be searched for.
    pub fn restore_transaction(&mut self, id: TransactionId, stored: Option<&Aggregate>) {
        let slot = self.slot(id);
        match stored {
            Some(Aggregate { transaction, operations }) => self.put(slot, transaction, operations, Seq(0)),
            None => {
                self.early_operations.remove(&id);
                self.unsettled.remove(&id);
                self.reviewed.remove(&id);
                if let Some(slot) = slot {
                    self.remove(slot);
                }
            }
        }
    }

    /// The operations of a transaction, stored or not.
    pub fn operation_ids(&self, id: TransactionId) -> Vec<OperationId> {
        let early = || self.early_operations.get(&id).into_iter().flatten().map(|known| known.id).collect();
        let known = self.aggregate(id).map(|known| known.operations.iter().map(|known| known.id).collect());
        known.unwrap_or_else(early)
    }

    /// Makes an event what the database holds.
    pub fn restore_event(&mut self, stored: &StoredEvent) {
        let StoredEvent { id, config, event_id, row, owner } = stored;
        self.events.restore((*id, *config, event_id), *owner);
        if let Some((row, bytes)) = row {
            self.events.put(row, Some(*bytes));
        }
    }

    fn remove(&mut self, slot: Slot) {
        let Some(known) = self.rows.get(slot).and_then(|row| super::row_codec::unpack(row, &self.interner)) else {
            return;
        };
        self.postings.replace(Some(&known), None);
        let row = known.transaction;
        let (customer, space) = (row.customer_id.0, row.key_space.number());
        if let Some(set) = self.statuses.get_mut(usize::from(row.status.number())) {
            set.remove(&slot);
        }
        let key = self.by_key.seed.hash(customer, space, &row.idempotency_key);
        self.by_key.slots.remove(key, slot);
        self.by_reference.remove(key_hash(row.reference.as_str()), slot);
        self.displaced.remove(key_hash(row.id.0), slot);
        let taken = self.rows.get(slot).map(Row::taken);
        self.uses.replace(customer, taken, None);
        self.unchain(slot);
        if let Some(activity) = self.configs.get_mut(&row.config_id) {
            activity.transactions = activity.transactions.saturating_sub(1);
            activity.open = activity.open.saturating_sub(u64::from(!row.status.is_final()));
            // Its newest creation stays: a config keeps its gateway as long as if the order had been made.
            if activity.transactions == 0 {
                self.configs.remove(&row.config_id);
            }
        }
        self.rows.remove(slot);
        self.touches.forget();
    }

    /// Takes a row out of its chains. It is among the newest of each: few rows are made while a commit waits for its disk.
    fn unchain(&mut self, slot: Slot) {
        let Some(row) = self.rows.get(slot) else { return };
        let (customer, login, earlier) = (row.customer_id, row.login, row.earlier);
        let provider = self.interner.labels(row.labels).provider;
        let later = self.customers.unlink(customer, slot, earlier.customer);
        self.relink(later, slot, earlier.customer, |row| &mut row.earlier.customer);
        let later = self.logins.unlink(login, slot, earlier.login);
        self.relink(later, slot, earlier.login, |row| &mut row.earlier.login);
        let later = self.providers.unlink(provider, slot, earlier.provider);
        self.relink(later, slot, earlier.provider, |row| &mut row.earlier.provider);
    }

    /// Links the row after `slot` to the one before it.
    fn relink(&mut self, newest: Option<Slot>, slot: Slot, earlier: Slot, link: impl Fn(&mut Row) -> &mut Slot) {
        let mut at = newest.unwrap_or(NO_SLOT);
        while let Some(row) = self.rows.get_mut(at) {
            let next = link(row);
            if *next == slot {
                *next = earlier;
                return;
            }
            at = *next;
        }
    }
}
