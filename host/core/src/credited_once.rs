//! One payment is credited once, whether its provider states it for an order or a person enters it by hand. This is the one
//! place that judges which transactions may be the same money (docs/api/manager-transactions.md, case 141): it is asked before
//! money is entered, before a command makes money postable, and when a provider's statement is applied. It changes no row.

use std::collections::BTreeSet;

use crate::account::AccountFacts;
use crate::aggregate::Aggregate;
use crate::draft::Draft;
use crate::duty;
use crate::facts::{Facts, PersonFact, ProviderFact, ReviewHold};
use crate::ids::{ConfigId, TransactionId};
use crate::manual::ManualRequest;
use crate::notice::Update;
use crate::operation::BalanceOperation;
use crate::refusal::{Refusal, RefusalCode};
use crate::standing::{self, Nature};
use crate::status::{Source, TransactionStatus, TransactionType};
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// Refuses an entry that may be the same money as a transaction that is there, and returns the open deposits beside which it is
/// entered all the same. To be asked before [`open`](crate::manual::open), under the same lock.
///
/// # Errors
/// 409: a transaction of the brand carries the payment's id; a deposit of the customer over the same amount is expected to be
/// paid, or, forced or not, is owed, or was decided about too often to remember one more beside it.
pub fn check_entry(
    draft: &mut Draft<'_>,
    request: &ManualRequest,
    account: &AccountFacts,
) -> Result<Vec<TransactionId>, Refusal> {
    let (brand, payment) = (&account.customer.brand, &request.provider_payment_id);
    if let Some(known) = draft.by_carried_payment(brand, payment, |known| !is_closed_by_person(known)) {
        return Err(already(&format!("provider_payment_id is known: it is of transaction {known}")));
    }
    if request.kind != TransactionType::Deposit {
        return Ok(Vec::new());
    }
    let like = draft.deposits_like(Source::Provider, account.customer.customer_id, request.amount, |_| true);
    let own = like.into_iter().filter(|known| known.transaction.brand == *brand);
    let may_be_paid = |known: &Aggregate| known.owes() || is_expected(known, draft.now());
    let open: Vec<Aggregate> = own.filter(|known| may_be_paid(known) && !is_closed_by_person(known)).collect();
    let refused = |message| Err(Refusal::new(RefusalCode::OpenDepositExists, message));
    if let Some(known) = open.iter().find(|known| !is_settled_outside(known) && (known.credits() || went_back(known))) {
        let how = match known.transaction.facts.is_held() {
            true if known.owes() => {
                "is paid and not credited yet: MngUpdateCashierTransaction releases its written status"
            }
            _ if known.operations.iter().any(BalanceOperation::is_unsettled) => "is paid: its posting has not ended",
            _ if known.owes() => {
                "is paid and not credited yet: MngRetryCashierCredit posts it, MngResolveCashierDoubt with action refuse closes it"
            }
            _ => "is paid, or was, and under review: MngResolveCashierDoubt ends it",
        };
        return refused(format!("transaction {} of the customer {how}", known.transaction.id));
    }
    if request.force {
        // Each of them remembers what was entered beside it.
        let beside = PersonFact::EnteredBeside { deposit: TransactionId(0) };
        open.iter().try_for_each(|known| known.transaction.facts.check_decision(&beside, draft.now()))?;
    }
    match open.first() {
        Some(known) if !request.force => {
            let row = &known.transaction;
            let how = match row.status {
                _ if is_settled_outside(known) => "is written as settled outside".to_owned(),
                status if status.is_final() => {
                    format!("ended as {}, and its provider may still state that it is paid", status.name())
                }
                _ => "is an open deposit".to_owned(),
            };
            let (id, amount) = (row.id, request.amount);
            refused(format!(
                "transaction {id} of the customer, of {amount}, {how}: send force 1 to enter it beside that"
            ))
        }
        Some(_) | None => Ok(open.iter().map(|known| known.transaction.id).collect()),
    }
}

