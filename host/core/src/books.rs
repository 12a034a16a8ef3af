//! All transactions with their operations in memory, the keys of every verified event, and the list of transactions with
//! due work. Rebuilt from the stored rows and updated by each commit. It decides nothing, and holds neither configs nor
//! overrides nor large bodies.
//!
//! Rows are packed and unpacked on reading: a million of them take about 400 MB with all indexes. No answer depends on
//! the order within a hash table. A row's id, customer, login, provider, config, reference and created_time never
//! change; an id that a row lost is found no more, because each hit is compared with the row.

mod access_path;
mod chunked;
mod codec;
mod customer_use;
mod deep_page;
mod elsewhere;
mod events;
mod facts_codec;
mod growing_table;
mod hash_index;
mod heads;
mod image;
mod image_loading;
mod indexing;
mod interner;
mod list_page;
mod order_keys;
mod page_end;
mod payments;
mod postings;
mod query;
mod restore;
mod row_codec;
mod rows;
mod seen;
mod slots;
mod sorted_parts;
mod touches;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::Aggregate;
use crate::change::{Body, Change, Commit, Counters};
use crate::ids::{ConfigId, CustomerId, EventId, Reference, Seq, TransactionId};
use crate::notice::ProviderEvent;
use crate::operation::BalanceOperation;
use crate::refs::ProviderRef;
use crate::status::TransactionStatus;
use crate::time::UnixTime;
use crate::transaction::{KeySpace, Transaction};

use customer_use::CustomerUses;
use events::Events;
use hash_index::{HashedSlotIndex, Slot, SlotIndex, key_hash};
use heads::Heads;
use interner::Interner;
use order_keys::OrderKeys;
use postings::Postings;
use rows::{Row, Rows};
use touches::Touches;

pub use customer_use::{CustomerUse, STORED_PERIOD_DAYS, StoredBy, StoredBytes};
pub use events::{PendingSize, Unread};
pub use image::{IMAGE_FORMAT, ImageCopy};
pub use image_loading::{ImageBlock, ImageLoader, ImageRows, LoadedImage};
pub use list_page::ListPage;
pub use payments::COMPARED_DEPOSITS_MAX;
pub use query::{LIST_BYTES_MAX, Progress, Scan, Scope};
pub use restore::StoredEvent;

/// The transactions of one config; decides how long it keeps its gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    pub transactions: u64,
    /// How many of them are not final.
    pub open: u64,
    pub newest_created: UnixTime,
}

/// The most rows that are reserved at once: as many as a start reads in a few seconds. A counter may be far above the
/// number of rows.
const EXPECTED_MAX: usize = 4_000_000;

pub struct Books {
    counters: Counters,
    interner: Interner,
    rows: Rows,
    /// Rows that are not in the slot that their id implies; see [`Books::slot`].
    displaced: SlotIndex,
    by_reference: SlotIndex,
    by_key: OrderKeys,
    by_provider_id: HashedSlotIndex,
    customers: Heads<u64>,
    uses: CustomerUses,
    logins: Heads<u64>,
    providers: Heads<u32>,
    /// The rows of each status, by its number.
    statuses: Vec<BTreeSet<Slot>>,
    configs: BTreeMap<ConfigId, Activity>,
    unsettled: BTreeSet<TransactionId>,
    /// Transactions under review; a person must look at them, whether or not there is work.
    reviewed: BTreeSet<TransactionId>,
    /// Operations that came before their transaction.
    early_operations: BTreeMap<TransactionId, Vec<BalanceOperation>>,
    postings: Postings,
    events: Events,
    touches: Touches,
}

impl Default for Books {
    fn default() -> Self {
        Self::new()
    }
}

impl Books {
    pub fn new() -> Self {
        Self {
            counters: Counters::default(),
            interner: Interner::default(),
            rows: Rows::default(),
            displaced: SlotIndex::default(),
            by_reference: SlotIndex::default(),
            by_key: OrderKeys::default(),
            by_provider_id: HashedSlotIndex::default(),
            customers: Heads::default(),
            uses: CustomerUses::default(),
            logins: Heads::default(),
            providers: Heads::default(),
            statuses: TransactionStatus::ALL.iter().map(|_| BTreeSet::new()).collect(),
            configs: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            reviewed: BTreeSet::new(),
            early_operations: BTreeMap::new(),
            postings: Postings::default(),
            events: Events::default(),
            touches: Touches::default(),
        }
    }

    /// Reserves for the rows to load, so that nothing is hashed twice meanwhile.
    pub fn reserve(&mut self, transactions: u64, event_keys: u64) {
        let rows = |count: u64| usize::try_from(count).unwrap_or(usize::MAX).min(EXPECTED_MAX);
        let (transactions, event_keys) = (rows(transactions), rows(event_keys));
        self.by_reference.reserve(transactions);
        self.by_key.slots.reserve(transactions);
        // Most have an id of their page and one of their payment.
        self.by_provider_id.reserve(transactions.saturating_mul(2));
        self.events.seen.reserve(event_keys);
    }

