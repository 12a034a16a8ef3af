//! `cashier serve`: opens the cashier, serves until a signal, drains.

use std::pin::pin;

use tokio::runtime::Runtime;

use super::logs;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::app::{CashierManager, Machine};
use crate::plugins::opening;
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
    let mut signals = pin!(stop_signal()?);
    let mut signal = None;
    let early = async { signal = Some(signals.as_mut().await) };
    let opened = CashierManager::open_unless(settings, Machine::real(), None, early).await?;
    let Some(manager) = opened else { return signal.unwrap_or(Ok(())) };
    let listeners = manager.listeners();
    print_line(&format!("customers  {scheme}://{}", listeners.customer));
    print_line(&format!("manager    {scheme}://{}/manager", listeners.manager));
    print_line(&format!("health     http://{}/readyz", listeners.watch));
    signals.await?;
    tracing::info!("stop signal received, closing listeners and draining flows");
    manager.stop().await;
    Ok(())
}

/// Resolves at SIGINT or SIGTERM, which are caught from this call on.
pub(super) fn stop_signal() -> Result<impl Future<Output = Result<(), CliError>>, CliError> {
    let failed = |error: std::io::Error| CliError(format!("signals cannot be caught: {error}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        opening::supervise_signals().map_err(failed)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async move { tokio::signal::ctrl_c().await.map_err(failed) })
}
