//! Finds that the write-ahead log grows because another program reads an old state of the database, so that nothing newer
//! than that can be moved out of the log. It reports; it ends no reader.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::connection::{LOG_BYTES_KEPT, log_file, move_log};

/// The size of the log at which it is looked at: twice what it keeps, which no load reaches while it can be moved.
const LOG_BYTES_LARGE: u64 = 2 * LOG_BYTES_KEPT;

/// The log's file, and the size that is reported next.
pub(super) struct LogWatch {
    file: PathBuf,
    first: u64,
    next: u64,
}

/// What became of a large log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogState {
    /// It is as small as usual, or no larger than when it was reported last.
    Unchanged,
    /// It grows, and another program's reader keeps it from being moved.
    Held { bytes: u64 },
    /// It is as small as usual again.
    Released,
}

impl LogWatch {
    pub(super) fn new(database: &Path) -> Self {
        Self::reporting_at(database, LOG_BYTES_LARGE)
    }

    pub(super) fn reporting_at(database: &Path, first: u64) -> Self {
        Self { file: log_file(database), first, next: first }
    }

    /// Looks at the log's size after a batch, which costs a system call.
    pub(super) fn look(&mut self, connection: &Connection) -> LogState {
        let bytes = std::fs::metadata(&self.file).map_or(0, |file| file.len());
        if bytes < self.first && self.next > self.first {
            self.next = self.first;
            tracing::info!(bytes, "log of the database could be moved again: no reader holds it");
            return LogState::Released;
        }
        if bytes < self.next {
            return LogState::Unchanged;
        }
        // What is not moved now is held by a reader: the thread that asks is the only writer.
        match move_log(connection) {
            Ok((pages, moved)) if moved < pages => {}
            Ok(_) | Err(_) => return LogState::Unchanged,
        }
        // Reported again when it has doubled.
        self.next = bytes.saturating_mul(2);
        tracing::warn!(
            bytes,
            "log of the database grows: another program has been reading an old state of it for long; end that reader"
        );
        LogState::Held { bytes }
    }
}
