//! The changes of one decision before they are committed: it reads the books with its own changes on top, and assigns the
//! next ids. Dropping a draft changes nothing; the host's ledger turns it into a commit.

mod changed;

use crate::aggregate::{Aggregate, DecisionContext};
use crate::books::{Books, CustomerUse, PendingSize};
use crate::change::{Body, Change, Commit, Counters, Stamp};
use crate::facts::Facts;
use crate::ids::{ConfigId, CustomerId, EventId, NoticeId, OperationId, OverrideId, Reference, Seq, TransactionId};
use crate::lookups::LookupNotes;
use crate::money::Money;
use crate::notice::{ProviderEvent, Update};
use crate::provider_call::ProviderCall;
use crate::refs::ProviderRef;
use crate::status::ProcessingStatus;
use crate::texts::Texts;
use crate::time::UnixTime;
use crate::transaction::{KeySpace, Transaction};

pub use self::changed::{Attention, ChangedTransaction};

/// Changes drafted on top of the books.
pub struct Draft<'a> {
    books: &'a Books,
    counters: Counters,
    seq: Seq,
    now: UnixTime,
    changes: Vec<Change>,
    bodies: Vec<Body>,
    /// Ids were skipped, which is worth a commit of its own.
    skipped: bool,
    notes: LookupNotes,
}

impl<'a> Draft<'a> {
    /// An empty draft on the same books, to judge what may have to be dropped.
    pub fn anew(&self) -> Self {
        Self::new(self.books, self.now)
    }

    pub fn new(books: &'a Books, now: UnixTime) -> Self {
        let counters = books.counters();
        Self {
            books,
            counters,
            seq: Seq(counters.seq + 1),
            now,
            changes: Vec::new(),
            bodies: Vec::new(),
            skipped: false,
            notes: LookupNotes::default(),
        }
    }

