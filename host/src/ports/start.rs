//! How far a start has come, for whoever is asked while it lasts, and the word to give it up. It starts nothing.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ports::Fault;

/// What a start is doing.
#[derive(Debug, Clone)]
pub enum StartPhase {
    OpeningDatabases,
    Loading(Arc<LoadProgress>),
    ComparingDatabases,
    OpeningModules,
    OpeningGateways,
}

impl fmt::Display for StartPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpeningDatabases => f.write_str("opening the databases"),
            // Not counted yet.
            Self::Loading(progress) if progress.total() == 0 => f.write_str("loading"),
            Self::Loading(progress) => write!(f, "loading, {} of {} rows", progress.loaded(), progress.total()),
            Self::ComparingDatabases => f.write_str("comparing the databases"),
            Self::OpeningModules => f.write_str("opening the modules"),
            Self::OpeningGateways => f.write_str("opening the gateways"),
        }
    }
}

/// A start as others see it.
#[derive(Debug)]
pub struct StartProgress {
    phase: Mutex<StartPhase>,
}

impl Default for StartProgress {
    fn default() -> Self {
        Self { phase: Mutex::new(StartPhase::OpeningDatabases) }
    }
}

impl StartProgress {
    pub fn phase(&self) -> StartPhase {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn enter(&self, phase: StartPhase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Rows that were read and rows in all, once they are being read.
    pub fn rows(&self) -> Option<(u64, u64)> {
        match self.phase() {
            StartPhase::Loading(progress) => Some((progress.loaded(), progress.total())),
            StartPhase::OpeningDatabases
            | StartPhase::ComparingDatabases
            | StartPhase::OpeningModules
            | StartPhase::OpeningGateways => None,
        }
    }

    /// Ends what can be ended: rows that are being read.
    pub fn cancel(&self) {
        if let StartPhase::Loading(progress) = self.phase() {
            progress.cancel();
        }
    }
}

/// Rows that were read of those there are. It counts blocks of rows as they are taken into the books.
#[derive(Debug, Default)]
pub struct LoadProgress {
    loaded: AtomicU64,
    total: AtomicU64,
    read_ahead: AtomicUsize,
    cancelled: AtomicBool,
}

impl LoadProgress {
    /// A load begins, of so many rows.
    pub fn begin(&self, total: u64) {
        self.loaded.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// So many more were loaded; the fault says that nobody waits for them any more.
    pub fn advance(&self, rows: usize) -> Result<(), Fault> {
        self.loaded.fetch_add(u64::try_from(rows).unwrap_or(u64::MAX), Ordering::Relaxed);
        if self.cancelled.load(Ordering::Relaxed) { Err(Fault::new("the load was given up")) } else { Ok(()) }
    }

    /// So many rows are held that were read and cannot be loaded yet.
    pub fn read_ahead(&self, rows: usize) {
        self.read_ahead.fetch_max(rows, Ordering::Relaxed);
    }

    /// The most rows that were held so at once.
    pub fn read_ahead_max(&self) -> usize {
        self.read_ahead.load(Ordering::Relaxed)
    }

    pub fn loaded(&self) -> u64 {
        self.loaded.load(Ordering::Relaxed)
    }

    /// Ids that were lost count as rows that are never loaded, so that this is never reached too early.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_a_phase_is_shown_in_words_and_loading_with_its_rows() {
        let progress = StartProgress::default();
        assert_eq!((progress.phase().to_string(), progress.rows()), ("opening the databases".into(), None));
        let rows = Arc::new(LoadProgress::default());
        progress.enter(StartPhase::Loading(Arc::clone(&rows)));
        rows.begin(10);
        rows.advance(3).unwrap();
        assert_eq!((progress.phase().to_string(), progress.rows()), ("loading, 3 of 10 rows".into(), Some((3, 10))));
        progress.cancel();
        assert!(rows.advance(1).is_err(), "a start that was given up loads nothing more");
    }
}
