//! What an answer that is no success means, in the cashier's kinds. It knows the README's table of
//! refusals, and trusts nobody else to say that a payment does not exist.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{FailureKind, HttpReply, JsonRead, ProviderFailure};

/// The service's sentences are short; a longer text is some proxy's and is left out.
const MESSAGE_BYTES_MAX: usize = 600;
/// The service's longest word has 20 letters, its ids have 35.
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

/// Reads a reply that is no success: `{"error":{code,message,payment}}`, or whatever a proxy in
/// between wrote. That it may quote a secret is the guard's to mend; nothing is cut here, because a
/// secret cut in half would not be known again.
pub(crate) fn failure(reply: &HttpReply, asked: Asked) -> ProviderFailure {
    let body = reply.json().unwrap_or_default();
    let by_status = reply.failure(code(reply, &body), sentence(reply, &body));
    let kind = kind(by_status.kind, reply, &body, asked);
    ProviderFailure { kind, retryable: kind == FailureKind::Temporary, ..by_status }
}

/// The service's own word decides; where it is not the service that speaks, the status. A creation
/// cannot be "not found": there the address is wrong. And that a payment does not exist is believed
/// of the service alone: a 404 of another server at this address says nothing about it.
fn kind(by_status: FailureKind, reply: &HttpReply, body: &Value, asked: Asked) -> FailureKind {
    let word = body.text_at("/error/code");
    let published = PUBLISHED.iter().find(|(code, status, _)| word == Some(code) && reply.status == *status);
    match (published.map(|(_, _, kind)| *kind), by_status, asked) {
        (Some(FailureKind::NotFound), _, Asked::Creation) => FailureKind::RefusedRequest,
        (Some(kind), _, Asked::Creation | Asked::Status) => kind,
        (None, FailureKind::NotFound, Asked::Creation) => FailureKind::RefusedRequest,
        (None, FailureKind::NotFound, Asked::Status) => FailureKind::UnreadableAnswer,
        (None, kind, Asked::Creation | Asked::Status) => kind,
    }
}

fn code(reply: &HttpReply, body: &Value) -> String {
    body.text_at("/error/code")
        .filter(|code| code.len() <= CODE_BYTES_MAX)
        .map_or_else(|| format!("http_{}", reply.status), str::to_owned)
}

fn sentence(reply: &HttpReply, body: &Value) -> String {
    let mut words = format!("the sandbox answered {}", reply.status);
    if let Some(message) = body.text_at("/error/message").filter(|text| text.len() <= MESSAGE_BYTES_MAX) {
        words.push_str(&format!(": {message}"));
    }
    if let Some(payment) = body.text_at("/error/payment").filter(|text| text.len() <= CODE_BYTES_MAX) {
        words.push_str(&format!(" [payment {payment}]"));
    }
    words
}