    /// The books, for what this draft has no method for: its commit then rests on every one before it that is not durable.
    pub fn books(&self) -> &'a Books {
        self.notes.anything();
        self.books
    }

    /// The books, for what an idempotency key is bound to and nothing else.
    pub fn books_by_key(&self, customer: CustomerId, space: KeySpace, key: &str) -> &'a Books {
        self.notes.idempotency_key(customer, space, key);
        self.books
    }

    pub fn now(&self) -> UnixTime {
        self.now
    }

    /// Commit number, time and next operation id for a decision.
    pub fn context(&self) -> DecisionContext {
        DecisionContext { seq: self.seq, now: self.now, next_operation: OperationId(self.counters.operation + 1) }
    }

    /// The transaction with its operations, as this draft leaves them.
    pub fn aggregate(&self, id: TransactionId) -> Option<Aggregate> {
        self.notes.transaction(id);
        let mut aggregate = self.books.aggregate(id);
        for change in &self.changes {
            match change {
                Change::Transaction(row) if row.id == id => match &mut aggregate {
                    Some(known) => known.transaction = (**row).clone(),
                    None => aggregate = Some(Aggregate { transaction: (**row).clone(), operations: Vec::new() }),
                },
                Change::Operation(row) if row.transaction_id == id => {
                    if let Some(known) = &mut aggregate {
                        match known.operations.iter_mut().find(|known| known.id == row.id) {
                            Some(operation) => *operation = (**row).clone(),
                            None => known.operations.push((**row).clone()),
                        }
                    }
                }
                Change::Transaction(_)
                | Change::Operation(_)
                | Change::Event(_)
                | Change::Config(_)
                | Change::ConfigDeleted(_)
                | Change::Override(_)
                | Change::Approval(_) => {}
            }
        }
        aggregate
    }

    /// The transaction with our reference.
    pub fn by_reference(&self, reference: &Reference) -> Option<TransactionId> {
        self.notes.reference(reference);
        self.books.by_reference(reference)
    }

    /// The transaction of this config that has a provider id.
    pub fn by_provider_ref(&self, config_id: ConfigId, id: &ProviderRef) -> Option<TransactionId> {
        self.notes.provider_id(&id.value);
        let has = |row: &Transaction| row.config_id == config_id && row.refs.iter().any(|known| known == id);
        let known = || self.books.by_provider_ref(config_id, id).filter(|known| self.leaves(*known, has));
        self.drafted(has).or_else(known)
    }

    /// The transactions of these configs of which something went back of a payment that was not confirmed for them.
    pub fn by_reversed_payment(&self, configs: &[ConfigId], payment: &str) -> Vec<TransactionId> {
        self.by_named_payment(configs, payment, |facts| facts.reverses_unconfirmed(payment))
    }

    /// The transactions of these configs for which a payment is stated as paid, whatever a person decided about it.
    pub fn by_stated_payment(&self, configs: &[ConfigId], payment: &str) -> Vec<TransactionId> {
        self.by_named_payment(configs, payment, |facts| facts.stated_as_paid().any(|(own, _)| own == payment))
    }

    /// The transactions of these configs for which a payment is stated as paid, and that are under review because of it.
    pub fn by_held_payment(&self, configs: &[ConfigId], payment: &str) -> Vec<TransactionId> {
        self.by_named_payment(configs, payment, |facts| facts.holds_payment(payment))
    }

    fn by_named_payment(
        &self,
        configs: &[ConfigId],
        payment: &str,
        test: impl Fn(&Facts) -> bool,
    ) -> Vec<TransactionId> {
        self.notes.provider_id(payment);
        let passes = |row: &Transaction| configs.contains(&row.config_id) && test(&row.facts);
        let drafted = self.drafted_rows().map(|row| row.id);
        let mut all: Vec<TransactionId> = self.books.by_named_payment(payment, &passes).chain(drafted).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|id| self.aggregate(*id).is_some_and(|known| passes(&known.transaction)));
        all
    }

    /// Whether a transaction passes the test as this draft leaves it: a row may lose ids to another.
    fn leaves(&self, id: TransactionId, test: impl Fn(&Transaction) -> bool) -> bool {
        self.changes.is_empty() || self.aggregate(id).is_some_and(|known| test(&known.transaction))
    }

    /// The transaction of these configs that had this payment first: it was confirmed for it, or credited by a person's
    /// resolution. One that is credited precedes one of which nothing is credited any more.
    pub fn owner_of_payment(&self, configs: &[ConfigId], payment: &str) -> Option<TransactionId> {
        let has = |row: &Transaction| configs.contains(&row.config_id) && row.facts.has_payment(payment);
        let confirmed = |known: &Aggregate| known.transaction.facts.confirms(payment) && known.credits();
        let confirmed = self.other_with_payment(configs, payment, confirmed);
        let credited = || self.other_with_payment(configs, payment, Aggregate::credits);
        let any = || self.other_with_payment(configs, payment, |_| true);
        confirmed.or_else(credited).or_else(any).or_else(|| self.drafted(has))
    }

    /// The first of the committed transactions of these configs that have this payment and pass the test.
    pub fn other_with_payment(
        &self,
        configs: &[ConfigId],
        payment: &str,
        test: impl Fn(&Aggregate) -> bool,
    ) -> Option<TransactionId> {
        self.notes.provider_id(payment);
        self.books.owner_of_payment(configs, payment, test)
    }

    /// A transaction of this brand that carries this id of a payment and passes the test.
    pub fn by_carried_payment(
        &self,
        brand: &str,
        payment: &str,
        test: impl Fn(&Aggregate) -> bool,
    ) -> Option<TransactionId> {
        self.notes.provider_id(payment);
        self.books.by_carried(brand, payment, test).filter(|_| !payment.is_empty())
    }

    /// Manual deposits of the customer, of an amount that passes the test, that were made later than this transaction, the newest first.
    pub fn manual_deposits_since(&self, of: &Transaction, is_like: impl Fn(Money) -> bool) -> Vec<Transaction> {
        self.notes.manual_of(of.customer_id);
        self.books.manual_deposits_since(of, is_like)
    }

    /// The first transaction among the changes of this draft that passes the test.
    fn drafted(&self, test: impl Fn(&Transaction) -> bool) -> Option<TransactionId> {
        self.drafted_rows().find(|row| test(row) && self.leaves(row.id, &test)).map(|row| row.id)
    }

    /// The transactions among the changes of this draft, in the order in which they were made.
    fn drafted_rows(&self) -> impl Iterator<Item = &Transaction> {
        self.changes.iter().filter_map(|change| match change {
            Change::Transaction(row) => Some(&**row),
            Change::Operation(_)
            | Change::Event(_)
            | Change::Config(_)
            | Change::ConfigDeleted(_)
            | Change::Override(_)
            | Change::Approval(_) => None,
        })
    }

    /// The row of a verified event, if it was received before or stands in this draft: no draft holds one key twice.
    pub fn known_event(&self, config_id: ConfigId, event_id: &str) -> Option<EventId> {
        self.notes.event_key(config_id, event_id);
        let drafted = self.changes.iter().find_map(|change| match change {
            Change::Event(row) if row.config_id == config_id && *row.event_id == *event_id => Some(row.id),
            Change::Event(_)
            | Change::Transaction(_)
            | Change::Operation(_)
            | Change::Config(_)
            | Change::ConfigDeleted(_)
            | Change::Override(_)
            | Change::Approval(_) => None,
        });
        drafted.or_else(|| self.books.known_event(config_id, event_id))
    }

    /// Whether an event is pending in the books, or may be in this draft.
    pub fn may_have_pending_events(&self) -> bool {
        let may =
            self.books.has_pending_events() || self.changes.iter().any(|change| matches!(change, Change::Event(_)));
        if !may {
            self.notes.no_event_waits();
        }
        may
    }

    /// What waits under a config, and in all. For a limit alone: no commit rests on how much waited when it was decided.
    pub fn pending_sizes(&self, config_id: ConfigId) -> (PendingSize, PendingSize) {
        (self.books.pending_size_of(config_id), self.books.pending_in_all())
    }

    /// What a customer takes of what is limited; for a limit alone.
    pub fn customer_use(&self, customer: CustomerId) -> CustomerUse {
        self.books.customer_use(customer)
    }

    /// Whether so many events wait under a config for a transaction with this id; for a limit alone.
    pub fn events_wait_for(&self, config_id: ConfigId, id: &ProviderRef, count: usize) -> bool {
        self.books.events_wait_for(config_id, id, count)
    }

    /// The unread notices of a config, and the bytes of their bodies; for a limit alone.
    pub fn unread_size(&self, config_id: ConfigId) -> (usize, u64) {
        let known = self.books.unread_of(config_id);
        known.fold((0, 0), |(count, sum), known| (count + 1, known.bytes.saturating_add(sum)))
    }

    /// The row of a notice of this config, where it is unread.
    pub fn unread_event(&self, config_id: ConfigId, id: EventId) -> Option<ProviderEvent> {
        self.notes.event_row(id);
        self.books.unread_of(config_id).find(|known| known.event.id == id).map(|known| known.event.clone())
    }

    /// Verified events under a config that wait for a transaction with the ids of this one, as this draft leaves them, by
    /// rising id.
    pub fn pending_events(&self, config_id: ConfigId, transaction: &Transaction) -> Vec<ProviderEvent> {
        let ids = transaction.ids();
        ids.iter().for_each(|id| self.notes.provider_id(&id.value));
        let mut waiting = self.books.pending_events(config_id, ids.iter());
        for change in &self.changes {
            let Change::Event(row) = change else { continue };
            waiting.retain(|known| known.id != row.id);
            let named = || row.update.iter().flat_map(Update::ids).any(|id| ids.contains(&id));
            if row.processing_status == ProcessingStatus::Pending && row.is_verified_by(config_id) && named() {
                waiting.push((**row).clone());
            }
        }
        waiting
    }

    /// Hands out no id up to these: they were seen in use elsewhere.
    pub fn skip_ids(&mut self, transaction: TransactionId, operation: OperationId) {
        let before = self.counters;
        self.counters.transaction = before.transaction.max(transaction.0);
        self.counters.operation = before.operation.max(operation.0);
        self.skipped |= self.counters != before;
    }

    pub fn next_transaction(&mut self) -> TransactionId {
        self.counters.transaction += 1;
        TransactionId(self.counters.transaction)
    }

    pub fn next_event(&mut self) -> EventId {
        self.counters.event += 1;
        EventId(self.counters.event)
    }

    pub fn next_notice(&mut self) -> NoticeId {
        self.counters.notice += 1;
        NoticeId(self.counters.notice)
    }

    pub fn next_config(&mut self) -> ConfigId {
        self.counters.config += 1;
        ConfigId(self.counters.config)
    }

    pub fn next_override(&mut self) -> OverrideId {
        self.counters.customer_override += 1;
        OverrideId(self.counters.customer_override)
    }

    /// The number of this draft's commit.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Adds changes; the operation ids they use are not assigned again.
    pub fn add(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            match &change {
                Change::Operation(row) => self.counters.operation = self.counters.operation.max(row.id.0),
                Change::Transaction(row) => self.counters.transaction = self.counters.transaction.max(row.id.0),
                Change::Event(_)
                | Change::Config(_)
                | Change::ConfigDeleted(_)
                | Change::Override(_)
                | Change::Approval(_) => {}
            }
            self.changes.push(change);
        }
    }

    /// Adds the texts of a transaction that this draft opens, where there are any.
    pub fn store_texts(&mut self, transaction_id: TransactionId, texts: Texts) {
        if !texts.is_default() {
            self.store(Body::Texts { transaction_id, texts });
        }
    }

    /// Adds requests to providers on behalf of a transaction, where there were any.
    pub fn store_calls(&mut self, transaction_id: TransactionId, calls: Vec<ProviderCall>) {
        if !calls.is_empty() {
            self.store(Body::Calls { transaction_id, calls });
        }
    }

    /// Adds a large body that is stored and not held in memory.
    pub fn store(&mut self, body: Body) {
        self.bodies.push(body);
    }

    /// The commit of the draft with its number; `None` where nothing was drafted.
    pub fn into_commit(self, stamp: &Stamp) -> (Seq, Option<Commit>) {
        if self.changes.is_empty() && self.bodies.is_empty() && !self.skipped {
            return (self.seq, None);
        }
        let counters = Counters { seq: self.seq.0, ..self.counters };
        let commit = Commit {
            seq: self.seq,
            at: stamp.now,
            actor: stamp.actor,
            request_id: stamp.request_id.clone(),
            changes: self.changes,
            bodies: self.bodies,
            counters,
            lookups: self.notes.into_lookups(),
        };
        (self.seq, Some(commit))
    }
}
