//! Commands about transactions: one with its balance operations, and the table of many.

use cashier_core::books::Scope;
use cashier_core::filter::TransactionField;
use cashier_core::ids::TransactionId;
use cashier_core::session::Role;
use cashier_core::texts::Texts;

use crate::flows::transactions;
use crate::json_object::Described;
use crate::manager::command::{ById, Command, CommandCall};
use crate::wire::answer_values::{TableForm, TableOf};
use crate::wire::envelope::{self, CommandResult};
use crate::wire::filter::{self, Parameters};
use crate::wire::transaction::{Audience, TransactionDetail, TransactionRecord};

pub const GET: Command = Command {
    name: "MngGetCashierTransaction",
    may: Role::may_manage_cashier,
    request: ById::schema,
    answer: TransactionDetail::schema,
    run: |call| Box::pin(get(call)),
};

pub const LIST: Command = Command {
    name: "MngGetCashierTransactionsByFilter",
    may: Role::may_manage_cashier,
    request: filter::schema::<TransactionField>,
    answer: TableOf::<TransactionRecord>::schema,
    run: |call| Box::pin(list(call)),
};

async fn get(call: CommandCall) -> CommandResult {
    let found = transactions::one(&call.cashier, &call.session, TransactionId(call.id()?)).await?;
    let texts = transactions::texts(&call.cashier, &found.transaction).await?;
    envelope::success(&TransactionDetail::new(&found.transaction, &texts, &found.operations))
}

async fn list(call: CommandCall) -> CommandResult {
    let filter = Parameters::from_json(call.data())?.into_filter()?;
    let scope = Scope { customer: None, brand: call.session.brand().map(Into::into) };
    let page = transactions::list(&call.cashier, &scope, &filter).await?;
    // The table has no column for them.
    let texts = Texts::default();
    let rows = page.rows.iter().map(|row| TransactionRecord::new(row, &texts, Audience::Manager));
    envelope::success(&TableForm::new(rows, page.count))
}
