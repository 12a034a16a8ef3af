//! Deletes large bodies that are older than the settings say, some rows at a time on the strand's thread, between commits. The
//! row stays, with length, hash and time of what was deleted. What is still to be read is kept: bodies of events that
//! wait or are unread, answers of unpaid deposits, requests that can still be approved.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use cashier_core::time::UnixTime;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::columns::sql_fault;
use super::connection::{connect_read_only, overwrite_freed};
use crate::ports::Fault;

/// Rows looked at in one turn of the strand, and bytes deleted by it, or one row: each page of a body is read before it is free,
/// some 256 of them, so that no commit waits longer for it than for a disk that is slow anyway.
pub const RETIRED_AT_ONCE_MAX: usize = 16;
const RETIRED_BYTES_MAX: u64 = 1024 * 1024;

/// What is deleted by its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetentionKind {
    /// Bodies, headers and queries of verified webhooks.
    Events,
    /// The same of webhooks that were not verified.
    Quarantine,
    /// What customers were answered: page and instructions.
    Answers,
    /// Requests that waited for a second person.
    Approvals,
    /// The log of requests to providers.
    Calls,
}

impl RetentionKind {
    pub const ALL: [Self; 5] = [Self::Events, Self::Quarantine, Self::Answers, Self::Approvals, Self::Calls];

    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Events => 1,
            Self::Quarantine => 2,
            Self::Answers => 3,
            Self::Approvals => 4,
            Self::Calls => 5,
        }
    }

    /// For log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "event bodies",
            Self::Quarantine => "quarantined bodies",
            Self::Answers => "answers",
            Self::Approvals => "approvals",
            Self::Calls => "calls to providers",
        }
    }

    const fn table(self) -> &'static str {
        match self {
            Self::Events => "notice",
            Self::Quarantine => "unproven_notice",
            Self::Answers => "answer",
            Self::Approvals => "approval",
            Self::Calls => "provider_call",
        }
    }

    /// Rows as id, time, whether they must stay, whether there is something to delete, and its bytes. SQLite finds a length and a 0
    /// in the head of a row: no body is read for it.
    const fn rows(self) -> &'static str {
        match self {
            Self::Events => {
                "SELECT id, received_time, 0, deleted_time = 0, \
                 length(body) + octet_length(headers_json) + octet_length(raw_query) FROM notice"
            }
            Self::Quarantine => {
                "SELECT id, received_time, 0, deleted_time = 0, \
                 length(body) + octet_length(headers_json) + octet_length(raw_query) FROM unproven_notice"
            }
            Self::Answers => {
                "SELECT transaction_id, coalesce(of.updated_time, 0), coalesce(of.status IN (0, 1), 0), \
                 answer.deleted_time = 0, \
                 octet_length(redirect_url) + octet_length(instructions_json) \
                 FROM answer LEFT JOIN cashier_transaction AS of ON of.id = answer.transaction_id"
            }
            Self::Approvals => {
                "SELECT id, max(asked_time, decided_time, CASE state WHEN 0 THEN expires_time ELSE 0 END), 0, \
                 deleted_time = 0, length(request_sealed) \
                 FROM approval"
            }
            Self::Calls => "SELECT transaction_id, at, 0, 1, octet_length(calls_json) FROM provider_call",
        }
    }

    const fn id(self) -> &'static str {
        match self {
            Self::Events | Self::Quarantine | Self::Approvals => "id",
            Self::Answers | Self::Calls => "transaction_id",
        }
    }
}

/// Where a round continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionPlace {
    /// Rows above this id that had to stay in an earlier round.
    Kept(u64),
    /// Rows that were never looked at.
    New,
}

/// One turn.
#[derive(Debug, Clone)]
pub struct RetentionOrder {
    pub kind: RetentionKind,
    pub place: RetentionPlace,
    /// Older rows are deleted.
    pub before: UnixTime,
    pub now: UnixTime,
    /// Notices whose body is still to be read; see [`needed`].
    pub needed: Arc<BTreeSet<u64>>,
}

/// What a turn deleted, and where the next one continues; `None` where nothing more is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retired {
    pub rows: u64,
    pub bytes: u64,
    pub next: Option<RetentionPlace>,
}