/// Whether money of an order of this status may still come: a declined, cancelled or expired one may have been paid.
fn may_come(status: TransactionStatus) -> bool {
    !matches!(status, TransactionStatus::Credited | TransactionStatus::Refunded)
}

/// It is open, or its provider may still state that it is paid.
fn is_expected(known: &Aggregate, now: UnixTime) -> bool {
    let row = &known.transaction;
    may_come(row.status) && (!row.status.is_final() || duty::awaited_until(row).is_some_and(|end| end > now))
}

/// A person wrote that it is credited: the manual deposit may be what settles it.
fn is_settled_outside(known: &Aggregate) -> bool {
    known.transaction.facts.is_held() && known.transaction.status == TransactionStatus::Credited
}

/// An order of which a person decided that nothing is credited, and nothing was credited or went back: its payment may be entered
/// by hand, as in another currency.
fn is_closed_by_person(known: &Aggregate) -> bool {
    let row = &known.transaction;
    let is_refused = row.facts.persons.iter().any(|known| matches!(known.fact, PersonFact::Resolved { minor: 0 }));
    row.nature() == Nature::ProviderDeposit
        && is_refused
        && row.status == TransactionStatus::Cancelled
        && row.facts.open_holds().next().is_none()
        && !known.operations.iter().any(BalanceOperation::is_unsettled)
        && !known.credits()
        && !went_back(known)
}

/// Refuses to make money postable that is, or may be, credited as another transaction. To be asked by every command that makes
/// money postable, under the lock of the decision. `account`: the configs of the order's merchant account. `credit_minor`: what a
/// person would credit, in minor units.
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
            check_beside_orders(draft, known, account)?;
            check_beside_entered(draft, known, credit_minor)
        }
        Nature::ManualWithdrawal => Ok(()),
    }
}

/// Refuses a manual deposit whose money came through a provider since it was entered, whether it is there or went back: a deposit
/// of the brand that carries the payment's id, or beside which it was entered.
fn check_entered(draft: &Draft<'_>, known: &Aggregate) -> Result<(), Refusal> {
    let row = &known.transaction;
    let counts = |other: &Aggregate| {
        let kind = other.transaction.kind;
        other.transaction.id != row.id && kind == TransactionType::Deposit && (other.credits() || went_back(other))
    };
    let carried = draft.by_carried_payment(&row.brand, &row.provider_payment_id, counts);
    let names = |other: &Aggregate| {
        let facts = &other.transaction.facts;
        entered_beside(facts).any(|deposit| deposit == row.id) || reused_of(facts).any(|owner| owner == row.id)
    };
    let beside = || {
        let like = draft.deposits_like(Source::Provider, row.customer_id, row.amount, |status| !status.is_unpaid());
        like.into_iter().find(|other| names(other) && counts(other)).map(|other| other.transaction.id)
    };
    let Some(other) = carried.or_else(beside) else { return Ok(()) };
    Err(already(&match draft.aggregate(other) {
        Some(other) if !other.credits() => {
            let id = other.transaction.id;
            format!("its money went back at the provider, as transaction {id} shows: reject it")
        }
        Some(_) | None => format!("its money is credited as transaction {other}: reject it"),
    }))
}

/// Refuses to credit an order whose payment is credited as another order that no review of this one named, or that is to be.
fn check_beside_orders(draft: &Draft<'_>, known: &Aggregate, account: &[ConfigId]) -> Result<(), Refusal> {
    let row = &known.transaction;
    let named: Vec<TransactionId> = reused_of(&row.facts).collect();
    let is_other = |other: &Aggregate| {
        let id = other.transaction.id;
        id != row.id && other.credits() && (other.owes() || !named.contains(&id))
    };
    for payment in row.facts.paid().collect::<BTreeSet<&str>>() {
        if let Some(other) = draft.other_with_payment(account, payment, is_other) {
            let way = "close this one with MngResolveCashierDoubt and action refuse, or close that one first";
            return Err(already(&format!("payment {payment} is credited, or to be, as transaction {other}: {way}")));
        }
    }
    Ok(())
}

