//! Asks the service what became of a payment, by its id or by our reference, and reads how a payment
//! stands. Only GETs.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{
    Asked, Form, HttpReply, HttpRequest, JsonRead, NormalizedStatus, PaymentRef, ProviderFailure, StatusUpdate, Step,
};

use crate::config::Sandbox;
use crate::failure::failure;
use crate::payment::{currency, dispute_update, money, payment_update, refunded_update};
use crate::refs;

pub(crate) fn query_status(sandbox: &Sandbox, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
    let subject = match Subject::of(payment) {
        Ok(subject) => subject,
        Err(failure) => return Step::Failed(failure),
    };
    match replies {
        [] => Step::send(subject.request(sandbox)),
        [reply, ..] => subject.read(reply).and_then(|found| standing(&found, Paid::known_of(payment))).into(),
    }
}

/// What is asked about. The id first, because it names one payment; the reference where the answer
/// to the creation was lost.
enum Subject<'a> {
    Id(&'a str),
    Reference(&'a str),
}

impl<'a> Subject<'a> {
    fn of(payment: &'a PaymentRef) -> Result<Self, ProviderFailure> {
        match payment.path_id_of(refs::SANDBOX_PAYMENT)? {
            Some(id) => Ok(Self::Id(id)),
            None if payment.reference.is_empty() => Err(ProviderFailure::refused_request(
                "no_id_known",
                "neither an id nor a reference is known for this payment, so it cannot be asked about",
            )),
            None => Ok(Self::Reference(&payment.reference)),
        }
    }

    fn request(&self, sandbox: &Sandbox) -> HttpRequest {
        let path = match self {
            Self::Id(id) => format!("/v1/payments/{id}"),
            Self::Reference(reference) => {
                format!("/v1/payments?{}", Form::new().field("reference", *reference).encode())
            }
        };
        HttpRequest::get(sandbox.api.at(&path)).bearer(sandbox.secret_key.expose())
    }

    /// The payment that was asked about.
    fn read(&self, reply: &HttpReply) -> Result<Value, ProviderFailure> {
        if !reply.is_success() {
            return Err(failure(reply, Asked::Payment));
        }
        let body = reply.json()?;
        match self {
            Self::Id(id) => about(body, "/id", id),
            Self::Reference(reference) => about(only_one(&body)?, "/reference", reference),
        }
    }
}

fn about(payment: Value, pointer: &str, asked: &str) -> Result<Value, ProviderFailure> {
    if payment.text_at(pointer) == Some(asked) {
        return Ok(payment);
    }
    Err(ProviderFailure::unreadable(format!("the answer is about another {pointer}")))
}

/// A reference is ours alone and sent under one key, so the service has one payment for it or none.
fn only_one(list: &Value) -> Result<Value, ProviderFailure> {
    let payments = list
        .at("/payments")
        .as_array()
        .ok_or_else(|| ProviderFailure::unreadable("the answer holds no list of payments"))?;
    match payments.as_slice() {
        [] => Err(ProviderFailure::not_found("the sandbox has no payment with this reference")),
        [payment] => Ok(payment.clone()),
        [_, _, ..] => Err(ProviderFailure::unreadable("the sandbox has several payments with this reference")),
    }
}

/// Whether a confirmation was heard before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paid {
    Known,
    NotKnown,
}

impl Paid {
    /// A confirmation leaves the id of the payment proper.
    fn known_of(payment: &PaymentRef) -> Self {
        if payment.payment_id.is_some() { Self::Known } else { Self::NotKnown }
    }
}

/// A payment as it stands. An answer states one fact, and a paid one may hold three: that it was
/// paid comes first; where that is known, what went back, then that a dispute was lifted.
pub(crate) fn standing(payment: &Value, paid: Paid) -> Result<StatusUpdate, ProviderFailure> {
    let word = payment.required_text_at("/status")?;
    match word {
        "pending" => payment_update(payment, NormalizedStatus::Pending, word),
        "confirmed" => match paid {
            Paid::NotKnown => payment_update(payment, NormalizedStatus::Confirmed, word),
            Paid::Known => paid_standing(payment, word),
        },
        "failed" => payment_update(payment, NormalizedStatus::Failed, word),
        "cancelled" => payment_update(payment, NormalizedStatus::Cancelled, word),
        "refunded" => refunded_update(payment, word),
        "chargeback" => dispute_update(payment, payment.at("/dispute"), NormalizedStatus::Chargeback, word),
        _ => payment_update(payment, NormalizedStatus::Unknown, word),
    }
}

fn paid_standing(payment: &Value, word: &str) -> Result<StatusUpdate, ProviderFailure> {
    if money(payment, "/refunded_total", currency(payment)?)?.minor > 0 {
        return refunded_update(payment, word);
    }
    match payment.text_at("/dispute/status") {
        Some("reversed") => dispute_update(payment, payment.at("/dispute"), NormalizedStatus::ChargebackReversed, word),
        Some(_) | None => payment_update(payment, NormalizedStatus::Confirmed, word),
    }
}
