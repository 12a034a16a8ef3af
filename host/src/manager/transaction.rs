//! Commands about transactions: one with its balance operations, and the table of many.

use cashier_core::books::Scope;
use cashier_core::filter::TransactionField;
use cashier_core::ids::TransactionId;
use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;
use cashier_core::transaction::Transaction;

use crate::flows::{ManagerAct, transactions};
use crate::json_object::Described;
use crate::manager::command::{ById, Command, CommandCall, Effect};
use crate::manager::transaction_list;
use crate::wire::answer_values::TableOf;
use crate::wire::envelope::{self, CommandAnswer, CommandResult};
use crate::wire::filter;
use crate::wire::ground::Ground;
use crate::wire::transaction::{TransactionAnswer, TransactionDetail, TransactionRecord};

pub const GET: Command = Command {
    name: "MngGetCashierTransaction",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[RefusalCode::NotFound],
    request: ById::schema,
    answer: TransactionDetail::schema,
    run: |call| Box::pin(get(call)),
};

pub const LIST: Command = Command {
    name: "MngGetCashierTransactionsByFilter",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: filter::schema::<TransactionField>,
    answer: TableOf::<TransactionRecord>::schema,
    run: |call| Box::pin(list(call)),
};

async fn get(call: CommandCall) -> CommandResult {
    let found = transactions::one(&call.cashier, &call.session, TransactionId(call.id()?)).await?;
    let texts = transactions::texts(&call.cashier, &found.transaction).await?;
    envelope::success(&TransactionDetail::new(&found.transaction, &texts, &found.operations))
}

/// Who calls which command, on the ground that the request names.
pub(super) fn on(call: &CommandCall, ground: Option<Ground>) -> ManagerAct {
    call.act().on(ground.map(|ground| ground.0))
}

/// The answer of a command that changed a transaction.
pub(super) async fn shown(call: &CommandCall, row: &Transaction) -> CommandResult {
    let texts = transactions::texts(&call.cashier, row).await?;
    envelope::success(&TransactionAnswer::new(row, &texts))
}

async fn list(call: CommandCall) -> CommandResult {
    let filter = call.filter()?;
    let scope = Scope { customer: None, brand: call.session.brand().map(Into::into) };
    let reader = call.list_reader(filter.limit());
    let page = transactions::list(&call.cashier, reader, &scope, filter).await?;
    Ok(CommandAnswer::of_body(transaction_list::table(page).await?))
}
