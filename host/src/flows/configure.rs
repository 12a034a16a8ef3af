//! The one publisher of configuration: validate → commit → on disk → build the gateway → store the new snapshot.
//! Edits come through a queue and are made one after another.

mod guard;
mod upkeep;

use std::sync::{Arc, Weak};

use cashier_core::change::Change;
use cashier_core::customer_override::CustomerOverride;
use cashier_core::edit::{ConfigEdit, OverrideEdit, check_brand};
use cashier_core::ids::{ConfigId, OverrideId};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{Actor, ManagerSession};
use cashier_core::time::UnixTime;
use tokio::sync::{mpsc, oneshot};

use super::publication::Publication;
use super::{Cashier, RequestContext};
use crate::ledger::{Estimate, Ledger};
use crate::ports::Modules;
use crate::snapshot::{NoGateway, Served, Snapshot};

pub(super) use self::upkeep::{reloaded, reopen_broken};

/// A config without new payments keeps its gateway this long after its newest transaction: disputes come within
/// 540 days (API.md section 3, webhook rule 7).
const HEARING_SECONDS: i64 = 540 * 24 * 60 * 60;

/// Creates or updates a provider config.
pub async fn save_config(
    cashier: &Cashier,
    session: ManagerSession,
    edit: ConfigEdit,
    context: RequestContext,
) -> Result<ProviderConfig, Refusal> {
    let (sender, outcome) = oneshot::channel();
    queue(cashier, Publication::Config(session, Box::new(edit), context.request_id, sender))?;
    outcome.await.unwrap_or_else(|_| Err(interrupted()))
}

/// Creates or updates a customer override.
pub async fn save_override(
    cashier: &Cashier,
    session: ManagerSession,
    edit: OverrideEdit,
    context: RequestContext,
) -> Result<CustomerOverride, Refusal> {
    let (sender, outcome) = oneshot::channel();
    queue(cashier, Publication::Override(session, Box::new(edit), context.request_id, sender))?;
    outcome.await.unwrap_or_else(|_| Err(interrupted()))
}

fn queue(cashier: &Cashier, publication: Publication) -> Result<(), Refusal> {
    let full = |_| Refusal::new(RefusalCode::Frequent, "too many edits are waiting");
    cashier.publications.try_send(publication).map_err(full)
}

fn interrupted() -> Refusal {
    Refusal::new(RefusalCode::Internal, "the edit was interrupted")
}

/// Starts the publisher. It ends with the cashier.
pub(super) fn start(cashier: &Arc<Cashier>, mut queue: mpsc::Receiver<Publication>) {
    let publisher: Weak<Cashier> = Arc::downgrade(cashier);
    cashier.spawn.resident(Box::pin(async move {
        while let Some(publication) = queue.recv().await {
            let Some(cashier) = publisher.upgrade() else { return };
            match publication {
                Publication::Config(session, edit, request_id, reply) => {
                    // The client may have disconnected; the edit holds.
                    let _ = reply.send(publish_config(&cashier, &session, &edit, &request_id).await);
                }
                Publication::Override(session, edit, request_id, reply) => {
                    let _ = reply.send(publish_override(&cashier, &session, &edit, &request_id).await);
                }
                Publication::Reopen(id) => upkeep::reopen(&cashier, id).await,
                Publication::Reloaded(configs, overrides) => upkeep::show_reloaded(&cashier, configs, overrides).await,
            }
        }
    }));
}

/// While an edit would move what transactions rest on, the config serves no new deposit, so that none is opened between
/// the look at its transactions and the new snapshot.
async fn publish_config(
    cashier: &Cashier,
    session: &ManagerSession,
    edit: &ConfigEdit,
    request_id: &str,
) -> Result<ProviderConfig, Refusal> {
    let served = match edit.target() {
        Some(id) => Some(cashier.snapshot().config(id).cloned().ok_or_else(no_row)?),
        None => None,
    };
    let stored = served.as_ref().map(|served| Arc::clone(&served.config));
    let target_brand = edit.brand.as_deref().or(stored.as_ref().map(|stored| &*stored.brand)).unwrap_or("");
    check_brand(session, stored.as_ref().map(|stored| &*stored.brand), target_brand)?;
    let Some(before) = served.filter(|served| edit.moves_the_ground(&served.config)) else {
        return write_config(cashier, session, edit, request_id, stored).await;
    };
    let aside = ProviderConfig {
        enabled: false,
        version: before.config.version.saturating_add(1),
        ..ProviderConfig::clone(&before.config)
    };
    show(cashier, Served { config: Arc::new(aside), gateway: before.gateway.clone() });
    let written = write_config(cashier, session, edit, request_id, stored).await;
    if written.is_err() {
        show(cashier, before);
    }
    written
}

/// Publishes one config in a new snapshot.
fn show(cashier: &Cashier, served: Served) {
    cashier.snapshot.store(Arc::new(Snapshot::clone(&cashier.snapshot()).with_config(served)));
}

