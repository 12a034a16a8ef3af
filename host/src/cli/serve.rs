//! `cashier serve`: opens the cashier, serves until a signal, drains.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Runtime;

use super::start_signals::{self, LogGuard};
use super::logs;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::app::CashierManager;
use crate::settings::Settings;

pub(super) fn serve(args: &SettingsArgs) -> Result<(), CliError> {
    let guard: LogGuard = Arc::new(Mutex::new(logs::start("info")));
    let settings = args.read()?;
    let served = runtime()?.block_on(until_signal(settings, &guard));
    drop(guard.lock().unwrap_or_else(PoisonError::into_inner).take());
    served
}

/// The runtime of every command that serves.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError(format!("the runtime did not start: {error}")))
}

async fn until_signal(settings: Settings, guard: &LogGuard) -> Result<(), CliError> {
    let scheme = settings.scheme();
    // Caught from here on: a signal that comes when the start is over stops the cashier in order.
    let stopped = stop_signal()?;
    let starting = start_signals::watch(Arc::clone(guard))?;
    let manager = CashierManager::open(settings).await?;
    drop(starting);
    let listeners = manager.listeners();
    print_line(&format!("customers  {scheme}://{}", listeners.customer));
    print_line(&format!("manager    {scheme}://{}/manager", listeners.manager));
    print_line(&format!("health     http://{}/readyz", listeners.watch));
    stopped.await?;
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
