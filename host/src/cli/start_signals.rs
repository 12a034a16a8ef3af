//! SIGINT and SIGTERM while the server starts: they end the process at once, whatever the start is waiting for. Nothing is
//! served yet and every file is safe to leave at any moment. Signals of a running server are `serve`'s.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tracing_appender::non_blocking::WorkerGuard;

use super::serve::stop_signal;
use super::terminal::CliError;
use crate::process;

/// The guard of the log, dropped by whoever ends the process: dropping it writes the queued lines.
pub(super) type LogGuard = Arc<Mutex<Option<WorkerGuard>>>;

/// Ends the process at a signal for as long as it lives.
pub(super) struct StartSignals {
    _until: oneshot::Sender<()>,
}

/// Watches for signals on a thread with a runtime of its own: the threads of the server may all wait for a disk or a module.
pub(super) fn watch(guard: LogGuard) -> Result<StartSignals, CliError> {
    let failed = |error: std::io::Error| CliError(format!("signals cannot be watched: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (until, ended) = oneshot::channel::<()>();
    let (caught, is_caught) = mpsc::channel();
    let watch = move || {
        runtime.block_on(async move {
            let signal = stop_signal();
            let catches = signal.is_ok();
            if caught.send(signal.as_ref().map(|_| ()).map_err(|CliError(text)| CliError(text.clone()))).is_err() || !catches
            {
                return;
            }
            let Ok(signal) = signal else { return };
            tokio::select! {
                // A start that is over wins over a signal that came at the same moment.
                biased;
                _ = ended => {}
                _ = signal => {
                    tracing::info!("stop signal received during the start");
                    drop(guard.lock().unwrap_or_else(PoisonError::into_inner).take());
                    process::end(0);
                }
            }
        });
    };
    std::thread::Builder::new().name("start-signals".to_owned()).spawn(watch).map_err(failed)?;
    is_caught.recv().map_err(|_| CliError("signals cannot be watched".to_owned()))??;
    Ok(StartSignals { _until: until })
}
