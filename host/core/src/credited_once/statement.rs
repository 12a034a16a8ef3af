//! What a provider's statement about an order becomes beside manual deposits that may be the same money: a review that names them,
//! in place of what would be credited by itself.

use std::collections::BTreeSet;

use super::links::{self, compared_until, entered_since, entered_with, posted_minor, reused_of, standing_beside};
use crate::aggregate::Aggregate;
use crate::draft::Draft;
use crate::facts::{Facts, ProviderFact, ReviewHold};
use crate::ids::{Seq, TransactionId};
use crate::notice::Update;
use crate::transaction::Transaction;

/// So many manual deposits that may be the same money are named by one review. Of one customer, with one amount, later than an
/// order that is still unpaid, there are hardly two.
const NAMED_MAX: usize = 8;

/// Keeps a provider's statement from crediting a payment that a person entered by hand: its confirmation becomes a review hold
/// that names both. One that was credited before its ids showed that it is the same stays credited, and is held all the same; so
/// is an order of whose payment money went back, or comes back. `facts` are what the statement establishes.
pub(crate) fn hold_entered(
    draft: &Draft<'_>,
    transaction: &Transaction,
    update: &Update,
    facts: &mut Vec<ProviderFact>,
) {
    let is_new = |fact: &ProviderFact| !transaction.facts.any(|known| known == fact);
    let mut carried = carried(draft, transaction, ids_of(transaction, update));
    let mut entered = carried.clone();
    entered.extend(standing_beside(draft, &transaction.facts));
    entered.extend(alike(draft, transaction, facts));
    let mut seen = BTreeSet::new();
    entered.retain(|id| seen.insert(*id));
    let comes = |fact: &ProviderFact| is_paid(fact) || is_other(fact) || gives_back(fact);
    if !facts.iter().any(|fact| is_new(fact) && comes(fact)) {
        let is_meant = |id: &TransactionId| !is_of_further(draft, transaction, update, *id);
        carried.retain(is_meant);
        entered.retain(is_meant);
    }
    // What went back of a payment that is not stated as paid here states none.
    let payment = &*update.payment_id;
    let is_stated = !update.is_reversal()
        || facts.iter().any(is_paid)
        || transaction.facts.stated_as_paid().any(|(known, _)| known == payment);
    let hold = |owner: &TransactionId| if is_stated { reused(payment, *owner) } else { beside(*owner) };
    let holds: Vec<ProviderFact> = entered.iter().take(NAMED_MAX).map(hold).collect();
    let Some(first) = holds.first() else { return };
    let mut is_named = false;
    for fact in facts.iter() {
        is_named |= (fact.is_reversal() && (is_new(fact) || !carried.is_empty())) || (is_other(fact) && is_new(fact));
    }
    // Of an order that is credited, what carries this payment, not another of its payments.
    is_named |= (transaction.facts.any(ProviderFact::is_confirmation)
        || transaction.facts.credited_by_person().is_some())
        && own_ids(transaction, update).any(|id| entered_with(draft, transaction, id).is_some());
    // What a person was shown before and decided comes back by itself.
    let waits = || holds.iter().any(|hold| !is_decided(&transaction.facts, hold));
    let returns = waits() && facts.iter().any(|fact| is_new(fact) && gives_back(fact));
    is_named |= returns;
    for fact in facts.iter_mut().filter(|fact| is_new(fact) && is_paid(fact)) {
        *fact = first.clone();
    }
    if is_named && !facts.contains(first) {
        facts.push(first.clone());
    }
    if facts.contains(first) {
        facts.extend(holds.into_iter().skip(1));
    }
    if returns {
        facts.splice(0..0, entered.into_iter().take(NAMED_MAX).map(returned));
    }
}

/// Reviews that name the manual deposits which were entered beside an order and are not rejected: a person who credits the order
/// has seen them.
pub(crate) fn named_beside(draft: &Draft<'_>, order: &Transaction) -> impl Iterator<Item = ProviderFact> {
    standing_beside(draft, &order.facts).take(NAMED_MAX).map(beside)
}

/// What holds back money that these facts make owed again beside manual deposits which no review named before: not by stating a
/// payment, which [`hold_entered`] judges, but because what had gone back turns out to be another payment's, or comes back.
pub(crate) fn return_beside(draft: &Draft<'_>, order: &Aggregate, facts: &[ProviderFact]) -> Vec<ProviderFact> {
    let row = &order.transaction;
    let mut undecided =
        standing_beside(draft, &row.facts).filter(|entry| !is_decided_beside(&row.facts, *entry)).peekable();
    if undecided.peek().is_none() {
        return Vec::new();
    }
    let mut after = order.clone();
    for fact in facts {
        after.transaction.facts.record(draft.seq(), draft.now(), fact.clone());
    }
    if after.standing().owed_minor <= order.standing().owed_minor.max(posted_minor(order)) {
        return Vec::new();
    }
    undecided.take(NAMED_MAX).map(returned).collect()
}

