//! How a refund ends: by the answer to its call, by what the provider states it refunded, or as a review.

use super::{REFUND_ABSENT_SECONDS, REFUND_REPORT_SECONDS};
use crate::aggregate::Aggregate;
use crate::draft::Draft;
use crate::duty::QueryOutcome;
use crate::facts::{ManagerRefund, PersonFact, ProviderFact, RefundPhase, RefundSending, RefusedBy, ReviewHold};
use crate::ids::TransactionId;
use crate::money::Money;
use crate::notice::{Reach, RefundStatement, StatedAmount, Update};
use crate::standing;
use crate::status::ProviderStatus;
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// How a refund call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundAnswer {
    /// Done, accepted or failed, as the update says.
    Stated(Box<Update>),
    /// The provider refused it, finally.
    Declined(Box<str>),
    /// The provider refused this request: an earlier one of the same call may have made the refund.
    Refused(Box<str>),
    /// Nothing was sent that could move money.
    NotSent(Box<str>),
    NoAnswer(Box<str>),
}

/// Records the end of a call. A refusal of a repeated call says nothing about the one before it, unless the provider declined
/// the refund itself. The end of one that a person had to count without knowing it, to end a review, is held for a person again.
/// Returns whether the refund has ended or was accepted.
pub fn answered(draft: &mut Draft<'_>, id: TransactionId, refund: &str, answer: &RefundAnswer, repeated: bool) -> bool {
    let Some(known) = draft.aggregate(id) else { return false };
    let refunds = known.transaction.facts.refunds();
    let Some(own) = refunds.iter().find(|own| *own.id == *refund) else { return false };
    let (own_id, refund_id) = (Box::<str>::from(refund), stated_id(answer));
    let facts = match answer {
        _ if !own.phase.is_pending() && own.phase != RefundPhase::Resolved => return true,
        RefundAnswer::Stated(update) => match update.status {
            ProviderStatus::Refunded => vec![PersonFact::RefundDone { id: own_id, refund: refund_id }],
            ProviderStatus::Pending => vec![PersonFact::RefundAccepted { id: own_id, refund: refund_id }],
            ProviderStatus::RefundFailed => {
                let words = if update.reason.is_empty() { &update.raw_status } else { &update.reason };
                RefusedBy::Provider.facts(refund, words).into()
            }
            ProviderStatus::Unknown
            | ProviderStatus::Confirmed
            | ProviderStatus::Failed
            | ProviderStatus::Cancelled
            | ProviderStatus::Chargeback
            | ProviderStatus::ChargebackReversed
            | ProviderStatus::ManualReview
            | ProviderStatus::InReview => return false,
        },
        RefundAnswer::Declined(words) => RefusedBy::Provider.facts(refund, words).into(),
        RefundAnswer::Refused(words) if !repeated => RefusedBy::Provider.facts(refund, words).into(),
        RefundAnswer::NotSent(words) if !repeated => RefusedBy::NotSent.facts(refund, words).into(),
        RefundAnswer::Refused(_) | RefundAnswer::NotSent(_) | RefundAnswer::NoAnswer(_) => return false,
    };
    let was_counted = own.phase == RefundPhase::Resolved;
    draft.add(known.decide_all(facts, draft.context()));
    if was_counted && let Some(known) = draft.aggregate(id) {
        hold_late_end(draft, &known, refund);
    }
    true
}

/// A refund ended after a person had ended the review with an amount: whether that counted it as made, only a person knows.
fn hold_late_end(draft: &mut Draft<'_>, known: &Aggregate, refund: &str) {
    let refunds = known.transaction.facts.refunds();
    let Some(own) = refunds.iter().find(|own| *own.id == *refund) else { return };
    let currency = known.transaction.amount.currency;
    let end = match own.phase {
        RefundPhase::Refused { .. } => own.refusal(currency).unwrap_or_default(),
        RefundPhase::Done => format!("refund {} of {} was made", own.number, Money::new(own.minor, currency)),
        RefundPhase::Failed => {
            format!("refund {} of {} did not reach the customer", own.number, Money::new(own.minor, currency))
        }
        RefundPhase::Resolved => {
            format!("refund {} of {} was accepted by the provider", own.number, Money::new(own.minor, currency))
        }
        RefundPhase::Requested | RefundPhase::Sent(_) | RefundPhase::Accepted => return,
    };
    let status = format!("{end}; a person had resolved the transaction before").into();
    draft.add(known.establish(ProviderFact::ReviewHold(ReviewHold::Requested { status }), draft.context()));
}

/// Records that the call of this refund ended the process; false where its end is known, or that was recorded before.
pub fn crashed(draft: &mut Draft<'_>, id: TransactionId, refund: &str) -> bool {
    let Some(known) = draft.aggregate(id) else { return false };
    let sent = known.transaction.facts.open_refund().filter(|open| *open.id == *refund);
    let uncounted = |phase| matches!(phase, RefundPhase::Sent(RefundSending { crashed: false, .. }));
    if !sent.is_some_and(|open| uncounted(open.phase)) {
        return false;
    }
    draft.add(known.decide_all([PersonFact::RefundCrashed { id: refund.into() }], draft.context()));
    true
}

