//! Commands about payment modules, and the catalog lines that `MngGetCashierProviders` lists.

use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{ManagerSession, Role};

use crate::manager::command::{Command, CommandCall};
use crate::ports::CatalogLine;
use crate::wire::read::Fields;
use crate::wire::write::{self, Object};

pub const LIST: Command = Command {
    name: "MngGetCashierPaymentModules",
    may: Role::may_manage_cashier,
    run: |call| Box::pin(async move { list(&call) }),
};

/// Modules belong to the whole server, so this needs a session that is not scoped to a brand.
fn list(call: &CommandCall) -> Result<Vec<u8>, Refusal> {
    Fields::parse(call.data.as_bytes(), "data")?.finish()?;
    if call.session.brand().is_some() {
        return Err(Refusal::new(RefusalCode::PermissionDenied, "module commands are for sessions of every brand"));
    }
    // Read now: a module's health changes between two snapshots.
    let lines = call.cashier.modules.catalog();
    let mut out = Vec::with_capacity(1024);
    write::object(&mut out, |fields| {
        fields.array("rows", lines.iter(), write).number("count", lines.len() as u64);
    });
    Ok(out)
}

/// The lines that a session may see: with a brand, the modules that may serve it, without their paths.
pub(super) fn visible(catalog: &[CatalogLine], session: &ManagerSession) -> Vec<CatalogLine> {
    let Some(brand) = session.brand() else { return catalog.to_vec() };
    let serves = |line: &&CatalogLine| line.brands.as_ref().is_none_or(|brands| brands.iter().any(|b| **b == *brand));
    catalog.iter().filter(serves).map(|line| CatalogLine { path: Box::default(), ..line.clone() }).collect()
}

fn write(out: &mut Vec<u8>, line: &CatalogLine) {
    write::object(out, |fields| write_fields(fields, line));
}

/// The line with its runtime state.
pub(super) fn write_runtime(out: &mut Vec<u8>, line: &CatalogLine) {
    write::object(out, |fields| {
        write_fields(fields, line);
        fields
            .number("generation", line.generation.into())
            .text("isolation", &line.isolation)
            .text("health", line.health.word());
    });
}

fn write_fields(fields: &mut Object<'_>, line: &CatalogLine) {
    fields
        .text("code", &line.code)
        .text("name", &line.name)
        .text("description", &line.description)
        .text("payment_mode", &line.payment_mode)
        .text("module_name", &line.module_name)
        .text("path", &line.path)
        .text("api_version", &line.api_version)
        .flag("available", line.available)
        .text("failure_reason", &line.failure_reason);
}
