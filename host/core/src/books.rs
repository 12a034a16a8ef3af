//! The memory of all transactions with their operations, of every event heard, and of what is still to be done. It is
//! rebuilt from the rows on disk and kept by applying each commit. It decides nothing, and holds neither configs nor
//! overrides nor large bodies.
//!
//! Rows are packed and unpacked on reading: a million of them take about 400 MB with all indexes. No answer depends on
//! the order within a hash table. A row's id, customer, login, provider, config, reference and created_time never
//! change; its refs only grow.

mod bytes;
mod duty;
mod events;
mod facts_spelling;
mod finding;
mod packed;
mod query;
mod rows;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::aggregate::Aggregate;
use crate::change::{Change, Commit, Counters};
use crate::ids::{ConfigId, CustomerId, EventId, OperationId, Reference, Seq, TransactionId};
use crate::notice::ProviderEvent;
use crate::operation::BalanceOperation;
use crate::refs::ProviderRef;
use crate::status::TransactionStatus;
use crate::time::UnixTime;
use crate::transaction::{KeySpace, Transaction};

use events::Events;
use finding::{Finder, Fixed, Slot};
use rows::{Chain, NO_SLOT, Row, Rows};
use words::Words;

pub use query::{Answer, Progress, Scan, Scope};

/// What happens under one config; decides how long it keeps its gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    pub transactions: u64,
    /// How many of them are not final.
    pub open: u64,
    pub newest_created: UnixTime,
}

/// The newest row of a customer, login or provider, and how many there are; each row names the one before it.
#[derive(Clone, Copy)]
struct Head {
    newest: Slot,
    count: u32,
}

