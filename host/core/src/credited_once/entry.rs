//! What is asked before a person enters money by hand: which orders of the customer it may be the money of, whether `force` is
//! needed beside them, and which of them remember it.

use super::links::{
    already, is_closed_by_person, is_refused_by_person, is_settled_outside, standing_beside, went_back,
};
use crate::account::AccountFacts;
use crate::aggregate::Aggregate;
use crate::conversion::Ordered;
use crate::decisions;
use crate::draft::Draft;
use crate::duty;
use crate::facts::{Facts, PersonFact};
use crate::ids::TransactionId;
use crate::manual::ManualRequest;
use crate::money::Money;
use crate::refusal::{Refusal, RefusalCode};
use crate::standing;
use crate::status::{TransactionStatus, TransactionType};
use crate::time::UnixTime;

/// How an order is, of whose money an entry may be. Each remembers what is entered beside it.
enum Beside {
    /// Its money is credited by another command, which is named: nothing is entered beside it.
    Paid(&'static str),
    /// Its money may still move by itself: a person says that the entry is other money, or settles it.
    Asked(String),
    /// A person decided that nothing of it, or of a further payment, is credited: that money is entered by hand.
    Closed,
}

/// Refuses an entry that may be the same money as a transaction that is there, and returns the deposits beside which it is
/// entered all the same. To be asked before [`open`](crate::manual::open), under the same lock.
///
/// # Errors
/// 409: a transaction of the brand carries the payment's id; a deposit of the customer over the same amount is expected to be
/// paid, went back or is written as settled outside, or, forced or not, is owed or under review, or was decided about too often to
/// remember one more beside it.
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
    let is_like = |ordered: &Ordered, facts: &Facts| is_alike(ordered, facts, request.amount);
    let like = draft.books().provider_deposits_where(account.customer.customer_id, is_like);
    let own = like.into_iter().filter(|known| known.transaction.brand == *brand);
    let judged: Vec<(Aggregate, Beside)> =
        own.filter_map(|known| beside(&known, draft.now()).map(|how| (known, how))).collect();
    let refused = |message| Err(Refusal::new(RefusalCode::OpenDepositExists, message));
    for (known, how) in &judged {
        if let Beside::Paid(how) = how {
            return refused(format!("transaction {} of the customer {how}", known.transaction.id));
        }
    }
    let is_linked = |facts: &Facts| standing_beside(draft, facts).next().is_some();
    let mut links = Vec::new();
    for (known, how) in &judged {
        let row = &known.transaction;
        let taken = row.facts.check_decision(&PersonFact::EnteredBeside { deposit: TransactionId(0) }, draft.now());
        match how {
            Beside::Asked(how) if !request.force => {
                let (id, amount) = (row.id, request.amount);
                return refused(format!(
                    "transaction {id} of the customer, of {amount}, {how}: send force 1 to enter it beside that"
                ));
            }
            // So many links hold what comes back of it, and what a person closed, as one more would.
            Beside::Asked(_) | Beside::Closed if taken.is_err() && is_linked(&row.facts) => {}
            Beside::Asked(_) | Beside::Closed => {
                taken?;
                links.push(row.id);
            }
            Beside::Paid(_) => {}
        }
    }
    Ok(links)
}

/// Whether an amount is the ordered one, was stated as paid, was credited by a person, or went back, all of it or at one time.
fn is_alike(ordered: &Ordered, facts: &Facts, amount: Money) -> bool {
    let is_worth = |minor: i64| ordered.is_worth(minor, amount);
    let goes_back = facts.returned_amounts().next().is_some();
    is_worth(ordered.amount.minor)
        || facts.other_amounts().any(is_worth)
        || facts.returned_amounts().any(is_worth)
        || (goes_back && is_worth(standing::taken_minor(ordered.amount, facts)))
}

/// How an order is, of whose money an entry of its amount may be; `None` where it is credited, or nothing of it is expected.
fn beside(known: &Aggregate, now: UnixTime) -> Option<Beside> {
    let row = &known.transaction;
    let standing = known.standing();
    let is_held = row.facts.is_held();
    let is_paid = known.credits() || went_back(known);
    let is_reviewed = row.status == TransactionStatus::ManualReview || standing.hides_review;
    if is_closed_by_person(known) {
        return Some(Beside::Closed);
    }
    if is_settled_outside(known) {
        return Some(Beside::Asked("is written as settled outside".to_owned()));
    }
    if known.operations.iter().any(|known| known.is_unsettled() && known.amount.minor > 0) {
        return Some(Beside::Paid("is paid, or was: its posting has not ended"));
    }
    if known.owes() {
        return Some(Beside::Paid(match row.status {
            _ if is_held => "is paid and not credited yet: MngUpdateCashierTransaction releases its written status",
            TransactionStatus::ManualReview => "is paid and under review: MngResolveCashierDoubt ends it",
            _ => {
                "is paid and not credited yet: MngRetryCashierCredit posts it, MngResolveCashierDoubt with action refuse closes it"
            }
        }));
    }
    if is_paid && is_reviewed {
        return Some(Beside::Paid(match row.status {
            TransactionStatus::ManualReview => "is paid, or was, and under review: MngResolveCashierDoubt ends it",
            _ => "is paid, or was, and under review: MngUpdateCashierTransaction releases its written status",
        }));
    }
    if row.facts.open_refund().is_some() {
        // Refused, it is posted back at once.
        return Some(Beside::Paid("is being refunded: the refund has not ended"));
    }
    if went_back(known) {
        return Some(Beside::Asked("is paid, and its money went back, which may fail or be reversed".to_owned()));
    }
    if is_refused_by_person(known) {
        return Some(Beside::Asked("is closed by a person, and what was credited is not taken back yet".to_owned()));
    }
    if known.credits() {
        // What else was paid, and a person left, is entered by hand as what a person closed.
        return (decisions::stated_minor(row) > standing.owed_ordered_minor).then_some(Beside::Closed);
    }
    if !is_expected(known, now) {
        return None;
    }
    Some(Beside::Asked(match row.status {
        status if status.is_final() => {
            format!("ended as {}, and its provider may still state that it is paid", status.name())
        }
        _ => "is an open deposit".to_owned(),
    }))
}

/// It is open, or its provider may still state that it is paid: a declined, cancelled or expired one may have been.
fn is_expected(known: &Aggregate, now: UnixTime) -> bool {
    let row = &known.transaction;
    let may_come = !matches!(row.status, TransactionStatus::Credited | TransactionStatus::Refunded);
    may_come && (!row.status.is_final() || duty::awaited_until(row).is_some_and(|end| end > now))
}
