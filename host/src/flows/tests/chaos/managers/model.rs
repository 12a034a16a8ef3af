//! What must hold of a history, by the payments at the provider, the facts that were recorded and the postings of the trading
//! server alone: nothing here asks the core what is owed.

use std::collections::BTreeSet;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Books;
use cashier_core::duty::{self, WaitsFor, WorkItem, WorkKind};
use cashier_core::facts::{PersonFact, ProviderFact, ReviewHold};
use cashier_core::ids::{Reference, Seq, TransactionId};
use cashier_core::operation::OperationKey;
use cashier_core::status::{OperationStatus, Source, TransactionStatus, TransactionType};

use super::History;
use crate::test_cashier::{AMOUNT, lock};

/// A status that a person wrote and did not release.
pub(super) fn held(known: &Aggregate) -> Option<TransactionStatus> {
    known.transaction.facts.persons.iter().fold(None, |held, known| match known.fact {
        PersonFact::Held(status) => Some(status),
        PersonFact::Released => None,
        _ => held,
    })
}

/// The latest amount that a person made owed.
pub(super) fn resolved(known: &Aggregate) -> Option<(Seq, i64)> {
    let resolved = known.transaction.facts.persons.iter().filter_map(|known| match known.fact {
        PersonFact::Resolved { minor } => Some((known.seq, minor)),
        _ => None,
    });
    resolved.max_by_key(|(seq, _)| *seq)
}

/// A manual deposit that was entered and is not rejected after any approval.
fn stands(known: &Aggregate) -> bool {
    let row = &known.transaction;
    let newest = row.facts.persons.iter().rfind(|known| {
        matches!(known.fact, PersonFact::Approved | PersonFact::Rejected | PersonFact::CancelledByCustomer)
    });
    row.source == Source::Manual
        && row.kind == TransactionType::Deposit
        && newest.is_none_or(|newest| newest.fact == PersonFact::Approved)
}

fn recorded(known: &Aggregate) -> i64 {
    let posted = known.operations.iter().filter(|operation| operation.status == OperationStatus::Posted);
    posted.map(|operation| operation.amount.minor).sum()
}

/// Money went back, or may have, after this commit.
fn went_back_since(known: &Aggregate, seq: Seq) -> bool {
    let facts = &known.transaction.facts;
    let stated = |fact: &ProviderFact| {
        matches!(
            fact,
            ProviderFact::Refund { .. } | ProviderFact::RefundedTotal { .. } | ProviderFact::Chargeback { .. }
        )
    };
    facts.provider.iter().any(|known| known.seq > seq && stated(&known.fact))
        || facts.persons.iter().any(|known| known.seq > seq && matches!(known.fact, PersonFact::RefundRequested { .. }))
}

impl History {
    /// Aborts with what happened.
    #[track_caller]
    pub(super) fn fail(&self, what: &str) -> ! {
        let steps = self.steps.join("\n  ");
        panic!("seed {}: {what}\n  {steps}", self.seed);
    }

    fn orders(&self) -> BTreeSet<Reference> {
        self.run.env.provider.references().into_iter().collect()
    }

    /// What the customer paid for an order and did not get back.
    pub(super) fn truth(&self, reference: &Reference) -> i64 {
        let payments = lock(&self.run.env.provider.payments);
        let held = payments.as_ref().and_then(|payments| payments.held.get(reference));
        held.map_or(0, |held| held.left(AMOUNT))
    }

    /// What the trading server posted of a transaction.
    fn posted(&self, known: &Aggregate) -> i64 {
        let own = |key: &OperationKey| key.parts().is_some_and(|(of, _)| of == known.transaction.reference);
        self.run.env.trading.postings().iter().filter(|(key, ..)| own(key)).map(|(.., minor)| minor).sum()
    }

    pub(super) fn work(&self, known: &Aggregate) -> Vec<WorkItem> {
        duty::of_transaction(known, self.run.env.cashier.clock.now())
    }

