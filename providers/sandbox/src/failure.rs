//! What an answer that is no success means, in the cashier's kinds. It knows the README's table of
//! refusals, and trusts nobody else to say that a payment does not exist. That an answer may quote a
//! secret, or be a proxy's page, is the guard's to mend.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{CallTarget, FailureKind, HttpReply, JsonRead, ProviderFailure};

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
/// between wrote. The service's own word decides; where it is not the service that speaks, the
/// status, save that a payment's absence is believed of the service alone: a 404 of another server
/// at this address says nothing about it.
pub(crate) fn failure(reply: &HttpReply, target: CallTarget) -> ProviderFailure {
    let body = reply.json().unwrap_or_default();
    let word = body.text_at("/error/code");
    let by_status = reply.failure_for(target, word, sentence(reply, &body));
    let published = PUBLISHED.iter().find(|(code, status, _)| word == Some(code) && reply.status == *status);
    match (published.map(|(_, _, kind)| *kind), by_status.kind) {
        // What it says of a creation was weighed with the status: there the address is wrong.
        (Some(FailureKind::NotFound), _) => by_status,
        (Some(kind), _) => by_status.with_kind(kind),
        (None, FailureKind::NotFound) => by_status.with_kind(FailureKind::UnreadableAnswer),
        (None, _) => by_status,
    }
}

fn sentence(reply: &HttpReply, body: &Value) -> String {
    let mut words = format!("the sandbox answered {}", reply.status);
    if let Some(message) = body.text_at("/error/message") {
        words.push_str(&format!(": {message}"));
    }
    if let Some(payment) = body.text_at("/error/payment") {
        words.push_str(&format!(" [payment {payment}]"));
    }
    words
}
