//! Commands about a provider's deposits at their provider: refund what was paid, cancel what is unpaid.

use cashier_core::aggregate::Aggregate;
use cashier_core::ids::TransactionId;
use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;

use crate::flows::refund::{self, RefundOutcome};
use crate::flows::{cancel, transactions};
use crate::json_object::Described;
use crate::json_object::schema::either;
use crate::manager::command::{Command, CommandCall, Effect};
use crate::manager::second_person;
use crate::wire::approval::ApprovalAnswer;
use crate::wire::envelope::{self, CommandResult};
use crate::wire::refund::{DepositCancelBody, RefundBody};
use crate::wire::transaction::TransactionAnswer;

pub const REFUND: Command = Command {
    name: "MngRefundCashierTransaction",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[
        RefusalCode::NotFound,
        RefusalCode::IdempotencyConflict,
        RefusalCode::InsufficientBalance,
        RefusalCode::PostingRefused,
        RefusalCode::RefundUnderWay,
        RefusalCode::WrongStatus,
        RefusalCode::ProviderDeclined,
        RefusalCode::ProviderUnavailable,
    ],
    request: RefundBody::schema,
    answer: || either(&TransactionAnswer::schema(), &ApprovalAnswer::schema()),
    run: |call| Box::pin(refund(call)),
};

pub const CANCEL: Command = Command {
    name: "MngCancelCashierTransaction",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[
        RefusalCode::NotFound,
        RefusalCode::WrongStatus,
        RefusalCode::ProviderDeclined,
        RefusalCode::ProviderUnavailable,
    ],
    request: DepositCancelBody::schema,
    answer: TransactionAnswer::schema,
    run: |call| Box::pin(cancel(call)),
};

async fn refund(call: CommandCall) -> CommandResult {
    let body: RefundBody = call.read()?;
    let id = TransactionId(body.id.0);
    match refund::refund(&call.cashier, &call.act(), id, body.request()).await? {
        RefundOutcome::Made(known) => shown(&call, &known).await,
        RefundOutcome::Waits { amount, ground } => {
            second_person::ask(&call, id, "refund", (Some(amount), ground)).await
        }
    }
}

async fn cancel(call: CommandCall) -> CommandResult {
    let body: DepositCancelBody = call.read()?;
    let reason = body.reason.map(|reason| reason.0).unwrap_or_default();
    let known = cancel::cancel(&call.cashier, &call.act(), TransactionId(body.id.0), &reason).await?;
    shown(&call, &known).await
}

async fn shown(call: &CommandCall, known: &Aggregate) -> CommandResult {
    let texts = transactions::texts(&call.cashier, &known.transaction).await?;
    envelope::success(&TransactionAnswer::new(&known.transaction, &texts))
}
