//! The quarantine: bounded tables of webhooks whose signature was not verified. It counts their rows and deletes the
//! oldest. It does not decide which webhooks are quarantined; the event's signature status does.

use rusqlite::Connection;

/// The most events, and the most notices, in the quarantine: a day of a scanner's requests at one per ten seconds.
pub(super) const QUARANTINE_ROWS_MAX: u64 = 10_000;
/// The most bytes of quarantined notices, bodies and headers: 64 MiB.
pub(super) const QUARANTINE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// When a bound is passed, one row in this many is deleted at once, so that not every commit deletes.
const CLEARED_SHARE: u64 = 10;

/// The bytes of a notice, its texts included.
macro_rules! notice_bytes {
    () => {
        "length(body) + octet_length(headers_json) + octet_length(path) + octet_length(raw_query)"
    };
}

/// How full the quarantine is, counted along with the writes of this connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Quarantine {
    events: u64,
    notices: u64,
    bytes: u64,
}

impl Quarantine {
    /// Counts the stored rows; notices are measured, not read.
    pub(super) fn count(connection: &Connection) -> Result<Self, rusqlite::Error> {
        let whole = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
        Ok(Self {
            events: whole("SELECT count(*) FROM unproven_event")?,
            notices: whole("SELECT count(*) FROM unproven_notice")?,
            bytes: whole(concat!("SELECT coalesce(sum(", notice_bytes!(), "), 0) FROM unproven_notice"))?,
        })
    }

    pub(super) fn add_event(&mut self) {
        self.events += 1;
    }

    pub(super) fn add_notice(&mut self, bytes: usize) {
        self.notices += 1;
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Bodies of so many bytes were deleted; their rows stay.
    pub(super) fn remove_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Deletes the oldest rows where a bound was passed.
    pub(super) fn trim(&mut self, connection: &Connection) -> Result<(), rusqlite::Error> {
        let full = self.events > QUARANTINE_ROWS_MAX
            || self.notices > QUARANTINE_ROWS_MAX
            || self.bytes > QUARANTINE_BYTES_MAX;
        if !full {
            return Ok(());
        }
        let rows_left = QUARANTINE_ROWS_MAX - QUARANTINE_ROWS_MAX / CLEARED_SHARE;
        let bytes_left = QUARANTINE_BYTES_MAX - QUARANTINE_BYTES_MAX / CLEARED_SHARE;
        // Newest first, each row with the sum of the newer ones: rows beyond the remaining share are deleted.
        connection.execute(
            concat!(
                "DELETE FROM unproven_notice WHERE id IN (SELECT id FROM (SELECT id, \
                 row_number() OVER newest AS place, sum(",
                notice_bytes!(),
                ") OVER newest AS bytes FROM unproven_notice WINDOW newest AS (ORDER BY id DESC)) \
                 WHERE place > ?1 OR bytes > ?2)"
            ),
            [rows_left.cast_signed(), bytes_left.cast_signed()],
        )?;
        connection.execute(
            "DELETE FROM unproven_event WHERE id IN (SELECT id FROM unproven_event ORDER BY id DESC \
             LIMIT -1 OFFSET ?1)",
            [rows_left.cast_signed()],
        )?;
        *self = Self::count(connection)?;
        Ok(())
    }
}
