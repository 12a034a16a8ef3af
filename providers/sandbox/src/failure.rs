//! Classifies an unsuccessful reply into the SDK's failure kinds, by the README's table of errors.
//! Only the service itself is trusted to state that a payment does not exist. The SDK's guard masks
//! secrets and shortens proxy pages, not this file.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{CallTarget, FailureKind, HttpReply, JsonRead, ProviderFailure};

/// Every error of the service's README: code, HTTP status and kind. A code under another status is
/// not from the service. `idempotency_conflict` means that the key was used with another body: that
/// request may have created a payment, so the outcome is unknown.
const PUBLISHED: [(&str, u16, FailureKind); 10] = [
    ("invalid_request", 400, FailureKind::RefusedRequest),
    ("unauthorized", 401, FailureKind::CredentialsRefused),
    ("declined", 402, FailureKind::Declined),
    ("not_found", 404, FailureKind::NotFound),
    ("method_not_allowed", 405, FailureKind::RefusedRequest),
    ("not_allowed", 409, FailureKind::RefusedRequest),
    ("idempotency_conflict", 409, FailureKind::UnreadableAnswer),
    ("too_large", 413, FailureKind::RefusedRequest),
    ("busy", 429, FailureKind::Temporary),
    ("internal", 500, FailureKind::Temporary),
];

/// Reads an unsuccessful reply: `{"error":{code,message,payment}}`, or the page of a proxy. A published
/// code decides; without one, the HTTP status does, except that a 404 then leaves the outcome unknown:
/// another server at this address does not know whether the payment exists.
pub(crate) fn failure(reply: &HttpReply, target: CallTarget) -> ProviderFailure {
    let body = reply.json().unwrap_or_default();
    let error_code = body.note_at("/error/code");
    let by_status = reply.failure_for(target, error_code, message(reply, &body));
    let published = PUBLISHED.iter().find(|(code, status, _)| error_code == Some(code) && reply.status == *status);
    match (published.map(|(_, _, kind)| *kind), by_status.kind) {
        // `failure_for` has already read a 404 of a creation as a wrong address.
        (Some(FailureKind::NotFound), _) => by_status,
        (Some(kind), _) => by_status.with_kind(kind),
        (None, FailureKind::NotFound) => by_status.with_kind(FailureKind::UnreadableAnswer),
        (None, _) => by_status,
    }
}

fn message(reply: &HttpReply, body: &Value) -> String {
    let mut text = format!("the sandbox answered {}", reply.status);
    if let Some(message) = body.note_at("/error/message") {
        text.push_str(&format!(": {message}"));
    }
    if let Some(payment) = body.note_at("/error/payment") {
        text.push_str(&format!(" [payment {payment}]"));
    }
    text
}
