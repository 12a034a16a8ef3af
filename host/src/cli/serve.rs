//! `cashier serve`: open the house, serve until a signal, drain.

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
    let manager = CashierManager::open(settings).await?;
    let doors = manager.doors();
    say(&format!("customers  {scheme}://{}", doors.customer));
    say(&format!("manager    {scheme}://{}/manager", doors.manager));
    say(&format!("health     http://{}/readyz", doors.watch));
    stop_signal().await?;
    tracing::info!("stopping: doors close, flows in flight end");
    manager.stop().await;
    Ok(())
}

/// Resolves at SIGINT or SIGTERM.
pub(super) async fn stop_signal() -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError(format!("signals cannot be heard: {error}"));
    #[cfg(unix)]
    {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(failed),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(failed)
}
