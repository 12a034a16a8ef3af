//! What the operator asks a serving program by a signal: to stop, or to read its files again. No signal that can be caught and is
//! no error of the program ends it otherwise.

use tokio::sync::mpsc;

use super::terminal::CliError;
#[cfg(unix)]
use crate::plugins::opening;

/// Signals that wait to be obeyed; a person sends no more at once, and one more would say nothing new.
const SIGNALS_WAITING_MAX: usize = 8;

/// What a signal asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Stop,
    Reload,
    /// Nothing: it is no signal of ours, and its default would end the process.
    Nothing,
}

/// Signals with what they ask. SIGXCPU comes a second before the kill of a used-up allowance, SIGPWR when power fails.
#[cfg(unix)]
const SIGNALS: &[(&str, i32, Asked)] = &[
    ("SIGINT", libc::SIGINT, Asked::Stop),
    ("SIGTERM", libc::SIGTERM, Asked::Stop),
    ("SIGQUIT", libc::SIGQUIT, Asked::Stop),
    ("SIGXCPU", libc::SIGXCPU, Asked::Stop),
    #[cfg(target_os = "linux")]
    ("SIGPWR", libc::SIGPWR, Asked::Stop),
    ("SIGHUP", libc::SIGHUP, Asked::Reload),
    ("SIGUSR1", libc::SIGUSR1, Asked::Nothing),
    ("SIGUSR2", libc::SIGUSR2, Asked::Nothing),
    ("SIGALRM", libc::SIGALRM, Asked::Nothing),
    ("SIGVTALRM", libc::SIGVTALRM, Asked::Nothing),
    ("SIGPROF", libc::SIGPROF, Asked::Nothing),
    ("SIGPIPE", libc::SIGPIPE, Asked::Nothing),
    ("SIGXFSZ", libc::SIGXFSZ, Asked::Nothing),
    ("SIGIO", libc::SIGIO, Asked::Nothing),
    #[cfg(target_os = "linux")]
    ("SIGSTKFLT", libc::SIGSTKFLT, Asked::Nothing),
];

/// Signals of this process from their catch on.
pub(super) struct Signals(mpsc::Receiver<Asked>);

impl Signals {
    /// Catches them; called inside the runtime.
    pub(super) fn catch() -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError(format!("signals cannot be caught: {error}"));
        let (sender, receiver) = mpsc::channel(SIGNALS_WAITING_MAX);
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let named = SIGNALS.iter().copied();
            #[cfg(target_os = "linux")]
            let named =
                named.chain((libc::SIGRTMIN()..=libc::SIGRTMAX()).map(|number| ("SIGRT", number, Asked::Nothing)));
            for (name, number, asked) in named {
                let mut caught = signal(SignalKind::from_raw(number)).map_err(failed)?;
                let sender = sender.clone();
                tokio::spawn(async move {
                    while caught.recv().await.is_some() {
                        tracing::info!(signal = name, number, ?asked, "signal received");
                        // One that finds the queue full asks what is asked already.
                        let _ = sender.try_send(asked);
                    }
                });
            }
            opening::supervise_signals().map_err(failed)?;
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                let _ = sender.try_send(Asked::Stop);
            }
        });
        Ok(Self(receiver))
    }

    /// The next wish to stop or to read files again.
    pub(super) async fn next(&mut self) -> Asked {
        loop {
            match self.0.recv().await {
                // Nothing can be caught any more.
                None => return Asked::Stop,
                Some(Asked::Nothing) => {}
                Some(asked) => return asked,
            }
        }
    }

    /// Resolves at the next wish to stop.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}
