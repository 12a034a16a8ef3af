//! Empties the write-ahead log after something in the database was overwritten: the log still holds the old bytes. While it is open it waits for
//! no reader, and tries again after some seconds, since a try may sync the database. It reports; it ends no reader.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connection::{log_file, try_empty_log};

/// Between two tries: commits that are queued meanwhile wait for each.
pub(super) const EMPTY_PAUSE: Duration = Duration::from_secs(5);

/// How long readers are waited for at the end, when nothing else waits: a list that the archive reads ends sooner.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// How long a reader holds the log until that is reported: a backup of a small database has ended.
const REPORT_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct StaleLog {
    is_stale: bool,
    tried: Option<Instant>,
    /// The first try since it became stale, where that failed.
    held_since: Option<Instant>,
    pub(super) is_reported: bool,
}

impl StaleLog {
    /// Of a database that is opened. What a killed process left in the log may be stale.
    pub(super) fn of(database: &Path) -> Self {
        let bytes = std::fs::metadata(log_file(database)).map_or(0, |file| file.len());
        Self { is_stale: bytes > 0, ..Self::default() }
    }

    /// Something was overwritten in the database.
    pub(super) fn mark(&mut self) {
        self.is_stale = true;
    }

    /// Empties it where it is stale and a try is due; returns how long until the next one.
    pub(super) fn empty(&mut self, connection: &Connection, now: Instant) -> Option<Duration> {
        if !self.is_stale {
            return None;
        }
        let since = self.tried.map_or(EMPTY_PAUSE, |tried| now.saturating_duration_since(tried));
        if since < EMPTY_PAUSE {
            return Some(EMPTY_PAUSE.saturating_sub(since));
        }
        self.tried = Some(now);
        let tried = try_empty_log(connection, Duration::ZERO);
        if matches!(tried, Ok(true)) {
            if self.is_reported {
                tracing::info!("log of the database was emptied: no reader holds it");
            }
            *self = Self { tried: self.tried, ..Self::default() };
            return None;
        }
        let held_since = *self.held_since.get_or_insert(now);
        if !self.is_reported && now.saturating_duration_since(held_since) >= REPORT_AFTER {
            self.is_reported = true;
            let error = tried.err().map(|error| error.to_string());
            tracing::warn!(
                error,
                "log of the database could not be emptied for a minute and holds encrypted values that were overwritten: another \
                 program reads an old state of it; end that reader"
            );
        }
        Some(EMPTY_PAUSE)
    }

    /// Empties it where it is stale, because nobody does afterwards: other connections of this process only read, and keep
    /// SQLite from removing it. Returns whether nothing overwritten is left in it.
    pub(super) fn close(&mut self, connection: Option<&Connection>) -> bool {
        if !self.is_stale {
            return true;
        }
        let tried = connection.map(|connection| try_empty_log(connection, CLOSE_WAIT));
        self.is_stale = !matches!(tried, Some(Ok(true)));
        if self.is_stale {
            let error = tried.and_then(Result::err).map(|error| error.to_string());
            tracing::warn!(
                error,
                "log of the database could not be emptied at the end and holds encrypted values that were overwritten: the next \
                 start empties it"
            );
        }
        !self.is_stale
    }
}
