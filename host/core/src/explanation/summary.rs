//! One sentence for the manager: what a transaction's status means and which command comes next. The customer's is
//! `customer`'s.

use super::titles::line;
use crate::aggregate::Aggregate;
use crate::duty::next_command::{self, PROCESS, RETRY, UPDATE};
use crate::duty::{self, Duty, WorkKind};
use crate::reason::ReasonCode as R;
use crate::status::{Source, TransactionStatus as S};
use crate::time::UnixTime;

const SETTLES: &str = "The cashier posts to the trading server until it answers";

const RELEASED: &str = "A status that a person wrote stopped what is owed, and was released: compare with the provider's dashboard, then permit the posting";

const REFUND: &str = "MngRefundCashierTransaction";

/// What a manager does next, and with which command; empty where the cashier goes on by itself.
pub fn manager_sentence(aggregate: &Aggregate, now: UnixTime) -> (String, &'static str) {
    let row = &aggregate.transaction;
    let code = row.reason.code;
    let (what, command) = next(aggregate, now);
    let status = format!("Status {} ({})", row.status.number(), row.status.name());
    let detail = line(&row.reason.detail);
    let detail = if detail.is_empty() { detail } else { format!(" ({detail})") };
    let meaning = match code {
        R::None => String::new(),
        code => format!(", {code}: {}{detail}", code.meaning().trim_end_matches('.')),
    };
    let command_text = if command.is_empty() { String::new() } else { format!(" ({command})") };
    (format!("{status}{meaning}. {what}{command_text}."), command)
}

fn next(aggregate: &Aggregate, now: UnixTime) -> (&'static str, &'static str) {
    const STOPPED: &str = "The status that a person wrote stops what is owed or hides a review: write 1 or 2 to release it, then do what is named next";
    let row = &aggregate.transaction;
    let (what, command) = unless_held(aggregate, now);
    let is_stopped = || duty::due(row, &aggregate.operations, now) == Some(Duty::AwaitRetry);
    match next_command::after_release(command, row) {
        UPDATE if is_stopped() => (STOPPED, UPDATE),
        UPDATE => ("A person set the status: set it again, or release it", UPDATE),
        command => (what, command),
    }
}

/// What comes next where no status that a person wrote forbids it.
fn unless_held(aggregate: &Aggregate, now: UnixTime) -> (&'static str, &'static str) {
    let row = &aggregate.transaction;
    let code = row.reason.code;
    let due = duty::due(row, &aggregate.operations, now);
    let by_itself = match due {
        Some(Duty::Settle) => Some(SETTLES),
        Some(Duty::Provider(_)) => Some("The cashier calls the provider until it answers"),
        Some(Duty::AwaitRetry) | None => None,
    };
    match row.status {
        S::ManualReview if row.source == Source::Manual && due == Some(Duty::Settle) && !row.facts.is_held() => {
            (SETTLES, "")
        }
        S::ManualReview if row.source == Source::Manual && code != R::CreditRefused => {
            ("Approve it, or reject it with MngRejectManualCashierTransaction", PROCESS)
        }
        S::ManualReview if row.source == Source::Manual => {
            ("Remove the cause of the refusal and process it again, or reject it", PROCESS)
        }
        S::ManualReview => match next_command::of_review(row, now) {
            "" => ("The provider is queried until it states what is missing; nothing to do", ""),
            RETRY => ("Compare the operation with the trading server, then retry the posting", RETRY),
            command => ("Compare with the provider's dashboard, then resolve the review", command),
        },
        S::CreditFailed => ("Remove the cause of the refusal that the newest operation states, then retry", RETRY),
        S::Created
        | S::PendingPayment
        | S::ProviderConfirmed
        | S::Credited
        | S::Failed
        | S::Cancelled
        | S::Refunded
        | S::Chargeback => match (by_itself, due) {
            (Some(by_itself), _) => (by_itself, ""),
            (None, Some(_)) if duty::why_not_posted(aggregate) == WorkKind::PostingReleased => (RELEASED, RETRY),
            (None, Some(_)) => ("A posting was refused: remove its cause, then retry it", RETRY),
            (None, None) if row.status.is_unpaid() => {
                ("The customer's payment or the provider's report is awaited", "")
            }
            (None, None) if code == R::RefundPending => ("The provider's report about the refund is awaited", ""),
            (None, None) if code == R::RefundRefused && !aggregate.standing().may_post => {
                ("The account has the money, and a person stopped what is posted: nothing to do", "")
            }
            (None, None) if code == R::RefundRefused => (
                "The account has the money: remove the cause, then request the refund again if it is still wanted",
                REFUND,
            ),
            (None, None) if row.status == S::Chargeback => ("Answer the dispute at the provider", ""),
            (None, None) => ("Nothing to do", ""),
        },
    }
}
