//! Commands about customer overrides: one, the table of many, and the published edit.

use std::sync::Arc;

use cashier_core::filter::OverrideField;
use cashier_core::ids::OverrideId;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Role;

use crate::flows::configure::{self, OverrideRequest};
use crate::json_object::Described;
use crate::json_object::schema::either;
use crate::manager::command::{ById, Command, CommandCall, Effect};
use crate::wire::answer_values::{TableForm, TableOf};
use crate::wire::customer_override::{self, OverrideAnswer, OverrideBody, OverrideRecord, WarnedOverrideAnswer};
use crate::wire::envelope::{self, CommandResult};
use crate::wire::filter;

pub const GET: Command = Command {
    name: "MngGetCashierCustomerProviderOverride",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[RefusalCode::NotFound],
    request: ById::schema,
    answer: OverrideAnswer::schema,
    run: |call| Box::pin(async move { get(&call) }),
};

pub const LIST: Command = Command {
    name: "MngGetCashierCustomerProviderOverridesByFilter",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: filter::schema::<OverrideField>,
    answer: TableOf::<OverrideRecord>::schema,
    run: |call| Box::pin(async move { list(&call) }),
};

pub const UPDATE: Command = Command {
    name: "MngUpdateCashierCustomerProviderOverride",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound],
    request: OverrideBody::schema,
    answer: || either(&OverrideAnswer::schema(), &WarnedOverrideAnswer::schema()),
    run: |call| Box::pin(update(call)),
};

fn get(call: &CommandCall) -> CommandResult {
    let snapshot = call.cashier.snapshot();
    let found = snapshot.customer_override(OverrideId(call.id()?)).filter(|row| call.session.sees(&row.brand));
    match found {
        Some(row) => envelope::success(&OverrideAnswer::new(row)),
        None => Err(Refusal::new(RefusalCode::NotFound, "there is no such override")),
    }
}

/// In the published table form: a structure and rows of values in that order.
fn list(call: &CommandCall) -> CommandResult {
    let filter = call.filter()?;
    let snapshot = call.cashier.snapshot();
    let visible = snapshot.overrides().filter(|row| call.session.sees(&row.brand));
    let page = filter.page(visible);
    envelope::success(&TableForm::new(page.rows.iter().map(|row| OverrideRecord::new(row)), page.count))
}

async fn update(call: CommandCall) -> CommandResult {
    let edit = customer_override::read(call.data())?;
    let cashier = Arc::clone(&call.cashier);
    let request = OverrideRequest { session: call.session, command: call.command, edit, context: call.context };
    let saved = configure::save_override(&cashier, request).await?;
    let warnings = configure::override_warnings(&cashier, &saved);
    match warnings.as_slice() {
        [] => envelope::success(&OverrideAnswer::new(&saved)),
        warnings => envelope::success(&WarnedOverrideAnswer::new(&saved, warnings)),
    }
}
