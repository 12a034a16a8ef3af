//! One sentence that a support agent can read to the customer, and one for the manager with the command that comes next. The
//! customer's names no code, no other payment and nobody's decision but "our staff".

use super::titles::line;
use crate::aggregate::Aggregate;
use crate::duty::next_command::{self, PROCESS, RETRY, UPDATE};
use crate::duty::{self, Duty};
use crate::reason::ReasonCode as R;
use crate::status::{Source, TransactionStatus as S, TransactionType};
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// The sentence for the customer.
pub fn customer_sentence(row: &Transaction) -> String {
    let amount = row.amount;
    match row.kind {
        TransactionType::Deposit => format!("Your deposit of {amount}: {}", deposit(row.status, row.reason.code)),
        TransactionType::Withdrawal => {
            format!("Your withdrawal of {amount}: {}", withdrawal(row.status, row.reason.code))
        }
    }
}

fn deposit(status: S, code: R) -> &'static str {
    match status {
        S::Created => "it was recorded and is being sent to the payment provider.",
        S::PendingPayment => {
            "the payment provider has not reported the payment yet. If you have paid, it is credited by itself as soon as the provider reports it; please do not pay again."
        }
        S::ProviderConfirmed => "the payment has arrived and is being credited to your trading account.",
        S::Credited if code == R::PartlyRefunded => {
            "it was credited to your trading account, and a part of it was paid back to you."
        }
        S::Credited if code == R::RefundPending => {
            "it was credited to your trading account, and a refund of it is under way. The refunded amount has left the trading account or is about to."
        }
        S::Credited if code == R::RefundRefused => {
            "it was credited to your trading account. A refund was requested and could not be made; the money is in your trading account."
        }
        S::Credited => "it was credited to your trading account.",
        S::CreditFailed => {
            "the payment has arrived and could not be credited to your trading account yet. Our staff are taking care of it; please do not pay again."
        }
        S::Failed if code == R::ProviderUnavailable => {
            "the payment provider could not be reached, so the payment was never started. Please try again."
        }
        S::Failed => {
            "the payment provider declined the payment. Please try again or use another method; if the provider still reports a payment, it is credited by itself."
        }
        S::Cancelled if code == R::Expired => {
            "it was not paid in time and was closed. If you have paid all the same, it is credited as soon as the provider reports it."
        }
        S::Cancelled if code == R::Rejected => "it was closed by our staff without being credited.",
        S::Cancelled => {
            "it was closed without being paid. If you have paid all the same, it is credited as soon as the provider reports it."
        }
        S::Refunded => "the whole amount was paid back to you.",
        S::Chargeback => {
            "the payment is disputed at your bank or card company. The disputed amount was taken back from your trading account until the dispute is decided."
        }
        S::ManualReview => reviewed(code),
    }
}

/// A review: what is safe to say about each.
fn reviewed(code: R) -> &'static str {
    const PROVIDER_DECIDES: &[R] = &[R::ProviderInReview, R::ProviderReview];
    const UNKNOWN: &[R] = &[R::OutcomeUnknown, R::AmountUnstated];
    const REFUND: &[R] = &[R::RefundFailed, R::ReversalWaits, R::DisputeUnmatched, R::BeyondConfirmed];
    if PROVIDER_DECIDES.contains(&code) {
        "the payment provider is still checking the payment. Nothing is needed from you; please do not pay again."
    } else if UNKNOWN.contains(&code) {
        "we do not know yet whether the payment provider has received the payment. We are asking the provider; please do not pay again."
    } else if REFUND.contains(&code) {
        "money was paid back or is disputed, and our staff are checking how much. We will contact you."
    } else {
        "our staff are checking it. Nothing is needed from you; please do not pay again."
    }
}

fn withdrawal(status: S, code: R) -> &'static str {
    match status {
        S::Created | S::PendingPayment | S::ProviderConfirmed => "it is being processed.",
        S::Credited => "it was approved, and the amount was taken from your trading account.",
        S::CreditFailed => "it could not be taken from your trading account yet. Our staff are taking care of it.",
        S::Failed => "it failed; nothing was taken from your trading account.",
        S::Cancelled if code == R::Rejected => "it was not approved; nothing was taken from your trading account.",
        S::Cancelled if code == R::Cancelled => {
            "you took the request back; nothing was taken from your trading account."
        }
        S::Cancelled => "it was cancelled; nothing was taken from your trading account.",
        S::Refunded | S::Chargeback => "the amount was given back to your trading account.",
        S::ManualReview if code == R::CreditRefused => {
            "it could not be taken from your trading account. Our staff are checking it."
        }
        S::ManualReview => "it waits to be approved by our staff.",
    }
}

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
        Some(Duty::Settle) => Some("The cashier posts to the trading server until it answers"),
        Some(Duty::Provider(_)) => Some("The cashier calls the provider until it answers"),
        Some(Duty::AwaitRetry) | None => None,
    };
    match row.status {
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
