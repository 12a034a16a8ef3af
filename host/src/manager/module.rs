//! Commands about payment modules, and the catalog's lines as `MngGetCashierProviders` shows them.

use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{ManagerSession, Role};

use crate::json_object::{Described, answer};
use crate::manager::command::{Call, Command, NoFields};
use crate::ports::CatalogLine;
use crate::wire::answer_values::{Listing, ListingOf, Str};
use crate::wire::envelope::CommandResult;
use crate::wire::values::Flag;
use crate::wire::write;

pub const LIST: Command = Command {
    name: "MngGetCashierPaymentModules",
    may: Role::may_manage_cashier,
    request: NoFields::schema,
    answer: ListingOf::<ModuleRecord>::schema,
    run: |call| Box::pin(async move { list(&call) }),
};

answer! {
    /// A module of plugins.toml. What is known of it while it runs is in MngGetCashierProviders.
    pub struct ModuleRecord<'a>(line: &'a CatalogLine, running: bool) {
        code: Str<'a> = &line.code, "provider code";
        name: Str<'a> = &line.name, "name to show";
        description: Str<'a> = &line.description, "description to show";
        payment_mode: Str<'a> = &line.payment_mode, "how the customer pays";
        module_name: Str<'a> = &line.module_name, "name in plugins.toml";
        path: Str<'a> = &line.path, "file; empty for sessions of one brand";
        api_version: Str<'a> = &line.api_version, "contract version that the file speaks; empty when it could not be read";
        available: Flag = line.available, "1 when it is loaded";
        failure_reason: Str<'a> = &line.failure_reason, "why it is not available";
        generation: Option<u32> = running.then_some(line.generation), "how often the module was replaced";
        isolation: Option<Str<'a>> = running.then(|| Str::from(&line.isolation)), "where it runs";
        health: Option<Str<'a>> = running.then(|| Str::from(&line.health)), "ok, degraded or unavailable";
    }
}

impl<'a> ModuleRecord<'a> {
    /// With what is known of it while it runs.
    pub(super) fn running(line: &'a CatalogLine) -> Self {
        Self::new(line, true)
    }
}

/// Modules are the whole server's, so this is for sessions that are not scoped to a brand.
fn list(call: &Call) -> CommandResult {
    let NoFields {} = call.read()?;
    if call.session.brand().is_some() {
        return Err(Refusal::new(RefusalCode::PermissionDenied, "module commands are for sessions of every brand"));
    }
    // Request anew: how a module fares changes between two snapshots.
    let lines = call.cashier.modules.catalog();
    write::part(&Listing::new(lines.iter().map(|line| ModuleRecord::new(line, false)), lines.len() as u64))
}

/// The lines that exist for a session: a brand's manager sees what may serve the brand, and not where it lies.
pub(super) fn visible(catalog: &[CatalogLine], session: &ManagerSession) -> Vec<CatalogLine> {
    let Some(brand) = session.brand() else { return catalog.to_vec() };
    let serves = |line: &&CatalogLine| line.brands.as_ref().is_none_or(|brands| brands.iter().any(|b| **b == *brand));
    catalog.iter().filter(serves).map(|line| CatalogLine { path: Box::default(), ..line.clone() }).collect()
}
