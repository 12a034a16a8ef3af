//! Changes of the snapshot without an edit: gateways that failed to open are tried again, windows that a wrong clock stamped
//! begin once it is right, and after a failed commit the
//! rows on disk are published, whatever the edit under way was answered.

use std::sync::Arc;

use cashier_core::change::Change;
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::session::Actor;

use super::serving::{serve, show};
use crate::flows::Cashier;
use crate::flows::publication::Publication;
use crate::ports::{CatalogLine, Configuration, ModuleHealth};
use crate::snapshot::{NoGateway, Served, Snapshot};

/// Request id of commits without a request.
const REQUEST_ID: &str = "upkeep";

/// Gateways tried again at one time, so that edits by persons find capacity in the queue.
const REOPENED_AT_ONCE_MAX: usize = 16;

/// Queues another try for every gateway that should be open and whose module works.
pub(in crate::flows) fn reopen_broken(cashier: &Cashier) {
    let snapshot = cashier.snapshot();
    let mut broken = snapshot.configs().filter(|served| is_broken(served)).peekable();
    if broken.peek().is_none() {
        return;
    }
    // A module whose calls do not return is left alone: another try would take a thread of those that still work.
    let catalog = cashier.modules.catalog();
    let well = |line: &CatalogLine| line.available && line.call_health == ModuleHealth::Ok;
    let broken = broken.filter(|served| catalog.iter().any(|line| line.code == served.config.provider && well(line)));
    for served in broken.take(REOPENED_AT_ONCE_MAX) {
        // A full queue is full of edits, which open gateways themselves; the next round asks again.
        let _ = cashier.publications.try_send(Publication::Reopen(served.config.id));
    }
}

fn is_broken(served: &Served) -> bool {
    matches!(served.gateway, Err(NoGateway::Broken(_)))
}

pub(super) async fn reopen(cashier: &Cashier, id: ConfigId) {
    let Some(broken) = cashier.snapshot().config(id).filter(|served| is_broken(served)).cloned() else { return };
    let served =
        serve(&cashier.ledger, &*cashier.modules, ProviderConfig::clone(&broken.config), cashier.clock.now()).await;
    if served.gateway.is_ok() {
        tracing::info!(config = %id, provider = %served.config.provider, "a gateway was opened at another try");
        show(cashier, served);
    }
}

/// Queues the beginning of windows that an implausible clock left open, or that one which was ahead stamped. The caller knows
/// that the clock is plausible.
pub(in crate::flows) fn begin_windows_of_secrets(cashier: &Cashier) {
    let now = cashier.clock.now();
    if cashier.snapshot().configs().any(|served| served.config.with_windows_begun(now).is_some()) {
        // A full queue is full of edits; the next round asks again.
        let _ = cashier.publications.try_send(Publication::BeginWindows);
    }
}

/// Stores and shows each config whose replaced secrets are accepted for a whole window from now.
pub(super) async fn begin_windows(cashier: &Cashier) {
    let now = cashier.clock.now();
    if !cashier.clock.is_plausible() {
        return;
    }
    let begun: Vec<ProviderConfig> =
        cashier.snapshot().configs().filter_map(|served| served.config.with_windows_begun(now)).collect();
    for config in begun {
        let stamp = cashier.stamp(Actor::System, REQUEST_ID);
        let stored = config.clone();
        let ticket = cashier.ledger.decide(&stamp, |drafting| drafting.add([Change::Config(Box::new(stored))]));
        // After a failed commit it is found again.
        let Ok(ticket) = ticket else { return };
        if ticket.durable().await.is_err() {
            return;
        }
        tracing::info!(config = %config.id, "replaced webhook secrets end a whole window from now: the clock was wrong");
        show(cashier, serve(&cashier.ledger, &*cashier.modules, config, now).await);
    }
}

/// Hands the rows on disk to the publisher.
pub(in crate::flows) async fn reloaded(cashier: &Cashier, configuration: Configuration) {
    // The publisher ends with the cashier alone.
    let _ = cashier.publications.send(Publication::Reloaded(configuration)).await;
}

pub(super) async fn show_reloaded(cashier: &Cashier, configuration: Configuration) {
    let Configuration { configs, overrides, approvals } = configuration;
    for row in approvals {
        super::approvals::show(cashier, row);
    }
    for config in configs {
        let shown = cashier.snapshot().config(config.id).is_some_and(|served| *served.config == config);
        if !shown {
            tracing::warn!(config = %config.id, "a config whose commit was not confirmed is on disk: it is shown");
            show(cashier, serve(&cashier.ledger, &*cashier.modules, config, cashier.clock.now()).await);
        }
    }
    for row in overrides {
        if cashier.snapshot().customer_override(row.id) != Some(&row) {
            cashier.snapshot.store(Arc::new(Snapshot::clone(&cashier.snapshot()).with_override(row)));
        }
    }
}
