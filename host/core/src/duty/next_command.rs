//! Which command a manager runs next about a transaction that waits for a person: one rule for the work list and for the
//! explanation. A command is named where it is accepted; what stands behind it is decided elsewhere.

use super::unconfirmed::held_since;
use crate::reason::ReasonCode;
use crate::time::UnixTime;
use crate::transaction::Transaction;

pub(crate) const PROCESS: &str = "MngProcessManualCashierTransaction";
pub(crate) const REPLAY: &str = "MngReplayCashierProviderEvent";
pub(crate) const RESOLVE: &str = "MngResolveCashierDoubt";
pub(crate) const RETRY: &str = "MngRetryCashierCredit";
/// Of an approval.
pub(crate) const APPROVE: &str = "MngApproveCashierChange";
pub(crate) const REJECT: &str = "MngRejectCashierChange";
pub(crate) const UPDATE: &str = "MngUpdateCashierTransaction";

/// How long a provider is asked to state what a review waits for before a person is: nearly all state it within a day.
pub const REVIEW_ANSWER_SECONDS: i64 = 24 * 60 * 60;

/// The command that ends a review; empty while the provider is expected to end it.
pub(crate) fn of_review(row: &Transaction, now: UnixTime) -> &'static str {
    let is_recent = || held_since(row).is_some_and(|since| now < since.plus(REVIEW_ANSWER_SECONDS));
    let command = match row.reason.code {
        ReasonCode::AmountUnstated | ReasonCode::ProviderInReview if !row.facts.is_held() && is_recent() => "",
        ReasonCode::OperationKeyConflict
        | ReasonCode::PostingLost
        | ReasonCode::ReversalWaits
        | ReasonCode::CreditRefused => RETRY,
        ReasonCode::None | ReasonCode::HeldButHeard => UPDATE,
        _ => RESOLVE,
    };
    after_release(command, row)
}

/// While a status that a person wrote holds it comes first: the status is released, or written again. Most other commands are
/// refused until then.
pub(crate) fn after_release(command: &'static str, row: &Transaction) -> &'static str {
    if row.facts.is_held() && !command.is_empty() { UPDATE } else { command }
}
