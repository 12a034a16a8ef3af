//! The one publisher of configuration: validate → commit → on disk → build the gateway → store the new picture.
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

use super::{Asking, House};
use crate::ledger::{Estimate, Ledger};
use crate::ports::Modules;
use crate::snapshot::{NoGateway, Served, Snapshot};

pub(super) use self::upkeep::{reloaded, reopen_broken};

/// Edits that may wait; people make them, so a longer queue is a runaway client.
pub(super) const QUEUE_MAX: usize = 64;

/// A config without new payments keeps its gateway this long after its newest transaction: disputes come within
/// 540 days (API.md section 3, webhook rule 7).
const HEARING_SECONDS: i64 = 540 * 24 * 60 * 60;

/// One edit and where its outcome goes.
pub(super) enum Order {
    Config(ManagerSession, Box<ConfigEdit>, Asking, oneshot::Sender<Result<ProviderConfig, Refusal>>),
    Override(ManagerSession, Box<OverrideEdit>, Asking, oneshot::Sender<Result<CustomerOverride, Refusal>>),
    /// A config that should have a gateway and has none.
    Reopen(ConfigId),
    /// The rows on disk after a failed commit, which may have reached the disk all the same.
    Reloaded(Vec<ProviderConfig>, Vec<CustomerOverride>),
}

/// Creates or updates a provider config.
pub async fn save_config(
    house: &House,
    session: ManagerSession,
    edit: ConfigEdit,
    asking: Asking,
) -> Result<ProviderConfig, Refusal> {
    let (sender, outcome) = oneshot::channel();
    order(house, Order::Config(session, Box::new(edit), asking, sender))?;
    outcome.await.unwrap_or_else(|_| Err(interrupted()))
}

/// Creates or updates a customer override.
pub async fn save_override(
    house: &House,
    session: ManagerSession,
    edit: OverrideEdit,
    asking: Asking,
) -> Result<CustomerOverride, Refusal> {
    let (sender, outcome) = oneshot::channel();
    order(house, Order::Override(session, Box::new(edit), asking, sender))?;
    outcome.await.unwrap_or_else(|_| Err(interrupted()))
}

fn order(house: &House, order: Order) -> Result<(), Refusal> {
    house.configure.try_send(order).map_err(|_| Refusal::new(RefusalCode::Frequent, "too many edits are waiting"))
}

fn interrupted() -> Refusal {
    Refusal::new(RefusalCode::Internal, "the edit was interrupted")
}

/// Starts the publisher. It ends with the house.
pub(super) fn start(house: &Arc<House>, mut orders: mpsc::Receiver<Order>) {
    let publisher: Weak<House> = Arc::downgrade(house);
    house.spawn.resident(Box::pin(async move {
        while let Some(order) = orders.recv().await {
            let Some(house) = publisher.upgrade() else { return };
            match order {
                Order::Config(session, edit, asking, reply) => {
                    // Whoever asked may be gone; the edit stands.
                    let _ = reply.send(publish_config(&house, &session, &edit, &asking).await);
                }
                Order::Override(session, edit, asking, reply) => {
                    let _ = reply.send(publish_override(&house, &session, &edit, &asking).await);
                }
                Order::Reopen(id) => upkeep::reopen(&house, id).await,
                Order::Reloaded(configs, overrides) => upkeep::show_reloaded(&house, configs, overrides).await,
            }
        }
    }));
}

/// While an edit would move what transactions rest on, the config serves no new deposit, so that none is opened between
/// the look at its transactions and the new picture.
async fn publish_config(
    house: &House,
    session: &ManagerSession,
    edit: &ConfigEdit,
    asking: &Asking,
) -> Result<ProviderConfig, Refusal> {
    let served = match edit.target() {
        Some(id) => Some(house.picture().config(id).cloned().ok_or_else(no_row)?),
        None => None,
    };
    let stored = served.as_ref().map(|served| Arc::clone(&served.config));
    let target_brand = edit.brand.as_deref().or(stored.as_ref().map(|stored| &*stored.brand)).unwrap_or("");
    check_brand(session, stored.as_ref().map(|stored| &*stored.brand), target_brand)?;
    let Some(before) = served.filter(|served| edit.moves_the_ground(&served.config)) else {
        return write_config(house, session, edit, asking, stored).await;
    };
    let aside = ProviderConfig {
        enabled: false,
        version: before.config.version.saturating_add(1),
        ..ProviderConfig::clone(&before.config)
    };
    show(house, Served { config: Arc::new(aside), gateway: before.gateway.clone() });
    let written = write_config(house, session, edit, asking, stored).await;
    if written.is_err() {
        show(house, before);
    }
    written
}

/// Publishes one config in a new picture.
fn show(house: &House, served: Served) {
    house.snapshot.store(Arc::new(Snapshot::clone(&house.picture()).with_config(served)));
}

