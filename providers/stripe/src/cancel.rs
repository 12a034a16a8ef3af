//! Closes an unpaid payment: the session of Stripe's page, or the intent of the broker's own page.

use cashier_provider_sdk::{Form, HttpReply, HttpRequest, PaymentRef, StatusUpdate, Step};

use crate::config::{API_VERSION, Stripe};
use crate::status::StripeTarget;

/// Stripe refuses with 400 to close a payment that is closed or paid already: then its status is
/// queried, so that a late payment is found.
pub(crate) fn cancel_payment(stripe: &Stripe, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
    let target = match StripeTarget::of(payment) {
        Ok(Some(target)) => target,
        Ok(None) => return Step::Unsupported,
        Err(failure) => return Step::Failed(failure),
    };
    match replies {
        [] => Step::send(request(stripe, &target)),
        [refused] if refused.status == 400 => Step::send(target.request(stripe)),
        [closed] => target.read(stripe, payment, closed, &[]),
        [_, queried, further @ ..] => target.read(stripe, payment, queried, further),
    }
}

/// Without an idempotency key: closing twice has no further effect, while a key would repeat a first
/// answer of 500 for a day.
fn request(stripe: &Stripe, target: &StripeTarget<'_>) -> HttpRequest {
    let path = match target {
        StripeTarget::Session(id) => format!("/v1/checkout/sessions/{id}/expire"),
        StripeTarget::Intent(id) => format!("/v1/payment_intents/{id}/cancel"),
    };
    HttpRequest::post(stripe.api.at(&path))
        .bearer(stripe.secret_key.expose())
        .header("stripe-version", API_VERSION)
        .form(&Form::new())
}
