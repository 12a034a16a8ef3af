//! Commands about customer overrides: one, the table of many, and the published edit.

use cashier_core::customer_override::CustomerOverride;
use cashier_core::ids::OverrideId;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Role;

use crate::flows::configure;
use crate::manager::command::{Command, CommandCall};
use crate::wire::customer_override::{self, FIELDS};
use crate::wire::filter::Parameters;
use crate::wire::write;

pub const GET: Command = Command {
    name: "MngGetCashierCustomerProviderOverride",
    may: Role::may_manage_cashier,
    run: |call| Box::pin(async move { get(&call) }),
};

pub const LIST: Command = Command {
    name: "MngGetCashierCustomerProviderOverridesByFilter",
    may: Role::may_manage_cashier,
    run: |call| Box::pin(async move { list(&call) }),
};

pub const UPDATE: Command = Command {
    name: "MngUpdateCashierCustomerProviderOverride",
    may: Role::may_manage_cashier,
    run: |call| Box::pin(update(call)),
};

fn get(call: &CommandCall) -> Result<Vec<u8>, Refusal> {
    let snapshot = call.cashier.snapshot();
    let found = snapshot.customer_override(OverrideId(call.id()?)).filter(|row| call.session.sees(&row.brand));
    match found {
        Some(row) => Ok(shown(row)),
        None => Err(Refusal::new(RefusalCode::NotFound, "there is no such override")),
    }
}

/// In the published table form: a structure and rows of values in that order.
fn list(call: &CommandCall) -> Result<Vec<u8>, Refusal> {
    let filter = Parameters::from_json(call.data.as_bytes())?.into_filter()?;
    let snapshot = call.cashier.snapshot();
    let visible = snapshot.overrides().filter(|row| call.session.sees(&row.brand));
    let page = filter.page(visible);
    let mut out = Vec::with_capacity(512 + page.rows.len() * 160);
    write::object(&mut out, |fields| {
        fields
            .array("structure", FIELDS, |out, (name, _)| write::text(out, name))
            .array("rows", page.rows, customer_override::write_row)
            .number("count", page.count);
    });
    Ok(out)
}

async fn update(call: CommandCall) -> Result<Vec<u8>, Refusal> {
    let edit = customer_override::read(call.data.as_bytes())?;
    let saved = configure::save_override(&call.cashier, call.session, edit, call.context).await?;
    Ok(shown(&saved))
}

fn shown(row: &CustomerOverride) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write::object(&mut out, |fields| {
        fields.value("override", |out| customer_override::write(out, row));
    });
    out
}
