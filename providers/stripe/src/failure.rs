//! What an answer that is no success means, in the cashier's kinds, with no secret in its words.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{FailureKind, HttpReply, ProviderFailure, Secret};

use crate::config::Stripe;
use crate::objects::text;

/// Stripe's sentences are short; a longer text is some proxy's page.
const MESSAGE_CHARS_MAX: usize = 300;
/// Stripe's longest codes have about 60 letters.
const CODE_BYTES_MAX: usize = 64;

/// What was being asked when the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Creation,
    Status,
}

impl Stripe {
    /// Reads a reply that is no success: `{"error":{type,code,decline_code,message,param}}`, or
    /// whatever a proxy in between wrote.
    pub(crate) fn failure(&self, reply: &HttpReply, asked: Asked) -> ProviderFailure {
        let body = reply.json().unwrap_or_default();
        let error = body.get("error").unwrap_or(&Value::Null);
        let by_status = reply.failure(code(reply, error), self.masked(&sentence(reply, error)));
        let kind = kind(by_status.kind, asked, text(error, "type"));
        ProviderFailure {
            kind,
            code: self.masked(&by_status.code),
            retryable: kind == FailureKind::Temporary && !says_no_retry(reply),
            ..by_status
        }
    }

    /// The text without this configuration's secrets, cut to its limit. An error may quote the key
    /// it was sent, and half a key left by a cut is found by no later mask: so first masked, then cut.
    pub(crate) fn masked(&self, text: &str) -> String {
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

/// The status decides, save for two answers. `idempotency_error` says that the key was used with
/// other parameters: that other request may have begun a payment, so nothing definite is known.
/// And a creation cannot be "not found": there the 404 is about a parameter.
fn kind(by_status: FailureKind, asked: Asked, error_type: Option<&str>) -> FailureKind {
    match (by_status, asked) {
        (FailureKind::RefusedRequest, Asked::Creation) if error_type == Some("idempotency_error") => {
            FailureKind::UnreadableAnswer
        }
        (FailureKind::NotFound, Asked::Creation) => FailureKind::RefusedRequest,
        (kind, Asked::Creation | Asked::Status) => kind,
    }
}

fn code(reply: &HttpReply, error: &Value) -> String {
    text(error, "code")
        .or_else(|| text(error, "type"))
        .filter(|code| code.len() <= CODE_BYTES_MAX)
        .map_or_else(|| format!("http_{}", reply.status), str::to_owned)
}

fn sentence(reply: &HttpReply, error: &Value) -> String {
    let mut words = format!("Stripe answered {}", reply.status);
    if let Some(decline) = text(error, "decline_code") {
        words.push_str(&format!(" ({decline})"));
    }
    if let Some(message) = text(error, "message") {
        words.push_str(&format!(": {message}"));
    }
    if let Some(param) = text(error, "param") {
        words.push_str(&format!(" [parameter {param}]"));
    }
    if let Some(request) = reply.header("request-id") {
        words.push_str(&format!(" [request {request}]"));
    }
    words
}

/// Stripe's own word on whether a repetition can help; it knows more than the status tells.
fn says_no_retry(reply: &HttpReply) -> bool {
    reply.header("stripe-should-retry") == Some("false")
}
