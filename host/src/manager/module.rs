//! Commands about payment modules, and the catalog lines that `MngGetCashierProviders` lists.

use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{ManagerSession, Role};

use crate::json_object::{Described, answer};
use crate::manager::command::{Command, CommandCall, Effect, NoFields};
use crate::ports::CatalogLine;
use crate::wire::answer_values::{Listing, ListingOf};
use crate::wire::envelope::{self, CommandResult};
use crate::wire::values::Flag;

pub const LIST: Command = Command {
    name: "MngGetCashierPaymentModules",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: NoFields::schema,
    answer: ListingOf::<ModuleRecord>::schema,
    run: |call| Box::pin(async move { list(&call) }),
};

answer! {
    /// A module of plugins.toml; its runtime state is in MngGetCashierProviders alone.
    pub struct ModuleRecord<'a>(line: &'a CatalogLine, running: bool) {
        code: &'a str = &line.code, "provider code";
        name: &'a str = &line.name, "name to show";
        description: &'a str = &line.description, "description to show";
        payment_mode: &'a str = &line.payment_mode, "how the customer pays";
        module_name: &'a str = &line.module_name, "name in plugins.toml";
        path: &'a str = &line.path, "file; empty for a session of one brand";
        api_version: &'a str = &line.api_version, "contract version of the file; empty when it could not be read";
        available: Flag = Flag(line.available), "1 when it is loaded";
        failure_reason: &'a str = &line.failure_reason, "why it is not available";
        generation: Option<u32> = running.then_some(line.generation), "how often the module was replaced";
        isolation: Option<&'a str> = running.then_some(&*line.isolation), "where it runs";
        health: Option<&'a str> = running.then(|| line.health.name()), "ok, degraded or unavailable";
        problems: Option<Vec<&'a str>> = running.then(|| line.problems.iter().map(|problem| &**problem).collect()), "what of its gateways does not work, with the config";
    }
}

impl<'a> ModuleRecord<'a> {
    /// With its runtime state.
    pub(super) fn running(line: &'a CatalogLine) -> Self {
        Self::new(line, true)
    }
}

/// Modules belong to the whole server, so this needs a session that is not scoped to a brand.
fn list(call: &CommandCall) -> CommandResult {
    let NoFields {} = call.read()?;
    if call.session.brand().is_some() {
        return Err(Refusal::new(RefusalCode::PermissionDenied, "module commands are for sessions of every brand"));
    }
    // Read now: a module's health changes between two snapshots.
    let lines = call.cashier.modules.catalog();
    envelope::success(&Listing::new(lines.iter().map(|line| ModuleRecord::new(line, false)), lines.len() as u64))
}

/// The lines that a session may see: with a brand, the modules that may serve it, without their paths and without what is
/// wrong with other brands' configs.
pub(super) fn visible(catalog: &[CatalogLine], session: &ManagerSession) -> Vec<CatalogLine> {
    let Some(brand) = session.brand() else { return catalog.to_vec() };
    let serves = |line: &&CatalogLine| line.brands.as_ref().is_none_or(|brands| brands.iter().any(|b| **b == *brand));
    catalog
        .iter()
        .filter(serves)
        .map(|line| CatalogLine { path: Box::default(), problems: Vec::new(), ..line.clone() })
        .collect()
}