impl Retired {
    /// Whether a row of this length is deleted in the same turn.
    fn has_capacity(&self, bytes: u64) -> bool {
        self.rows == 0 || self.bytes.saturating_add(bytes) <= RETIRED_BYTES_MAX
    }
}

/// Notices of events that wait for their transaction, are listed without one, or are unread. An event never begins to wait
/// again, so what is read before a round holds during it.
pub fn needed(path: &Path) -> Result<BTreeSet<u64>, Fault> {
    let fault = sql_fault("reading which events wait");
    let connection = connect_read_only(path).map_err(&fault)?;
    needed_on(&connection)
}

pub(super) fn needed_on(connection: &Connection) -> Result<BTreeSet<u64>, Fault> {
    let fault = sql_fault("reading which events wait");
    let sql = "SELECT event.notice_id FROM pending_event JOIN provider_event AS event ON event.id = pending_event.id";
    let mut statement = connection.prepare(sql).map_err(&fault)?;
    let ids = statement.query_map([], |row| row.get::<_, i64>(0)).map_err(&fault)?;
    ids.map(|id| id.map(i64::cast_unsigned)).collect::<Result<_, _>>().map_err(&fault)
}

/// Makes one turn in the open transaction.
pub(super) fn retire(connection: &Connection, order: &RetentionOrder) -> Result<Retired, Fault> {
    turn(connection, order).map_err(sql_fault("deleting old bodies"))
}

struct AgedRow {
    id: i64,
    is_old: bool,
    stays: bool,
    is_there: bool,
    bytes: u64,
}

impl AgedRow {
    fn is_due(&self) -> bool {
        self.is_old && self.is_there && !self.stays
    }
}

