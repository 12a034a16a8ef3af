//! Whether a transaction has something left to do. What exactly is left, and when, is for the flows to derive; the
//! books only keep the list short.

use crate::facts::{ProviderFact, ReviewHold};
use crate::operation::{self, BalanceOperation};
use crate::standing;
use crate::status::{Source, TransactionStatus};
use crate::transaction::Transaction;

pub(super) fn has_duty(transaction: &Transaction, operations: &[BalanceOperation]) -> bool {
    let unpaid = transaction.source == Source::Provider && transaction.is_unpaid();
    unpaid
        || operations.iter().any(BalanceOperation::is_unsettled)
        || (!transaction.status.is_final() && (transaction.expires_time.is_set() || must_ask(transaction)))
        || owes(transaction, operations)
}

/// The provider knows more than it has said, or waits for us.
fn must_ask(transaction: &Transaction) -> bool {
    transaction.facts.provider.iter().any(|known| match &known.fact {
        ProviderFact::Unanswered
        | ProviderFact::AdvanceWanted { .. }
        | ProviderFact::ReviewHold(ReviewHold::AmountUnstated { .. }) => true,
        ProviderFact::ReviewHold(
            ReviewHold::OutcomeUnknown | ReviewHold::Mismatch { .. } | ReviewHold::Requested { .. },
        )
        | ProviderFact::Accepted
        | ProviderFact::Confirmed { .. }
        | ProviderFact::Declined { .. }
        | ProviderFact::Cancelled { .. }
        | ProviderFact::Refund { .. }
        | ProviderFact::RefundedTotal { .. }
        | ProviderFact::Chargeback { .. }
        | ProviderFact::ChargebackReversed { .. } => false,
    })
}

/// Owed differs from posted and may be posted.
fn owes(transaction: &Transaction, operations: &[BalanceOperation]) -> bool {
    let nothing_moved = operations.is_empty();
    match transaction.status {
        // Posted what was confirmed, and neither a reversal nor a person changed what is owed.
        TransactionStatus::Credited if transaction.reason.code.is_empty() && transaction.facts.persons.is_empty() => {
            return false;
        }
        // Nothing was confirmed under these, so nothing is owed.
        TransactionStatus::Created
        | TransactionStatus::PendingPayment
        | TransactionStatus::Failed
        | TransactionStatus::Cancelled
            if nothing_moved =>
        {
            return false;
        }
        TransactionStatus::Created
        | TransactionStatus::PendingPayment
        | TransactionStatus::Failed
        | TransactionStatus::Cancelled
        | TransactionStatus::ProviderConfirmed
        | TransactionStatus::Credited
        | TransactionStatus::CreditFailed
        | TransactionStatus::Refunded
        | TransactionStatus::Chargeback
        | TransactionStatus::ManualReview => {}
    }
    let posted = operation::posted(operations);
    let standing = standing::derive(transaction.nature(), transaction.amount.minor, &transaction.facts, posted);
    standing.may_post && standing.owed_minor != posted.minor
}
