//! Classifies an unsuccessful reply into the SDK's failure kinds. The SDK's guard masks secrets and
//! shortens proxy pages, not this file.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{CallTarget, FailureKind, HttpReply, JsonRead, ProviderFailure};

/// The type of Stripe's errors about the request itself.
const INVALID_REQUEST: &str = "invalid_request_error";

/// Reads an unsuccessful reply: `{"error":{type,code,decline_code,message,param}}`, or the page of a
/// proxy. The HTTP status decides, with two exceptions. `idempotency_error` means that the key was used
/// with other parameters: that request may have created a payment, so the outcome is unknown. And a
/// 404 counts as not found only with Stripe's own error code, because a payment that is not found is
/// closed, and any misrouted request gets a 404.
pub(crate) fn failure(reply: &HttpReply, target: CallTarget) -> ProviderFailure {
    let body = reply.json().unwrap_or_default();
    let error = body.at("/error");
    let kind = error.note_at("/type");
    let failure = reply.failure_for(target, error.note_at("/code").or(kind), message(reply, error));
    let failure = match (reply.status, target, failure.kind, kind) {
        (404, _, _, Some(INVALID_REQUEST)) if error.note_at("/code") == Some("resource_missing") => failure,
        (404, _, _, Some(INVALID_REQUEST)) => failure.with_kind(FailureKind::RefusedRequest),
        (404, ..) | (_, CallTarget::Creation, FailureKind::RefusedRequest, Some("idempotency_error")) => {
            failure.with_kind(FailureKind::UnreadableAnswer)
        }
        _ => failure,
    };
    ProviderFailure { retryable: failure.retryable && !forbids_retry(reply), ..failure }
}

fn message(reply: &HttpReply, error: &Value) -> String {
    let mut text = format!("Stripe answered {}", reply.status);
    if let Some(decline) = error.note_at("/decline_code") {
        text.push_str(&format!(" ({decline})"));
    }
    if let Some(message) = error.note_at("/message") {
        text.push_str(&format!(": {message}"));
    }
    if let Some(param) = error.note_at("/param") {
        text.push_str(&format!(" [parameter {param}]"));
    }
    if let Some(request) = reply.header("request-id") {
        text.push_str(&format!(" [request {request}]"));
    }
    text
}

/// Stripe's own header about retries, which is more specific than the HTTP status.
fn forbids_retry(reply: &HttpReply) -> bool {
    reply.header("stripe-should-retry") == Some("false")
}