fn beside(entry: TransactionId) -> ProviderFact {
    ProviderFact::ReviewHold(ReviewHold::Beside { deposit: entry.to_string().into() })
}

fn returned(entry: TransactionId) -> ProviderFact {
    ProviderFact::ReviewHold(ReviewHold::ReturnBeside { deposit: entry.to_string().into() })
}

/// A review named the manual deposit, and a person ended it.
fn is_decided_beside(known: &Facts, entry: TransactionId) -> bool {
    let names = |hold: &ReviewHold| hold.named_owner().is_some_and(|(_, owner)| owner == entry);
    reused_of(known).any(|owner| owner == entry) && !known.open_holds().any(names)
}

/// What was entered carries a further payment of the order, by no id of which the statement's own, confirmed one is known: what goes
/// back of that one is none of that money.
fn is_of_further(draft: &Draft<'_>, transaction: &Transaction, update: &Update, entered: TransactionId) -> bool {
    let (Some(order), Some(entered)) = (draft.aggregate(transaction.id), draft.aggregate(entered)) else {
        return false;
    };
    let further = &*entered.transaction.provider_payment_id;
    let is_known_as = update.refs.iter().chain(transaction.refs.iter()).any(|id| *id.value == *further);
    !is_known_as && transaction.facts.confirms(&update.payment_id) && links::is_further(&order, further)
}

/// The review was made, and a person ended it.
fn is_decided(known: &Facts, hold: &ProviderFact) -> bool {
    let is_open = |open: &ReviewHold| matches!(hold, ProviderFact::ReviewHold(hold) if hold == open);
    known.any(|fact| fact == hold) && !known.open_holds().any(is_open)
}

fn reused(payment: &str, owner: TransactionId) -> ProviderFact {
    ProviderFact::ReviewHold(ReviewHold::PaymentReused { payment: payment.into(), owner: owner.to_string().into() })
}

/// It would be credited but for what a person entered.
fn is_paid(fact: &ProviderFact) -> bool {
    fact.is_confirmation() || matches!(fact, ProviderFact::ReviewHold(ReviewHold::AmountUnstated { .. }))
}

/// Another amount, currency or mode was paid: a person credits it, who must see the other transaction.
fn is_other(fact: &ProviderFact) -> bool {
    matches!(fact, ProviderFact::ReviewHold(ReviewHold::Mismatch { .. }))
}

/// What went back comes back.
fn gives_back(fact: &ProviderFact) -> bool {
    matches!(fact, ProviderFact::RefundFailed { .. } | ProviderFact::ChargebackReversed { .. })
}

/// Every id that is known of the order's payments.
fn ids_of<'a>(transaction: &'a Transaction, update: &'a Update) -> impl Iterator<Item = &'a str> {
    let refs = update.refs.iter().chain(transaction.refs.iter()).map(|id| &*id.value);
    std::iter::once(&*update.payment_id).chain(refs).chain(transaction.facts.paid())
}

/// The ids of the payment that the update is about: where the order has others, only those that come with it.
fn own_ids<'a>(transaction: &'a Transaction, update: &'a Update) -> impl Iterator<Item = &'a str> {
    let payment = &*update.payment_id;
    let has_others = !payment.is_empty() && transaction.facts.paid().any(|known| known != payment);
    let stated = std::iter::once(payment).chain(update.refs.iter().map(|id| &*id.value));
    stated.chain(ids_of(transaction, update).filter(move |_| !has_others))
}

fn carried<'a>(draft: &Draft<'_>, transaction: &Transaction, ids: impl Iterator<Item = &'a str>) -> Vec<TransactionId> {
    ids.filter(|id| !id.is_empty()).filter_map(|id| entered_with(draft, transaction, id)).collect()
}

/// The manual deposits like the order that were entered before what is stated was: of a payment that is stated for the first time
/// each may be the money, whatever the order is credited for.
fn alike(draft: &Draft<'_>, transaction: &Transaction, facts: &[ProviderFact]) -> Vec<TransactionId> {
    let known = &transaction.facts;
    let states_paid = |fact: &ProviderFact| is_paid(fact) || is_other(fact);
    let before = if facts.iter().any(|fact| states_paid(fact) && is_further(known, fact.payment())) {
        Seq(u64::MAX)
    } else if known.any(ProviderFact::is_confirmation)
        || !facts.iter().any(|fact| states_paid(fact) || fact.is_reversal())
    {
        return Vec::new();
    } else {
        compared_until(known)
    };
    entered_since(draft, transaction, facts.iter().filter_map(ProviderFact::other_amount), before)
}

/// Whether others were stated before, and this one was not. One without an id may be any.
fn is_further(known: &Facts, payment: &str) -> bool {
    let mut stated = known.stated_as_paid().map(|(known, _)| known).peekable();
    stated.peek().is_some() && !payment.is_empty() && stated.all(|known| !known.is_empty() && known != payment)
}