    /// The manual deposits that stand and carry an id of the order's payment.
    pub(super) fn entries_of<'k>(&self, all: &'k [Aggregate], order: &Aggregate) -> Vec<&'k Aggregate> {
        let reference = &order.transaction.reference;
        let mut ids = vec![format!("pay_{reference}"), format!("pi-{reference}")];
        ids.extend(order.transaction.refs.iter().map(|id| id.value.to_string()));
        let carries = |known: &&Aggregate| ids.iter().any(|id| **id == *known.transaction.provider_payment_id);
        all.iter().filter(|known| stands(known)).filter(carries).collect()
    }

    /// What holds at any moment.
    pub(super) fn check_step(&self) {
        let read = |books: &Books| {
            let all: Vec<Aggregate> = books.aggregates().collect();
            let listed: BTreeSet<TransactionId> =
                books.work_after(TransactionId(0), all.len() + 1).into_iter().collect();
            (all, listed)
        };
        // While the disk fails, the books are read again.
        let Ok((all, listed)) = self.run.env.cashier.ledger.peek(read) else { return };
        for known in &all {
            let (id, row) = (known.transaction.id, &known.transaction);
            let items = self.work(known);
            if listed.contains(&id) == items.is_empty() {
                self.fail(&format!("{id} has {items:?}, and the index says otherwise: {known:?}"));
            }
            let (posted, owed) = (recorded(known), known.standing().owed_minor);
            // A written 3 states that what was paid is settled outside; it says nothing of what had gone back and is owed again.
            let settled_outside = posted < owed
                && row.status == TransactionStatus::Credited
                && held(known) == Some(TransactionStatus::Credited);
            if posted != owed && items.is_empty() && !settled_outside {
                self.fail(&format!("{id}: posted {posted}, owed {owed}, and not listed: {known:?}"));
            }
            let waits = |item: &WorkItem| [WaitsFor::Person, WaitsFor::TradingServer].contains(&item.kind.waits_for());
            if row.status == TransactionStatus::ManualReview && !items.iter().any(waits) {
                self.fail(&format!("{id} is under review and nobody is asked: {items:?} {known:?}"));
            }
            let is_reviewed = held(known).is_none() && row.facts.open_holds().next().is_some();
            if is_reviewed && !items.iter().any(|item| item.kind == WorkKind::Review) {
                self.fail(&format!("{id} has an open review that is not listed: {items:?} {known:?}"));
            }
            let bounds = match (row.kind, row.source) {
                (TransactionType::Deposit, _) => 0..=row.amount.minor,
                (TransactionType::Withdrawal, _) => -row.amount.minor..=0,
            };
            let made = self.posted(known);
            if !bounds.contains(&made) {
                self.fail(&format!("{id} has {made} at the trading server: {known:?}"));
            }
        }
        self.check_once(&all);
    }

    /// One payment is credited once: to its order, or to one manual deposit that carries its id.
    fn check_once(&self, all: &[Aggregate]) {
        for reference in self.orders() {
            let Some(order) = all.iter().find(|known| known.transaction.reference == reference) else { continue };
            let payment = format!("pay_{reference}");
            let by_payment = |known: &&Aggregate| *known.transaction.provider_payment_id == *payment;
            // An order that a person credited before any statement named its payment is reviewed once one does.
            let names = |fact: &ProviderFact| match fact {
                ProviderFact::Confirmed { payment: own, .. } => **own == *payment,
                ProviderFact::ReviewHold(hold) => *hold.payment() == *payment,
                _ => false,
            };
            let naming = order.transaction.facts.provider.iter().filter(|known| names(&known.fact));
            let named = naming.map(|known| known.seq).min();
            let credits = |fact: &PersonFact| matches!(fact, PersonFact::Resolved { minor: 1.. });
            let credited_before = |named: Seq| {
                order.transaction.facts.persons.iter().any(|known| known.seq < named && credits(&known.fact))
            };
            let order_of = Some(order).filter(|_| named.is_some_and(|named| !credited_before(named)));
            let own = order_of.into_iter().chain(all.iter().filter(by_payment));
            let credited: Vec<_> = own.filter(|known| self.posted(known) > 0).collect();
            if credited.len() > 1 {
                self.fail(&format!("payment {payment} is credited twice: {credited:?}"));
            }
            // By another id of the payment: twice only until the id shows that it is the same, and then it is a review.
            let entries = self.entries_of(all, order);
            let by_other: Vec<_> = entries.into_iter().filter(|known| self.posted(known) > 0).collect();
            let knows = |known: &&Aggregate| {
                let id = &known.transaction.provider_payment_id;
                order.transaction.refs.iter().any(|own| own.value == *id)
            };
            let is_reviewed = |known: &&Aggregate| {
                let owner = known.transaction.id.to_string();
                let names = |fact: &ProviderFact| matches!(fact, ProviderFact::ReviewHold(ReviewHold::PaymentReused { owner: of, .. }) if **of == owner);
                order.transaction.facts.any(names)
            };
            if self.posted(order) > 0
                && let Some(twice) = by_other.iter().find(|known| knows(known) && !is_reviewed(known))
            {
                self.fail(&format!("the payment of {order:?} is credited twice, unseen, as {twice:?}"));
            }
        }
    }

    /// What holds once everything was stated and nothing is under way.
    pub(super) fn check_at_rest(&self) {
        let all = self.run.env.aggregates();
        for known in &all {
            let items = self.work(known);
            let by_person = |item: &WorkItem| item.kind.waits_for() == WaitsFor::Person;
            // What a person must look at may be asked about until then.
            if let Some(item) = items.iter().find(|_| !items.iter().any(by_person)) {
                self.fail(&format!("{:?} is still due, and neither a person nor time ends it: {known:?}", item.kind));
            }
            if known.transaction.source == Source::Provider && items.is_empty() {
                self.check_order(&all, known);
            }
        }
        for reference in self.orders() {
            if !all.iter().any(|known| known.transaction.reference == reference) {
                self.fail(&format!("order {reference} reached the provider and is not durable"));
            }
        }
        let recorded: i64 = all.iter().map(recorded).sum();
        let made: i64 = self.run.env.trading.postings().iter().map(|(.., minor)| minor).sum();
        if recorded != made {
            self.fail(&format!("the trading server posted {made}, recorded is {recorded}"));
        }
    }

    /// An order that nobody need look at: it is credited what is left of its payment, or what a person decided.
    fn check_order(&self, all: &[Aggregate], order: &Aggregate) {
        let (made, truth) = (self.posted(order), self.truth(&order.transaction.reference));
        let is_as_it_should_be = match (self.closed.get(&order.transaction.id), resolved(order), held(order)) {
            (Some(decided), ..) => made == *decided,
            (None, _, Some(TransactionStatus::Credited)) => made <= truth.max(0) || resolved(order).is_some(),
            (None, Some((seq, minor)), _) if went_back_since(order, seq) => made <= minor,
            (None, Some((_, minor)), _) => made == minor,
            // A person wrote the status over a review of the payment: nothing is owed of it until that is released.
            (None, None, Some(_)) if !order.transaction.facts.any(ProviderFact::is_confirmation) => made == 0,
            (None, None, _) => made == truth,
        };
        if !is_as_it_should_be {
            let entries = self.entries_of(all, order);
            self.fail(&format!(
                "posted {made}, left of the payment {truth}, and not listed: {order:?}, beside {entries:?}"
            ));
        }
    }

    /// What holds once persons have worked the list off: nothing waits.
    pub(super) fn check_end(&self) {
        self.check_step();
        self.check_at_rest();
        for known in self.run.env.aggregates() {
            let items = self.work(&known);
            if !items.is_empty() {
                self.fail(&format!("persons did what the list says, and it still has {items:?}: {known:?}"));
            }
        }
    }
}
