//! Which command a manager runs next about a transaction that waits for a person: one rule for the work list and for the
//! explanation. A command is named where it is accepted; what stands behind it is decided elsewhere.

use crate::reason::ReasonCode;
use crate::transaction::Transaction;

pub(crate) const PROCESS: &str = "MngProcessManualCashierTransaction";
pub(crate) const REPLAY: &str = "MngReplayCashierProviderEvent";
pub(crate) const RESOLVE: &str = "MngResolveCashierDoubt";
pub(crate) const RETRY: &str = "MngRetryCashierCredit";
pub(crate) const UPDATE: &str = "MngUpdateCashierTransaction";

/// The command that ends a review.
pub(crate) fn of_review(row: &Transaction) -> &'static str {
    let command = match row.reason.code {
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
