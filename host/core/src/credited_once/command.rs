//! What is asked before a command makes money postable: whether another transaction has it, or may have it.

use std::collections::BTreeSet;

use super::links::{
    already, compared_until, credited_for, entered_at, entered_beside, entered_since, entered_with, has_unsettled,
    is_further, is_settled_outside, links_beside, posted_minor, reused_of, reused_payments, went_back,
};
use crate::aggregate::Aggregate;
use crate::draft::Draft;
use crate::facts::{Facts, PersonFact, ProviderFact, ReviewHold};
use crate::ids::{ConfigId, Seq, TransactionId};
use crate::refusal::Refusal;
use crate::standing::{self, Nature, Posted};
use crate::status::TransactionType;
use crate::transaction::Transaction;

/// Refuses to make money postable that is, or may be, credited as another transaction. To be asked by every command that makes
/// money postable, under the lock of the decision. `account`: the configs of the order's merchant account. `credit_minor`: what a
/// person would credit, in minor units of the order's currency.
///
/// # Errors
/// 409 naming the other transaction and the way on.
pub fn check_once(
    draft: &Draft<'_>,
    known: &Aggregate,
    account: &[ConfigId],
    credit_minor: Option<i64>,
) -> Result<(), Refusal> {
    match known.transaction.nature() {
        Nature::ManualDeposit => check_entered(draft, known),
        Nature::ProviderDeposit => {
            let credit = Credit::of(known, credit_minor);
            check_beside_orders(draft, known, account, &credit)?;
            check_beside_entered(draft, known, &credit)
        }
        Nature::ManualWithdrawal => Ok(()),
    }
}

/// Refuses a manual deposit whose money came through a provider since it was entered, whether it is there or went back: a deposit
/// of the brand that carries the payment's id, or that names it.
fn check_entered(draft: &Draft<'_>, known: &Aggregate) -> Result<(), Refusal> {
    let row = &known.transaction;
    let is_other = |other: &Aggregate| {
        other.transaction.id != row.id
            && other.transaction.kind == TransactionType::Deposit
            && !is_settled_outside(other)
    };
    let payment = &*row.provider_payment_id;
    let has_payment = |other: &Aggregate| is_other(other) && has_money_of(other, payment);
    let carried = draft.by_carried_payment(&row.brand, payment, has_payment);
    let names = |facts: &Facts| entered_beside(facts).chain(reused_of(facts)).any(|deposit| deposit == row.id);
    // Who entered it knew of what came before.
    let since = entered_at(row).unwrap_or_default();
    let beside = || {
        let naming = draft.books().provider_deposits_where(row.customer_id, |_, facts| names(facts));
        naming
            .into_iter()
            .find(|other| is_other(other) && !is_further(other, payment) && has_moved(other, row.id, since))
            .map(|other| other.transaction.id)
    };
    let Some(other) = carried.or_else(beside) else { return Ok(()) };
    Err(already(&match draft.aggregate(other) {
        Some(other) if !other.credits() || is_further(&other, payment) => {
            let id = other.transaction.id;
            format!("its money went back at the provider, as transaction {id} shows: reject it")
        }
        Some(_) | None => format!("its money is credited, or to be, as transaction {other}: reject it"),
    }))
}

/// Whether a transaction that carries this id of a payment is credited for it, or it went back. Of a further payment nothing is
/// credited, and what went back of the others is theirs.
fn has_money_of(other: &Aggregate, payment: &str) -> bool {
    let facts = &other.transaction.facts;
    if is_further(other, payment) {
        return facts.may_reverse(payment);
    }
    let reversed = facts.any(|fact| fact.is_reversal() && fact.reversed_payment() == payment);
    other.credits() || went_back(other) || reversed
}

