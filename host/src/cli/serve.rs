//! `cashier serve`: open the cashier, serve until a signal, drain.

use tokio::runtime::Runtime;

use super::{CliError, SettingsArgs, logs, say};
use crate::app::CashierManager;
use crate::settings::Settings;

pub(super) fn serve(args: &SettingsArgs) -> Result<(), CliError> {
    let _writing = logs::start("info");
    let settings = args.read()?;
    runtime()?.block_on(until_signal(settings))
}

/// The runtime every serving command uses.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError(format!("the runtime did not start: {error}")))
}

async fn until_signal(settings: Settings) -> Result<(), CliError> {
    let scheme = settings.scheme();
    // Heard from here on: a signal while the books load stops the cashier in order as soon as it stands.
    let stopped = stop_signal()?;
    let manager = CashierManager::open(settings).await?;
    let listeners = manager.listeners();
    say(&format!("customers  {scheme}://{}", listeners.customer));
    say(&format!("manager    {scheme}://{}/manager", listeners.manager));
    say(&format!("health     http://{}/readyz", listeners.watch));
    stopped.await?;
    tracing::info!("stopping: listeners close, flows in flight end");
    manager.stop().await;
    Ok(())
}

/// Resolves at SIGINT or SIGTERM, heard from this call on.
pub(super) fn stop_signal() -> Result<impl Future<Output = Result<(), CliError>>, CliError> {
    let failed = |error: std::io::Error| CliError(format!("signals cannot be heard: {error}"));
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
