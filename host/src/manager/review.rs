//! Commands by which persons decide about money that is unclear: retry, resolve.

use cashier_core::ids::TransactionId;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Role;

use crate::flows::reviewing::{self, ReviewEnd, ReviewOutcome};
use crate::json_object::Described;
use crate::json_object::schema::either;
use crate::manager::command::{Command, CommandCall, Effect};
use crate::manager::second_person;
use crate::manager::transaction::{on, shown};
use crate::wire::approval::ApprovalAnswer;
use crate::wire::envelope::CommandResult;
use crate::wire::review::{ResolveBody, RetryBody};
use crate::wire::transaction::TransactionAnswer;

pub const RETRY: Command = Command {
    name: "MngRetryCashierCredit",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[
        RefusalCode::NotFound,
        RefusalCode::Duplicate,
        RefusalCode::TransactionChanged,
        RefusalCode::InsufficientBalance,
        RefusalCode::PostingRefused,
        RefusalCode::TooManyDecisions,
        RefusalCode::ProviderUnavailable,
    ],
    request: RetryBody::schema,
    answer: || either(&TransactionAnswer::schema(), &ApprovalAnswer::schema()),
    run: |call| Box::pin(retry(call)),
};

pub const RESOLVE: Command = Command {
    name: "MngResolveCashierDoubt",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[
        RefusalCode::AmountOutOfRange,
        RefusalCode::NotFound,
        RefusalCode::Duplicate,
        RefusalCode::TransactionChanged,
        RefusalCode::InsufficientBalance,
        RefusalCode::PostingRefused,
        RefusalCode::TooManyDecisions,
        RefusalCode::ProviderUnavailable,
    ],
    request: ResolveBody::schema,
    answer: || either(&TransactionAnswer::schema(), &ApprovalAnswer::schema()),
    run: |call| Box::pin(resolve(call)),
};

async fn retry(call: CommandCall) -> CommandResult {
    let RetryBody { id, confirmed_absent, ground } = call.read()?;
    let absent = confirmed_absent.is_some_and(|flag| flag.0);
    let id = TransactionId(id.0);
    let outcome = reviewing::retry(&call.cashier, &on(&call, ground), id, absent).await?;
    answered(&call, id, if absent { "confirmed_absent" } else { "retry" }, outcome).await
}

async fn resolve(call: CommandCall) -> CommandResult {
    let ResolveBody { id, action, amount, reason, ground } = call.read()?;
    let end = match (&*action.0, amount) {
        ("credit", Some(amount)) => {
            ReviewEnd { amount: Some(Box::new(move |currency| amount.of("amount", currency))), reason: reason.0 }
        }
        ("credit", None) => return Err(Refusal::invalid("amount is required to credit")),
        ("refuse", None) => ReviewEnd { amount: None, reason: reason.0 },
        ("refuse", Some(_)) => return Err(Refusal::invalid("amount may not be given where nothing is credited")),
        _ => return Err(Refusal::invalid("action must be credit or refuse")),
    };
    let fields = if end.amount.is_some() { "credit" } else { "refuse" };
    let id = TransactionId(id.0);
    let outcome = reviewing::resolve(&call.cashier, &on(&call, ground), id, end).await?;
    answered(&call, id, fields, outcome).await
}

/// The transaction after it, or what waits for a second person.
async fn answered(call: &CommandCall, id: TransactionId, fields: &str, outcome: ReviewOutcome) -> CommandResult {
    match outcome {
        ReviewOutcome::Made(known) => shown(call, &known.transaction).await,
        ReviewOutcome::Waits { amount, ground } => second_person::ask(call, id, fields, (amount, ground)).await,
    }
}
