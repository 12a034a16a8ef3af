//! A config as it is served: its gateway, opened while webhooks may still arrive under it, in the snapshot. It decides
//! nothing about edits.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Activity;
use cashier_core::duty;
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::time::UnixTime;

use crate::flows::Cashier;
use crate::ledger::Ledger;
use crate::ports::{Configuration, Modules};
use crate::snapshot::{MoneyModes, NoGateway, Served, Snapshot};

/// A config without new payments keeps its gateway this long after its newest transaction: disputes come within
/// 540 days (docs/api/webhooks.md, rule 7).
const RECEIVING_SECONDS: i64 = 540 * 24 * 60 * 60;

/// Publishes one config in a new snapshot.
pub(super) fn show(cashier: &Cashier, served: Served) {
    cashier.snapshot.store(Arc::new(Snapshot::clone(&cashier.snapshot()).with_config(served)));
}

/// Whether webhooks may still arrive under a config: for new deposits, or for earlier transactions, of which nothing is known
/// while the ledger is closed.
pub(super) fn may_receive(ledger: &Ledger, config: &ProviderConfig, now: UnixTime) -> bool {
    let Ok(activity) = ledger.peek(|books| books.config_activity(config.id)) else { return true };
    let may_change = |known: Activity| known.open > 0 || now < known.newest_created.plus(RECEIVING_SECONDS);
    config.enabled || activity.is_some_and(|known| may_change(known) || is_queried(ledger, config.id))
}

/// Whether the provider is still asked about a transaction of a config, such as one with a refund whose end is not known: read
/// for old configs alone.
fn is_queried(ledger: &Ledger, config: ConfigId) -> bool {
    let is_of = |known: Aggregate| known.transaction.config_id == config && duty::is_queried(&known);
    ledger.peek(|books| books.unsettled().iter().any(|id| books.aggregate(*id).is_some_and(is_of))).unwrap_or(true)
}

/// The config with its gateway, where it needs one.
pub(super) async fn serve(ledger: &Ledger, modules: &dyn Modules, config: ProviderConfig, now: UnixTime) -> Served {
    let gateway = if !may_receive(ledger, &config, now) {
        Err(NoGateway::Closed)
    } else if let Some(broken) = config.broken() {
        Err(NoGateway::Broken(broken.into()))
    } else {
        modules.open_gateway(&config).await.map_err(|reason| NoGateway::Broken(reason.into()))
    };
    Served { config: Arc::new(config), gateway }
}

/// The first snapshot, from the rows on disk. A gateway that fails to open is logged and tried again; the others serve.
pub async fn initial_snapshot(
    ledger: &Ledger,
    modules: &dyn Modules,
    configuration: Configuration,
    money_modes: MoneyModes,
    now: UnixTime,
) -> Snapshot {
    let Configuration { configs, overrides, approvals, fingerprints, closed_keys } = configuration;
    let mut snapshot = Snapshot::new(modules.catalog(), money_modes, fingerprints).with_closed_keys(closed_keys);
    let opened = futures_util::future::join_all(configs.into_iter().map(|config| serve(ledger, modules, config, now)));
    for served in opened.await {
        if let Err(NoGateway::Broken(reason)) = &served.gateway {
            tracing::error!(config = %served.config.id, provider = %served.config.provider, %reason, "gateway failed to open");
        }
        snapshot = snapshot.with_config(served);
    }
    let snapshot = overrides.into_iter().fold(snapshot, Snapshot::with_override);
    approvals.into_iter().fold(snapshot, |snapshot, row| snapshot.with_approval(row, now))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::test_cashier::{TestCashier, config};

    #[tokio::test(start_paused = true)]
    async fn k1_a_closed_ledger_does_not_say_that_a_disabled_config_has_no_transactions() {
        let env = TestCashier::new().await;
        let disabled = |id| ProviderConfig { enabled: false, ..config(id) };
        let is_open = async |id| {
            let now = env.cashier.clock.now();
            serve(&env.cashier.ledger, &*env.cashier.modules, disabled(id), now).await.gateway.is_ok()
        };
        env.deposit("k").await.unwrap();
        assert!(is_open(1).await && !is_open(2).await);
        env.disk.fail_in.store(1, Ordering::SeqCst);
        env.deposit("lost").await.unwrap_err();
        assert!(!env.cashier.ledger.is_open());
        assert!(is_open(1).await && is_open(2).await, "nothing is known of their transactions");
    }
}
