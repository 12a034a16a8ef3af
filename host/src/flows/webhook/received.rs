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

/// Parts of header names whose values open doors, whatever else stands around them.
const MASKED_NAMES: &[&str] = &[
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "api-key",
    "apikey",
    "access-key",
];

/// How much of a request is kept, in bytes.
pub(super) struct Kept {
    pub(super) body: usize,
    /// Of the path, and of the query.
    pub(super) text: usize,
    /// Of all headers together.
    pub(super) headers: usize,
}

impl Kept {
    /// A genuine notice is kept as it came: its sender is known, and the door bounds it.
    pub(super) const WHOLE: Self = Self { body: usize::MAX, text: usize::MAX, headers: usize::MAX };
}

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
    /// Keeps so much of the request; the digest is of the whole body.
    pub(super) fn of(raw: &RawNotice, kept: &Kept) -> Self {
        Self {
            received_time: raw.received_time,
            method: raw.method.clone(),
            path: cut(&raw.path, kept.text).into(),
            raw_query: cut(&raw.raw_query, kept.text).into(),
            headers_json: headers_json(raw, kept.headers),
            sha256: Sha256::digest(&raw.body).into(),
            body: raw.body.get(..kept.body).unwrap_or(&raw.body).into(),
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

/// The headers as a JSON array of [name, value] pairs, secrets masked; those that fit.
fn headers_json(raw: &RawNotice, length_max: usize) -> Box<str> {
    let mut room = length_max;
    let shown: Vec<(&str, &str)> = raw
        .headers
        .iter()
        .map(|(name, value)| (&**name, shown(name, value)))
        .take_while(|(name, value)| {
            let wanted = name.len() + value.len();
            let fits = wanted <= room;
            room = room.saturating_sub(wanted);
            fits
        })
        .collect();
    serde_json::to_string(&shown).unwrap_or_default().into()
}

/// Header names come in lower case.
fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if MASKED_NAMES.iter().any(|part| name.contains(part)) { "***" } else { cut(value, HEADER_VALUE_MAX) }
}

/// At most so many bytes from the front, whole letters.
pub(super) fn cut(text: &str, length_max: usize) -> &str {
    let end = (0..=length_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}
