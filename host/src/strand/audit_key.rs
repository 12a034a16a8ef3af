//! The fingerprints of secrets in audit records: keyed by a key of their own, which is sealed in the table audit_key like any
//! credential, so that the same secret has the same fingerprint whichever seal key is the newest.

use hmac::{Hmac, KeyInit, Mac};
use rusqlite::Connection;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::columns::{for_each_row, sql_fault};
use super::seal::{Seal, SealContext, Terms};
use crate::ports::Fault;

pub(super) const TABLE: &str = "audit_key";

pub(super) const READ: &str = "SELECT id, key_sealed FROM audit_key ORDER BY id";
const PUT: &str = "REPLACE INTO audit_key (id, key_sealed) VALUES (?,?)";

/// Keys above an id whose first bytes are not these.
pub(super) const READ_STALE: &str =
    "SELECT id, key_sealed FROM audit_key WHERE id > ?1 AND substr(key_sealed, 1, 5) <> ?2 ORDER BY id LIMIT ?3";

/// The first bytes of every sealed key, with the row.
pub(super) const READ_HEADERS: &str = "SELECT id, substr(key_sealed, 1, 5) FROM audit_key ORDER BY id";

/// What a fingerprint is computed over before the secret, so that no other use of the key gives the same digest.
const FINGERPRINT: &[u8] = b"cashier secret fingerprint 2";
const FINGERPRINT_BYTES: usize = 6;

/// The key of fingerprints, with its number.
pub(super) struct AuditKey {
    id: u64,
    key: Zeroizing<String>,
}

impl AuditKey {
    /// The newest one that opens, or a new one.
    pub(super) fn take(connection: &Connection, seal: &Seal) -> Result<Self, Fault> {
        let (mut newest, mut last) = (None, 0);
        for_each_row(connection, READ, [], TABLE, |columns| {
            let id: u64 = columns.value()?;
            last = id;
            match open(seal, id, columns.blob()?) {
                Ok(key) => newest = Some(Self { id, key }),
                Err(why) => tracing::error!(audit_key = id, why, "key of audit fingerprints does not open"),
            }
            Ok(())
        })?;
        if let Some(known) = newest {
            return Ok(known);
        }
        let made = Self { id: last.saturating_add(1), key: Zeroizing::new(hex::encode(*seal.random_key())) };
        put(connection, seal, made.id, &made.key)?;
        Ok(made)
    }

    /// A keyed digest of a secret, short enough to be no substitute for it: equal secrets of one purpose are seen to be
    /// equal, and without the key no guess can be checked. The key's number stands before it, since another key gives
    /// another digest.
    pub(super) fn fingerprint(&self, purpose: &str, secret: &str) -> String {
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(self.key.as_bytes()) else { return String::new() };
        mac.update(FINGERPRINT);
        for part in [purpose, secret] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        format!("fingerprint k{}:{}", self.id, hex::encode(digest.get(..FINGERPRINT_BYTES).unwrap_or_default()))
    }
}

pub(super) fn open(seal: &Seal, id: u64, sealed: &[u8]) -> Result<Zeroizing<String>, String> {
    seal.open(context(id, &Terms::default()), sealed)
}

pub(super) fn put(connection: &Connection, seal: &Seal, id: u64, key: &str) -> Result<(), Fault> {
    let sealed = seal.seal(context(id, &Terms::default()), key)?;
    let put = |sealed| connection.prepare_cached(PUT)?.execute((id.cast_signed(), sealed));
    put(sealed).map(|_| ()).map_err(sql_fault(TABLE))
}

fn context(id: u64, terms: &Terms) -> SealContext<'_> {
    SealContext { table: TABLE, column: "key", row: id, terms }
}
