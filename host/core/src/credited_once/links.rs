//! What links an order and a manual deposit that may be the same money, and in which states an order counts as money of its own.
//! It refuses nothing.

use std::collections::BTreeSet;

use crate::aggregate::Aggregate;
use crate::draft::Draft;
use crate::facts::{Facts, PersonFact, ProviderFact, ReviewHold};
use crate::ids::{Seq, TransactionId};
use crate::money::Money;
use crate::operation::{self, BalanceOperation};
use crate::refusal::{Refusal, RefusalCode};
use crate::standing::{self, Nature};
use crate::status::TransactionStatus;
use crate::transaction::Transaction;

/// The manual deposits that were entered beside an order.
pub(super) fn entered_beside(facts: &Facts) -> impl Iterator<Item = TransactionId> {
    links_beside(facts).map(|(_, deposit)| deposit)
}

/// The same, each with the commit in which it was entered.
pub(super) fn links_beside(facts: &Facts) -> impl Iterator<Item = (Seq, TransactionId)> {
    facts.persons.iter().filter_map(|known| match &known.fact {
        PersonFact::EnteredBeside { deposit } => Some((known.seq, *deposit)),
        _ => None,
    })
}

/// Those of them that are not rejected.
pub(super) fn standing_beside(draft: &Draft<'_>, facts: &Facts) -> impl Iterator<Item = TransactionId> {
    let stands = |id: &TransactionId| draft.aggregate(*id).is_some_and(|known| !known.transaction.is_rejected_manual());
    entered_beside(facts).filter(stands)
}

/// The payments under review that are credited as another transaction, or may be, with that one.
pub(super) fn reused_payments(facts: &Facts) -> impl Iterator<Item = (&str, TransactionId)> {
    facts.provider.iter().filter_map(|known| match &known.fact {
        ProviderFact::ReviewHold(hold) => hold.named_owner(),
        _ => None,
    })
}

impl ReviewHold {
    /// The transaction that this names as the one which may be the same money, with the payment; an empty one may be any.
    pub(super) fn named_owner(&self) -> Option<(&str, TransactionId)> {
        let (payment, owner) = match self {
            Self::PaymentReused { payment, owner } => (&**payment, owner),
            Self::ReturnBeside { deposit } | Self::Beside { deposit } => ("", deposit),
            _ => return None,
        };
        owner.parse().ok().map(|owner| (payment, TransactionId(owner)))
    }
}

/// The transactions that these reviews name.
pub(super) fn reused_of(facts: &Facts) -> impl Iterator<Item = TransactionId> {
    reused_payments(facts).map(|(_, owner)| owner)
}

/// The manual deposit of the order's brand that was entered with this id of a payment and not rejected.
pub(super) fn entered_with(draft: &Draft<'_>, order: &Transaction, id: &str) -> Option<TransactionId> {
    draft.by_carried_payment(&order.brand, id, |known| known.transaction.nature() == Nature::ManualDeposit)
}

/// The manual deposits like this order that were entered later than it and before a commit, or since a person refused the order,
/// the newest first. What reconcile recovered is another payment, which nobody entered. `more`: amounts beside those that its
/// facts state, of its currency.
pub(super) fn entered_since(
    draft: &Draft<'_>,
    order: &Transaction,
    more: impl Iterator<Item = i64>,
    before: Seq,
) -> Vec<TransactionId> {
    let is_refused = order.facts.persons.iter().any(|known| known.fact == PersonFact::Resolved { minor: 0 });
    if before == Seq(0) && !is_refused {
        return Vec::new();
    }
    let amounts: BTreeSet<i64> = more.chain(order.facts.other_amounts()).chain([order.amount.minor]).collect();
    let ordered = order.ordered();
    let is_worth = |amount: Money| amounts.iter().any(|minor| ordered.is_worth(*minor, amount));
    let is_in_time =
        |row: &Transaction| entered_at(row).is_some_and(|at| at < before || was_refused_at(&order.facts, at));
    let stands = |row: &Transaction| is_in_time(row) && row.brand == order.brand && !row.is_rejected_manual();
    let since = draft.manual_deposits_since(order, is_worth).into_iter();
    since.filter(stands).map(|row| row.id).collect()
}

