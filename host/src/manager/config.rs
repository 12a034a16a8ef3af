//! Commands about provider configs. A session of one brand sees its own rows, and the rows that serve every brand without
//! their credentials; those are removed before the filter runs, so that no filter can be used to guess them.

use std::borrow::Cow;

use cashier_core::edit::ConfigEdit;
use cashier_core::filter::Page;
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::Refusal;
use cashier_core::session::Role;

use crate::flows::configure;
use crate::manager::command::{Command, CommandCall};
use crate::manager::module;
use crate::snapshot::Snapshot;
use crate::wire::filter::Parameters;
use crate::wire::{config, write};

pub const PROVIDERS: Command = Command {
    name: "MngGetCashierProviders",
    may: Role::may_manage_cashier,
    run: |call| Box::pin(async move { providers(&call) }),
};

pub const LIST: Command = Command {
    name: "MngGetCashierProviderConfigsByFilter",
    may: Role::may_manage_cashier,
    run: |call| Box::pin(async move { list(&call) }),
};

pub const ADD: Command =
    Command { name: "MngAddCashierProviderConfig", may: Role::may_manage_cashier, run: |call| Box::pin(add(call)) };

pub const UPDATE: Command = Command {
    name: "MngUpdateCashierProviderConfig",
    may: Role::may_manage_cashier,
    run: |call| Box::pin(update(call)),
};

pub const DELETE: Command = Command {
    name: "MngDeleteCashierProviderConfig",
    may: Role::may_manage_cashier,
    run: |call| Box::pin(delete(call)),
};

fn providers(call: &CommandCall) -> Result<Vec<u8>, Refusal> {
    let snapshot = call.cashier.snapshot();
    let page = page(call, &snapshot)?;
    // Read now: a module's health changes between two snapshots.
    let catalog = call.cashier.modules.catalog();
    let lines = module::visible(&catalog, &call.session);
    let mut out = Vec::with_capacity(1024);
    write::object(&mut out, |fields| {
        fields.array("rows", &page.rows, |out, row| config::write(out, row)).number("count", page.count).array(
            "runtime_providers",
            &lines,
            module::write_runtime,
        );
    });
    Ok(out)
}

fn list(call: &CommandCall) -> Result<Vec<u8>, Refusal> {
    let snapshot = call.cashier.snapshot();
    let page = page(call, &snapshot)?;
    let mut out = Vec::with_capacity(1024);
    write::object(&mut out, |fields| {
        fields.array("rows", &page.rows, |out, row| config::write(out, row)).number("count", page.count);
    });
    Ok(out)
}

fn page<'p>(call: &CommandCall, snapshot: &'p Snapshot) -> Result<Page<Cow<'p, ProviderConfig>>, Refusal> {
    let filter = Parameters::from_json(call.data.as_bytes())?.into_filter()?;
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

async fn add(call: CommandCall) -> Result<Vec<u8>, Refusal> {
    let edit = config::read(call.data.as_bytes())?;
    if edit.target().is_some() {
        return Err(Refusal::invalid("id is not a field of this request"));
    }
    save(call, edit).await
}

/// Without an id it creates a config, which is the older published form.
async fn update(call: CommandCall) -> Result<Vec<u8>, Refusal> {
    let edit = config::read(call.data.as_bytes())?;
    save(call, edit).await
}

async fn save(call: CommandCall, edit: ConfigEdit) -> Result<Vec<u8>, Refusal> {
    let saved = configure::save_config(&call.cashier, call.session, edit, call.context).await?;
    let mut out = Vec::with_capacity(1024);
    write::object(&mut out, |fields| {
        fields.value("provider", |out| config::write(out, &saved));
    });
    Ok(out)
}

/// Disables the config; its row stays, because earlier transactions refer to it.
async fn delete(call: CommandCall) -> Result<Vec<u8>, Refusal> {
    let edit = ConfigEdit { id: Some(ConfigId(call.id()?)), enabled: Some(false), ..ConfigEdit::default() };
    configure::save_config(&call.cashier, call.session, edit, call.context).await?;
    Ok(br#"{"data":"OK"}"#.to_vec())
}
