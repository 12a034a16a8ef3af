//! The bounded area of webhooks that were not found genuine: how full it is, and how its oldest rows make room.
//! It does not decide what is genuine; the event's signature status does.

use rusqlite::Connection;

/// Unproven events, and unproven notices, kept at most. A day of a scanner's knocking at one per ten seconds.
pub(super) const UNPROVEN_ROWS_MAX: u64 = 10_000;
/// Bytes of unproven notices kept at most, bodies and what stands around them: 64 MiB.
pub(super) const UNPROVEN_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// When a bound is passed, this share is cleared at once, so that not every commit deletes.
const CLEARED_SHARE: u64 = 10;

/// What a notice takes, its texts included.
macro_rules! notice_bytes {
    () => {
        "length(body) + octet_length(headers_json) + octet_length(path) + octet_length(raw_query)"
    };
}

/// How full the bounded area is, counted along with the writes of this connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Unproven {
    events: u64,
    notices: u64,
    bytes: u64,
}

impl Unproven {
    /// Counts what is on disk; notices are measured, not read.
    pub(super) fn count(connection: &Connection) -> Result<Self, rusqlite::Error> {
        let whole = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
        Ok(Self {
            events: whole("SELECT count(*) FROM unproven_event")?,
            notices: whole("SELECT count(*) FROM unproven_notice")?,
            bytes: whole(concat!("SELECT coalesce(sum(", notice_bytes!(), "), 0) FROM unproven_notice"))?,
        })
    }

    pub(super) fn filed_event(&mut self) {
        self.events += 1;
    }

    pub(super) fn filed_notice(&mut self, bytes: usize) {
        self.notices += 1;
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Deletes the oldest rows where a bound was passed.
    pub(super) fn make_room(&mut self, connection: &Connection) -> Result<(), rusqlite::Error> {
        let full =
            self.events > UNPROVEN_ROWS_MAX || self.notices > UNPROVEN_ROWS_MAX || self.bytes > UNPROVEN_BYTES_MAX;
        if !full {
            return Ok(());
        }
        let rows_kept = UNPROVEN_ROWS_MAX - UNPROVEN_ROWS_MAX / CLEARED_SHARE;
        let bytes_kept = UNPROVEN_BYTES_MAX - UNPROVEN_BYTES_MAX / CLEARED_SHARE;
        // Newest first, each row with the sum of what is newer: what lies beyond the kept share goes.
        connection.execute(
            concat!(
                "DELETE FROM unproven_notice WHERE id IN (SELECT id FROM (SELECT id, \
                 row_number() OVER newest AS place, sum(",
                notice_bytes!(),
                ") OVER newest AS bytes FROM unproven_notice WINDOW newest AS (ORDER BY id DESC)) \
                 WHERE place > ?1 OR bytes > ?2)"
            ),
            [rows_kept.cast_signed(), bytes_kept.cast_signed()],
        )?;
        connection.execute(
            "DELETE FROM unproven_event WHERE id IN (SELECT id FROM unproven_event ORDER BY id DESC \
             LIMIT -1 OFFSET ?1)",
            [rows_kept.cast_signed()],
        )?;
        *self = Self::count(connection)?;
        Ok(())
    }
}
