//! The fingerprints of secrets in audit records: keyed by a key of their own, which is sealed in the table audit_key like any
//! credential, so that the same secret has the same fingerprint whichever seal key is the newest.

use std::collections::BTreeMap;

use rusqlite::Connection;
use zeroize::Zeroizing;

use super::columns::{for_each_row, sql_fault};
use super::seal::{Seal, SealContext, Terms};
use crate::ports::{Fault, FingerprintKey};

pub(super) const TABLE: &str = "audit_key";

pub(super) const READ: &str = "SELECT id, key_sealed FROM audit_key ORDER BY id";
const ADD: &str = "INSERT INTO audit_key (id, key_sealed) VALUES (?,?)";
/// For one that is sealed again.
pub(super) const REPLACE: &str = "UPDATE audit_key SET key_sealed = ? WHERE id = ?";

/// Keys above an id whose first bytes are not these.
pub(super) const READ_STALE: &str =
    "SELECT id, key_sealed FROM audit_key WHERE id > ?1 AND substr(key_sealed, 1, 5) <> ?2 ORDER BY id LIMIT ?3";

/// The first bytes of every sealed key, with the row.
pub(super) const READ_HEADERS: &str = "SELECT id, substr(key_sealed, 1, 5) FROM audit_key ORDER BY id";

/// What a fingerprint is computed over before the secret, so that no other use of the key gives the same digest.
const FINGERPRINT: &[u8] = b"cashier secret fingerprint 2";
const FINGERPRINT_BYTES: usize = 6;

/// The newest key that opens, or a new one.
pub(super) fn take(connection: &Connection, seal: &Seal) -> Result<FingerprintKey, Fault> {
    let (mut newest, mut last) = (None, 0);
    for_each_row(connection, READ, [], TABLE, |columns| {
        let id: u64 = columns.value()?;
        last = id;
        match open(seal, id, columns.blob()?) {
            Ok(key) => newest = Some(FingerprintKey::new(id, key)),
            Err(why) if seal.is_first_report(id) => {
                tracing::error!(audit_key = id, why, "key of audit fingerprints does not open");
            }
            Err(_) => {}
        }
        Ok(())
    })?;
    if let Some(known) = newest {
        return Ok(known);
    }
    let (id, key) = (last.saturating_add(1), Zeroizing::new(hex::encode(*seal.random_key())));
    let added = (id.cast_signed(), sealed(seal, id, &key)?);
    connection.prepare_cached(ADD).and_then(|mut add| add.execute(added)).map_err(sql_fault(TABLE))?;
    Ok(FingerprintKey::new(id, key))
}

/// A sentence for each key that does not open.
#[derive(Debug, Default)]
pub(super) struct ClosedKeys {
    /// Those that nothing has replaced yet.
    pub(super) found: Vec<String>,
    /// Those that a newer one has replaced, by their number: nothing will be recorded under one again.
    pub(super) lost: BTreeMap<u64, String>,
}

pub(super) fn closed(connection: &Connection, seal: &Seal) -> Result<ClosedKeys, Fault> {
    let (mut closed, mut lost) = (BTreeMap::new(), BTreeMap::new());
    for_each_row(connection, READ, [], TABLE, |columns| {
        let id: u64 = columns.value()?;
        match open(seal, id, columns.blob()?) {
            Ok(_) => lost.append(&mut closed),
            Err(why) => drop(closed.insert(id, format!("{TABLE} {id}: key: {why}"))),
        }
        Ok(())
    })?;
    Ok(ClosedKeys { found: closed.into_values().collect(), lost })
}

/// The fingerprint of a secret, short enough to be no substitute for it: equal secrets of one purpose are seen to be equal.
/// The key's number stands before it, since another key gives another digest.
pub(super) fn fingerprint(key: &FingerprintKey, purpose: &str, secret: &str) -> String {
    let digest = key.digest(FINGERPRINT, &[purpose, secret]);
    format!("fingerprint k{}:{}", key.id(), hex::encode(digest.get(..FINGERPRINT_BYTES).unwrap_or_default()))
}

pub(super) fn open(seal: &Seal, id: u64, sealed: &[u8]) -> Result<Zeroizing<String>, String> {
    seal.open(context(id, &Terms::default()), sealed)
}

pub(super) fn sealed(seal: &Seal, id: u64, key: &str) -> Result<Vec<u8>, Fault> {
    seal.seal(context(id, &Terms::default()), key)
}

fn context(id: u64, terms: &Terms) -> SealContext<'_> {
    SealContext { table: TABLE, column: "key", row: id, terms }
}
