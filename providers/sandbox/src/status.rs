//! Asks the service what became of a payment, by its id or by our reference, and reads how a payment
//! stands. Only GETs.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{
    CallTarget, Form, HttpReply, HttpRequest, JsonRead, NormalizedStatus, PaymentRef, ProviderFailure, StatusUpdate,
    Step,
};

use crate::config::Sandbox;
use crate::failure::failure;
use crate::payment::{dispute_update, payment_update, refunded_so_far};
use crate::refs;

pub(crate) fn query_status(sandbox: &Sandbox, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
    let subject = match Subject::of(payment) {
        Ok(subject) => subject,
        Err(failure) => return Step::Failed(failure),
    };
    match replies {
        [] => Step::send(subject.request(sandbox)),
        [reply, ..] => subject.read(reply).and_then(|found| standing(&found)).into(),
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
            return Err(failure(reply, CallTarget::Payment));
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

/// A payment as it stands, with everything that lost notices would have told: what went back stands
/// beside being paid, and so does a dispute that was lifted.
pub(crate) fn standing(payment: &Value) -> Result<StatusUpdate, ProviderFailure> {
    let word = payment.required_text_at("/status")?;
    let dispute = payment.at("/dispute");
    let update = match word {
        "pending" => payment_update(payment, NormalizedStatus::Pending, word),
        "confirmed" if dispute.text_at("/status") == Some("reversed") => {
            dispute_update(payment, dispute, NormalizedStatus::ChargebackReversed, word)
        }
        "confirmed" => payment_update(payment, NormalizedStatus::Confirmed, word),
        "failed" => payment_update(payment, NormalizedStatus::Failed, word),
        "cancelled" => payment_update(payment, NormalizedStatus::Cancelled, word),
        "refunded" => payment_update(payment, NormalizedStatus::Refunded, word),
        "chargeback" => dispute_update(payment, dispute, NormalizedStatus::Chargeback, word),
        _ => payment_update(payment, NormalizedStatus::Unknown, word),
    }?;
    Ok(StatusUpdate { refund: refunded_so_far(payment)?, ..update })
}