async fn write_config(
    house: &House,
    session: &ManagerSession,
    edit: &ConfigEdit,
    asking: &Asking,
    stored: Option<Arc<ProviderConfig>>,
) -> Result<ProviderConfig, Refusal> {
    let now = house.clock.now();
    let draft = match &stored {
        Some(stored) => {
            let has_transactions = house.ledger.glance(|books| books.config_activity(stored.id).is_some())?;
            let mut draft = edit.apply(stored, has_transactions, now)?;
            let picture = house.picture();
            guard::check(edit, stored, &mut draft, picture.module(&stored.provider), has_transactions, now)?;
            draft
        }
        None => {
            let draft = edit.create(ConfigId(0), now)?;
            guard::check_new(&draft, house.picture().module(&draft.provider))?;
            draft
        }
    };
    validate(house, &draft).await?;

    let _room = house.ledger.admit(Estimate::single(draft.settings_json.len() as u64))?;
    let stamp = house.stamp(Actor::Manager(session.manager_id()), &asking.request_id);
    let ticket = house.ledger.decide(&stamp, |drafting| {
        let id = if stored.is_some() { draft.id } else { drafting.next_config() };
        let saved = ProviderConfig { id, ..draft };
        drafting.add([Change::Config(Box::new(saved.clone()))]);
        saved
    })?;
    let saved = ticket.durable().await?.into_inner();
    let served = serve(&house.ledger, &*house.modules, saved.clone(), now).await;
    let deaf = served.gateway.is_err();
    show(house, served);
    // A deposit opened under the picture before this one may still be heard of; under this one none can be opened unseen.
    if deaf && may_hear(&house.ledger, &saved, now) {
        show(house, serve(&house.ledger, &*house.modules, saved.clone(), now).await);
    }
    tracing::info!(config = %saved.id, provider = %saved.provider, by = %session.manager_id(), "config saved");
    Ok(saved)
}

async fn publish_override(
    house: &House,
    session: &ManagerSession,
    edit: &OverrideEdit,
    asking: &Asking,
) -> Result<CustomerOverride, Refusal> {
    let now = house.clock.now();
    let stored = match edit.target() {
        Some(id) => Some(house.picture().customer_override(id).cloned().ok_or_else(no_row)?),
        None => None,
    };
    let target_brand = edit.brand.as_deref().or(stored.as_ref().map(|stored| &*stored.brand)).unwrap_or("");
    check_brand(session, stored.as_ref().map(|stored| &*stored.brand), target_brand)?;
    let draft = match &stored {
        Some(stored) => edit.apply(stored, now)?,
        None => edit.create(OverrideId(0), now)?,
    };
    let _room = house.ledger.admit(Estimate::single(0))?;
    let stamp = house.stamp(Actor::Manager(session.manager_id()), &asking.request_id);
    let ticket = house.ledger.decide(&stamp, |drafting| {
        let id = if stored.is_some() { draft.id } else { drafting.next_override() };
        let saved = CustomerOverride { id, ..draft };
        drafting.add([Change::Override(Box::new(saved.clone()))]);
        saved
    })?;
    let saved = ticket.durable().await?.into_inner();
    house.snapshot.store(Arc::new(Snapshot::clone(&house.picture()).with_override(saved.clone())));
    tracing::info!(customer_override = %saved.id, by = %session.manager_id(), "override saved");
    Ok(saved)
}

fn no_row() -> Refusal {
    Refusal::new(RefusalCode::NotFound, "there is no such row")
}

/// A loaded module is asked whether it would work under the config. A disabled config without any credential yet may be
/// saved as a draft.
async fn validate(house: &House, config: &ProviderConfig) -> Result<(), Refusal> {
    let loaded = house.picture().module(&config.provider).is_some_and(|line| line.available);
    let blank = config.secret_key.is_empty() && config.webhook_secret.is_empty() && config.config_json.is_empty();
    if !loaded || (!config.enabled && blank) {
        return Ok(());
    }
    house.modules.validate(config).await.map_err(Refusal::invalid)
}

/// Whether anything may still be heard under a config: new deposits, or old money.
fn may_hear(ledger: &Ledger, config: &ProviderConfig, now: UnixTime) -> bool {
    let activity = ledger.glance(|books| books.config_activity(config.id)).ok().flatten();
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

/// The first picture, from the rows on disk. A gateway that does not open is a line in the log, not a closed house.
pub async fn first_picture(
    ledger: &Ledger,
    modules: &dyn Modules,
    configs: Vec<ProviderConfig>,
    overrides: Vec<CustomerOverride>,
    allow_sandbox_credit: Arc<[Box<str>]>,
    now: UnixTime,
) -> Snapshot {
    let mut picture = Snapshot::new(modules.catalog(), allow_sandbox_credit);
    let opened = futures_util::future::join_all(configs.into_iter().map(|config| serve(ledger, modules, config, now)));
    for served in opened.await {
        if let Err(NoGateway::Broken(reason)) = &served.gateway {
            tracing::error!(config = %served.config.id, provider = %served.config.provider, %reason, "no gateway");
        }
        picture = picture.with_config(served);
    }
    overrides.into_iter().fold(picture, Snapshot::with_override)
}
