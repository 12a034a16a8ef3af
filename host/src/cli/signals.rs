//! What the operator asks a serving program by a signal: to stop, or to read its files again. No signal that can be caught and is
//! no error of the program ends or stops it otherwise.

use std::sync::Arc;

use tokio::sync::Notify;

use super::terminal::CliError;
#[cfg(unix)]
use crate::{plugins::opening, process};

/// What a signal asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalRequest {
    Stop,
    Reload,
    /// Nothing: it is no signal of ours, and its default would end or stop the process.
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
    // A server does not freeze with payments under way because a terminal is used for something else.
    ("SIGTSTP", libc::SIGTSTP, SignalRequest::Nothing),
    #[cfg(target_os = "linux")]
    ("SIGSTKFLT", libc::SIGSTKFLT, SignalRequest::Nothing),
];

/// What signals ask of this process from their catch on. Each wish waits for itself, however many others came, until it is obeyed.
pub(super) struct Signals(Arc<SignalsWaiting>);

#[derive(Default)]
struct SignalsWaiting {
    stop: Notify,
    reload: Notify,
}

impl SignalsWaiting {
    fn note(&self, asked: SignalRequest) {
        match asked {
            SignalRequest::Stop => self.stop.notify_one(),
            SignalRequest::Reload => self.reload.notify_one(),
            SignalRequest::Nothing => {}
        }
    }
}

impl Signals {
    /// Catches them; called inside the runtime.
    pub(super) fn catch() -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError(format!("signals cannot be caught: {error}"));
        let all = Arc::<SignalsWaiting>::default();
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            process::ignore_terminal_access().map_err(failed)?;
            let named = SIGNALS.iter().copied();
            #[cfg(target_os = "linux")]
            let named = named
                .chain((libc::SIGRTMIN()..=libc::SIGRTMAX()).map(|number| ("SIGRT", number, SignalRequest::Nothing)));
            for (name, number, asked) in named {
                let mut caught = signal(SignalKind::from_raw(number)).map_err(failed)?;
                let all = Arc::clone(&all);
                tokio::spawn(async move {
                    while caught.recv().await.is_some() {
                        tracing::info!(signal = name, number, ?asked, "signal received");
                        all.note(asked);
                    }
                });
            }
            opening::supervise_signals().map_err(failed)?;
        }
        #[cfg(not(unix))]
        {
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                while tokio::signal::ctrl_c().await.is_ok() {
                    all.note(SignalRequest::Stop);
                }
            });
        }
        Ok(Self(all))
    }

    /// The next wish to stop or to read files again; a stop first.
    pub(super) async fn next(&self) -> SignalRequest {
        tokio::select! {
            biased;
            () = self.0.stop.notified() => SignalRequest::Stop,
            () = self.0.reload.notified() => SignalRequest::Reload,
        }
    }

    /// Resolves at the next wish to stop. What is to be read again waits.
    pub(super) async fn stop(&self) {
        self.0.stop.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn n3_no_signal_takes_the_place_of_a_stop_and_a_wish_to_reload_outlives_a_start() {
        let signals = Signals(Arc::default());
        for asked in [SignalRequest::Nothing, SignalRequest::Reload, SignalRequest::Stop] {
            (0..100).for_each(|_| signals.0.note(asked));
        }
        assert_eq!(signals.next().await, SignalRequest::Stop);
        assert_eq!(signals.next().await, SignalRequest::Reload);
        signals.0.note(SignalRequest::Reload);
        signals.0.note(SignalRequest::Stop);
        signals.stop().await;
        assert_eq!(signals.next().await, SignalRequest::Reload);
    }
}
