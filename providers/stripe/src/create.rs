//! Creates a payment: a Checkout Session for Stripe's page, or a PaymentIntent for the broker's own.
//! One request under the order's key, then its answer is read.

use cashier_provider_sdk::serde_json::{Map, Value};
use cashier_provider_sdk::{
    CallTarget, Form, HttpReply, HttpRequest, JsonRead, NextAction, NormalizedStatus, PaymentCreated, PaymentOrder,
    ProviderFailure, Step,
};

use crate::amounts::to_stripe;
use crate::config::{Flow, Stripe};
use crate::failure::failure;
use crate::objects::sandbox;
use crate::status::{intent_standing, session_standing};

/// Shown on the page when the order has no description.
const PRODUCT_NAME: &str = "Deposit";
/// Stripe refuses longer product names.
const PRODUCT_NAME_CHARS_MAX: usize = 250;

pub(crate) fn create_payment(stripe: &Stripe, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
    match replies {
        [] => match request(stripe, order) {
            Ok(request) => Step::send(request),
            Err(failure) => Step::Failed(failure),
        },
        [reply, ..] => read(stripe, order, reply).into(),
    }
}

/// What Stripe could never be paid.
pub(crate) fn check_order(stripe: &Stripe, order: &PaymentOrder) -> Result<(), ProviderFailure> {
    order.checked_idempotency_key()?;
    to_stripe(&order.amount)?;
    match stripe.flow {
        Flow::Checkout => success_url(order).map(drop),
        Flow::PaymentIntents => Ok(()),
    }
}

/// Stripe's page returns the customer to it; a page to return to after a failure is optional.
fn success_url(order: &PaymentOrder) -> Result<&str, ProviderFailure> {
    match order.success_url.as_str() {
        "" => Err(ProviderFailure::refused_order(
            "success_url",
            "success_url_missing",
            "is required: Stripe's page returns the customer to it",
        )),
        url => Ok(url),
    }
}

fn request(stripe: &Stripe, order: &PaymentOrder) -> Result<HttpRequest, ProviderFailure> {
    let units = to_stripe(&order.amount)?.to_string();
    let currency = order.amount.currency.to_ascii_lowercase();
    let (path, form) = match stripe.flow {
        Flow::Checkout => ("/v1/checkout/sessions", session_form(order, units, currency)?),
        Flow::PaymentIntents => ("/v1/payment_intents", intent_form(order, units, currency)),
    };
    Ok(HttpRequest::post(stripe.api.at(path))
        .bearer(stripe.secret_key.expose())
        .idempotency_key(order.checked_idempotency_key()?)
        .form(&form))
}

/// The reference is sent three times because three groups of events carry one each: the session's,
/// the intent's, and (copied from the intent) the charge's.
fn session_form(order: &PaymentOrder, units: String, currency: String) -> Result<Form, ProviderFailure> {
    let reference = order.reference.as_str();
    Ok(Form::new()
        .field("mode", "payment")
        .field("success_url", success_url(order)?)
        .optional("cancel_url", Some(&order.failure_url))
        .field("client_reference_id", reference)
        .field("metadata[transaction_id]", reference)
        .field("payment_intent_data[metadata][transaction_id]", reference)
        .field("line_items[0][price_data][currency]", currency)
        .field("line_items[0][price_data][unit_amount]", units)
        .field("line_items[0][price_data][product_data][name]", product_name(order))
        .field("line_items[0][quantity]", "1"))
}

/// Only the fields that every version of Stripe's API, and its fake servers, accept.
fn intent_form(order: &PaymentOrder, units: String, currency: String) -> Form {
    Form::new().field("amount", units).field("currency", currency).field("metadata[transaction_id]", &order.reference)
}

fn product_name(order: &PaymentOrder) -> String {
    let description = order.description.trim();
    let name = if description.is_empty() { PRODUCT_NAME } else { description };
    name.chars().take(PRODUCT_NAME_CHARS_MAX).collect()
}

fn read(stripe: &Stripe, order: &PaymentOrder, reply: &HttpReply) -> Result<PaymentCreated, ProviderFailure> {
    if !reply.is_success() {
        return Err(failure(reply, CallTarget::Creation));
    }
    let object = reply.json()?;
    check_mode(stripe, &object)?;
    match stripe.flow {
        Flow::Checkout => read_session(stripe, &object),
        Flow::PaymentIntents => read_intent(stripe, order, &object),
    }
}

/// The customer has not seen the payment yet, so this refusal is definite: it cannot be paid.
fn check_mode(stripe: &Stripe, object: &Value) -> Result<(), ProviderFailure> {
    match sandbox(object)? {
        Some(stated) if stated != stripe.sandbox => Err(ProviderFailure::refused_request(
            "livemode_mismatch",
            "the secret key is of the other mode than the configuration's sandbox flag",
        )),
        Some(_) | None => Ok(()),
    }
}

fn read_session(stripe: &Stripe, session: &Value) -> Result<PaymentCreated, ProviderFailure> {
    let update = session_standing(session)?;
    let next = if update.status == NormalizedStatus::Pending {
        NextAction::Redirect { url: stripe.api.page(session.text_at("/url")?)? }
    } else {
        NextAction::None
    };
    let expires_unix = session.at("/expires_at").as_i64();
    Ok(PaymentCreated { expires_unix, ..PaymentCreated::from_update(update, next)? })
}

/// Instructions while the broker's page still has to use the client secret, a wait while Stripe
/// processes the payment, nothing when the outcome is final.
fn read_intent(stripe: &Stripe, order: &PaymentOrder, intent: &Value) -> Result<PaymentCreated, ProviderFailure> {
    let update = intent_standing(intent)?;
    let next = match intent.text_at("/status")? {
        Some("requires_payment_method" | "requires_confirmation" | "requires_action") => {
            NextAction::Instructions { json_text: page_instructions(stripe, order, intent)? }
        }
        Some("processing" | "requires_capture") => NextAction::Wait,
        Some(_) | None => NextAction::None,
    };
    PaymentCreated::from_update(update, next)
}

/// The input of Stripe.js: the client secret is for the customer's browser only.
fn page_instructions(stripe: &Stripe, order: &PaymentOrder, intent: &Value) -> Result<String, ProviderFailure> {
    let client_secret = intent
        .text_at("/client_secret")?
        .ok_or_else(|| ProviderFailure::unreadable("a payment_intent without a client_secret"))?;
    let fields = [
        ("kind", "stripe_payment_intent"),
        ("payment_intent", intent.text_at("/id")?.unwrap_or_default()),
        ("client_secret", client_secret),
        ("publishable_key", stripe.publishable_key.as_str()),
        ("return_url", order.success_url.as_str()),
    ];
    let object: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect();
    Ok(Value::Object(object).to_string())
}