/// Whether an order that names a manual deposit was credited for the same payment after this commit, or that went back since. Of
/// an order beside which it was entered every payment may be the same, of one whose review names it the one that is reviewed.
fn has_moved(order: &Aggregate, entered: TransactionId, since: Seq) -> bool {
    let facts = &order.transaction.facts;
    let is_beside = entered_beside(facts).any(|deposit| deposit == entered);
    let named: Vec<&str> = reused_payments(facts).filter(|(_, owner)| *owner == entered).map(|(id, _)| id).collect();
    let is_meant = |id: &str| is_beside || id.is_empty() || named.iter().any(|named| named.is_empty() || *named == id);
    let paid_for = credited_for(order);
    let is_covered = paid_for.is_empty() || paid_for.into_iter().any(is_meant);
    // What comes back and waits for a person is not credited yet.
    let waits = facts.open_holds().any(ReviewHold::stops_return);
    let is_credited = if waits { has_unsettled(order) } else { order.credits() };
    (is_covered && is_credited && is_credited_since(&order.transaction, since))
        || ((went_back(order) || !is_covered) && went_back_since(facts, since, is_meant))
}

/// Money of an order came, came back or was credited by a person after this commit. A review that was ended with no more than was
/// owed before credited nothing.
fn is_credited_since(order: &Transaction, at: Seq) -> bool {
    let (facts, owed) = (&order.facts, owed_at(order, at));
    // What came before the end of a review is in the amount that it was ended with.
    let came_after = at.max(facts.newest_resolution().map(|(seq, _)| seq).unwrap_or_default());
    let comes = |fact: &ProviderFact| {
        fact.is_confirmation()
            || matches!(fact, ProviderFact::RefundFailed { .. } | ProviderFact::ChargebackReversed { .. })
    };
    let credits = |fact: &PersonFact| match fact {
        PersonFact::Resolved { minor } => *minor > owed,
        fact => matches!(fact, PersonFact::RefundRefused { .. }),
    };
    facts.provider.iter().any(|known| known.seq > came_after && comes(&known.fact))
        || facts.persons.iter().any(|known| known.seq > at && credits(&known.fact))
}

/// Money of a payment that is meant went back, or was to, after this commit.
fn went_back_since(facts: &Facts, at: Seq, is_meant: impl Fn(&str) -> bool) -> bool {
    let requested =
        |fact: &PersonFact| matches!(fact, PersonFact::RefundRequested { payment, .. } if is_meant(payment));
    let reversed = |fact: &ProviderFact| fact.is_reversal() && is_meant(fact.reversed_payment());
    facts.provider.iter().any(|known| known.seq > at && reversed(&known.fact))
        || facts.persons.iter().any(|known| known.seq > at && requested(&known.fact))
}

/// The payments that so much of an order is credited for. What went back of its own pays for nothing.
fn paid_for(order: &Transaction, minor: i64) -> BTreeSet<&str> {
    order.facts.paid_for(minor.saturating_add(standing::taken_minor(order.amount, &order.facts)))
}

/// What was owed of an order when this commit was made, in its own currency, all of it posted: beside one of which more is owed than posted nothing is
/// entered, but where a status was written.
fn owed_at(order: &Transaction, at: Seq) -> i64 {
    let then = order.facts.until(at);
    let standing = standing::derive(order.nature(), order.ordered(), &then, Posted::default());
    if then.is_held() { 0 } else { standing.owed_ordered_minor }
}

/// What a command makes owed of an order.
struct Credit<'a> {
    /// Of the order's currency.
    minor: i64,
    /// Which payments it is for.
    paid_for: BTreeSet<&'a str>,
    /// Other payments of the order are stated: which of its further ids are of these, nobody knows.
    is_of_some: bool,
    /// More may be posted than is.
    posts: bool,
}

impl<'a> Credit<'a> {
    fn of(known: &'a Aggregate, credit_minor: Option<i64>) -> Self {
        let facts = &known.transaction.facts;
        let minor = credit_minor.unwrap_or_else(|| known.standing().owed_ordered_minor);
        let credited = known.transaction.ordered().to_account(minor);
        let paid_for = paid_for(&known.transaction, minor);
        let is_of_some = facts.paid().any(|payment| !paid_for.contains(payment));
        Self { minor, paid_for, is_of_some, posts: has_unsettled(known) || credited > posted_minor(known) }
    }
}

