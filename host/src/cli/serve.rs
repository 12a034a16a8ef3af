//! `cashier serve`: opens the cashier, serves until a signal, drains.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::logs;
use super::settings_args::SettingsArgs;
use super::signals::{SignalRequest, Signals};
use super::terminal::{CliError, print_beside, print_line};
use crate::app::{CashierManager, Machine};
use crate::settings::Settings;

pub(super) fn serve(args: &SettingsArgs) -> Result<(), CliError> {
    let logs = logs::start("info");
    let settings = args.read()?;
    logs.keep_security_events_in(&settings.var);
    let runtime = runtime()?;
    let served = runtime.block_on(until_signal(settings));
    // A start that was given up may leave a thread that cannot be interrupted: it ends with the process.
    runtime.shutdown_background();
    served
}

/// The runtime of every command that serves.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError(format!("the runtime did not start: {error}")))
}

async fn until_signal(settings: Settings) -> Result<(), CliError> {
    let scheme = settings.scheme();
    // Caught from here on, so that a signal ends a start in order.
    let signals = Signals::catch()?;
    let opened = CashierManager::open_unless(settings, Machine::real(), None, signals.stop()).await?;
    let Some(manager) = opened else { return Ok(()) };
    let listeners = manager.listeners();
    let lines = format!(
        "customers  {scheme}://{}\nmanager    {scheme}://{}/manager\nhealth     http://{}/readyz",
        listeners.customer, listeners.manager, listeners.watch
    );
    // Nobody waits for whoever may read them.
    print_beside(lines, print_line, Duration::ZERO);
    while signals.next().await == SignalRequest::Reload {
        manager.reload();
    }
    manager.leave_service(signals.stop()).await;
    tracing::info!("closing listeners and draining flows");
    manager.stop().await.map_err(CliError::from)
}