fn stated_id(answer: &RefundAnswer) -> Box<str> {
    match answer {
        RefundAnswer::Stated(update) => update.refund.as_ref().map(|stated| stated.id.clone()).unwrap_or_default(),
        RefundAnswer::Declined(_) | RefundAnswer::Refused(_) | RefundAnswer::NotSent(_) | RefundAnswer::NoAnswer(_) => {
            Box::default()
        }
    }
}

/// Judges refunds that have not ended by the answer to a query of the payment's status, which was applied: the provider's total
/// includes them, or shows, long after the last call, that the open one was not made, because it is smaller than that one. A larger
/// total does not show it, whatever else is counted as refunded: that may have failed at the provider, which reports it later, and the
/// total be of the open one. [`hold_overdue`] holds it then.
pub fn queried(draft: &mut Draft<'_>, id: TransactionId, update: &Update, repeat_seconds: i64) {
    let Some(known) = draft.aggregate(id) else { return };
    let facts = &known.transaction.facts;
    let refunds = facts.refunds();
    let pending: Vec<&ManagerRefund<'_>> = refunds.iter().filter(|refund| refund.phase.is_pending()).collect();
    let sums = standing::refundable(known.transaction.amount, facts);
    let (Some(total), false, true) = (total(&known.transaction, update), pending.is_empty(), sums.payments < 2) else {
        return;
    };
    let called = pending.iter().all(|refund| refund.phase != RefundPhase::Requested);
    if called && total >= sums.refunded_minor {
        let counted = pending.iter().map(|refund| PersonFact::RefundInTotal { id: refund.id.into() });
        let (counted, at) = (counted.collect::<Vec<_>>(), draft.context());
        // A total that was stated and is no fact, as of a payment in a status that is not known, includes nothing.
        let mut after = facts.clone();
        counted.iter().for_each(|fact| after.record_person(at.seq, at.now, fact.clone()));
        if standing::refundable(known.transaction.amount, &after).refunded_minor >= sums.refunded_minor {
            draft.add(known.decide_all(counted, at));
        }
        return;
    }
    let Some(open) = pending.iter().find(|refund| refund.phase.is_open()) else { return };
    let RefundPhase::Sent(sending) = open.phase else { return };
    // A total beyond the others is of something that is not known.
    let lacks_open = total < open.minor && total <= sums.refunded_minor.saturating_sub(open.minor);
    if lacks_open && is_long_ago(&sending, repeat_seconds, draft.now()) {
        let words = format!("the provider states {} refunded", Money::new(total, known.transaction.amount.currency));
        draft.add(known.decide_all(RefusedBy::Absent.facts(open.id, &words), draft.context()));
    }
}

/// So long after the first call, none that may still be made is under way.
fn is_long_ago(sending: &RefundSending, repeat_seconds: i64, now: UnixTime) -> bool {
    sending.at.plus(repeat_seconds.max(0)).plus(REFUND_ABSENT_SECONDS) <= now
}

/// Holds for a person what has no end although it was asked about, with this outcome: a refund that was sent, where the answer did
/// not end it or nobody can be asked; after [`REFUND_REPORT_SECONDS`] any.
pub fn hold_overdue(draft: &mut Draft<'_>, id: TransactionId, asked: QueryOutcome, repeat_seconds: i64) {
    let Some(known) = draft.aggregate(id) else { return };
    let now = draft.now();
    let is_overdue = |refund: &ManagerRefund<'_>| match refund.phase {
        RefundPhase::Sent(sending) if asked != QueryOutcome::NoAnswer => is_long_ago(&sending, repeat_seconds, now),
        RefundPhase::Sent(_) | RefundPhase::Accepted => refund.since.plus(REFUND_REPORT_SECONDS) <= now,
        RefundPhase::Requested
        | RefundPhase::Done
        | RefundPhase::Failed
        | RefundPhase::Resolved
        | RefundPhase::Refused { .. } => false,
    };
    let refunds = known.transaction.facts.refunds();
    if let Some(overdue) = refunds.iter().find(|refund| is_overdue(refund)) {
        let status = overdue.progress(known.transaction.amount.currency, false).into();
        let hold = ProviderFact::ReviewHold(ReviewHold::Requested { status });
        draft.add(known.establish(hold, draft.context()));
    }
}

/// Everything that was refunded of the payment, as the answer states it. That it states nothing of refunds proves nothing: the
/// module may not read them.
fn total(transaction: &Transaction, update: &Update) -> Option<i64> {
    let minor = |stated: &StatedAmount| match stated {
        StatedAmount::Exact(money) if money.currency == transaction.amount.currency => Some(money.minor),
        StatedAmount::Exact(_) | StatedAmount::Unreadable(_) => None,
    };
    match (update.status, &update.refund) {
        (_, Some(RefundStatement { reach: Reach::TotalSoFar, amount, .. })) => minor(amount),
        (ProviderStatus::Refunded, None) => update.amount.as_ref().and_then(minor),
        _ => None,
    }
}