    /// Loads a stored transaction with all its operations, in the order of their ids.
    pub fn load_transaction(&mut self, transaction: &Transaction, operations: &[BalanceOperation]) {
        self.put(self.slot(transaction.id), transaction, operations, Seq(0));
    }

    /// Loads a stored row. Rows may come in any order.
    pub fn load(&mut self, row: Change) {
        self.apply_change(&row, Seq(0), &[]);
    }

    /// Loads a stored event that waits, with the length of its notice's body.
    pub fn load_event(&mut self, event: &ProviderEvent, bytes: u64) {
        self.events.put(event, Some(bytes));
    }

    /// Loads the stored counters.
    pub fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
    }

    /// Applies a commit. Applying it twice is the same as once.
    pub fn apply(&mut self, commit: &Commit) {
        for change in &commit.changes {
            self.apply_change(change, commit.seq, &commit.bodies);
        }
        self.counters = commit.counters;
    }

    fn apply_change(&mut self, change: &Change, seq: Seq, bodies: &[Body]) {
        match change {
            Change::Transaction(transaction) => self.put_transaction(transaction, seq),
            Change::Operation(operation) => self.put_operation(operation, seq),
            Change::Event(event) => {
                let own =
                    |body: &Body| body.notice().filter(|(id, _)| *id == event.notice_id).map(|(_, length)| length);
                self.events.put(event, bodies.iter().find_map(own));
            }
            Change::Config(_) | Change::ConfigDeleted(_) | Change::Override(_) | Change::Approval(_) => {}
        }
    }

    /// The highest ids handed out, as the newest commit states them.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many transactions there are.
    pub fn transactions(&self) -> usize {
        self.rows.len()
    }

    /// How many entries of its tables and lists growth has moved or hashed again so far. That it rises little in any decision,
    /// however many rows there are, is what keeps the hold of a decision short.
    pub fn entries_moved(&self) -> u64 {
        let indexes = self.displaced.moved()
            + self.by_reference.moved()
            + self.by_key.slots.moved()
            + self.by_provider_id.moved();
        let heads = self.customers.moved() + self.uses.moved() + self.logins.moved() + self.providers.moved();
        self.rows.moved() + self.interner.moved() + self.events.seen.moved() + indexes + heads
    }

    pub fn aggregate(&self, id: TransactionId) -> Option<Aggregate> {
        row_codec::unpack(self.row(id)?, &self.interner)
    }

    /// Every transaction with its operations, in the order of insertion.
    pub fn aggregates(&self) -> impl Iterator<Item = Aggregate> {
        let rows = (0..self.rows.next_slot()).filter_map(|slot| self.rows.get(slot));
        rows.filter_map(|row| row_codec::unpack(row, &self.interner))
    }

    pub fn transaction(&self, id: TransactionId) -> Option<Transaction> {
        self.aggregate(id).map(|aggregate| aggregate.transaction)
    }

    /// The commit that last touched a transaction or its operations; `Seq(0)` since it was loaded.
    pub fn touched(&self, id: TransactionId) -> Seq {
        Seq(self.row(id).map_or(0, |row| row.touched))
    }

    pub fn by_reference(&self, reference: &Reference) -> Option<TransactionId> {
        let is_match = |row: &Row| row.front().is_some_and(|front| front.reference == reference.as_str());
        self.id_of(self.by_reference.find(key_hash(reference.as_str()), self.row_matching(is_match)))
    }

    /// The transaction that an idempotency key is bound to. An empty key is never bound.
    pub fn by_key(&self, customer: CustomerId, space: KeySpace, key: &str) -> Option<TransactionId> {
        let is_match = |row: &Row| {
            row.customer_id == customer.0
                && row.key_space == space.number()
                && row.front().is_some_and(|front| front.idempotency_key == key)
        };
        let hash = self.by_key.seed.hash(customer.0, space.number(), key);
        self.id_of(self.by_key.slots.find(hash, self.row_matching(is_match)))
    }

    /// The transaction of this config that has this provider id of this kind; the earliest, should there be several.
    pub fn by_provider_ref(&self, config: ConfigId, id: &ProviderRef) -> Option<TransactionId> {
        let is_match = |row: &Row| {
            row_codec::unpack(row, &self.interner).is_some_and(|Aggregate { transaction, .. }| {
                transaction.config_id == config && transaction.refs.iter().any(|known| known == id)
            })
        };
        self.id_of(self.by_provider_id.find(&*id.value, self.row_matching(is_match)))
    }

    /// The transaction of these configs that has this payment (see `Facts::has_payment`) and passes the test; the earliest, should
    /// there be several.
    pub fn owner_of_payment(
        &self,
        configs: &[ConfigId],
        payment: &str,
        test: impl Fn(&Aggregate) -> bool,
    ) -> Option<TransactionId> {
        let is_match = |row: &Row| {
            row_codec::unpack(row, &self.interner).is_some_and(|known| {
                let row = &known.transaction;
                configs.contains(&row.config_id) && row.facts.has_payment(payment) && test(&known)
            })
        };
        let known = (!payment.is_empty()).then(|| self.by_provider_id.find(payment, self.row_matching(is_match)));
        self.id_of(known.flatten())
    }

    /// The transactions that pass the test, of those in which a fact or an id names this payment.
    pub(crate) fn by_named_payment(
        &self,
        payment: &str,
        test: impl Fn(&Transaction) -> bool,
    ) -> impl Iterator<Item = TransactionId> {
        let named = self.by_provider_id.candidates(payment).filter_map(|slot| self.rows.get(slot));
        named.filter_map(move |row| {
            let row = row_codec::unpack(row, &self.interner)?.transaction;
            test(&row).then_some(row.id)
        })
    }

    /// The configs of the transactions that have this payment, of whatever provider.
    pub fn configs_with_payment(&self, payment: &str) -> Vec<ConfigId> {
        let config = |slot| {
            let row = row_codec::unpack(self.rows.get(slot)?, &self.interner)?.transaction;
            row.facts.has_payment(payment).then_some(row.config_id)
        };
        self.by_provider_id.candidates(payment).filter_map(config).collect()
    }

    /// What a customer takes of what is limited.
    pub fn customer_use(&self, customer: CustomerId) -> CustomerUse {
        self.uses.of(customer)
    }

    /// How many customers stored so many bytes or more, and the lowest ids of them; looks at each, for a start.
    pub fn customers_storing(&self, bytes: u64, now: UnixTime, shown: usize) -> (usize, Vec<CustomerId>) {
        self.uses.storing(bytes, now, shown)
    }

    /// A customer's transactions, the last inserted first.
    pub fn of_customer(&self, customer: CustomerId) -> impl Iterator<Item = TransactionId> {
        let head = self.customers.get(&customer.0).map(|head| head.newest);
        let chain = std::iter::successors(head, |slot| self.rows.get(*slot).map(|row| row.earlier.customer));
        chain.map_while(|slot| self.rows.get(slot)).map(|row| TransactionId(row.id))
    }

    /// The row of the verified event with this id under this config.
    pub fn known_event(&self, config: ConfigId, event_id: &str) -> Option<EventId> {
        self.events.seen.known(config, event_id)
    }

    /// Adds the key of a verified event permanently; the first row of a key stays.
    pub fn remember_event_key(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        self.events.seen.remember(config, event_id, id);
    }

    /// Whether any verified event waits for its transaction, or is listed without one.
    pub fn has_pending_events(&self) -> bool {
        self.events.has_pending()
    }

    /// Verified events received under a config that wait for a transaction with one of these ids, by rising id.
    pub fn pending_events<'r>(
        &self,
        config: ConfigId,
        refs: impl Iterator<Item = &'r ProviderRef>,
    ) -> Vec<ProviderEvent> {
        self.events.pending_for(config, refs)
    }

    /// Verified events received before a time that are still pending, the oldest first. Later ones are not looked at.
    pub fn pending_events_before(&self, time: UnixTime) -> impl Iterator<Item = &ProviderEvent> {
        self.events.pending_before(time)
    }

    /// How many events of one config wait for their transaction, and how much memory they take.
    pub fn pending_size_of(&self, config: ConfigId) -> PendingSize {
        self.events.pending_size_of(config)
    }

    /// The same of all configs.
    pub fn pending_in_all(&self) -> PendingSize {
        self.events.pending_in_all()
    }

    /// Whether so many events received under a config wait for a transaction with this id, or are listed without one.
    pub fn events_wait_for(&self, config: ConfigId, id: &ProviderRef, count: usize) -> bool {
        self.events.wait_for(config, id, count)
    }

    pub fn pending_event(&self, id: EventId) -> Option<&ProviderEvent> {
        self.events.pending_by_id(id)
    }

    /// Payments, refunds and disputes whose transaction never appeared, by rising id.
    pub fn unmatched(&self) -> impl ExactSizeIterator<Item = &ProviderEvent> {
        self.events.unmatched()
    }

    /// Authentic notices that no build of their module has understood yet, by config and rising id.
    pub fn unread(&self) -> impl ExactSizeIterator<Item = &Unread> {
        self.events.unread()
    }

    /// The next events that wait for their transaction, or are listed without one, by rising id: a piece of them.
    pub fn waiting_events_after(&self, id: EventId, most: usize) -> Vec<&ProviderEvent> {
        self.events.waiting_after(id, most)
    }

    /// The next notices that are not understood yet, by config and rising id: a piece of them.
    pub fn unread_after(&self, config: ConfigId, id: EventId, most: usize) -> Vec<&ProviderEvent> {
        self.events.unread_after((config, id), most)
    }

    /// Those of one config.
    pub fn unread_of(&self, config: ConfigId) -> impl Iterator<Item = &Unread> {
        self.events.unread_of(config)
    }
}
