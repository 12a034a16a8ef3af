//! Which commits rest on which. A commit that the database refuses takes with it every later commit that changes a row of
//! it, or looked for something that it wrote or looked for itself: those were decided on rows that never existed. What a
//! commit wrote is derived from its rows, what it looked for was noted by its draft.

use std::collections::BTreeSet;

use crate::change::{Body, Change, Commit};
use crate::ids::{ConfigId, EventId, Seq, TransactionId};
use crate::lookups::{Lookups, Topic};
use crate::notice::{ProviderEvent, Update};
use crate::status::Source;
use crate::transaction::Transaction;

/// Commits that are refused, in the order of their numbers.
#[derive(Debug, Default)]
pub struct Refusals {
    seqs: Vec<Seq>,
    topics: BTreeSet<u64>,
    /// An event that waited before may wait again.
    event_waits: bool,
    transactions: BTreeSet<TransactionId>,
    events: BTreeSet<(EventId, ConfigId, Box<str>)>,
}

impl Refusals {
    pub fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }

    pub fn seqs(&self) -> &[Seq] {
        &self.seqs
    }

    /// The transactions that they changed, or whose operations.
    pub fn transactions(&self) -> &BTreeSet<TransactionId> {
        &self.transactions
    }

    /// The verified events that they changed: row and deduplication key.
    pub fn events(&self) -> &BTreeSet<(EventId, ConfigId, Box<str>)> {
        &self.events
    }

    /// Refuses a commit; each is later than those before it.
    pub fn add(&mut self, commit: &Commit) {
        self.seqs.push(commit.seq);
        rows_of(commit, &mut |topic| self.topics.extend(topic.hashed()));
        found_by(commit, &mut |topic| self.topics.extend(topic.hashed()));
        // An id that a row lost is one that the decision looked up.
        self.topics.extend(&commit.lookups.topics);
        for change in &commit.changes {
            match change {
                Change::Transaction(row) => {
                    self.transactions.insert(row.id);
                }
                Change::Operation(row) => {
                    self.transactions.insert(row.transaction_id);
                }
                Change::Event(row) => {
                    self.events.insert((row.id, row.config_id, row.event_id.clone()));
                    self.event_waits |= !is_new(row, commit);
                }
                Change::Config(_) | Change::ConfigDeleted(_) | Change::Override(_) | Change::Approval(_) => {}
            }
        }
    }

    /// Whether a later commit rests on a refused one.
    pub fn reaches(&self, commit: &Commit) -> bool {
        if self.is_empty() {
            return false;
        }
        let Lookups { topics, scanned, no_event_waits, anything } = &commit.lookups;
        let mut same_row = false;
        rows_of(commit, &mut |topic| same_row |= topic.hashed().is_some_and(|topic| self.topics.contains(&topic)));
        *anything
            || same_row
            || (*no_event_waits && self.event_waits)
            || topics.iter().chain(scanned).any(|topic| self.topics.contains(topic))
    }
}

/// A new event comes with its notice.
fn is_new(event: &ProviderEvent, commit: &Commit) -> bool {
    commit.bodies.iter().filter_map(Body::notice).any(|(id, _)| id == event.notice_id)
}

/// The rows that a commit writes.
fn rows_of(commit: &Commit, see: &mut impl FnMut(Topic<'_>)) {
    for change in &commit.changes {
        match change {
            Change::Transaction(row) => see(Topic::Transaction(row.id)),
            Change::Operation(row) => see(Topic::Transaction(row.transaction_id)),
            Change::Event(row) => {
                see(Topic::EventRow(row.id));
                see(Topic::Other('n', row.notice_id.0));
            }
            Change::Config(row) => see(Topic::Other('c', row.id.0)),
            Change::ConfigDeleted(id) => see(Topic::Other('c', id.0)),
            Change::Override(row) => see(Topic::Other('v', row.id.0)),
            Change::Approval(row) => see(Topic::Other('p', row.id.0)),
        }
    }
    for body in &commit.bodies {
        match body {
            Body::Notice { id, .. } => see(Topic::Other('n', id.0)),
            Body::Answer { transaction_id, .. }
            | Body::Order { transaction_id, .. }
            | Body::Texts { transaction_id, .. } => {
                see(Topic::Transaction(*transaction_id));
            }
            // No row rests on it.
            Body::Calls { .. } | Body::Audit(_) => {}
        }
    }
}

/// What the rows of a commit are found by.
fn found_by(commit: &Commit, see: &mut impl FnMut(Topic<'_>)) {
    for change in &commit.changes {
        match change {
            Change::Transaction(row) => ids_of(row, see),
            Change::Event(row) => {
                see(Topic::EventKey(row.config_id, &row.event_id));
                row.update.iter().flat_map(Update::ids).for_each(|id| see(Topic::ProviderId(&id.value)));
            }
            Change::Operation(_)
            | Change::Config(_)
            | Change::ConfigDeleted(_)
            | Change::Override(_)
            | Change::Approval(_) => {}
        }
    }
}

fn ids_of(row: &Transaction, see: &mut impl FnMut(Topic<'_>)) {
    see(Topic::Reference(row.reference.as_str()));
    see(Topic::IdempotencyKey(row.customer_id, row.key_space.number(), &row.idempotency_key));
    see(Topic::ProviderId(&row.provider_payment_id));
    row.refs.iter().for_each(|id| see(Topic::ProviderId(&id.value)));
    row.facts.payments().for_each(|payment| see(Topic::ProviderId(payment)));
    if row.source == Source::Manual {
        see(Topic::ManualOf(row.customer_id));
    }
}
