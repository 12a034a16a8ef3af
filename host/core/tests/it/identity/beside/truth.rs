//! What became of each payment at the provider, read from the statements that were applied and from nothing that the product
//! derives, and what must hold of the orders by that.

use std::collections::{BTreeMap, BTreeSet};

use cashier_core::duty;
use cashier_core::facts::PersonFact;
use cashier_core::operation::posted;

use super::*;

/// What was stated of one payment, each with the order that it was applied to.
#[derive(Default)]
struct Payment {
    /// As paid, whether that is credited or under review.
    is_stated: bool,
    is_confirmed: bool,
    /// A statement about it came with the reference of its own order.
    is_known: bool,
    /// It was found by its ids alone, as another order's, before any statement named its own.
    is_lost: bool,
    reversals: Vec<(TransactionId, Update)>,
}

fn minor(update: &Update) -> i64 {
    match update.refund.as_ref().map(|refund| &refund.amount) {
        Some(StatedAmount::Exact(money)) => money.minor,
        Some(StatedAmount::Unreadable(_)) | None => 0,
    }
}

/// The id of a refund or a dispute; `None` of a total.
fn id_of(update: &Update) -> Option<&str> {
    let refund = update.refund.as_ref().filter(|refund| refund.reach == Reach::Delta).map(|refund| &*refund.id);
    refund.or(update.dispute.as_ref().map(|dispute| &*dispute.id))
}

impl Payment {
    /// What went back of it, of so much, of what was applied to these orders.
    fn back(&self, amount: i64, is_meant: impl Fn(TransactionId) -> bool) -> i64 {
        let meant = || self.reversals.iter().filter(|(at, _)| is_meant(*at)).map(|(_, update)| update);
        let ended = |update: &Update, how| meant().any(|other| other.status == how && id_of(other) == id_of(update));
        let refunds = meant().filter(|update| update.status == S::Refunded && !ended(update, S::RefundFailed));
        let singles: BTreeMap<_, _> =
            refunds.filter_map(|update| id_of(update).map(|id| (id, minor(update)))).collect();
        let total = meant().filter(|update| id_of(update).is_none()).map(minor).max().unwrap_or_default();
        let disputed = meant().any(|update| update.status == S::Chargeback && !ended(update, S::ChargebackReversed));
        let refunded = singles.into_values().sum::<i64>().max(total);
        (refunded + if disputed { amount } else { 0 }).min(amount)
    }

    /// Whether a refund that failed is part of the total, nobody knows.
    fn is_unclear(&self) -> bool {
        let has = |test: &dyn Fn(&Update) -> bool| self.reversals.iter().any(|(_, update)| test(update));
        has(&|update| id_of(update).is_none()) && has(&|update| update.status == S::RefundFailed)
    }

    fn is_stated_at(&self, id: TransactionId) -> bool {
        self.reversals.iter().any(|(at, _)| *at == id)
    }

