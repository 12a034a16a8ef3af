//! The parts that read their files again when the operator asks, beside looking at them by themselves. A part that follows a file
//! takes a name here and waits through [`ReloadAsked::or`].

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// Where the operator's wish arrives, and who waits for it.
#[derive(Debug)]
pub struct ReloadSignal {
    asked: watch::Sender<()>,
    parts: Mutex<Vec<&'static str>>,
}

impl Default for ReloadSignal {
    fn default() -> Self {
        Self { asked: watch::Sender::new(()), parts: Mutex::default() }
    }
}

impl ReloadSignal {
    /// One more part that reads its file again when asked.
    pub fn part(&self, name: &'static str) -> ReloadAsked {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        ReloadAsked(self.asked.subscribe())
    }

    /// Asks every part, and returns their names.
    pub fn ask(&self) -> Vec<&'static str> {
        self.asked.send_replace(());
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A part's wait between two looks at its file.
#[derive(Debug)]
pub struct ReloadAsked(watch::Receiver<()>);

impl ReloadAsked {
    /// Waits for the pause, or until the operator asks.
    pub async fn or(&mut self, pause: impl Future<Output = ()>) {
        tokio::select! {
            () = pause => {}
            // Without a sender nobody asks any more.
            Ok(()) = self.0.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn n2_every_part_looks_at_once_when_asked_and_is_named() {
        let signal = ReloadSignal::default();
        assert_eq!(signal.ask(), Vec::<&str>::new());
        let (mut one, mut other) = (signal.part("session keys"), signal.part("TLS files"));
        assert_eq!(signal.ask(), ["session keys", "TLS files"]);
        // Neither pause ends.
        one.or(std::future::pending()).await;
        other.or(std::future::pending()).await;
        drop(signal);
        one.or(std::future::ready(())).await;
    }
}