async fn write_config(
    cashier: &Cashier,
    session: &ManagerSession,
    edit: &ConfigEdit,
    request_id: &str,
    stored: Option<Arc<ProviderConfig>>,
) -> Result<ProviderConfig, Refusal> {
    let now = cashier.clock.now();
    let draft = match &stored {
        Some(stored) => {
            let has_transactions = cashier.ledger.peek(|books| books.config_activity(stored.id).is_some())?;
            let mut draft = edit.apply(stored, has_transactions, now)?;
            let snapshot = cashier.snapshot();
            guard::check(edit, stored, &mut draft, snapshot.module(&stored.provider), has_transactions, now)?;
            draft
        }
        None => {
            let draft = edit.create(ConfigId(0), now)?;
            guard::check_new(&draft, cashier.snapshot().module(&draft.provider))?;
            draft
        }
    };
    validate(cashier, &draft).await?;

    let _room = cashier.ledger.admit(Estimate::single(draft.settings_json.len() as u64))?;
    let stamp = cashier.stamp(Actor::Manager(session.manager_id()), request_id);
    let ticket = cashier.ledger.decide(&stamp, |drafting| {
        let id = if stored.is_some() { draft.id } else { drafting.next_config() };
        let saved = ProviderConfig { id, ..draft };
        drafting.add([Change::Config(Box::new(saved.clone()))]);
        saved
    })?;
    let saved = ticket.durable().await?.into_inner();
    let served = serve(&cashier.ledger, &*cashier.modules, saved.clone(), now).await;
    let deaf = served.gateway.is_err();
    show(cashier, served);
    // A deposit opened under the snapshot before this one may still be heard of; under this one none can be opened unseen.
    if deaf && may_hear(&cashier.ledger, &saved, now) {
        show(cashier, serve(&cashier.ledger, &*cashier.modules, saved.clone(), now).await);
    }
    tracing::info!(config = %saved.id, provider = %saved.provider, by = %session.manager_id(), "config saved");
    Ok(saved)
}

async fn publish_override(
    cashier: &Cashier,
    session: &ManagerSession,
    edit: &OverrideEdit,
    request_id: &str,
) -> Result<CustomerOverride, Refusal> {
    let now = cashier.clock.now();
    let stored = match edit.target() {
        Some(id) => Some(cashier.snapshot().customer_override(id).cloned().ok_or_else(no_row)?),
        None => None,
    };
    let target_brand = edit.brand.as_deref().or(stored.as_ref().map(|stored| &*stored.brand)).unwrap_or("");
    check_brand(session, stored.as_ref().map(|stored| &*stored.brand), target_brand)?;
    let draft = match &stored {
        Some(stored) => edit.apply(stored, now)?,
        None => edit.create(OverrideId(0), now)?,
    };
    let _room = cashier.ledger.admit(Estimate::single(0))?;
    let stamp = cashier.stamp(Actor::Manager(session.manager_id()), request_id);
    let ticket = cashier.ledger.decide(&stamp, |drafting| {
        let id = if stored.is_some() { draft.id } else { drafting.next_override() };
        let saved = CustomerOverride { id, ..draft };
        drafting.add([Change::Override(Box::new(saved.clone()))]);
        saved
    })?;
    let saved = ticket.durable().await?.into_inner();
    cashier.snapshot.store(Arc::new(Snapshot::clone(&cashier.snapshot()).with_override(saved.clone())));
    tracing::info!(customer_override = %saved.id, by = %session.manager_id(), "override saved");
    Ok(saved)
}

fn no_row() -> Refusal {
    Refusal::new(RefusalCode::NotFound, "there is no such row")
}

/// A loaded module is asked whether it would work under the config. A disabled config without any credential yet may be
/// saved as a draft.
async fn validate(cashier: &Cashier, config: &ProviderConfig) -> Result<(), Refusal> {
    let loaded = cashier.snapshot().module(&config.provider).is_some_and(|line| line.available);
    let blank = config.secret_key.is_empty() && config.webhook_secret.is_empty() && config.config_json.is_empty();
    if !loaded || (!config.enabled && blank) {
        return Ok(());
    }
    cashier.modules.validate(config).await.map_err(Refusal::invalid)
}

/// Whether anything may still be heard under a config: new deposits, or old money.
fn may_hear(ledger: &Ledger, config: &ProviderConfig, now: UnixTime) -> bool {
    let activity = ledger.peek(|books| books.config_activity(config.id)).ok().flatten();
    config.enabled
        || activity.is_some_and(|activity| activity.open > 0 || now < activity.newest_created.plus(HEARING_SECONDS))
}

async fn serve(ledger: &Ledger, modules: &dyn Modules, config: ProviderConfig, now: UnixTime) -> Served {
    let gateway = if may_hear(ledger, &config, now) {
        modules.open_gateway(&config).await.map_err(|reason| NoGateway::Broken(reason.into()))
    } else {
        Err(NoGateway::Closed)
    };
    Served { config: Arc::new(config), gateway }
}

/// The first snapshot, from the rows on disk. A gateway that does not open is a line in the log, not a closed cashier.
pub async fn initial_snapshot(
    ledger: &Ledger,
    modules: &dyn Modules,
    configs: Vec<ProviderConfig>,
    overrides: Vec<CustomerOverride>,
    allow_sandbox_credit: Arc<[Box<str>]>,
    now: UnixTime,
) -> Snapshot {
    let mut snapshot = Snapshot::new(modules.catalog(), allow_sandbox_credit);
    let opened = futures_util::future::join_all(configs.into_iter().map(|config| serve(ledger, modules, config, now)));
    for served in opened.await {
        if let Err(NoGateway::Broken(reason)) = &served.gateway {
            tracing::error!(config = %served.config.id, provider = %served.config.provider, %reason, "no gateway");
        }
        snapshot = snapshot.with_config(served);
    }
    overrides.into_iter().fold(snapshot, Snapshot::with_override)
}
