//! Brings what is sealed with another key, or in an older layout, under the newest key, in bounded steps; and counts what is
//! sealed with which key. A row that is resealed keeps its version: nothing that was decided about it changes. What does not
//! open stays as it is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cashier_core::approval::ApprovalState;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::audit_key::{self, ClosedKeys};
use super::columns::{ColumnReader, for_each_row, sql_fault};
use super::connection::connect_read_only;
use super::load;
use super::rows::{RowWriter, approval, config};
use super::schema;
use super::seal::{Seal, SealRing, sealed_by};
use crate::ports::{self, Entropy, Fault, Loaded};

/// Rows of one step, each with up to four columns: well under a millisecond of encrypting, so that payments do not wait.
const ROWS_AT_ONCE: i64 = 16;

/// Where a walk through the sealed tables stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResealCursor {
    table: SealedTable,
    after: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SealedTable {
    #[default]
    Config,
    Approval,
    AuditKey,
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResealStep {
    /// Rows that were written again.
    pub rows: u64,
    /// Where the next step goes on; `None` at the end.
    pub next: Option<ResealCursor>,
}

/// Reseals the next rows in the open transaction.
pub(super) fn step(writer: &mut RowWriter<'_>, cursor: ResealCursor) -> Result<ResealStep, Fault> {
    let ResealCursor { table, after } = cursor;
    let read = match table {
        SealedTable::Config => configs(writer, after),
        SealedTable::Approval => approvals(writer, after),
        SealedTable::AuditKey => audit_keys(writer, after),
    }?;
    let next = match (read.last, table) {
        (Some(after), _) => Some(ResealCursor { table, after }),
        (None, SealedTable::Config) => Some(ResealCursor { table: SealedTable::Approval, after: 0 }),
        (None, SealedTable::Approval) => Some(ResealCursor { table: SealedTable::AuditKey, after: 0 }),
        (None, SealedTable::AuditKey) => None,
    };
    Ok(ResealStep { rows: read.rows, next })
}

/// Rows of one table.
#[derive(Default)]
struct Resealed {
    rows: u64,
    /// The last one that was read; `None` where there are no more.
    last: Option<u64>,
}

fn stale<T>(
    writer: &RowWriter<'_>,
    sql: &str,
    table: &'static str,
    after: u64,
    mut read: impl FnMut(&mut ColumnReader<'_, '_>, &Seal) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    let newest = writer.seal.newest();
    for_each_row(writer.connection, sql, (after.cast_signed(), newest, ROWS_AT_ONCE), table, |columns| {
        found.push(read(columns, writer.seal)?);
        Ok(())
    })?;
    Ok(found)
}

fn configs(writer: &mut RowWriter<'_>, after: u64) -> Result<Resealed, Fault> {
    let mut done = Resealed::default();
    for row in stale(writer, config::READ_STALE, config::TABLE, after, config::read)? {
        done.last = Some(row.id.0);
        if row.unreadable.len() < config::SEALED_COLUMNS {
            config::put(writer, &row)?;
            done.rows += 1;
        }
    }
    Ok(done)
}

/// A decided approval of an earlier release loses its request, which nobody needs any more.
fn approvals(writer: &mut RowWriter<'_>, after: u64) -> Result<Resealed, Fault> {
    let mut done = Resealed::default();
    for row in stale(writer, approval::READ_STALE, approval::TABLE, after, approval::read)? {
        done.last = Some(row.id.0);
        let row = if row.state == ApprovalState::Open { row } else { row.without_request() };
        if row.unreadable.is_none() {
            approval::put(writer, &row)?;
            done.rows += 1;
        }
    }
    Ok(done)
}

fn audit_keys(writer: &mut RowWriter<'_>, after: u64) -> Result<Resealed, Fault> {
    let mut done = Resealed::default();
    let read = |columns: &mut ColumnReader<'_, '_>, seal: &Seal| {
        let id: u64 = columns.value()?;
        Ok((id, audit_key::open(seal, id, columns.blob()?).ok()))
    };
    for (id, key) in stale(writer, audit_key::READ_STALE, audit_key::TABLE, after, read)? {
        done.last = Some(id);
        if let Some(key) = key {
            let sealed = audit_key::sealed(writer.seal, id, &key)?;
            writer.put_over(audit_key::TABLE, audit_key::REPLACE, |put| put.sql(sealed).with(&id))?;
            done.rows += 1;
        }
    }
    Ok(done)
}

/// What is sealed with which key, and what no key of the ring opens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealUse {
    /// Sealed columns by the number of their key.
    pub by_key: BTreeMap<u32, u64>,
    /// Columns in an older layout, whatever their key.
    pub older_layout: u64,
    /// Columns that begin as no sealed value does.
    pub cut_short: u64,
}

