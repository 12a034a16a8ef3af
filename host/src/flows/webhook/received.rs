//! A webhook as it is written down: prepared before the ledger's lock is taken, because hashing and copying a body takes
//! longer than any decision.

use std::sync::Arc;

use cashier_core::change::Body;
use cashier_core::ids::NoticeId;
use cashier_core::time::UnixTime;
use sha2::{Digest, Sha256};

use crate::ports::RawNotice;

/// Header values longer than this are cut; signatures and ids are far shorter.
const HEADER_VALUE_MAX: usize = 1024;

/// Headers whose values open doors.
const MASKED_HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"];

/// What is kept of a request.
pub(super) struct Received {
    received_time: UnixTime,
    method: Box<str>,
    path: Box<str>,
    raw_query: Box<str>,
    headers_json: Box<str>,
    sha256: [u8; 32],
    body: Arc<[u8]>,
}

impl Received {
    /// Keeps at most `length_max` bytes of the body; the digest is of all of it.
    pub(super) fn of(raw: &RawNotice, length_max: usize) -> Self {
        Self {
            received_time: raw.received_time,
            method: raw.method.clone(),
            path: raw.path.clone(),
            raw_query: raw.raw_query.clone(),
            headers_json: headers_json(raw),
            sha256: Sha256::digest(&raw.body).into(),
            body: raw.body.get(..length_max).unwrap_or(&raw.body).into(),
        }
    }

    /// The event id of a notice whose provider gives none.
    pub(super) fn derived_event_id(&self) -> Box<str> {
        format!("sha256:{}", hex::encode(self.sha256)).into()
    }

    /// The row under its id.
    pub(super) fn under(self, id: NoticeId) -> Body {
        let Self { received_time, method, path, raw_query, headers_json, sha256, body } = self;
        Body::Notice { id, received_time, method, path, raw_query, headers_json, sha256, body }
    }
}

/// The headers as a JSON array of [name, value] pairs, secrets masked.
fn headers_json(raw: &RawNotice) -> Box<str> {
    let shown: Vec<(&str, &str)> = raw.headers.iter().map(|(name, value)| (&**name, shown(name, value))).collect();
    serde_json::to_string(&shown).unwrap_or_default().into()
}

fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if MASKED_HEADERS.contains(&name) {
        return "***";
    }
    let end = (0..=HEADER_VALUE_MAX.min(value.len())).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    value.get(..end).unwrap_or("")
}
