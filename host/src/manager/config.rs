//! Commands about provider configs. A session of one brand sees its own rows, and the rows that serve every brand without
//! their credentials; those are removed before the filter runs, so that no filter can be used to guess them.

use std::borrow::Cow;
use std::sync::Arc;

use cashier_core::edit::ConfigEdit;
use cashier_core::filter::{ConfigField, RowPage};
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Role;

use crate::flows::Rules;
use crate::flows::configure::{self, ConfigOutcome, ConfigRequest, DeletionRequest};
use crate::json_object::schema::either;
use crate::json_object::{Described, Schema, answer, request};
use crate::manager::command::{Command, CommandCall, Done, Effect};
use crate::manager::module::{self, ModuleRecord, WebhookSetup};
use crate::ports::CatalogLine;
use crate::snapshot::Snapshot;
use crate::wire::answer_values::{Listing, ListingOf};
use crate::wire::approval::ApprovalAnswer;
use crate::wire::config::{self, ConfigAnswer, ConfigBody, ConfigRecord, WarnedConfigAnswer};
use crate::wire::envelope::{self, CommandAnswer, CommandResult};
use crate::wire::filter;
use crate::wire::values::{Flag, RecordId};
use crate::wire::write;

pub const PROVIDERS: Command = Command {
    name: "MngGetCashierProviders",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: filter::schema::<ConfigField>,
    answer: ProvidersAnswer::schema,
    run: |call| Box::pin(async move { providers(&call) }),
};

pub const LIST: Command = Command {
    name: "MngGetCashierProviderConfigsByFilter",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: filter::schema::<ConfigField>,
    answer: ListingOf::<ConfigRecord>::schema,
    run: |call| Box::pin(async move { list(&call) }),
};

pub const ADD: Command = Command {
    name: "MngAddCashierProviderConfig",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[],
    request: ConfigBody::schema,
    answer: saved_or_waiting,
    run: |call| Box::pin(add(call)),
};

pub const UPDATE: Command = Command {
    name: "MngUpdateCashierProviderConfig",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound],
    request: ConfigBody::schema,
    answer: saved_or_waiting,
    run: |call| Box::pin(update(call)),
};

pub const DELETE: Command = Command {
    name: "MngDeleteCashierProviderConfig",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound, RefusalCode::ConfigInUse],
    request: DeletionBody::schema,
    answer: Done::schema,
    run: |call| Box::pin(delete(call)),
};

request! {
    /// A config that shall serve no more.
    pub struct DeletionBody {
        id: RecordId, "id of the config";
        for_good: Option<Flag>, "1 deletes it, where it never served; 0 disables it";
    }
}

answer! {
    /// Provider configs, and the payment modules.
    pub struct ProvidersAnswer<'a>(page: &'a RowPage<Cow<'a, ProviderConfig>>, modules: &'a [CatalogLine], rules: &'a Rules) {
        rows: Vec<ConfigRecord<'a>> = page.rows.iter().map(|row| ConfigRecord::new(row)).collect(), "the page";
        count: u64 = page.count, "matching configs before pagination";
        runtime_providers: Vec<ModuleRecord<'a>> = modules.iter().map(ModuleRecord::running).collect(), "modules";
        webhooks: Vec<WebhookSetup<'a>> = page.rows.iter().map(|row| WebhookSetup::new(row, modules, rules)).collect(),
            "for each config of the page, what its webhook is set up with at the provider";
    }
}

fn providers(call: &CommandCall) -> CommandResult {
    let snapshot = call.cashier.snapshot();
    let page = page(call, &snapshot)?;
    // Read now: a module's health changes between two snapshots.
    let catalog = call.cashier.modules.catalog();
    let mut lines = module::visible(&catalog, &call.session);
    for line in &mut lines {
        let broken = snapshot.broken_gateways().filter(|(config, _)| config.provider == line.code);
        let broken = broken.filter(|(config, _)| call.session.sees(&config.brand));
        let problem = |(config, reason): (&ProviderConfig, &str)| {
            CatalogLine::text(&format!("config {}: gateway did not open: {reason}", config.id))
        };
        line.problems.extend(broken.map(problem));
    }
    envelope::success(&ProvidersAnswer::new(&page, &lines, &call.cashier.rules))
}

fn list(call: &CommandCall) -> CommandResult {
    let snapshot = call.cashier.snapshot();
    let page = page(call, &snapshot)?;
    envelope::success(&Listing::new(page.rows.iter().map(|row| ConfigRecord::new(row)), page.count))
}

fn page<'p>(call: &CommandCall, snapshot: &'p Snapshot) -> Result<RowPage<Cow<'p, ProviderConfig>>, Refusal> {
    let filter = call.filter()?;
    let visible = snapshot.configs().filter_map(|served| {
        let row = &*served.config;
        if call.session.sees(&row.brand) {
            Some(Cow::Borrowed(row))
        } else if row.brand.is_empty() {
            Some(Cow::Owned(config::without_credentials(row)))
        } else {
            None
        }
    });
    Ok(filter.page(visible))
}

async fn add(call: CommandCall) -> CommandResult {
    let edit = config::read(call.data())?;
    if edit.target().is_some() {
        return Err(Refusal::invalid("id is not a field of this request"));
    }
    save(call, ADD.name, edit).await
}

/// Without an id it creates a config, which is the older published form.
async fn update(call: CommandCall) -> CommandResult {
    let edit = config::read(call.data())?;
    save(call, UPDATE.name, edit).await
}

async fn save(call: CommandCall, command: &'static str, edit: ConfigEdit) -> CommandResult {
    let cashier = Arc::clone(&call.cashier);
    match configure::save_config(&cashier, request(call, command, edit)).await? {
        ConfigOutcome::Saved(saved) => {
            // The published answer, unless there is something to say.
            match configure::config_warnings(&cashier, &saved).as_slice() {
                [] => envelope::success(&ConfigAnswer::new(&saved)),
                warnings => envelope::success(&WarnedConfigAnswer::new(&saved, warnings)),
            }
        }
        ConfigOutcome::Waits(approval) => {
            let now = cashier.clock.now();
            write::part(&ApprovalAnswer::new(&approval, now)).map(CommandAnswer::accepted)
        }
    }
}

fn request(call: CommandCall, command: &'static str, edit: ConfigEdit) -> ConfigRequest {
    let data = Secret::new(&String::from_utf8_lossy(call.data()));
    ConfigRequest { session: call.session, command, edit, data, context: call.context }
}

/// The answer to an edit: what was saved, or what waits for a second person.
fn saved_or_waiting() -> Schema {
    let saved = either(&ConfigAnswer::schema(), &WarnedConfigAnswer::schema());
    either(&saved, &ApprovalAnswer::schema())
}

/// Disables the config for good; its row stays, because earlier transactions refer to it. Where it never served it can be deleted.
async fn delete(call: CommandCall) -> CommandResult {
    let body: DeletionBody = call.read()?;
    let id = ConfigId(body.id.0);
    if body.for_good.is_some_and(|flag| flag.0) {
        let CommandCall { cashier, session, context, .. } = call;
        configure::delete_config(&cashier, DeletionRequest { session, command: DELETE.name, id, context }).await?;
        return envelope::success(&Done::new());
    }
    let edit = ConfigEdit { id: Some(id), delete: true, ..ConfigEdit::default() };
    let cashier = Arc::clone(&call.cashier);
    // Disabling never waits for a second person.
    configure::save_config(&cashier, request(call, DELETE.name, edit)).await?;
    envelope::success(&Done::new())
}