impl SealUse {
    /// Whether every column is sealed with this key in the newest layout.
    pub fn is_all_of(&self, key: u32) -> bool {
        self.by_key.keys().all(|used| *used == key) && self.older_layout == 0 && self.cut_short == 0
    }
}

impl fmt::Display for SealUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> =
            self.by_key.iter().map(|(key, columns)| format!("key {key}: {columns} columns")).collect();
        f.write_str(&keys.join(", "))?;
        match (self.older_layout, self.cut_short) {
            (0, 0) => Ok(()),
            (older, cut) => write!(f, "; {older} in an older layout, {cut} cut short"),
        }
    }
}

/// A sentence for each row with columns that do not open.
#[derive(Debug, Default)]
pub struct UnreadableRows {
    /// What somebody gives again or rejects.
    pub found: Vec<String>,
    /// Keys of audit fingerprints that a newer one has replaced, by their number: nothing needs them or can bring them back,
    /// except the key that encrypted them.
    pub lost: BTreeMap<u64, String>,
}

/// Reads every encrypted row on a connection of its own.
pub fn unreadable_rows(path: &Path, ring: &Arc<SealRing>, entropy: Arc<dyn Entropy>) -> Result<UnreadableRows, Fault> {
    let seal = Seal::new(Arc::clone(ring), entropy);
    let connection = current(path)?;
    let mut read = Loaded::default();
    load::read_configuration(&connection, &seal, &mut read)?;
    let ClosedKeys { found, lost } = audit_key::closed(&connection, &seal)?;
    let found = ports::unreadable_rows(read.configs.iter(), read.approvals.iter(), &found);
    Ok(UnreadableRows { found: found.into_iter().map(|row| row.what).collect(), lost })
}

/// A reader of a database with every table.
fn current(path: &Path) -> Result<Connection, Fault> {
    let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
    if schema::version(&connection)? < schema::STEPS.len() {
        return Err(Fault::new(format!("{} is of an earlier release: start the server once", path.display())));
    }
    Ok(connection)
}

/// Counts, without opening anything, on a connection of its own; but not the keys of audit fingerprints that are lost.
pub fn used_keys(path: &Path, lost: &BTreeMap<u64, String>) -> Result<SealUse, Fault> {
    let connection = current(path)?;
    let mut used = SealUse::default();
    for sql in [config::READ_HEADERS, approval::READ_HEADERS] {
        count(&connection, sql, &BTreeMap::new(), &mut used).map_err(sql_fault("counting sealed columns"))?;
    }
    count(&connection, audit_key::READ_HEADERS, lost, &mut used).map_err(sql_fault("counting sealed columns"))?;
    Ok(used)
}

fn count(
    connection: &Connection,
    sql: &str,
    lost: &BTreeMap<u64, String>,
    used: &mut SealUse,
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !lost.is_empty() && lost.contains_key(&row.get::<_, i64>(0)?.cast_unsigned()) {
            continue;
        }
        for column in 1..columns {
            let header = match row.get_ref(column)? {
                ValueRef::Blob(header) => sealed_by(header),
                ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) => None,
            };
            match header {
                Some((layout, key)) => {
                    *used.by_key.entry(key).or_default() += 1;
                    used.older_layout += u64::from(layout != super::seal::VERSION);
                }
                None => used.cut_short += 1,
            }
        }
    }
    Ok(())
}
