//! Commands about manual deposits and withdrawals: enter, process, reject.

use cashier_core::ids::TransactionId;
use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;
use cashier_core::status::TransactionType;

use crate::flows::manual;
use crate::json_object::Described;
use crate::manager::command::{Command, CommandCall, Effect};
use crate::manager::transaction::{on, shown};
use crate::wire::envelope::CommandResult;
use crate::wire::manual::{ManualApproval, ManualBody, ManualRejection, read};
use crate::wire::transaction::TransactionAnswer;

pub const DEPOSIT: Command = Command {
    name: "MngCreateManualCashierDeposit",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[
        RefusalCode::CurrencyConversionRequired,
        RefusalCode::NotFound,
        RefusalCode::IdempotencyConflict,
        RefusalCode::Duplicate,
        RefusalCode::OpenDepositExists,
        RefusalCode::TooManyDecisions,
    ],
    request: ManualBody::schema,
    answer: TransactionAnswer::schema,
    run: |call| Box::pin(enter(call, TransactionType::Deposit)),
};

pub const WITHDRAWAL: Command = Command {
    name: "MngCreateManualCashierWithdrawal",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[
        RefusalCode::CurrencyConversionRequired,
        RefusalCode::NotFound,
        RefusalCode::IdempotencyConflict,
        RefusalCode::Duplicate,
    ],
    request: ManualBody::schema,
    answer: TransactionAnswer::schema,
    run: |call| Box::pin(enter(call, TransactionType::Withdrawal)),
};

pub const PROCESS: Command = Command {
    name: "MngProcessManualCashierTransaction",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[
        RefusalCode::NotFound,
        RefusalCode::Duplicate,
        RefusalCode::TransactionChanged,
        RefusalCode::InsufficientBalance,
        RefusalCode::PostingRefused,
        RefusalCode::TooManyDecisions,
    ],
    request: ManualApproval::schema,
    answer: TransactionAnswer::schema,
    run: |call| Box::pin(process(call)),
};

pub const REJECT: Command = Command {
    name: "MngRejectManualCashierTransaction",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[
        RefusalCode::NotFound,
        RefusalCode::Duplicate,
        RefusalCode::TransactionChanged,
        RefusalCode::TooManyDecisions,
    ],
    request: ManualRejection::schema,
    answer: TransactionAnswer::schema,
    run: |call| Box::pin(reject(call)),
};

async fn enter(call: CommandCall, kind: TransactionType) -> CommandResult {
    let request = read(call.data(), kind)?;
    let entered = manual::enter(&call.cashier, &call.act(), request).await?;
    shown(&call, &entered.transaction).await
}

async fn process(call: CommandCall) -> CommandResult {
    let ManualApproval { id, ground } = call.read()?;
    let processed = manual::process(&call.cashier, &on(&call, ground), TransactionId(id.0)).await?;
    shown(&call, &processed.transaction).await
}

async fn reject(call: CommandCall) -> CommandResult {
    let ManualRejection { id, reject_reason, ground } = call.read()?;
    let act = on(&call, ground);
    let rejected = manual::reject(&call.cashier, &act, TransactionId(id.0), &reject_reason.0).await?;
    shown(&call, &rejected.transaction).await
}
