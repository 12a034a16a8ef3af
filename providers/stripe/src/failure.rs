//! What an answer that is no success means, in the cashier's kinds. That it may quote a secret, or be
//! a proxy's page, is the guard's to mend.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{CallTarget, FailureKind, HttpReply, JsonRead, ProviderFailure};

/// The type of Stripe's own errors about what was asked.
const INVALID_REQUEST: &str = "invalid_request_error";

/// Reads a reply that is no success: `{"error":{type,code,decline_code,message,param}}`, or
/// whatever a proxy in between wrote. The status decides, save for two. `idempotency_error` says that
/// the key was used with other parameters: that other request may have begun a payment, so nothing
/// definite is known. And a 404 is believed in Stripe's own words alone, because a payment that is
/// not found is given up, and any misrouted request brings a 404.
pub(crate) fn failure(reply: &HttpReply, target: CallTarget) -> ProviderFailure {
    let body = reply.json().unwrap_or_default();
    let error = body.at("/error");
    let kind = error.text_at("/type");
    let failure = reply.failure_for(target, error.text_at("/code").or(kind), sentence(reply, error));
    let failure = match (reply.status, target, failure.kind, kind) {
        (404, _, _, Some(INVALID_REQUEST)) if error.text_at("/code") == Some("resource_missing") => failure,
        (404, _, _, Some(INVALID_REQUEST)) => failure.with_kind(FailureKind::RefusedRequest),
        (404, ..) | (_, CallTarget::Creation, FailureKind::RefusedRequest, Some("idempotency_error")) => {
            failure.with_kind(FailureKind::UnreadableAnswer)
        }
        _ => failure,
    };
    ProviderFailure { retryable: failure.retryable && !says_no_retry(reply), ..failure }
}

fn sentence(reply: &HttpReply, error: &Value) -> String {
    let mut words = format!("Stripe answered {}", reply.status);
    if let Some(decline) = error.text_at("/decline_code") {
        words.push_str(&format!(" ({decline})"));
    }
    if let Some(message) = error.text_at("/message") {
        words.push_str(&format!(": {message}"));
    }
    if let Some(param) = error.text_at("/param") {
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
