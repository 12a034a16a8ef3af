//! Requests a module wants sent and the replies it is shown, with the builders and readers that
//! providers share. Nothing here opens a connection.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::types::{FailureKind, Pairs, ProviderFailure};

/// Longest code of a provider; its codes are words, and a longer text is some proxy's page.
const CODE_BYTES_MAX: usize = 64;

/// One request to a host of the descriptor.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: HttpMethod,
    /// Absolute, `https` save for the operator's loopback exceptions.
    pub url: String,
    pub headers: Pairs,
    pub body: Vec<u8>,
    /// Whether it moves no money and changes no payment, however often it is sent. Only such requests
    /// may be sent while a notice is judged or a status is asked. A create under an idempotency key is
    /// none: it may be repeated, but where its answer is lost a payment may exist.
    pub safe_to_repeat: bool,
}

impl HttpRequest {
    /// A GET, safe to repeat.
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: HttpMethod::Get, url: url.into(), safe_to_repeat: true, ..Self::default() }
    }

    /// A POST, not safe to repeat unless said so with [`HttpRequest::safe_to_repeat`].
    pub fn post(url: impl Into<String>) -> Self {
        Self { method: HttpMethod::Post, url: url.into(), ..Self::default() }
    }

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// `Authorization: Bearer …`
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// `Authorization: Basic …`
    #[must_use]
    pub fn basic(self, user: &str, password: &str) -> Self {
        let pair = BASE64.encode(format!("{user}:{password}"));
        self.header("authorization", format!("Basic {pair}"))
    }

    /// The header most providers read a key from; others name their own with `header`.
    #[must_use]
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    #[must_use]
    pub fn form(mut self, form: &Form) -> Self {
        self.body = form.encode().into_bytes();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    #[must_use]
    pub fn json(mut self, value: &Value) -> Self {
        self.body = value.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    /// Says that it moves no money and changes no payment: a token, a search that takes a body.
    #[must_use]
    pub fn safe_to_repeat(mut self) -> Self {
        self.safe_to_repeat = true;
        self
    }

    /// Whether `text` stands in the URL, a header or the body, as it is written. No request carries
    /// an empty text.
    pub fn carries(&self, text: &str) -> bool {
        let found = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        !text.is_empty()
            && (self.url.contains(text)
                || self.headers.iter().any(|(_, value)| value.contains(text))
                || found(&self.body))
    }
}

/// Headers and bodies carry credentials: names and measures only, and the URL without its query.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url.split('?').next().unwrap_or_default())
            .field("headers", &header_names(&self.headers))
            .field("body_bytes", &self.body.len())
            .field("safe_to_repeat", &self.safe_to_repeat)
            .finish()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpMethod {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl HttpMethod {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One reply, complete. That none came is never shown to a module.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpReply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Pairs,
    pub body: Vec<u8>,
}

impl HttpReply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// The body as JSON; numbers keep the text they were written in.
    ///
    /// # Errors
    /// `UnreadableAnswer` when it is not JSON. The body itself is not quoted: it may hold secrets.
    pub fn json(&self) -> Result<Value, ProviderFailure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            ProviderFailure::unreadable(format!(
                "the answer (HTTP {}, {} bytes) is not JSON at line {} column {}",
                self.status,
                self.body.len(),
                error.line(),
                error.column()
            ))
        })
    }

    /// The body as text.
    ///
    /// # Errors
    /// `UnreadableAnswer` when it is not UTF-8.
    pub fn text(&self) -> Result<&str, ProviderFailure> {
        std::str::from_utf8(&self.body).map_err(|_| ProviderFailure::unreadable("the answer is not UTF-8 text"))
    }

    /// What an unsuccessful status means by itself, for providers that say no more: 402 is a
    /// decline, 404 unknown, other 4xx a refused request, 408, 409, 425, 429 and 5xx may be repeated with
    /// the same key, and anything else is unreadable.
    pub fn failure(&self, code: impl Into<String>, message: impl Into<String>) -> ProviderFailure {
        let kind = match self.status {
            402 => FailureKind::Declined,
            404 => FailureKind::NotFound,
            408 | 409 | 425 | 429 | 500..=599 => FailureKind::Temporary,
            400..=499 => FailureKind::RefusedRequest,
            _ => FailureKind::UnreadableAnswer,
        };
        ProviderFailure {
            retry_after_seconds: self.header("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
            ..ProviderFailure::new(kind, code, message)
        }
    }

    /// As [`HttpReply::failure`], for a provider that names its codes: `http_<status>` stands where
    /// it named none or something too long for one. A creation cannot be "not found": there the 404
    /// is about the address or a parameter, and the request was refused.
    ///
    /// `words` may quote what was sent, and need not be cut: the guard takes secrets out first and
    /// cuts then, because half a secret left by a cut is found by no later mask.
    pub fn failure_for(&self, target: CallTarget, code: Option<&str>, words: impl Into<String>) -> ProviderFailure {
        let code = code.filter(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX);
        let failure = self.failure(code.map_or_else(|| format!("http_{}", self.status), str::to_owned), words);
        match (failure.kind, target) {
            (FailureKind::NotFound, CallTarget::Creation) => failure.with_kind(FailureKind::RefusedRequest),
            (_, CallTarget::Creation | CallTarget::Payment) => failure,
        }
    }
}

/// What was being asked when a reply came that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTarget {
    Creation,
    /// A payment that exists: its status, its end, a refund of it.
    Payment,
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReply")
            .field("status", &self.status)
            .field("headers", &header_names(&self.headers))
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// A form body, in the order given; keys may carry brackets, as in `metadata[order]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Pairs,
}

impl Form {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn field(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.pairs.push((key.into(), value.into()));
        self
    }

    /// The field where there is a value and it is not empty.
    #[must_use]
    pub fn optional(self, key: impl Into<String>, value: Option<&str>) -> Self {
        match value {
            Some(value) if !value.is_empty() => self.field(key, value),
            Some(_) | None => self,
        }
    }

    /// Reads a posted form or a query string.
    pub fn read(body: &[u8]) -> Self {
        Self { pairs: form_urlencoded::parse(body).into_owned().collect() }
    }

    /// The first value under `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        crate::types::pair(&self.pairs, key)
    }

    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.pairs).finish()
    }
}

pub(crate) fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn header_names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}
