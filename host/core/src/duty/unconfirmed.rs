//! Which payments have no confirmation and may have one at their provider: what is closed or under review is queried until
//! its expiry, what is unclear until it is clear. All of it is read from the facts: of several open reviews one is shown.

use crate::facts::{PersonFact, ProviderFact, Recorded, ReviewHold};
use crate::ids::Seq;
use crate::reason::ReasonCode;
use crate::standing::{self, Posted};
use crate::status::{Source, TransactionStatus};
use crate::time::UnixTime;
use crate::transaction::{FirstAnswer, Transaction};

/// A closed or reviewed order that never expires is queried this long after its creation: the longest expiry of a payment
/// method (docs/life-of-a-transaction.md, case 14).
pub const CLOSED_QUERY_SECONDS: i64 = 14 * 24 * 60 * 60;

/// An unpaid order has this long after its expiry for its last query and its cancellation, which are tried again while its
/// provider does not answer.
pub const ENDING_SECONDS: i64 = 60 * 60;

/// Declined, closed or under review, while the provider has the order, or may have it, and was not queried at its expiry: a
/// payment on the provider's page may succeed, and its webhook may be lost.
pub(super) fn may_be_paid_late(transaction: &Transaction) -> bool {
    let reviewed = is_reviewed_unpaid(transaction);
    let closed = matches!(transaction.status, TransactionStatus::Failed | TransactionStatus::Cancelled);
    let refused = matches!(transaction.first_answer, FirstAnswer::Declined | FirstAnswer::NeverSent);
    // A provider that closed the order before its expiry is queried on.
    let queried = |known: &Recorded<ProviderFact>| {
        let expired = matches!(known.fact, ProviderFact::Cancelled { reason: ReasonCode::Expired });
        (expired && is_expired(transaction, known.at)) || known.fact == ProviderFact::LastQuery
    };
    (closed || reviewed)
        && transaction.source == Source::Provider
        // What the provider has stated a review of, it has.
        && (reviewed || !refused || transaction.facts.any(ProviderFact::is_acceptance))
        && !transaction.facts.provider.iter().any(queried)
}

/// Under review for whatever reason, without a confirmation, and no person has written the status. What the provider itself
/// is asked about is queried anyhow.
fn is_reviewed_unpaid(transaction: &Transaction) -> bool {
    is_reviewed(transaction) && !transaction.facts.any(ProviderFact::is_confirmation) && !asks_provider(transaction)
}

fn is_reviewed(transaction: &Transaction) -> bool {
    transaction.status == TransactionStatus::ManualReview && !transaction.facts.is_held()
}

/// A part of the payment went back, so it was paid; its confirmation was not received, and the rest of it is owed.
pub(super) fn went_back_unconfirmed(transaction: &Transaction) -> bool {
    use TransactionStatus as S;
    let facts = &transaction.facts;
    let resolved = || facts.persons.iter().any(|known| matches!(known.fact, PersonFact::Resolved { .. }));
    let open = match transaction.status {
        S::Failed | S::Cancelled | S::Chargeback => true,
        S::ManualReview => is_reviewed(transaction) && !resolved(),
        S::Created | S::PendingPayment | S::ProviderConfirmed | S::Credited | S::CreditFailed | S::Refunded => false,
    };
    if !open
        || transaction.source != Source::Provider
        || !facts.any(ProviderFact::is_money)
        || facts.any(ProviderFact::is_confirmation)
    {
        return false;
    }
    let mut confirmed = facts.clone();
    let minor = transaction.amount.minor;
    confirmed.record(Seq(0), UnixTime::UNSET, ProviderFact::Confirmed { payment: Box::default(), minor });
    standing::derive(transaction.nature(), transaction.ordered(), &confirmed, Posted::default()).owed_minor > 0
}

/// The provider can say what is unclear, and is queried until it has.
pub(super) fn asks_provider(transaction: &Transaction) -> bool {
    let asks = |hold: &ReviewHold| match hold {
        ReviewHold::OutcomeUnknown | ReviewHold::AmountUnstated { .. } | ReviewHold::InReview { .. } => true,
        ReviewHold::Mismatch { .. }
        | ReviewHold::Requested { .. }
        | ReviewHold::PaymentReused { .. }
        | ReviewHold::Misplaced { .. }
        | ReviewHold::CountedElsewhere { .. }
        | ReviewHold::ReturnBeside { .. }
        | ReviewHold::Beside { .. }
        | ReviewHold::NotStored => false,
    };
    has_open_hold(transaction, asks)
}

/// A payment was confirmed without its amount.
pub(super) fn is_unstated(transaction: &Transaction) -> bool {
    has_open_hold(transaction, |hold| matches!(hold, ReviewHold::AmountUnstated { .. }))
}

/// Since when a review hold of it is open.
pub(super) fn held_since(transaction: &Transaction) -> Option<UnixTime> {
    let open: Vec<_> = transaction.facts.open_holds().collect();
    let is_open = |known: &&Recorded<ProviderFact>| match &known.fact {
        ProviderFact::ReviewHold(hold) => open.contains(&hold),
        _ => false,
    };
    transaction.facts.provider.iter().filter(is_open).map(|known| known.at).min()
}

fn has_open_hold(transaction: &Transaction, test: impl Fn(&ReviewHold) -> bool) -> bool {
    transaction.status == TransactionStatus::ManualReview && transaction.facts.open_holds().any(test)
}

/// The payment waits for a call that moves money, also while the provider reviews it, or after an attempt was declined: which
/// of two attempts was stated first must not decide whether the one that succeeded is paid.
pub(crate) fn wants_advance(transaction: &Transaction) -> bool {
    let declined = || transaction.status == TransactionStatus::Failed && may_be_paid_late(transaction);
    let in_review = || has_open_hold(transaction, |hold| matches!(hold, ReviewHold::InReview { .. }));
    let open = transaction.is_unpaid() || (is_reviewed(transaction) && in_review()) || declined();
    open && transaction.source == Source::Provider && transaction.facts.any(ProviderFact::wants_advance)
}

/// When an order is queried for the last time; `None` for one that is queried for as long as it is unpaid, and while its
/// expiry is postponed.
pub(super) fn end_of_queries(transaction: &Transaction) -> Option<UnixTime> {
    match transaction.expires_time {
        _ if transaction.expiry_is_postponed() => None,
        UnixTime::UNSET => may_be_paid_late(transaction).then(|| transaction.created_time.plus(CLOSED_QUERY_SECONDS)),
        expires => Some(expires),
    }
}

pub fn is_expired(transaction: &Transaction, now: UnixTime) -> bool {
    transaction.expires_time > UnixTime::UNSET && transaction.expires_time <= now
}
