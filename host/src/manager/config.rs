//! Commands about provider configs. A session of one brand sees its own rows, and the rows of every brand without their
//! credentials; those are blanked before the filter looks, so that no filter can guess them.

use std::borrow::Cow;

use cashier_core::edit::ConfigEdit;
use cashier_core::filter::{ConfigField, Page};
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::Refusal;
use cashier_core::session::Role;

use crate::flows::configure;
use crate::json_object::{Described, answer};
use crate::manager::command::{ById, Call, Command, Done};
use crate::manager::module::{self, ModuleRecord};
use crate::ports::CatalogLine;
use crate::snapshot::Snapshot;
use crate::wire::answer_values::{Listing, ListingOf};
use crate::wire::config::{self, ConfigAnswer, ConfigBody, ConfigRecord};
use crate::wire::envelope::CommandResult;
use crate::wire::filter::{self, Parameters};
use crate::wire::write;

pub const PROVIDERS: Command = Command {
    name: "MngGetCashierProviders",
    may: Role::may_manage_cashier,
    request: filter::schema::<ConfigField>,
    answer: ProvidersAnswer::schema,
    run: |call| Box::pin(async move { providers(&call) }),
};

pub const LIST: Command = Command {
    name: "MngGetCashierProviderConfigsByFilter",
    may: Role::may_manage_cashier,
    request: filter::schema::<ConfigField>,
    answer: ListingOf::<ConfigRecord>::schema,
    run: |call| Box::pin(async move { list(&call) }),
};

pub const ADD: Command = Command {
    name: "MngAddCashierProviderConfig",
    may: Role::may_manage_cashier,
    request: ConfigBody::schema,
    answer: ConfigAnswer::schema,
    run: |call| Box::pin(add(call)),
};

pub const UPDATE: Command = Command {
    name: "MngUpdateCashierProviderConfig",
    may: Role::may_manage_cashier,
    request: ConfigBody::schema,
    answer: ConfigAnswer::schema,
    run: |call| Box::pin(update(call)),
};

pub const DELETE: Command = Command {
    name: "MngDeleteCashierProviderConfig",
    may: Role::may_manage_cashier,
    request: ById::schema,
    answer: Done::schema,
    run: |call| Box::pin(delete(call)),
};

answer! {
    /// Provider configs, and the modules that are loaded.
    pub struct ProvidersAnswer<'a>(page: &'a Page<Cow<'a, ProviderConfig>>, modules: &'a [CatalogLine]) {
        rows: Vec<ConfigRecord<'a>> = page.rows.iter().map(|row| ConfigRecord::new(row)).collect::<Vec<_>>(), "the configs of this page";
        count: u64 = page.count, "how many configs match, before the page is taken";
        runtime_providers: Vec<ModuleRecord<'a>> = modules.iter().map(ModuleRecord::running).collect::<Vec<_>>(), "the modules of plugins.toml";
    }
}

fn providers(call: &Call) -> CommandResult {
    let snapshot = call.cashier.snapshot();
    let page = page(call, &snapshot)?;
    // Request anew: how a module fares changes between two snapshots.
    let catalog = call.cashier.modules.catalog();
    let lines = module::visible(&catalog, &call.session);
    write::part(&ProvidersAnswer::new(&page, &lines))
}

fn list(call: &Call) -> CommandResult {
    let snapshot = call.cashier.snapshot();
    let page = page(call, &snapshot)?;
    write::part(&Listing::new(page.rows.iter().map(|row| ConfigRecord::new(row)), page.count))
}

fn page<'p>(call: &Call, snapshot: &'p Snapshot) -> Result<Page<Cow<'p, ProviderConfig>>, Refusal> {
    let filter = Parameters::from_json(call.data())?.into_filter()?;
    let seen = snapshot.configs().filter_map(|served| {
        let row = &*served.config;
        if call.session.sees(&row.brand) {
            Some(Cow::Borrowed(row))
        } else if row.brand.is_empty() {
            Some(Cow::Owned(config::without_credentials(row)))
        } else {
            None
        }
    });
    Ok(filter.page(seen))
}

async fn add(call: Call) -> CommandResult {
    let edit = config::read(call.data())?;
    if edit.target().is_some() {
        return Err(Refusal::invalid("id is not a field of this request"));
    }
    save(call, edit).await
}

/// Without an id it creates, which is the published older form.
async fn update(call: Call) -> CommandResult {
    let edit = config::read(call.data())?;
    save(call, edit).await
}

async fn save(call: Call, edit: ConfigEdit) -> CommandResult {
    let saved = configure::save_config(&call.cashier, call.session, edit, call.context).await?;
    write::part(&ConfigAnswer::new(&saved))
}

/// Disables; the record stays, because old money rests on it.
async fn delete(call: Call) -> CommandResult {
    let edit = ConfigEdit { id: Some(ConfigId(call.id()?)), enabled: Some(false), ..ConfigEdit::default() };
    configure::save_config(&call.cashier, call.session, edit, call.context).await?;
    write::part(&Done::new())
}