pub struct Books {
    counters: Counters,
    words: Words,
    rows: Rows,
    by_id: Finder,
    by_reference: Finder,
    by_key: Finder,
    by_provider_id: Finder,
    customers: HashMap<u64, Head, Fixed>,
    logins: HashMap<u64, Head, Fixed>,
    providers: HashMap<u32, Head, Fixed>,
    /// The rows of each status, by its number.
    statuses: Vec<BTreeSet<Slot>>,
    configs: BTreeMap<ConfigId, Activity>,
    unsettled: BTreeSet<TransactionId>,
    /// Operations that were met before their transaction.
    early_operations: BTreeMap<TransactionId, Vec<BalanceOperation>>,
    events: Events,
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
            words: Words::default(),
            rows: Rows::default(),
            by_id: Finder::default(),
            by_reference: Finder::default(),
            by_key: Finder::default(),
            by_provider_id: Finder::default(),
            customers: HashMap::default(),
            logins: HashMap::default(),
            providers: HashMap::default(),
            statuses: TransactionStatus::ALL.iter().map(|_| BTreeSet::new()).collect(),
            configs: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            early_operations: BTreeMap::new(),
            events: Events::default(),
        }
    }

    /// Takes in a row as it is on disk. Rows may come in any order; by rising id they take the least time.
    pub fn load(&mut self, row: Change) {
        self.apply_change(&row, Seq(0));
    }

    /// The counters as they are on disk.
    pub fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
    }

    /// Takes in a commit. The same commit twice is the same as once.
    pub fn apply(&mut self, commit: &Commit) {
        for change in &commit.changes {
            self.apply_change(change, commit.seq);
        }
        self.counters = commit.counters;
    }

    fn apply_change(&mut self, change: &Change, seq: Seq) {
        match change {
            Change::Transaction(transaction) => self.put_transaction(transaction, seq),
            Change::Operation(operation) => self.put_operation(operation, seq),
            Change::Event(event) => self.events.put(event),
            Change::Config(_) | Change::Override(_) => {}
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

    pub fn aggregate(&self, id: TransactionId) -> Option<Aggregate> {
        packed::unpack(self.row(id)?, &self.words)
    }

    pub fn transaction(&self, id: TransactionId) -> Option<Transaction> {
        self.aggregate(id).map(|aggregate| aggregate.transaction)
    }

    /// The commit that last touched a transaction or its operations; `Seq(0)` for one as it was read from disk.
    pub fn touched(&self, id: TransactionId) -> Seq {
        Seq(self.row(id).map_or(0, |row| row.touched))
    }

    pub fn by_reference(&self, reference: &Reference) -> Option<TransactionId> {
        let meant = |row: &Row| row.front().is_some_and(|front| front.reference == reference.as_str());
        self.found(&self.by_reference, reference.as_str(), meant)
    }

    /// The transaction that an idempotency key is bound to. The empty key is no key.
    pub fn by_key(&self, customer: CustomerId, space: KeySpace, key: &str) -> Option<TransactionId> {
        let meant = |row: &Row| {
            row.customer_id == customer.0
                && row.key_space == space as u8
                && row.front().is_some_and(|front| front.idempotency_key == key)
        };
        self.found(&self.by_key, (customer.0, space as u8, key), meant)
    }

    /// The transaction of this config that has this provider id of this kind; the earliest, should there be several.
    pub fn by_provider_ref(&self, config: ConfigId, id: &ProviderRef) -> Option<TransactionId> {
        let meant = |row: &Row| {
            packed::unpack(row, &self.words).is_some_and(|Aggregate { transaction, .. }| {
                transaction.config_id == config && transaction.refs.iter().any(|known| known == id)
            })
        };
        self.found(&self.by_provider_id, &*id.value, meant)
    }

    /// The transaction of this brand that has this provider id, of whatever kind and config.
    pub fn by_payment_id(&self, brand: &str, value: &str) -> Option<TransactionId> {
        let meant = |row: &Row| {
            packed::unpack(row, &self.words).is_some_and(|Aggregate { transaction, .. }| {
                let named = *transaction.provider_payment_id == *value;
                *transaction.brand == *brand && (named || transaction.refs.iter().any(|known| *known.value == *value))
            })
        };
        self.found(&self.by_provider_id, value, meant)
    }

    /// A customer's transactions, the one met last first.
    pub fn of_customer(&self, customer: CustomerId) -> impl Iterator<Item = TransactionId> {
        let head = self.customers.get(&customer.0).map(|head| head.newest);
        let chain = std::iter::successors(head, |slot| self.rows.get(*slot).map(|row| row.earlier.customer));
        chain.map_while(|slot| self.rows.get(slot)).map(|row| TransactionId(row.id))
    }

    /// Whether a genuine event of this id was heard under this config, and as which row.
    pub fn event_heard(&self, config: ConfigId, event_id: &str) -> Option<EventId> {
        self.events.heard(config, event_id)
    }

    /// Remembers a genuine event for ever; the first row of a key stays.
    pub fn remember_event_key(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        self.events.remember(config, event_id, id);
    }

    /// Genuine events heard under a config that wait for a transaction with one of these ids, by rising id.
    pub fn pending_events<'r>(
        &self,
        config: ConfigId,
        refs: impl Iterator<Item = &'r ProviderRef>,
    ) -> Vec<ProviderEvent> {
        self.events.pending_for(config, refs)
    }

    /// Genuine events received before a moment that still wait, by rising id.
    pub fn pending_events_before(&self, moment: UnixTime) -> Vec<ProviderEvent> {
        self.events.pending().filter(|event| event.created_time < moment).cloned().collect()
    }

    pub fn pending_event(&self, id: EventId) -> Option<&ProviderEvent> {
        self.events.pending_by_id(id)
    }

    /// What happens under a config; `None` when no transaction was made under it.
    pub fn config_activity(&self, config: ConfigId) -> Option<Activity> {
        self.configs.get(&config).copied()
    }

    /// Transactions with something left to do, by rising id: a create not ended, an operation unsettled, owed not
    /// posted, an order that can expire, or a provider that must be asked.
    pub fn unsettled(&self) -> Vec<TransactionId> {
        self.unsettled.iter().copied().collect()
    }

    fn slot(&self, id: TransactionId) -> Option<Slot> {
        self.by_id.find(id.0, |slot| self.rows.get(slot).is_some_and(|row| row.id == id.0))
    }

    fn row(&self, id: TransactionId) -> Option<&Row> {
        self.rows.get(self.slot(id)?)
    }

    fn found(&self, finder: &Finder, key: impl std::hash::Hash, meant: impl Fn(&Row) -> bool) -> Option<TransactionId> {
        let slot = finder.find(key, |slot| self.rows.get(slot).is_some_and(&meant))?;
        self.rows.get(slot).map(|row| TransactionId(row.id))
    }

    fn put_transaction(&mut self, transaction: &Transaction, seq: Seq) {
        let slot = self.slot(transaction.id);
        let operations = match slot.and_then(|slot| self.rows.get(slot)) {
            Some(row) => packed::unpack(row, &self.words).map(|known| known.operations).unwrap_or_default(),
            None => self.early_operations.remove(&transaction.id).unwrap_or_default(),
        };
        self.put(slot, transaction, &operations, seq);
    }

    fn put_operation(&mut self, operation: &BalanceOperation, seq: Seq) {
        let id = operation.transaction_id;
        let slot = self.slot(id);
        match slot.and_then(|slot| self.rows.get(slot)).and_then(|row| packed::unpack(row, &self.words)) {
            Some(mut known) => {
                place_operation(&mut known.operations, operation);
                self.put(slot, &known.transaction, &known.operations, seq);
            }
            None => place_operation(self.early_operations.entry(id).or_default(), operation),
        }
    }

    /// Packs a transaction into its slot, or into a new one, and keeps every index.
    fn put(&mut self, slot: Option<Slot>, transaction: &Transaction, operations: &[BalanceOperation], seq: Seq) {
        let mut row = packed::pack(transaction, operations, &mut self.words);
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
        self.index(slot, transaction, before);
        if duty::has_duty(transaction, operations) {
            self.unsettled.insert(transaction.id);
        } else {
            self.unsettled.remove(&transaction.id);
        }
        match self.rows.get_mut(slot) {
            Some(known) => *known = row,
            None => self.rows.push(row),
        }
    }

    /// Puts a new row at the head of its chains and gives what it names as earlier.
    fn chain(&mut self, row: &Row, slot: Slot) -> Chain {
        let customer = self.customers.entry(row.customer_id).or_insert(Head::EMPTY).push(slot);
        let login = self.logins.entry(row.login).or_insert(Head::EMPTY).push(slot);
        let provider = self.providers.entry(row.provider).or_insert(Head::EMPTY).push(slot);
        self.by_id.insert(row.id, slot);
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
        let key = (transaction.customer_id.0, transaction.key_space as u8, &*transaction.idempotency_key);
        if transaction.binds_key() {
            self.by_key.insert(key, slot);
        } else if !transaction.idempotency_key.is_empty() {
            self.by_key.remove(key, slot);
        }
        if before.is_none() {
            self.by_reference.insert(transaction.reference.as_str(), slot);
        }
        if !transaction.provider_payment_id.is_empty() {
            self.by_provider_id.insert(&*transaction.provider_payment_id, slot);
        }
        for id in transaction.refs.iter() {
            self.by_provider_id.insert(&*id.value, slot);
        }
        self.note_activity(transaction, before);
    }

    fn note_activity(&mut self, transaction: &Transaction, before: Option<TransactionStatus>) {
        let activity = self.configs.entry(transaction.config_id).or_default();
        let open = |status: TransactionStatus| u64::from(!status.is_final());
        activity.transactions += u64::from(before.is_none());
        activity.open = (activity.open + open(transaction.status)).saturating_sub(before.map_or(0, open));
        activity.newest_created = activity.newest_created.max(transaction.created_time);
    }
}

impl Head {
    const EMPTY: Self = Self { newest: NO_SLOT, count: 0 };

    /// Makes a row the newest and gives the one that was.
    fn push(&mut self, slot: Slot) -> Slot {
        self.count += 1;
        std::mem::replace(&mut self.newest, slot)
    }
}

/// Operations stand in the order of their ids.
fn place_operation(operations: &mut Vec<BalanceOperation>, operation: &BalanceOperation) {
    let id: OperationId = operation.id;
    match operations.binary_search_by_key(&id, |known| known.id) {
        Ok(place) => {
            if let Some(known) = operations.get_mut(place) {
                *known = operation.clone();
            }
        }
        Err(place) => operations.insert(place, operation.clone()),
    }
}