    fn read(&mut self, owner: u64, update: &Update, at: &Aggregate) {
        self.is_known |= update.reference == Some(reference(owner));
        self.is_lost |= !self.is_known && !update.is_reversal() && at.transaction.id != TransactionId(owner);
        if update.is_reversal() {
            self.reversals.push((at.transaction.id, update.clone()));
        } else if update.status == S::Confirmed {
            self.is_stated = true;
            self.is_confirmed |= update.amount == Some(StatedAmount::Exact(at.transaction.amount));
        }
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Truth {
    payments: BTreeMap<Box<str>, Payment>,
    read: BTreeSet<EventId>,
    /// What was due to an order when a person last decided about it.
    decided: BTreeMap<u64, i64>,
    /// What an order was credited with when a manual deposit was entered beside it, and no person decided since.
    entered: BTreeMap<(u64, TransactionId), i64>,
}

/// Posted, with what is on its way.
fn level(known: &Aggregate) -> i64 {
    let under_way = known.operations.iter().filter(|known| known.is_unsettled());
    posted(&known.transaction, &known.operations).minor + under_way.map(|known| known.amount.minor).sum::<i64>()
}

fn decisions(known: &Aggregate) -> usize {
    let decides = |fact: &PersonFact| {
        matches!(fact, PersonFact::Resolved { .. } | PersonFact::Retried | PersonFact::Held(_) | PersonFact::Released)
    };
    known.transaction.facts.persons.iter().filter(|known| decides(&known.fact)).count()
}

impl Truth {
    /// What the payments of an order left.
    fn kept(&self, order: &Aggregate) -> i64 {
        let (own, amount) = (format!("pi_{}", order.transaction.id), order.transaction.amount.minor);
        let of_own = self.payments.iter().filter(|(payment, known)| payment.starts_with(&own) && known.is_confirmed);
        of_own.map(|(_, known)| amount - known.back(amount, |_| true)).sum()
    }

    /// The same of its amount, less what went back of payments that nobody stated as paid and that is shown as this order's.
    fn due(&self, order: &Aggregate) -> i64 {
        let (id, amount) = (order.transaction.id, order.transaction.amount.minor);
        let unknown = self.payments.values().filter(|known| !known.is_stated);
        let shown: i64 = unknown.map(|known| known.back(amount, |at| at == id)).sum();
        (self.kept(order).min(amount) - shown).max(0)
    }

    /// Reads what was applied since, between two states of the orders.
    pub(super) fn follow(&mut self, before: &[Aggregate], ledger: &Ledger) -> Result<(), TestCaseError> {
        let after = ledger.all();
        for (known, then) in after.iter().zip(before).take(ORDERS as usize) {
            if decisions(known) > decisions(then) {
                self.decided.insert(known.transaction.id.0, self.due(then));
                self.entered.retain(|(order, _), _| *order != known.transaction.id.0);
            }
        }
        for event in ledger.events() {
            let mismatch = event.failure_reason.starts_with(ReasonCode::ProviderRefMismatch.name());
            let Some(update) = event.update else { continue };
            // Of a payment that a person refused, whose ids lead elsewhere than the reference, nothing is credited anywhere.
            let is_refused = mismatch
                && after.iter().take(ORDERS as usize).any(|known| {
                    let is_end = |fact: &PersonFact| matches!(fact, PersonFact::Resolved { minor: 0 });
                    known.transaction.facts.persons.iter().any(|known| is_end(&known.fact))
                });
            prop_assert!(!mismatch || is_refused, "{} {}", event.event_id, event.failure_reason);
            if event.processing_status == ProcessingStatus::Processed && self.read.insert(event.id) {
                let at = ledger.aggregate(event.transaction_id.0);
                let owner =
                    (1..=ORDERS).find(|id| update.payment_id.starts_with(&format!("pi_{id}"))).unwrap_or_default();
                self.payments.entry(update.payment_id.clone()).or_default().read(owner, &update, &at);
            }
        }
        for known in after.iter().take(ORDERS as usize) {
            for deposit in known.transaction.facts.persons.iter().filter_map(|known| match &known.fact {
                PersonFact::EnteredBeside { deposit } => Some(*deposit),
                _ => None,
            }) {
                if deposit.0 as usize > before.len() {
                    self.entered.insert((known.transaction.id.0, deposit), level(known));
                }
            }
        }
        Ok(())
    }

    /// Nobody can know whose a payment is that nothing but its ids names.
    pub(super) fn is_lost(&self) -> bool {
        self.payments.values().any(|known| known.is_lost)
    }

    pub(super) fn check(&self, all: &[Aggregate]) -> Result<(), TestCaseError> {
        for order in all.iter().take(ORDERS as usize) {
            let (id, facts) = (order.transaction.id.0, &order.transaction.facts);
            let is_requested =
                facts.persons.iter().any(|known| matches!(known.fact, PersonFact::RefundRequested { .. }));
            let of_order = |payment: &str, known: &Payment| {
                payment.starts_with(&format!("pi_{id}")) || known.is_stated_at(order.transaction.id)
            };
            let is_unclear =
                self.payments.iter().any(|(payment, known)| of_order(payment, known) && known.is_unclear());
            let is_listed = !duty::of_transaction(order, NOW).is_empty();
            // It was shown as what a person had entered by hand, and a person decided what this order gets beside that.
            let is_entered = decisions(order) > 0
                && facts.any(|fact| match fact {
                    ProviderFact::ReviewHold(ReviewHold::PaymentReused { payment, owner }) => {
                        payment.starts_with(&format!("pi_{id}"))
                            && owner.parse::<u64>().is_ok_and(|owner| owner > ORDERS)
                    }
                    _ => false,
                });
            if facts.is_held() || is_requested || is_unclear || is_listed || is_entered {
                continue;
            }
            let (due, posted) = (self.due(order), posted(&order.transaction, &order.operations).minor);
            let is_decided = self.decided.get(&id).is_some_and(|decided| *decided >= due);
            prop_assert!(posted >= due || is_decided, "order {} is short: {} of {}: {:?}", id, posted, due, order);
            let kept = self.kept(order);
            let is_kept = posted <= kept || decisions(order) > 0;
            prop_assert!(is_kept, "order {} is credited {} of {}: {:?}", id, posted, kept, order);
        }
        Ok(())
    }

    /// No order is credited more by itself beside what was entered beside it and stands.
    pub(super) fn check_rise(&self, before: &[Aggregate], all: &[Aggregate]) -> Result<(), TestCaseError> {
        for ((id, deposit), at_entry) in &self.entered {
            let (order, then) = (&all[*id as usize - 1], level(&before[*id as usize - 1]));
            if level(&all[deposit.0 as usize - 1]) > 0 {
                let now = level(order);
                prop_assert!(
                    now <= then.max(*at_entry),
                    "an order rises to {now} from {then}, {at_entry} when {deposit} was entered: {order:?}"
                );
            }
        }
        Ok(())
    }
}
