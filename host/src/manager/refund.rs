//! Commands about a provider's deposits at their provider: refund what was paid, cancel what is unpaid.

use cashier_core::ids::TransactionId;
use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;

use crate::flows::cancel;
use crate::flows::refund::{self, RefundOutcome};
use crate::json_object::Described;
use crate::json_object::schema::either;
use crate::manager::command::{Command, CommandCall, Effect};
use crate::manager::second_person;
use crate::manager::transaction::{on, shown};
use crate::wire::approval::ApprovalAnswer;
use crate::wire::envelope::CommandResult;
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
        RefusalCode::TransactionChanged,
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
        RefusalCode::TransactionChanged,
        RefusalCode::ProviderDeclined,
        RefusalCode::ProviderUnavailable,
    ],
    request: DepositCancelBody::schema,
    answer: TransactionAnswer::schema,
    run: |call| Box::pin(cancel(call)),
};

async fn refund(call: CommandCall) -> CommandResult {
    let mut body: RefundBody = call.read()?;
    let (id, act) = (TransactionId(body.id.0), on(&call, body.ground.take()));
    match refund::refund(&call.cashier, &act, id, body.request()).await? {
        RefundOutcome::Made(known) => shown(&call, &known.transaction).await,
        RefundOutcome::Waits { amount, ground } => {
            second_person::ask(&call, id, "refund", (Some(amount), ground)).await
        }
    }
}

async fn cancel(call: CommandCall) -> CommandResult {
    let body: DepositCancelBody = call.read()?;
    let reason = body.reason.map(|reason| reason.0).unwrap_or_default();
    let act = on(&call, body.ground);
    let known = cancel::cancel(&call.cashier, &act, TransactionId(body.id.0), &reason).await?;
    shown(&call, &known.transaction).await
}
