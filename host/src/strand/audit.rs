//! The table audit_record: who changed which field, chained by SHA-256 over each record and its predecessor's hash. A record
//! that was changed, removed or moved is found by following the chain; a tail that was cut off by comparing with a hash
//! noted elsewhere.

use std::path::Path;

use cashier_core::change::{AuditRecord, Commit};
use cashier_core::edit::AuditedValue;
use cashier_core::ids::{ConfigId, ManagerId};
use cashier_core::provider_config::Secret;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::audit_key;
use super::columns::{for_each_row, sql_fault};
use super::connection::connect_read_only;
use super::seal::Seal;
use crate::ports::{ConfigHistory, Fault, FaultKind, NewestAudit};
use crate::security_log;

const TABLE: &str = "audit_record";

/// What the hash of a new record covers; layout 1 was without the transaction.
const LAYOUT: i64 = 2;

const PUT: &str = "INSERT INTO audit_record (id, at, manager_id, role, brand, address, request_id, command, config_id, \
                   approval_id, outcome, changes_json, previous_hash, hash, transaction_id, layout) \
                   VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
const NEWEST: &str = "SELECT hash FROM audit_record ORDER BY id DESC LIMIT 1";
const READ: &str = "SELECT id, at, manager_id, role, brand, address, request_id, command, config_id, approval_id, \
                    outcome, changes_json, previous_hash, hash, transaction_id, layout FROM audit_record ORDER BY id";

/// Its index is of records about a config alone, and serves a statement that says so.
pub(super) const SAVED: &str = "SELECT changes_json FROM audit_record WHERE config_id <> 0 AND config_id = ? \
                                AND outcome IN ('saved', 'break glass') ORDER BY id";

/// Managers, without the cashier itself and customers, whose numbers are others.
const MANAGERS: &str =
    "SELECT DISTINCT manager_id FROM audit_record WHERE manager_id <> 0 AND role IN (1, 2, 3, 10, 11) LIMIT 2";

type Hash = [u8; 32];

/// The content of a stored record, in the order of its columns.
struct Content {
    layout: i64,
    /// id, at, manager_id, role, config_id, approval_id, transaction_id.
    numbers: [i64; 7],
    /// brand, address, request_id, command, outcome, changes_json.
    texts: [String; 6],
}

impl Content {
    /// Every part with its length before it, so that no two records have the same bytes.
    /// `None` where its layout is not known, or does not cover what it holds.
    fn hash(&self, previous: &Hash) -> Option<Hash> {
        let (prefix, numbers) = match (self.layout, self.numbers) {
            (1, [numbers @ .., 0]) => (b"cashier audit record 1", numbers.to_vec()),
            (LAYOUT, numbers) => (b"cashier audit record 2", numbers.to_vec()),
            _ => return None,
        };
        let mut hash = Sha256::new_with_prefix(prefix);
        hash.update(previous);
        for number in numbers {
            hash.update(number.to_be_bytes());
        }
        for text in &self.texts {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        Some(hash.finalize().into())
    }
}

/// A record that was written, perhaps in a transaction that is still open.
#[derive(Debug)]
pub(super) struct WrittenRecord {
    id: i64,
    manager: i64,
    config: i64,
    outcome: String,
    hash: Hash,
}

impl WrittenRecord {
    /// Logs its hash, to be noted elsewhere: for those alone whose transaction has ended well.
    pub(super) fn is_durable(&self) {
        let Self { id, manager, config, outcome, hash } = self;
        security_log::audit_recorded(*id, *manager, *config, outcome, &hex::encode(hash));
    }
}

impl From<WrittenRecord> for NewestAudit {
    fn from(written: WrittenRecord) -> Self {
        Self { record: written.id.cast_unsigned(), hash: hex::encode(written.hash).into() }
    }
}

/// The newest record of an open database.
///
/// # Errors
/// It cannot be read.
pub(super) fn newest(connection: &Connection) -> Result<Option<NewestAudit>, Fault> {
    const NEWEST_ID: &str = "SELECT id, hash FROM audit_record ORDER BY id DESC LIMIT 1";
    let read = |row: &Row<'_>| {
        let (id, hash): (i64, Hash) = (row.get(0)?, row.get(1)?);
        Ok(NewestAudit { record: id.cast_unsigned(), hash: hex::encode(hash).into() })
    };
    connection.query_row(NEWEST_ID, [], read).optional().map_err(sql_fault(TABLE))
}

/// Appends the record of a commit to the chain. Until the transaction has ended, nothing may say that it is there.
pub(super) fn put(
    connection: &Connection,
    seal: &Seal,
    commit: &Commit,
    record: &AuditRecord,
) -> Result<WrittenRecord, Fault> {
    let fault = sql_fault(TABLE);
    let newest =
        connection.prepare_cached(NEWEST).and_then(|mut query| query.query_row([], |row| row.get(0)).optional());
    let previous: Hash = newest.map_err(&fault)?.unwrap_or_default();
    let number = |value: u64| value.cast_signed();
    let content = Content {
        layout: LAYOUT,
        numbers: [
            number(commit.seq.0),
            commit.at.0,
            number(record.manager_id.0),
            i64::from(record.role.number()),
            number(record.config_id.0),
            number(record.approval.0),
            number(record.transaction_id.0),
        ],
        texts: [
            record.brand.to_string(),
            record.address.to_string(),
            commit.request_id.to_string(),
            record.command.to_string(),
            record.outcome.clone().into_owned(),
            changes_json(connection, seal, record)?,
        ],
    };
    let hash = content.hash(&previous).unwrap_or_default();
    let Content {
        layout,
        numbers: [id, at, manager, role, config, approval, transaction],
        texts: [brand, address, request, command, outcome, changes],
    } = content;
    let mut statement = connection.prepare_cached(PUT).map_err(&fault)?;
    let row = params![
        id,
        at,
        manager,
        role,
        brand,
        address,
        request,
        command,
        config,
        approval,
        outcome,
        changes,
        previous,
        hash,
        transaction,
        layout
    ];
    // A record that is there already means that the chain has another writer: nothing that the commit holds is at fault.
    statement.execute(row).map_err(|error| fault(error).with_kind(FaultKind::Other))?;
    Ok(WrittenRecord { id, manager, config, outcome, hash })
}

