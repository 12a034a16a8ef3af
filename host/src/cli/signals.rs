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
pub(super) enum SignalRequest {
    Stop,
    Reload,
    /// Nothing: it is no signal of ours, and its default would end the process.
    Nothing,
}

/// Signals with what they ask. SIGXCPU comes a second before the kill of a used-up allowance, SIGPWR when power fails.
#[cfg(unix)]
const SIGNALS: &[(&str, i32, SignalRequest)] = &[
    ("SIGINT", libc::SIGINT, SignalRequest::Stop),
    ("SIGTERM", libc::SIGTERM, SignalRequest::Stop),
    ("SIGQUIT", libc::SIGQUIT, SignalRequest::Stop),
    ("SIGXCPU", libc::SIGXCPU, SignalRequest::Stop),
    #[cfg(target_os = "linux")]
    ("SIGPWR", libc::SIGPWR, SignalRequest::Stop),
    ("SIGHUP", libc::SIGHUP, SignalRequest::Reload),
    ("SIGUSR1", libc::SIGUSR1, SignalRequest::Nothing),
    ("SIGUSR2", libc::SIGUSR2, SignalRequest::Nothing),
    ("SIGALRM", libc::SIGALRM, SignalRequest::Nothing),
    ("SIGVTALRM", libc::SIGVTALRM, SignalRequest::Nothing),
    ("SIGPROF", libc::SIGPROF, SignalRequest::Nothing),
    ("SIGPIPE", libc::SIGPIPE, SignalRequest::Nothing),
    ("SIGXFSZ", libc::SIGXFSZ, SignalRequest::Nothing),
    ("SIGIO", libc::SIGIO, SignalRequest::Nothing),
    #[cfg(target_os = "linux")]
    ("SIGSTKFLT", libc::SIGSTKFLT, SignalRequest::Nothing),
];

/// Signals of this process from their catch on.
pub(super) struct Signals(mpsc::Receiver<SignalRequest>);

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
            let named = named
                .chain((libc::SIGRTMIN()..=libc::SIGRTMAX()).map(|number| ("SIGRT", number, SignalRequest::Nothing)));
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
                let _ = sender.try_send(SignalRequest::Stop);
            }
        });
        Ok(Self(receiver))
    }

    /// The next wish to stop or to read files again.
    pub(super) async fn next(&mut self) -> SignalRequest {
        loop {
            match self.0.recv().await {
                // Nothing can be caught any more.
                None => return SignalRequest::Stop,
                Some(SignalRequest::Nothing) => {}
                Some(asked) => return asked,
            }
        }
    }

    /// Resolves at the next wish to stop.
    pub(super) async fn stop(&mut self) {
        while self.next().await != SignalRequest::Stop {}
    }
}
