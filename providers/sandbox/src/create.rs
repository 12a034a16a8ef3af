//! Creates a payment on the service's page: one request under the order's key, then its answer is
//! read. The order's metadata selects the failures to simulate, see [`metadata`].

use cashier_provider_sdk::serde_json::{self, Map, Value, json};
use cashier_provider_sdk::{
    CallTarget, HttpReply, HttpRequest, JsonRead, NextAction, NormalizedStatus, PaymentCreated, PaymentOrder,
    ProviderFailure, Step,
};

use crate::amounts::to_sandbox;
use crate::config::Sandbox;
use crate::failure::failure;
use crate::status::standing;

/// The field of the deposit that a refusal of its metadata names.
const METADATA: &str = "metadata_json";
/// The metadata key that the service reads as a comma-separated list of switches.
const SWITCHES_KEY: &str = "sandbox_switches";
/// Pairs of metadata, and bytes of a key and a value, that the service accepts.
const METADATA_PAIRS_MAX: usize = 50;
const METADATA_KEY_BYTES_MAX: usize = 64;
const METADATA_VALUE_BYTES_MAX: usize = 500;
/// Characters of the description that the service accepts.
const DESCRIPTION_CHARS_MAX: usize = 200;

pub(crate) fn create_payment(sandbox: &Sandbox, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
    match replies {
        [] => match request(sandbox, order) {
            Ok(request) => Step::send(request),
            Err(failure) => Step::Failed(failure),
        },
        [reply, ..] => read(sandbox, order, reply).into(),
    }
}

fn request(sandbox: &Sandbox, order: &PaymentOrder) -> Result<HttpRequest, ProviderFailure> {
    let body = json!({
        "reference": order.reference,
        "amount": to_sandbox(&order.amount)?,
        "currency": order.amount.currency,
        "method": order.method,
        "description": description(order),
        "notify_url": order.notify_url,
        "success_url": order.success_url,
        "failure_url": order.failure_url,
        "metadata": metadata(order)?,
    });
    Ok(HttpRequest::post(sandbox.api.at("/v1/payments"))
        .bearer(sandbox.secret_key.expose())
        .idempotency_key(order.checked_idempotency_key()?)
        .json(&body))
}

/// The client's metadata as pairs of text. Numbers and flags are written as text; nested values,
/// null, long texts and pairs above 50 are left out, because metadata must not fail a payment.
///
/// The exception is `sandbox_switches`, which selects the failures to simulate, such as
/// `"webhook_twice,create_slow:500"`. It is always sent, and the service refuses unknown switches by
/// name: a test must not run without the failure it requested.
fn metadata(order: &PaymentOrder) -> Result<Map<String, Value>, ProviderFailure> {
    if order.metadata_json.trim().is_empty() {
        return Ok(Map::new());
    }
    let mut given: Map<String, Value> = serde_json::from_str(&order.metadata_json)
        .map_err(|_| ProviderFailure::refused_order(METADATA, "metadata_unreadable", "is not a JSON object"))?;
    let switches = match given.remove(SWITCHES_KEY) {
        None => None,
        Some(Value::String(list)) => Some((SWITCHES_KEY.to_owned(), Value::String(list))),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(ProviderFailure::refused_order(
                METADATA,
                "switches_not_a_text",
                "sandbox_switches must be text such as \"webhook_twice,create_slow:500\"",
            ));
        }
    };
    let others = given.into_iter().filter_map(|(key, value)| {
        let value = as_text(value).filter(|text| text.len() <= METADATA_VALUE_BYTES_MAX)?;
        (key.len() <= METADATA_KEY_BYTES_MAX).then_some((key, Value::String(value)))
    });
    Ok(switches.into_iter().chain(others).take(METADATA_PAIRS_MAX).collect())
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Shown on the page, so cut rather than refused.
fn description(order: &PaymentOrder) -> String {
    order.description.chars().filter(|c| !c.is_control()).take(DESCRIPTION_CHARS_MAX).collect()
}

fn read(sandbox: &Sandbox, order: &PaymentOrder, reply: &HttpReply) -> Result<PaymentCreated, ProviderFailure> {
    if !reply.is_success() {
        return Err(failure(reply, CallTarget::Creation));
    }
    let payment = reply.json()?;
    if payment.text_at("/reference")? != Some(&order.reference) {
        return Err(ProviderFailure::unreadable("the created payment has another reference"));
    }
    let update = standing(&payment)?;
    let next = match update.status {
        NormalizedStatus::Pending => NextAction::Redirect { url: sandbox.api.page(payment.text_at("/payment_url")?)? },
        NormalizedStatus::Unknown
        | NormalizedStatus::Confirmed
        | NormalizedStatus::Failed
        | NormalizedStatus::Cancelled
        | NormalizedStatus::Refunded
        | NormalizedStatus::Chargeback
        | NormalizedStatus::ChargebackReversed
        | NormalizedStatus::ManualReview
        | NormalizedStatus::InReview
        | NormalizedStatus::RefundFailed => NextAction::None,
    };
    PaymentCreated::from_update(update, next)
}
