//! Changes of the snapshot without an edit: gateways that failed to open are tried again, windows that a wrong clock stamped
//! begin once it is right, and after a failed commit the
//! rows on disk are published, whatever the edit under way was answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cashier_core::change::Change;
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::session::Actor;

use super::serving::{serve, show};
use crate::flows::Cashier;
use crate::flows::publication::Publication;
use crate::ports::Configuration;
use crate::snapshot::{NoGateway, Served, Snapshot};

/// Request id of commits without a request.
const REQUEST_ID: &str = "upkeep";

/// Gateways tried again in one minute, so that a start's worth of them does not take every core at once. They take turns.
const REOPENED_AT_ONCE_MAX: usize = 16;

/// Between two tries to read the configuration after a reload.
const REREAD_PAUSE: Duration = Duration::from_secs(1);

/// Tries again to open gateways that should be open and whose module is loaded: those of the configs after `after`, then
/// from the first on. Each is opened on its own, so that none waits for another, nor a person's edit for any. Returns the
/// last config that had its turn.
pub(in crate::flows) fn reopen_broken(cashier: &Arc<Cashier>, after: ConfigId) -> ConfigId {
    let snapshot = cashier.snapshot();
    let mut broken: Vec<&Served> = snapshot.configs().filter(|served| is_broken(served)).collect();
    if broken.is_empty() {
        return after;
    }
    let catalog = cashier.modules.catalog();
    broken.retain(|served| catalog.iter().any(|line| line.code == served.config.provider && line.available));
    broken.sort_by_key(|served| (served.config.id <= after, served.config.id));
    broken.truncate(REOPENED_AT_ONCE_MAX);
    for served in &broken {
        let (flow, config) = (Arc::clone(cashier), Arc::clone(&served.config));
        cashier.spawn.spawn(Box::pin(async move { reopen(&flow, &config).await }));
    }
    broken.last().map_or(after, |served| served.config.id)
}

fn is_broken(served: &Served) -> bool {
    matches!(served.gateway, Err(NoGateway::Broken(_)))
}

async fn reopen(cashier: &Cashier, config: &ProviderConfig) {
    let served = serve(&cashier.ledger, &*cashier.modules, config.clone(), cashier.clock.now()).await;
    if served.gateway.is_ok() {
        // The publisher ends with the cashier alone.
        let _ = cashier.publications.send(Publication::Reopened(served)).await;
    }
}

/// Shows a gateway that was opened at another try, unless the config was edited meanwhile.
pub(super) fn show_reopened(cashier: &Cashier, served: Served) {
    let id = served.config.id;
    if cashier.snapshot().config(id).is_some_and(|known| is_broken(known) && known.config == served.config) {
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

/// Has what did not open read again, where there is such: a seal key was put back.
pub fn read_again(cashier: &Cashier) {
    if !cashier.snapshot().unreadable_rows().is_empty() {
        // A full queue is full of edits; whoever follows the key file asks again.
        let _ = cashier.publications.try_send(Publication::Reread);
    }
}

/// The same where a row is shown as unreadable whose key came since it was read. One that was changed opens with no key.
pub fn read_what_opens_again(cashier: &Cashier, has_key_of: impl Fn(&[u8]) -> bool) {
    let opens = {
        let snapshot = cashier.snapshot();
        let of_configs = snapshot.configs().flat_map(|served| &served.config.unreadable);
        let of_approvals = snapshot.approvals().filter_map(|row| row.unreadable.as_ref());
        of_configs.chain(of_approvals).any(|lost| !lost.had_key && has_key_of(&lost.sealed))
    };
    if opens {
        read_again(cashier);
    }
}

/// Publishes the configs and approvals that open again. No edit is under way meanwhile: the publisher makes them.
pub(super) async fn reread(cashier: &Cashier) {
    let read = match cashier.ledger.configuration().await {
        Ok(read) => read,
        Err(fault) => {
            tracing::warn!(%fault, "rows that did not open were not read again");
            return;
        }
    };
    show_closed_keys(cashier, read.closed_keys);
    for config in read.configs {
        let shown = cashier.snapshot().config(config.id).map(|served| Arc::clone(&served.config));
        if shown.is_some_and(|shown| shown.unreadable.len() > config.unreadable.len()) {
            tracing::info!(config = %config.id, left = config.unreadable.len(), "sealed columns of a config open again");
            show(cashier, serve(&cashier.ledger, &*cashier.modules, config, cashier.clock.now()).await);
        }
    }
    for row in read.approvals {
        let was_unreadable = cashier.snapshot().approval(row.id).is_some_and(|shown| shown.unreadable.is_some());
        if was_unreadable && row.unreadable.is_none() {
            super::approvals::show(cashier, row);
        }
    }
}

fn show_closed_keys(cashier: &Cashier, closed_keys: Vec<String>) {
    cashier.snapshot.store(Arc::new(Snapshot::clone(&cashier.snapshot()).with_closed_keys(closed_keys)));
}

/// Asks the publisher to show what is on disk after the books were loaded again.
pub(in crate::flows) async fn reloaded(cashier: &Cashier) {
    // The publisher ends with the cashier alone.
    let _ = cashier.publications.send(Publication::Reloaded).await;
}

/// Shows what is on disk: a commit that failed may be there all the same. The rows are read here, after every edit before this
/// one: those of the reload itself may be older than what was saved since.
pub(super) async fn show_reloaded(cashier: &Arc<Cashier>) {
    let configuration = match cashier.ledger.configuration().await {
        Ok(read) => read,
        Err(fault) => {
            tracing::warn!(%fault, "the configuration was not read after a reload: it is tried again");
            ask_again(cashier);
            return;
        }
    };
    let Configuration { configs, overrides, approvals, fingerprints: _, closed_keys } = configuration;
    show_closed_keys(cashier, closed_keys);
    for row in approvals {
        super::approvals::show(cashier, row);
    }
    let stored: BTreeSet<ConfigId> = configs.iter().map(|config| config.id).collect();
    let shown: Vec<ConfigId> = cashier.snapshot().configs().map(|served| served.config.id).collect();
    for id in shown.into_iter().filter(|id| !stored.contains(id)) {
        tracing::warn!(config = %id, "a config whose deletion was not confirmed is gone from the disk: it is shown no more");
        cashier.snapshot.store(Arc::new(Snapshot::clone(&cashier.snapshot()).without_config(id)));
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

fn ask_again(cashier: &Arc<Cashier>) {
    let (clock, later) = (Arc::clone(&cashier.clock), Arc::downgrade(cashier));
    cashier.spawn.background(Box::pin(async move {
        clock.sleep(REREAD_PAUSE).await;
        if let Some(cashier) = later.upgrade() {
            reloaded(&cashier).await;
        }
    }));
}
