//! Commands about transactions: one with its balance operations, and the table of many.

use cashier_core::books::Scope;
use cashier_core::ids::TransactionId;
use cashier_core::refusal::Refusal;
use cashier_core::session::Role;

use crate::flows::transactions;
use crate::manager::command::{Command, CommandCall};
use crate::wire::filter::Parameters;
use crate::wire::transaction::{TABLE, View};
use crate::wire::{operation, transaction, write};

pub const GET: Command =
    Command { name: "MngGetCashierTransaction", may: Role::may_manage_cashier, run: |call| Box::pin(get(call)) };

pub const LIST: Command = Command {
    name: "MngGetCashierTransactionsByFilter",
    may: Role::may_manage_cashier,
    run: |call| Box::pin(list(call)),
};

async fn get(call: CommandCall) -> Result<Vec<u8>, Refusal> {
    let found = transactions::one(&call.cashier, &call.session, TransactionId(call.id()?)).await?;
    let mut out = Vec::with_capacity(1024);
    write::object(&mut out, |fields| {
        fields.value("transaction", |out| transaction::write(out, &found.transaction, View::Manager)).array(
            "balance_operations",
            &found.operations,
            operation::write,
        );
    });
    Ok(out)
}

async fn list(call: CommandCall) -> Result<Vec<u8>, Refusal> {
    let filter = Parameters::from_json(call.data.as_bytes())?.into_filter()?;
    let scope = Scope { customer: None, brand: call.session.brand().map(Into::into) };
    let page = transactions::list(&call.cashier, &scope, &filter).await?;
    let mut out = Vec::with_capacity(256 + page.rows.len() * 160);
    write::object(&mut out, |fields| {
        fields
            .array("structure", TABLE, |out, (name, _)| write::text(out, name))
            .array("rows", &page.rows, transaction::write_row)
            .number("count", page.count);
    });
    Ok(out)
}
