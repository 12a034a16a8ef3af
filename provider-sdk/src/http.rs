//! The requests that a module returns and the replies that it receives, with their builders and readers.
//! Nothing here opens a connection: the host sends.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::types::{FailureKind, Pairs, ProviderFailure};

/// Longest error code of a provider; a longer text is not a code but, for example, a proxy's page.
const CODE_BYTES_MAX: usize = 64;

/// One request to one of the descriptor's hosts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: HttpMethod,
    /// Absolute; `https`, except for loopback hosts that the operator allows.
    pub url: String,
    /// Headers; the host adds those of the connection.
    pub headers: Pairs,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// Whether it moves no money and changes no payment, however often it is sent. `normalize_status` and
    /// `query_status` may send only such requests. A creation with an idempotency key is not one: a retry is
    /// safe, but if its reply is lost a payment may exist.
    pub safe_to_repeat: bool,
}

impl HttpRequest {
    /// A GET, safe to repeat.
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: HttpMethod::Get, url: url.into(), safe_to_repeat: true, ..Self::default() }
    }

    /// A POST, not safe to repeat unless marked with [`HttpRequest::safe_to_repeat`].
    pub fn post(url: impl Into<String>) -> Self {
        Self { method: HttpMethod::Post, url: url.into(), ..Self::default() }
    }

    /// With one more header.
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

    /// `Idempotency-Key: …`, as most providers call it; for another name use `header`.
    #[must_use]
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// With this form as its body.
    #[must_use]
    pub fn form(mut self, form: &Form) -> Self {
        self.body = form.encode().into_bytes();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// With this JSON as its body.
    #[must_use]
    pub fn json(mut self, value: &Value) -> Self {
        self.body = value.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    /// Marks it as one that moves no money and changes no payment: a token request, a search with a body.
    #[must_use]
    pub fn safe_to_repeat(mut self) -> Self {
        self.safe_to_repeat = true;
        self
    }

    /// Whether the URL, a header value or the body contains `text` unencoded; false for an empty text.
    pub fn carries(&self, text: &str) -> bool {
        let found = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        !text.is_empty()
            && (self.url.contains(text)
                || self.headers.iter().any(|(_, value)| value.contains(text))
                || found(&self.body))
    }
}

/// Headers and bodies contain credentials: Debug prints names and sizes, and the URL without its query.
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

/// The method of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpMethod {
    /// `GET`
    #[default]
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl HttpMethod {
    /// The name in upper case, as HTTP spells it.
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

/// One complete reply. A module never sees a request that failed without one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpReply {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Pairs,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl HttpReply {
    /// A reply without headers, for tests.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name; case does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// The body as JSON, by [`json::parse`](crate::json::parse): read its fields with [`JsonRead`](crate::JsonRead).
    ///
    /// # Errors
    /// `UnreadableAnswer` if it is not JSON. The message does not quote the body, which may contain secrets.
    pub fn json(&self) -> Result<Value, ProviderFailure> {
        crate::json::parse(&self.body).map_err(|error| {
            ProviderFailure::unreadable(format!("the reply (HTTP {}): {}", self.status, error.message))
        })
    }

    /// The body as text.
    ///
    /// # Errors
    /// `UnreadableAnswer` if it is not UTF-8.
    pub fn text(&self) -> Result<&str, ProviderFailure> {
        std::str::from_utf8(&self.body).map_err(|_| ProviderFailure::unreadable("the reply is not UTF-8 text"))
    }

    /// The failure that an unsuccessful status means by itself: 401 and 403 are `CredentialsRefused`; 402 is `Declined`;
    /// 404 is `NotFound`; 408, 409, 425, 429 and 5xx are `Temporary`; other 4xx are `RefusedRequest`; anything else is
    /// `UnreadableAnswer`.
    pub fn failure(&self, code: impl Into<String>, message: impl Into<String>) -> ProviderFailure {
        let kind = match self.status {
            401 | 403 => FailureKind::CredentialsRefused,
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

    /// As [`HttpReply::failure`], with the provider's own error code, or `http_<status>` if there is none or it
    /// is longer than 64 bytes. A creation cannot be "not found": its 404 is about the URL or a parameter, so
    /// the failure is `RefusedRequest`.
    ///
    /// `message` may quote the request and need not be cut: the guard masks secrets and cuts afterwards,
    /// because a mask cannot find half of a secret.
    pub fn failure_for(&self, target: CallTarget, code: Option<&str>, message: impl Into<String>) -> ProviderFailure {
        let code = code.filter(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX);
        let failure = self.failure(code.map_or_else(|| format!("http_{}", self.status), str::to_owned), message);
        match (failure.kind, target) {
            (FailureKind::NotFound, CallTarget::Creation) => failure.with_kind(FailureKind::RefusedRequest),
            (_, CallTarget::Creation | CallTarget::Payment) => failure,
        }
    }
}

/// What the failed call was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTarget {
    /// The creation of a payment.
    Creation,
    /// An existing payment: its status, cancellation, capture or refund.
    Payment,
}

/// As for a request: names and sizes only.
impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReply")
            .field("status", &self.status)
            .field("headers", &header_names(&self.headers))
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// A form body. Fields keep their order; keys may contain brackets, as in `metadata[order]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Pairs,
}

impl Form {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more field.
    #[must_use]
    pub fn field(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.pairs.push((key.into(), value.into()));
        self
    }

    /// With one more field, unless the value is absent or empty.
    #[must_use]
    pub fn optional(self, key: impl Into<String>, value: Option<&str>) -> Self {
        match value {
            Some(value) if !value.is_empty() => self.field(key, value),
            Some(_) | None => self,
        }
    }

    /// Parses a posted form or a query string.
    pub fn read(body: &[u8]) -> Self {
        Self { pairs: form_urlencoded::parse(body).into_owned().collect() }
    }

    /// The first value under `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        crate::types::pair(&self.pairs, key)
    }

    /// All fields in order, decoded.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The form, URL-encoded.
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