fn turn(connection: &Connection, order: &RetentionOrder) -> Result<Retired, rusqlite::Error> {
    let RetentionOrder { kind, place, .. } = order;
    let (rows, id, number) = (kind.rows(), kind.id(), kind.number());
    let most = RETIRED_AT_ONCE_MAX;
    match place {
        RetentionPlace::Kept(after) => {
            let kept: Vec<i64> = connection
                .prepare_cached("SELECT id FROM retention_kept WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT ?3")?
                .query_map(params![number, after.cast_signed(), most as i64], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let (mut retired, mut last) = (Retired::default(), None);
            for id in &kept {
                let sql = format!("{rows} WHERE {} = ?1", kind.id());
                let found = connection.prepare_cached(&sql)?.query_row([id], |row| candidate(row, order)).optional()?;
                let due = found.as_ref().filter(|row| row.is_due());
                if due.is_some_and(|row| !retired.has_capacity(row.bytes)) {
                    retired.next = last.or(Some(*place));
                    return Ok(retired);
                }
                if due.is_some() {
                    add(&mut retired, delete(connection, *kind, *id, order.now)?);
                }
                if due.is_some() || found.is_none_or(|row| !row.is_there) {
                    let mut drop =
                        connection.prepare_cached("DELETE FROM retention_kept WHERE kind = ?1 AND id = ?2")?;
                    drop.execute([number, *id])?;
                }
                last = Some(RetentionPlace::Kept(id.cast_unsigned()));
            }
            retired.next = last.filter(|_| kept.len() == most).or(Some(RetentionPlace::New));
            Ok(retired)
        }
        RetentionPlace::New => {
            let up_to: Option<i64> = connection
                .prepare_cached("SELECT up_to FROM retention WHERE kind = ?1")?
                .query_row([number], |row| row.get(0))
                .optional()?;
            let sql = format!("{rows} WHERE {id} > ?1 ORDER BY {id} LIMIT ?2");
            let found: Vec<AgedRow> = connection
                .prepare_cached(&sql)?
                .query_map(params![up_to.unwrap_or(0), most as i64], |row| candidate(row, order))?
                .collect::<Result<_, _>>()?;
            // Young rows at the end are looked at again; those between old ones are rare.
            let Some(last) = found.iter().rposition(|row| row.is_old) else { return Ok(Retired::default()) };
            let mut retired = Retired::default();
            for row in found.iter().take(last + 1) {
                if row.is_due() {
                    if !retired.has_capacity(row.bytes) {
                        retired.next = Some(RetentionPlace::New);
                        return Ok(retired);
                    }
                    add(&mut retired, delete(connection, *kind, row.id, order.now)?);
                } else if row.is_there {
                    let sql = "INSERT OR IGNORE INTO retention_kept (kind, id) VALUES (?1, ?2)";
                    connection.prepare_cached(sql)?.execute([number, row.id])?;
                }
                connection
                    .prepare_cached("REPLACE INTO retention (kind, up_to) VALUES (?1, ?2)")?
                    .execute([number, row.id])?;
            }
            retired.next = (found.len() == most).then_some(RetentionPlace::New);
            Ok(retired)
        }
    }
}

fn candidate(row: &rusqlite::Row<'_>, order: &RetentionOrder) -> Result<AgedRow, rusqlite::Error> {
    let id: i64 = row.get(0)?;
    let needed = order.kind == RetentionKind::Events && order.needed.contains(&id.cast_unsigned());
    let stays: bool = row.get(2)?;
    let (is_old, bytes) = (row.get::<_, i64>(1)? < order.before.0, row.get::<_, i64>(4)?.cast_unsigned());
    Ok(AgedRow { id, is_old, stays: stays || needed, is_there: row.get(3)?, bytes })
}

fn add(retired: &mut Retired, bytes: u64) {
    retired.rows += 1;
    retired.bytes = retired.bytes.saturating_add(bytes);
}

/// Deletes the body of a row and notes what it was; returns its length with all that goes with it.
pub(super) fn delete(
    connection: &Connection,
    kind: RetentionKind,
    id: i64,
    now: UnixTime,
) -> Result<u64, rusqlite::Error> {
    let bytes: i64 = match kind {
        RetentionKind::Events | RetentionKind::Quarantine => {
            let table = kind.table();
            let length = format!(
                "SELECT length(body) + octet_length(headers_json) + octet_length(raw_query) FROM {table} WHERE id = ?1"
            );
            let bytes = connection.prepare_cached(&length)?.query_row([id], |row| row.get(0))?;
            let clear = format!(
                "UPDATE {table} SET body_bytes = length(body), deleted_time = ?2, body = x'', headers_json = '[]', \
                 raw_query = '' WHERE id = ?1"
            );
            connection.prepare_cached(&clear)?.execute([id, now.0])?;
            bytes
        }
        RetentionKind::Answers => {
            let read = "SELECT redirect_url, instructions_json FROM answer WHERE transaction_id = ?1";
            let (url, instructions): (String, String) =
                connection.prepare_cached(read)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let hash = Sha256::new().chain_update(&url).chain_update([0]).chain_update(&instructions).finalize();
            let bytes = (url.len() + instructions.len()) as i64;
            let clear = "UPDATE answer SET redirect_url = '', instructions_json = '', body_bytes = ?2, deleted_time = ?3, \
                         sha256 = ?4 WHERE transaction_id = ?1";
            connection.prepare_cached(clear)?.execute(params![id, bytes, now.0, &hash[..]])?;
            bytes
        }
        // Nothing is worth keeping of it but the list itself.
        RetentionKind::Calls => {
            let length = "SELECT octet_length(calls_json) FROM provider_call WHERE transaction_id = ?1";
            let bytes = connection.prepare_cached(length)?.query_row([id], |row| row.get(0))?;
            connection.prepare_cached("DELETE FROM provider_call WHERE transaction_id = ?1")?.execute([id])?;
            bytes
        }
        RetentionKind::Approvals => {
            let read = "SELECT request_sealed FROM approval WHERE id = ?1";
            let sealed: Vec<u8> = connection.prepare_cached(read)?.query_row([id], |row| row.get(0))?;
            let bytes = sealed.len() as i64;
            let clear = "UPDATE approval SET request_sealed = x'', body_bytes = ?2, deleted_time = ?3, sha256 = ?4 \
                         WHERE id = ?1";
            overwrite_freed(connection, true)?;
            connection.prepare_cached(clear)?.execute(params![id, bytes, now.0, &Sha256::digest(&sealed)[..]])?;
            overwrite_freed(connection, false)?;
            bytes
        }
    };
    Ok(bytes.cast_unsigned())
}