/// Refuses to credit an order whose payment a person entered by hand, or may have entered.
fn check_beside_entered(draft: &Draft<'_>, known: &Aggregate, credit_minor: Option<i64>) -> Result<(), Refusal> {
    let row = &known.transaction;
    let named: Vec<TransactionId> = reused_of(&row.facts).collect();
    let ids: BTreeSet<&str> = row.refs.iter().map(|id| &*id.value).chain(row.facts.paid()).collect();
    let carried = ids.iter().filter_map(|id| entered_with(draft, row, id));
    let mut owners = named.iter().copied().chain(entered_beside(&row.facts)).chain(carried).collect::<BTreeSet<_>>();
    if !row.facts.any(ProviderFact::is_confirmation) {
        owners.extend(entered_since(draft, row, credit_minor.into_iter()));
    }
    for owner in owners.into_iter().filter_map(|id| draft.aggregate(id)) {
        let (entered, number) = (&owner.transaction, owner.transaction.id);
        if entered.nature() != Nature::ManualDeposit || entered.is_rejected_manual() {
            continue;
        }
        let id = &*entered.provider_payment_id;
        if !id.is_empty() && ids.contains(id) {
            let way = "close this one with MngResolveCashierDoubt and action refuse, or reject that one while it waits";
            return Err(already(&format!("manual transaction {number} carries its payment: {way}")));
        }
        let is_settled = !owner.operations.iter().any(BalanceOperation::is_unsettled) && !owner.owes();
        if !entered.approved_time.is_set() || !is_settled {
            return Err(already(&format!("manual transaction {number} may be the same money: decide it first")));
        }
        if !named.contains(&number) {
            return Err(already(&format!(
                "manual transaction {number} was entered beside it and is credited: close this one with \
                 MngResolveCashierDoubt and action refuse, or enter this payment by hand if it is other money"
            )));
        }
    }
    Ok(())
}

/// The manual deposit of the order's brand that was entered with this id of a payment and not rejected.
fn entered_with(draft: &Draft<'_>, order: &Transaction, id: &str) -> Option<TransactionId> {
    draft.by_carried_payment(&order.brand, id, |known| known.transaction.nature() == Nature::ManualDeposit)
}

/// Keeps a provider's statement from crediting a payment that a person entered by hand: its confirmation becomes a review hold
/// that names both. One that was credited before its ids showed that it is the same stays credited, and is held all the same; so
/// is an order of whose payment money went back. `facts` are what the statement establishes.
pub(crate) fn hold_entered(
    draft: &Draft<'_>,
    transaction: &Transaction,
    update: &Update,
    facts: &mut Vec<ProviderFact>,
) {
    let is_new = |fact: &ProviderFact| !transaction.facts.any(|known| known == fact);
    let entered = entered_by_hand(draft, transaction, update, facts);
    let reused = |owner: &TransactionId| {
        let payment = update.payment_id.clone();
        ProviderFact::ReviewHold(ReviewHold::PaymentReused { payment, owner: owner.to_string().into() })
    };
    let mut holds = entered.iter().take(NAMED_MAX).map(reused);
    let Some(first) = holds.next() else { return };
    let mut is_held = transaction.facts.any(ProviderFact::is_confirmation);
    for fact in facts.iter_mut().filter(|fact| is_paid(fact) && is_new(fact)) {
        *fact = first.clone();
        is_held = false;
    }
    let is_named = facts.iter().any(|fact| fact.is_reversal() || (is_other(fact) && is_new(fact)));
    if (is_held || is_named) && !facts.contains(&first) {
        facts.push(first.clone());
    }
    if facts.contains(&first) {
        facts.extend(holds);
    }
}

/// So many manual deposits that may be the same money are named by one review. Of one customer, with one amount, later than an
/// order that is still unpaid, there are hardly two.
const NAMED_MAX: usize = 8;

/// It would be credited but for what a person entered.
fn is_paid(fact: &ProviderFact) -> bool {
    fact.is_confirmation() || matches!(fact, ProviderFact::ReviewHold(ReviewHold::AmountUnstated { .. }))
}