/// Refuses to credit an order whose payment is credited as another order that no review of this one named, or that is to be.
fn check_beside_orders(
    draft: &Draft<'_>,
    known: &Aggregate,
    account: &[ConfigId],
    credit: &Credit<'_>,
) -> Result<(), Refusal> {
    let row = &known.transaction;
    let named: Vec<TransactionId> = reused_of(&row.facts).collect();
    let is_other = |other: &Aggregate| {
        let id = other.transaction.id;
        id != row.id && other.credits() && (other.owes() || !named.contains(&id))
    };
    for payment in &credit.paid_for {
        if let Some(other) = draft.other_with_payment(account, payment, is_other) {
            let way = "close this one with MngResolveCashierDoubt and action refuse, or close that one first";
            return Err(already(&format!("payment {payment} is credited, or to be, as transaction {other}: {way}")));
        }
    }
    Ok(())
}

/// Refuses to credit an order whose payment a person entered by hand, or may have entered.
fn check_beside_entered(draft: &Draft<'_>, known: &Aggregate, credit: &Credit<'_>) -> Result<(), Refusal> {
    let row = &known.transaction;
    let named: BTreeSet<TransactionId> = reused_of(&row.facts).collect();
    let refs = row.refs.iter().map(|id| &*id.value).filter(|_| !credit.is_of_some);
    let ids: BTreeSet<&str> = refs.chain(credit.paid_for.iter().copied()).collect();
    let mut owners: BTreeSet<TransactionId> = ids.iter().filter_map(|id| entered_with(draft, row, id)).collect();
    // What is posted stays posted whatever was entered since: only more of it may be the same money.
    if credit.posts {
        // What was owed when it was entered, and posted, is other money, also where it has to be posted again.
        let beside = links_beside(&row.facts).filter(|(at, _)| owed_at(row, *at) < credit.minor);
        owners.extend(named.iter().copied().chain(beside.map(|(_, deposit)| deposit)));
        let before = if credit.is_of_some { Seq(0) } else { compared_until(&row.facts) };
        owners.extend(entered_since(draft, row, [credit.minor].into_iter(), before));
    }
    for owner in owners.into_iter().filter_map(|id| draft.aggregate(id)) {
        check_beside_entry(row, &owner, &ids, &named)?;
    }
    Ok(())
}

fn check_beside_entry(
    row: &Transaction,
    owner: &Aggregate,
    ids: &BTreeSet<&str>,
    named: &BTreeSet<TransactionId>,
) -> Result<(), Refusal> {
    let (entered, number) = (&owner.transaction, owner.transaction.id);
    if entered.nature() != Nature::ManualDeposit || entered.is_rejected_manual() {
        return Ok(());
    }
    let id = &*entered.provider_payment_id;
    if !id.is_empty() && ids.contains(id) {
        let way = "close this one with MngResolveCashierDoubt and action refuse, or reject that one while it waits";
        return Err(already(&format!("manual transaction {number} carries its payment: {way}")));
    }
    // One that carries a further payment of the order is that one's money.
    let is_further = !id.is_empty() && row.facts.paid().any(|payment| payment == id);
    let is_settled = !has_unsettled(owner) && !owner.owes();
    if !is_further && (!entered.approved_time.is_set() || !is_settled) {
        return Err(already(&format!("manual transaction {number} may be the same money: decide it first")));
    }
    if !is_further && !named.contains(&number) {
        return Err(already(&format!(
            "manual transaction {number} was entered beside it and is credited: close this one with \
             MngResolveCashierDoubt and action refuse, or enter this payment by hand if it is other money"
        )));
    }
    Ok(())
}
