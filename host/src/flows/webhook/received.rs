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
pub(in crate::flows) struct CaptureLimits {
    pub(super) body: usize,
    /// Of the path, and of the query.
    pub(super) text: usize,
    /// Of all headers together.
    pub(super) headers: usize,
}

impl CaptureLimits {
    /// A verified notice is stored whole: its sender is known, and the listener bounds it.
    pub(in crate::flows) const WHOLE: Self = Self { body: usize::MAX, text: usize::MAX, headers: usize::MAX };
}

/// What is stored of a request.
pub(in crate::flows) struct Received {
    received_time: UnixTime,
    method: Box<str>,
    path: Box<str>,
    raw_query: Box<str>,
    headers_json: Box<str>,
    sha256: [u8; 32],
    /// Of the whole request.
    identity: [u8; 32],
    body: Arc<[u8]>,
}

impl Received {
    /// Captures the request within the limits; the digests are of the whole body and of the whole request.
    pub(in crate::flows) fn of(raw: &RawNotice, limits: &CaptureLimits) -> Self {
        Self {
            received_time: raw.received_time,
            method: raw.method.clone(),
            path: cut(&raw.path, limits.text).into(),
            raw_query: cut(&raw.raw_query, limits.text).into(),
            headers_json: headers_json(raw, limits.headers),
            sha256: Sha256::digest(&*raw.body).into(),
            identity: identity(raw),
            body: raw.body.get(..limits.body).unwrap_or(&raw.body).into(),
        }
    }

    /// The event id of a notice whose provider gives none (docs/api/webhooks.md, rule 2).
    pub(in crate::flows) fn derived_event_id(&self) -> Box<str> {
        format!("sha256:{}", hex::encode(self.identity)).into()
    }

    /// The event id of an unreadable notice without one: of the body alone, because the body is what its signature covers. A
    /// notice without a body has its content elsewhere, and is another one where that differs.
    pub(in crate::flows) fn body_event_id(&self) -> Box<str> {
        let digest = if self.body.is_empty() { self.identity } else { self.sha256 };
        format!("unreadable:{}", hex::encode(digest)).into()
    }

    /// Of the stored body.
    pub(in crate::flows) fn body_length(&self) -> u64 {
        self.body.len() as u64
    }

    /// The row of this notice.
    pub(in crate::flows) fn into_body(self, id: NoticeId) -> Body {
        let Self { received_time, method, path, raw_query, headers_json, sha256, identity: _, body } = self;
        Body::Notice { id, received_time, method, path, raw_query, headers_json, sha256, body }
    }
}

/// The digest of everything that may distinguish one notice from another: a provider that sends no id may put the content in the
/// query or the path. Each part has its length before it, so that no two requests give the same bytes.
fn identity(raw: &RawNotice) -> [u8; 32] {
    let parts = [&*raw.method, path_without_config(&raw.path), &raw.raw_query, &raw.content_type].map(str::as_bytes);
    let mut digest = Sha256::new();
    for part in parts.into_iter().chain([&*raw.body]) {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The path without the config id and a slash at its end: a notice keeps its id when another form of the URL is registered.
fn path_without_config(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/') {
        Some((front, id)) if front.matches('/').count() == 3 && id.bytes().all(|byte| byte.is_ascii_digit()) => front,
        Some(_) | None => path,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str, raw_query: &str, content_type: &str, body: &'static str) -> RawNotice {
        RawNotice {
            method: method.into(),
            path: path.into(),
            raw_query: raw_query.into(),
            content_type: content_type.into(),
            headers: Arc::new([]),
            body: body.into(),
            received_time: UnixTime(1),
        }
    }

    #[test]
    fn m19_a_derived_event_id_covers_method_path_query_content_type_and_body() {
        let path = "/cashier/webhook/stripe";
        let requests = [
            request("POST", path, "", "", ""),
            request("GET", path, "", "", ""),
            request("POST", "/cashier/webhook/sandbox", "", "", ""),
            request("POST", path, "id=1", "", ""),
            request("POST", path, "id=2", "", ""),
            request("POST", path, "", "text/plain", ""),
            request("POST", path, "", "", "id=1"),
            // The same text in other parts.
            request("POST", path, "ab", "c", "d"),
            request("POST", path, "a", "bc", "d"),
            request("POST", path, "a", "b", "cd"),
            request("POST", "/cashier/webhook/stripe2", "", "", ""),
        ];
        let ids: std::collections::BTreeSet<_> = requests.iter().map(identity).collect();
        assert_eq!(ids.len(), requests.len());
    }

    #[test]
    fn m19_an_unreadable_notice_without_a_body_is_one_for_each_query() {
        let id = |query, body| {
            let raw = request("POST", "/cashier/webhook/stripe", query, "", body);
            Received::of(&raw, &CaptureLimits::WHOLE).body_event_id()
        };
        assert_ne!(id("id=1", ""), id("id=2", ""));
        assert_eq!(id("id=1", ""), id("id=1", ""));
        assert_eq!(id("id=1", "x"), id("id=2", "x"), "a captured body is one row however it is sent");
    }

    #[test]
    fn m19_the_forms_of_the_path_of_one_provider_give_one_id() {
        let id = |path| identity(&request("POST", path, "id=1", "", "x"));
        for path in ["/cashier/webhook/stripe/1", "/cashier/webhook/stripe/27", "/cashier/webhook/stripe/1/"] {
            assert_eq!(id(path), id("/cashier/webhook/stripe"), "{path}");
        }
        assert_ne!(id("/cashier/webhook/7"), id("/cashier/webhook/8"), "a provider's code may be a number");
    }
}
