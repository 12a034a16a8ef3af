//! What a decision looks up, found or not: noted by its draft as it reads, so that it is known on which commits it rests (see
//! [`dependence`](crate::dependence)). Each is a hash: two that collide stand for each other.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::ids::{ConfigId, CustomerId, EventId, Reference, TransactionId};
use crate::transaction::KeySpace;

/// What is looked up or written.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) enum Topic<'a> {
    Transaction(TransactionId),
    Reference(&'a str),
    IdempotencyKey(CustomerId, u8, &'a str),
    /// A provider's id of a payment, of whatever kind and config.
    ProviderId(&'a str),
    /// The manual transactions of a customer.
    ManualOf(CustomerId),
    EventRow(EventId),
    EventKey(ConfigId, &'a str),
    /// Of the kinds that nothing is looked up by: config, override, approval, notice.
    Other(char, u64),
}

impl Topic<'_> {
    /// `None` where nothing is found by it: an empty text is not looked up.
    pub(crate) fn hashed(self) -> Option<u64> {
        if let Self::IdempotencyKey(_, _, "") | Self::ProviderId("") = self {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        Some(hasher.finish())
    }
}

/// What one decision looked up, found or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookups {
    pub(crate) topics: Vec<u64>,
    /// What it scanned: it rests on a commit that wrote such a row, and not on one that scanned the same.
    pub(crate) scanned: Vec<u64>,
    /// It went on because no event waits.
    pub(crate) no_event_waits: bool,
    /// It read the books without saying what.
    pub(crate) anything: bool,
}

/// Notes lookups while the draft is lent to a decision.
#[derive(Debug, Default)]
pub(crate) struct LookupNotes(RefCell<Lookups>);

impl LookupNotes {
    pub(crate) fn into_lookups(self) -> Lookups {
        self.0.into_inner()
    }

    fn note(&self, topic: Topic<'_>) {
        self.0.borrow_mut().topics.extend(topic.hashed());
    }

    pub(crate) fn transaction(&self, id: TransactionId) {
        self.note(Topic::Transaction(id));
    }

    pub(crate) fn reference(&self, reference: &Reference) {
        self.note(Topic::Reference(reference.as_str()));
    }

    pub(crate) fn idempotency_key(&self, customer: CustomerId, space: KeySpace, key: &str) {
        self.note(Topic::IdempotencyKey(customer, space.number(), key));
    }

    pub(crate) fn provider_id(&self, value: &str) {
        self.note(Topic::ProviderId(value));
    }

    pub(crate) fn manual_of(&self, customer: CustomerId) {
        self.0.borrow_mut().scanned.extend(Topic::ManualOf(customer).hashed());
    }

    pub(crate) fn event_row(&self, id: EventId) {
        self.note(Topic::EventRow(id));
    }

    pub(crate) fn event_key(&self, config: ConfigId, event_id: &str) {
        self.note(Topic::EventKey(config, event_id));
    }

    pub(crate) fn no_event_waits(&self) {
        self.0.borrow_mut().no_event_waits = true;
    }

    pub(crate) fn anything(&self) {
        self.0.borrow_mut().anything = true;
    }
}