/// Another amount, currency or mode was paid: a person credits it, who must see the other transaction.
fn is_other(fact: &ProviderFact) -> bool {
    matches!(fact, ProviderFact::ReviewHold(ReviewHold::Mismatch { .. }))
}

/// Something was paid, or went back.
fn states_payment(fact: &ProviderFact) -> bool {
    is_paid(fact) || is_other(fact) || fact.is_reversal()
}

/// The manual deposits that may be the same money: a person entered it with an id of this payment, or beside this order while it
/// was expected to be paid, or later than the order when nobody expected that any more, and did not reject it.
fn entered_by_hand(
    draft: &Draft<'_>,
    transaction: &Transaction,
    update: &Update,
    facts: &[ProviderFact],
) -> Vec<TransactionId> {
    let refs = update.refs.iter().chain(transaction.refs.iter()).map(|id| &*id.value);
    let ids = std::iter::once(&*update.payment_id).chain(refs).chain(transaction.facts.paid());
    let mut ids = ids.filter(|id| !id.is_empty());
    let beside = || {
        let is_rejected = |known: &Aggregate| known.transaction.is_rejected_manual();
        let stands = |id: &TransactionId| draft.aggregate(*id).is_some_and(|known| !is_rejected(&known));
        entered_beside(&transaction.facts).find(stands)
    };
    if let Some(linked) = ids.find_map(|id| entered_with(draft, transaction, id)).or_else(beside) {
        return vec![linked];
    }
    // One that is paid was looked at before; a review in between is no payment.
    if !facts.iter().any(states_payment) || transaction.facts.any(ProviderFact::is_confirmation) {
        return Vec::new();
    }
    entered_since(draft, transaction, facts.iter().filter_map(ProviderFact::other_amount))
}

/// The manual deposits like this order that were entered later, beside which nobody compared it, the newest first. What reconcile
/// recovered is another payment, which nobody entered.
fn entered_since(draft: &Draft<'_>, order: &Transaction, stated: impl Iterator<Item = i64>) -> Vec<TransactionId> {
    let amounts: BTreeSet<i64> = stated.chain(order.facts.other_amounts()).chain([order.amount.minor]).collect();
    // What was entered after a person had credited the order is other money.
    let credited = order.facts.credited_by_person();
    let entered = |row: &Transaction| {
        let facts = row.facts.persons.iter();
        facts.filter(|known| matches!(known.fact, PersonFact::Entered { .. })).map(|known| known.seq).min()
    };
    let is_before = |row: &Transaction| entered(row).is_some_and(|seq| credited.is_none_or(|credited| seq < credited));
    let stands = |row: &Transaction| is_before(row) && row.brand == order.brand && !row.is_rejected_manual();
    let since = draft.manual_deposits_since(order, &amounts).into_iter();
    since.filter(stands).map(|row| row.id).collect()
}

/// The manual deposits that were entered beside an order.
fn entered_beside(facts: &Facts) -> impl Iterator<Item = TransactionId> {
    facts.persons.iter().filter_map(|known| match &known.fact {
        PersonFact::EnteredBeside { deposit } => Some(*deposit),
        _ => None,
    })
}

/// The transactions that the reviews of a payment name as the ones that it is credited as.
fn reused_of(facts: &Facts) -> impl Iterator<Item = TransactionId> {
    facts.provider.iter().filter_map(|known| match &known.fact {
        ProviderFact::ReviewHold(ReviewHold::PaymentReused { owner, .. }) => owner.parse().ok().map(TransactionId),
        _ => None,
    })
}

/// Money of an order went back at its provider, or is disputed.
fn went_back(known: &Aggregate) -> bool {
    let row = &known.transaction;
    row.nature() == Nature::ProviderDeposit && standing::taken_minor(row.amount, &row.facts) > 0
}

fn already(how: &str) -> Refusal {
    Refusal::new(RefusalCode::Duplicate, how)
}