fn changes_json(connection: &Connection, seal: &Seal, record: &AuditRecord) -> Result<String, Fault> {
    let hides = |value: &AuditedValue| matches!(value, AuditedValue::Hidden(secret) if !secret.is_empty());
    let needs_key = record.changes.iter().any(|change| hides(&change.before) || hides(&change.after));
    let key = if needs_key { Some(audit_key::take(connection, seal)?) } else { None };
    let fingerprint = |field: &str, secret: &Secret| {
        let purpose = format!("{} {field}", record.config_id);
        key.as_ref().map_or_else(String::new, |key| audit_key::fingerprint(key, &purpose, secret.expose()))
    };
    let value = |field: &str, value: &AuditedValue| match value {
        AuditedValue::Clear(text) => text.to_string(),
        AuditedValue::Hidden(secret) if secret.is_empty() => String::new(),
        AuditedValue::Hidden(secret) => fingerprint(field, secret),
    };
    let rows: Vec<[String; 3]> = record
        .changes
        .iter()
        .map(|change| {
            [change.field.to_string(), value(&change.field, &change.before), value(&change.field, &change.after)]
        })
        .collect();
    serde_json::to_string(&rows).map_err(|_| Fault::new(format!("{TABLE}: the changes cannot be written")))
}

/// What became of a config until now, as far as it is recorded.
///
/// # Errors
/// The records cannot be read.
pub(super) fn config_history(connection: &Connection, id: ConfigId) -> Result<ConfigHistory, Fault> {
    let fault = sql_fault(TABLE);
    let mut history = ConfigHistory::default();
    let mut statement = connection.prepare(SAVED).map_err(&fault)?;
    let mut rows = statement.query([id.0.cast_signed()]).map_err(&fault)?;
    while let Some(row) = rows.next().map_err(&fault)? {
        let text: String = row.get(0).map_err(&fault)?;
        let changes: Vec<[String; 3]> = serde_json::from_str(&text)
            .map_err(|_| Fault::new(format!("{TABLE}: the changes of config {id} cannot be read")))?;
        for [field, before, after] in &changes {
            history.was_created |= field == "provider" && before.is_empty();
            history.was_enabled |= field == "enabled" && after == "1";
        }
    }
    Ok(history)
}

/// What following the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    pub records: u64,
    /// The newest record's hash, hex; empty without records.
    pub newest: String,
}

/// Follows the chain of a database; `anchor` is a hash that was noted earlier, hex.
///
/// # Errors
/// A sentence that names the first record which does not fit its place, or says that the anchor is not in the chain; another
/// one where the records cannot be read.
pub fn verify(path: &Path, anchor: Option<&str>) -> Result<AuditChain, Fault> {
    let fault = sql_fault("the audit records cannot be read");
    let broken = |found: String| Fault::new(format!("the audit records do not fit together: {found}"));
    let connection = connect_read_only(path).map_err(&fault)?;
    let mut statement = connection.prepare(READ).map_err(&fault)?;
    let mut rows = statement.query([]).map_err(&fault)?;
    let (mut previous, mut records) = (Hash::default(), 0_u64);
    let mut is_anchored = anchor.is_none();
    while let Some(row) = rows.next().map_err(&fault)? {
        let (content, stored_previous, stored) = read(row).map_err(&fault)?;
        let [id, ..] = content.numbers;
        if stored_previous != previous {
            return Err(broken(format!("a record before record {id} was removed, added or moved")));
        }
        if content.hash(&previous) != Some(stored) {
            return Err(broken(format!("record {id} was changed")));
        }
        previous = stored;
        records += 1;
        is_anchored |= anchor.is_some_and(|anchor| anchor.eq_ignore_ascii_case(&hex::encode(stored)));
    }
    if !is_anchored {
        return Err(broken(format!("the anchor is not in the chain of {records} records: its newest were removed")));
    }
    let newest = if records == 0 { String::new() } else { hex::encode(previous) };
    Ok(AuditChain { records, newest })
}

/// The newest record's hash, hex; `None` without records.
///
/// # Errors
/// The records cannot be read.
pub fn head(path: &Path) -> Result<Option<String>, Fault> {
    let fault = sql_fault("the audit records cannot be read");
    let connection = connect_read_only(path).map_err(&fault)?;
    let newest = connection.query_row(NEWEST, [], |row| row.get(0)).optional().map_err(&fault)?;
    Ok(newest.map(|hash: Hash| hex::encode(hash)))
}

/// The manager whom the records name, where they name one alone.
pub(super) fn sole_manager(connection: &Connection) -> Result<Option<ManagerId>, Fault> {
    let mut named = Vec::new();
    for_each_row(connection, MANAGERS, [], TABLE, |columns| {
        named.push(columns.value()?);
        Ok(())
    })?;
    Ok(if let [alone] = *named { Some(alone) } else { None })
}

fn read(row: &Row<'_>) -> Result<(Content, Hash, Hash), rusqlite::Error> {
    let numbers = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(8)?, row.get(9)?, row.get(14)?];
    let texts = [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(10)?, row.get(11)?];
    Ok((Content { layout: row.get(15)?, numbers, texts }, row.get(12)?, row.get(13)?))
}