/// Before which commit a manual deposit was entered that is compared with what is stated of the order: what came later is linked by
/// the order's own record, or was entered while its money was credited, and is other money. Of what nothing is stated and a
/// person credited, that person stated it.
pub(super) fn compared_until(facts: &Facts) -> Seq {
    let stated = facts.unconfirmed_since();
    if facts.any(ProviderFact::is_confirmation) {
        return stated;
    }
    facts.credited_by_person().map_or(Seq(u64::MAX), |credited| credited.max(stated))
}

/// When a person entered it; `None` of what no person did.
pub(super) fn entered_at(row: &Transaction) -> Option<Seq> {
    let facts = row.facts.persons.iter();
    facts.filter(|known| matches!(known.fact, PersonFact::Entered { .. })).map(|known| known.seq).min()
}

/// Whether an order carries this payment, and is credited for its confirmed ones alone, which cover its credit without this one.
pub(super) fn is_further(order: &Aggregate, payment: &str) -> bool {
    order.transaction.facts.paid().any(|id| id == payment) && !credited_for(order).contains(payment)
}

/// The payments that an order is credited for, or was before they went back, also where that is not debited yet.
pub(super) fn credited_for(order: &Aggregate) -> BTreeSet<&str> {
    let row = &order.transaction;
    let standing = order.standing();
    let owed_before = standing.owed_ordered_minor.saturating_add(standing::taken_minor(row.amount, &row.facts));
    row.facts.paid_for(owed_before.max(row.ordered().from_account(posted_minor(order))))
}

/// The newest end of a review before this commit credited nothing.
fn was_refused_at(facts: &Facts, at: Seq) -> bool {
    let ends = facts.persons.iter().filter_map(|known| match known.fact {
        PersonFact::Resolved { minor } => Some((known.seq, minor)),
        _ => None,
    });
    ends.filter(|(seq, _)| *seq < at).max_by_key(|(seq, _)| *seq).is_some_and(|(_, minor)| minor == 0)
}

/// A posting of it is not settled.
pub(super) fn has_unsettled(known: &Aggregate) -> bool {
    known.operations.iter().any(BalanceOperation::is_unsettled)
}

pub(super) fn posted_minor(known: &Aggregate) -> i64 {
    operation::posted(&known.transaction, &known.operations).minor
}

/// A person wrote that it is credited, nothing is posted and nothing may still be: the manual deposit may be what settles it, and
/// it counts as no money of its own.
pub(super) fn is_settled_outside(known: &Aggregate) -> bool {
    known.transaction.facts.is_held()
        && known.transaction.status == TransactionStatus::Credited
        && posted_minor(known) == 0
        && !has_unsettled(known)
}

/// A person ended its review with nothing, and nothing of it is owed or under review.
pub(super) fn is_refused_by_person(known: &Aggregate) -> bool {
    let row = &known.transaction;
    row.nature() == Nature::ProviderDeposit
        && row.status == TransactionStatus::Cancelled
        && was_refused_at(&row.facts, Seq(u64::MAX))
        && row.facts.open_holds().next().is_none()
        && known.standing().owed_minor == 0
}

/// The same, and nothing was credited or went back: its payment may be entered by hand, as in another currency.
pub(super) fn is_closed_by_person(known: &Aggregate) -> bool {
    is_refused_by_person(known) && !has_unsettled(known) && !known.credits() && !went_back(known)
}

/// Money of an order went back at its provider, is to go back, or is disputed.
pub(super) fn went_back(known: &Aggregate) -> bool {
    let row = &known.transaction;
    row.nature() == Nature::ProviderDeposit && standing::taken_minor(row.amount, &row.facts) > 0
}

pub(super) fn already(how: &str) -> Refusal {
    Refusal::new(RefusalCode::Duplicate, how)
}
