//! Closes a payment that nobody has paid: the session's page, or the intent of the broker's own page.

use cashier_provider_sdk::{Form, HttpReply, HttpRequest, PaymentRef, StatusUpdate, Step};

use crate::config::Stripe;
use crate::status::{API_VERSION, Subject};

/// Stripe refuses with 400 to close what is closed or paid already: then how it stands is asked, so
/// that a payment made in the last moment is heard.
pub(crate) fn cancel_payment(stripe: &Stripe, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
    let subject = match Subject::of(payment) {
        Ok(Some(subject)) => subject,
        Ok(None) => return Step::Unsupported,
        Err(failure) => return Step::Failed(failure),
    };
    match replies {
        [] => Step::send(request(stripe, &subject)),
        [refused] if refused.status == 400 => Step::send(subject.request(stripe)),
        [closed] => subject.read(closed).into(),
        [_, asked, ..] => subject.read(asked).into(),
    }
}

/// Without a key: what is closed stays closed however often it is asked for, while a key would bring
/// back a first answer of 500 for a day.
fn request(stripe: &Stripe, subject: &Subject<'_>) -> HttpRequest {
    let path = match subject {
        Subject::Session(id) => format!("/v1/checkout/sessions/{id}/expire"),
        Subject::Intent(id) => format!("/v1/payment_intents/{id}/cancel"),
    };
    HttpRequest::post(stripe.api.at(&path))
        .bearer(stripe.secret_key.expose())
        .header("stripe-version", API_VERSION)
        .form(&Form::new())
}
