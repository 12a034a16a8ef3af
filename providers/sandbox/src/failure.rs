//! What an answer that is no success means, in the cashier's kinds, with no secret in its words.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{FailureKind, HttpReply, ProviderFailure, Secret};

use crate::config::Sandbox;
use crate::payment::text;

/// The service's sentences are short; a longer text is some proxy's page.
const MESSAGE_CHARS_MAX: usize = 300;
/// The service's longest word has 20 letters.
const CODE_BYTES_MAX: usize = 64;

/// What was being asked when the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Creation,
    Status,
}

/// Every no of the service's README: code, HTTP status, and what is known after it. A code under
/// another status is not the service's own word. `idempotency_conflict` says that the key was used
/// with another body: that other request may have begun a payment, so nothing definite is known.
const PUBLISHED: [(&str, u16, FailureKind); 10] = [
    ("invalid_request", 400, FailureKind::RefusedRequest),
    ("unauthorized", 401, FailureKind::RefusedRequest),
    ("declined", 402, FailureKind::Declined),
    ("not_found", 404, FailureKind::NotFound),
    ("method_not_allowed", 405, FailureKind::RefusedRequest),
    ("not_allowed", 409, FailureKind::RefusedRequest),
    ("idempotency_conflict", 409, FailureKind::UnreadableAnswer),
    ("too_large", 413, FailureKind::RefusedRequest),
    ("busy", 429, FailureKind::Temporary),
    ("internal", 500, FailureKind::Temporary),
];

impl Sandbox {
    /// Reads a reply that is no success: `{"error":{code,message,payment}}`, or whatever a proxy in
    /// between wrote.
    pub(crate) fn failure(&self, reply: &HttpReply, asked: Asked) -> ProviderFailure {
        let body = reply.json().unwrap_or_default();
        let error = body.get("error").unwrap_or(&Value::Null);
        let by_status = reply.failure(code(reply, error), self.masked(&sentence(reply, error)));
        let kind = kind(by_status.kind, reply, error, asked);
        ProviderFailure {
            kind,
            code: self.masked(&by_status.code),
            retryable: kind == FailureKind::Temporary,
            ..by_status
        }
    }

    /// The text without this configuration's secrets: an error may quote the key it was sent.
    fn masked(&self, text: &str) -> String {
        std::iter::once(&self.secret_key)
            .chain(&self.webhook_secrets)
            .map(Secret::expose)
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
            .chars()
            .take(MESSAGE_CHARS_MAX)
            .collect()
    }
}

/// The service's own word decides; where it is not the service that speaks, the status. A creation
/// cannot be "not found": there the address is wrong. And that a payment does not exist is believed
/// of the service alone: a 404 of another server at this address says nothing about it.
fn kind(by_status: FailureKind, reply: &HttpReply, error: &Value, asked: Asked) -> FailureKind {
    let word = text(error, "code");
    let published = PUBLISHED.iter().find(|(code, status, _)| word == Some(code) && reply.status == *status);
    match (published.map(|(_, _, kind)| *kind), by_status, asked) {
        (Some(FailureKind::NotFound), _, Asked::Creation) => FailureKind::RefusedRequest,
        (Some(kind), _, Asked::Creation | Asked::Status) => kind,
        (None, FailureKind::NotFound, Asked::Creation) => FailureKind::RefusedRequest,
        (None, FailureKind::NotFound, Asked::Status) => FailureKind::UnreadableAnswer,
        (None, kind, Asked::Creation | Asked::Status) => kind,
    }
}

fn code(reply: &HttpReply, error: &Value) -> String {
    text(error, "code")
        .filter(|code| code.len() <= CODE_BYTES_MAX)
        .map_or_else(|| format!("http_{}", reply.status), str::to_owned)
}

fn sentence(reply: &HttpReply, error: &Value) -> String {
    let mut words = format!("the sandbox answered {}", reply.status);
    if let Some(message) = text(error, "message") {
        words.push_str(&format!(": {message}"));
    }
    if let Some(payment) = text(error, "payment") {
        words.push_str(&format!(" [payment {payment}]"));
    }
    words
}
