//! A webhook as it is stored: its body, headers and digest, secrets masked and lengths limited.

use std::sync::Arc;

use cashier_core::change::Body;
use cashier_core::ids::NoticeId;
use cashier_core::time::UnixTime;
use sha2::{Digest, Sha256};

use crate::ports::RawNotice;

/// Header values longer than this are cut; signatures and ids are far shorter.
const HEADER_VALUE_MAX: usize = 1024;

/// Parts of header names whose values are credentials, whatever surrounds them.
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

/// How much of a request is stored, in bytes.
pub(super) struct CaptureLimits {
    pub(super) body: usize,
    /// Of the path, and of the query.
    pub(super) text: usize,
    /// Of all headers together.
    pub(super) headers: usize,
}

impl CaptureLimits {
    /// A verified notice is stored whole: its sender is known, and the listener bounds it.
    pub(super) const WHOLE: Self = Self { body: usize::MAX, text: usize::MAX, headers: usize::MAX };
}

/// What is stored of a request.
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
    /// Captures the request within the limits; the digest is of the whole body.
    pub(super) fn of(raw: &RawNotice, limits: &CaptureLimits) -> Self {
        Self {
            received_time: raw.received_time,
            method: raw.method.clone(),
            path: cut(&raw.path, limits.text).into(),
            raw_query: cut(&raw.raw_query, limits.text).into(),
            headers_json: headers_json(raw, limits.headers),
            sha256: Sha256::digest(&raw.body).into(),
            body: raw.body.get(..limits.body).unwrap_or(&raw.body).into(),
        }
    }

    /// The event id of a notice whose provider gives none.
    pub(super) fn derived_event_id(&self) -> Box<str> {
        format!("sha256:{}", hex::encode(self.sha256)).into()
    }

    /// The event id of an unreadable notice without one: of the body alone, because the body is what its signature covers.
    pub(super) fn body_event_id(&self) -> Box<str> {
        format!("unreadable:{}", hex::encode(self.sha256)).into()
    }

    /// Of the stored body.
    pub(super) fn body_length(&self) -> u64 {
        self.body.len() as u64
    }

    /// The row of this notice.
    pub(super) fn into_body(self, id: NoticeId) -> Body {
        let Self { received_time, method, path, raw_query, headers_json, sha256, body } = self;
        Body::Notice { id, received_time, method, path, raw_query, headers_json, sha256, body }
    }
}

/// The headers as a JSON array of [name, value] pairs, secrets masked; those that fit.
fn headers_json(raw: &RawNotice, length_max: usize) -> Box<str> {
    let mut left = length_max;
    let shown: Vec<(&str, &str)> = raw
        .headers
        .iter()
        .map(|(name, value)| (&**name, shown(name, value)))
        .take_while(|(name, value)| {
            let wanted = name.len() + value.len();
            let fits = wanted <= left;
            left = left.saturating_sub(wanted);
            fits
        })
        .collect();
    serde_json::to_string(&shown).unwrap_or_default().into()
}

/// Header names come in lower case.
fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if MASKED_NAMES.iter().any(|part| name.contains(part)) { "***" } else { cut(value, HEADER_VALUE_MAX) }
}

/// At most so many bytes from the front, whole characters.
pub(super) fn cut(text: &str, length_max: usize) -> &str {
    let end = (0..=length_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}
