//! Begins a payment: a Checkout Session for Stripe's page, or a PaymentIntent for the broker's own.
//! One request under the order's key, then its answer is read.

use cashier_provider_sdk::serde_json::{Map, Value};
use cashier_provider_sdk::{
    Form, HttpReply, HttpRequest, NextAction, NormalizedStatus, PaymentCreated, PaymentOrder, ProviderFailure,
    StatusUpdate, Step,
};

use crate::amounts::to_stripe;
use crate::config::{Flow, Stripe};
use crate::failure::Asked;
use crate::objects::{sandbox, text};
use crate::status::{intent_standing, session_standing};

/// What the page shows where the order says nothing.
const PRODUCT_NAME: &str = "Deposit";
/// Stripe refuses longer product names.
const PRODUCT_NAME_CHARS_MAX: usize = 250;
/// Stripe's own limit for a key.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

pub(crate) fn create_payment(stripe: &Stripe, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
    match replies {
        [] => match request(stripe, order) {
            Ok(request) => Step::send(request),
            Err(failure) => Step::Failed(failure),
        },
        [reply, ..] => read(stripe, order, reply).into(),
    }
}

fn request(stripe: &Stripe, order: &PaymentOrder) -> Result<HttpRequest, ProviderFailure> {
    let units = to_stripe(&order.amount)?.to_string();
    let currency = order.amount.currency.to_ascii_lowercase();
    let (path, form) = match stripe.flow {
        Flow::Checkout => ("/v1/checkout/sessions", session_form(order, units, currency)?),
        Flow::PaymentIntents => ("/v1/payment_intents", intent_form(order, units, currency)),
    };
    Ok(HttpRequest::post(format!("{}{path}", stripe.api_base))
        .bearer(stripe.secret_key.expose())
        .idempotency_key(checked_key(&order.idempotency_key)?)
        .form(&form))
}

/// The reference is written three times because three families of events carry one each: the
/// session's, the intent's, and (copied from the intent) the charge's.
fn session_form(order: &PaymentOrder, units: String, currency: String) -> Result<Form, ProviderFailure> {
    if order.success_url.is_empty() {
        return Err(ProviderFailure::refused_request(
            "success_url_missing",
            "Stripe's page needs an address to send the customer back to",
        ));
    }
    let reference = order.reference.as_str();
    Ok(Form::new()
        .field("mode", "payment")
        .field("success_url", &order.success_url)
        .optional("cancel_url", Some(&order.failure_url))
        .field("client_reference_id", reference)
        .field("metadata[transaction_id]", reference)
        .field("payment_intent_data[metadata][transaction_id]", reference)
        .field("line_items[0][price_data][currency]", currency)
        .field("line_items[0][price_data][unit_amount]", units)
        .field("line_items[0][price_data][product_data][name]", product_name(order))
        .field("line_items[0][quantity]", "1"))
}

/// Only what every version of Stripe's interface, and its fakes, take.
fn intent_form(order: &PaymentOrder, units: String, currency: String) -> Form {
    Form::new().field("amount", units).field("currency", currency).field("metadata[transaction_id]", &order.reference)
}

fn product_name(order: &PaymentOrder) -> String {
    let words = order.description.trim();
    let words = if words.is_empty() { PRODUCT_NAME } else { words };
    words.chars().take(PRODUCT_NAME_CHARS_MAX).collect()
}

/// Without a key a repetition would begin a second payment, so nothing is sent without one.
fn checked_key(key: &str) -> Result<&str, ProviderFailure> {
    let sound = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    sound.then_some(key).ok_or_else(|| {
        ProviderFailure::refused_request(
            "idempotency_key_unusable",
            "the idempotency key is empty, longer than 255 bytes or not visible ASCII",
        )
    })
}

fn read(stripe: &Stripe, order: &PaymentOrder, reply: &HttpReply) -> Result<PaymentCreated, ProviderFailure> {
    if !reply.is_success() {
        return Err(stripe.failure(reply, Asked::Creation));
    }
    let object = reply.json()?;
    check_mode(stripe, &object)?;
    match stripe.flow {
        Flow::Checkout => read_session(stripe, &object),
        Flow::PaymentIntents => read_intent(stripe, order, &object),
    }
}

/// The customer has not seen the payment yet, so nothing can be taken where it is left alone.
fn check_mode(stripe: &Stripe, object: &Value) -> Result<(), ProviderFailure> {
    match sandbox(object) {
        Some(said) if said != stripe.sandbox => Err(ProviderFailure::refused_request(
            "livemode_mismatch",
            "the secret key is of the other mode than the configuration's sandbox flag",
        )),
        Some(_) | None => Ok(()),
    }
}

fn read_session(stripe: &Stripe, session: &Value) -> Result<PaymentCreated, ProviderFailure> {
    let update = session_standing(session)?;
    let next = if update.status == NormalizedStatus::Pending {
        NextAction::Redirect { url: page_url(stripe, session)? }
    } else {
        NextAction::None
    };
    let expires_unix = session.get("expires_at").and_then(Value::as_i64);
    Ok(PaymentCreated { expires_unix, ..created(stripe, update, next)? })
}

/// `https`, save where the whole configuration talks to a fake on this machine.
fn page_url(stripe: &Stripe, session: &Value) -> Result<String, ProviderFailure> {
    text(session, "url")
        .filter(|url| {
            url.starts_with("https://") || (url.starts_with("http://") && stripe.api_base.starts_with("http://"))
        })
        .map(str::to_owned)
        .ok_or_else(|| ProviderFailure::unreadable("an open session without the URL of its page"))
}

/// Instructions where the broker's page still has something to do with the client secret, a wait
/// where Stripe is at work, nothing where the outcome is final.
fn read_intent(stripe: &Stripe, order: &PaymentOrder, intent: &Value) -> Result<PaymentCreated, ProviderFailure> {
    let update = intent_standing(intent)?;
    let next = match text(intent, "status") {
        Some("requires_payment_method" | "requires_confirmation" | "requires_action") => {
            NextAction::Instructions { json_text: page_instructions(stripe, order, intent)? }
        }
        Some("processing" | "requires_capture") => NextAction::Wait,
        Some(_) | None => NextAction::None,
    };
    created(stripe, update, next)
}

/// What Stripe.js needs: the client secret is meant for the customer's browser, and only for it.
fn page_instructions(stripe: &Stripe, order: &PaymentOrder, intent: &Value) -> Result<String, ProviderFailure> {
    let client_secret = text(intent, "client_secret")
        .ok_or_else(|| ProviderFailure::unreadable("a payment_intent without a client_secret"))?;
    let fields = [
        ("kind", "stripe_payment_intent"),
        ("payment_intent", text(intent, "id").unwrap_or_default()),
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

/// An answer that already tells an outcome is handed on as a fact to be checked; one that tells of
/// a beginning is not a fact about money; one in an unknown word leaves the outcome unknown.
fn created(stripe: &Stripe, update: StatusUpdate, next: NextAction) -> Result<PaymentCreated, ProviderFailure> {
    if update.status == NormalizedStatus::Unknown {
        let words = format!("the created payment stands at {}, which this module does not know", update.raw_status);
        return Err(ProviderFailure::unreadable(stripe.masked(&words)));
    }
    Ok(PaymentCreated {
        status: update.status,
        refs: update.refs.clone(),
        next,
        update: (update.status != NormalizedStatus::Pending).then_some(update),
        ..PaymentCreated::default()
    })
}
