//! Queries the status of a payment by its id or by our reference, and reads the answer. Only GETs.

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
    let target = match SandboxTarget::of(payment) {
        Ok(target) => target,
        Err(failure) => return Step::Failed(failure),
    };
    match replies {
        [] => Step::send(target.request(sandbox)),
        [reply, ..] => target.read(reply).and_then(|found| standing(&found)).into(),
    }
}

/// The payment to query. By id first, because it names one payment; by reference when the answer to
/// the creation was lost.
pub(crate) enum SandboxTarget<'a> {
    Id(&'a str),
    Reference(&'a str),
}

impl<'a> SandboxTarget<'a> {
    pub(crate) fn of(payment: &'a PaymentRef) -> Result<Self, ProviderFailure> {
        match payment.path_id_of(refs::SANDBOX_PAYMENT)? {
            Some(id) => Ok(Self::Id(id)),
            None if payment.reference.is_empty() => Err(ProviderFailure::refused_request(
                "no_id_known",
                "neither an id nor a reference is known for this payment, so it cannot be queried",
            )),
            None => Ok(Self::Reference(&payment.reference)),
        }
    }

    pub(crate) fn request(&self, sandbox: &Sandbox) -> HttpRequest {
        let path = match self {
            Self::Id(id) => format!("/v1/payments/{id}"),
            Self::Reference(reference) => {
                format!("/v1/payments?{}", Form::new().field("reference", *reference).encode())
            }
        };
        HttpRequest::get(sandbox.api.at(&path)).bearer(sandbox.secret_key.expose())
    }

    /// The queried payment.
    pub(crate) fn read(&self, reply: &HttpReply) -> Result<Value, ProviderFailure> {
        if !reply.is_success() {
            return Err(failure(reply, CallTarget::Payment));
        }
        let body = reply.json()?;
        match self {
            Self::Id(id) => check_identity(body, "/id", id),
            Self::Reference(reference) => check_identity(only_one(&body)?, "/reference", reference),
        }
    }
}

fn check_identity(payment: Value, pointer: &str, queried: &str) -> Result<Value, ProviderFailure> {
    if payment.text_at(pointer)? == Some(queried) {
        return Ok(payment);
    }
    Err(ProviderFailure::unreadable(format!("the answer has another {pointer}")))
}

/// A reference is unique and sent under one key, so the service has one payment for it or none.
fn only_one(list: &Value) -> Result<Value, ProviderFailure> {
    let payments = list
        .readable_at("/payments")?
        .as_array()
        .ok_or_else(|| ProviderFailure::unreadable("the answer has no list of payments"))?;
    match payments.as_slice() {
        [] => Err(ProviderFailure::not_found("the sandbox has no payment with this reference")),
        [payment] => Ok(payment.clone()),
        [_, _, ..] => Err(ProviderFailure::unreadable("the sandbox has several payments with this reference")),
    }
}

/// The current state of a payment with everything that lost notices would have stated: refunds and
/// a reversed dispute in addition to the status.
pub(crate) fn standing(payment: &Value) -> Result<StatusUpdate, ProviderFailure> {
    let status = payment.required_text_at("/status")?;
    let dispute = payment.at("/dispute");
    let update = match status {
        "pending" => payment_update(payment, NormalizedStatus::Pending, status),
        "confirmed" | "refunded" if dispute.text_at("/status")? == Some("reversed") => {
            dispute_update(payment, dispute, NormalizedStatus::ChargebackReversed, status)
        }
        "confirmed" => payment_update(payment, NormalizedStatus::Confirmed, status),
        "failed" => payment_update(payment, NormalizedStatus::Failed, status),
        "cancelled" => payment_update(payment, NormalizedStatus::Cancelled, status),
        "refunded" => payment_update(payment, NormalizedStatus::Refunded, status),
        "chargeback" => dispute_update(payment, dispute, NormalizedStatus::Chargeback, status),
        _ => payment_update(payment, NormalizedStatus::Unknown, status),
    }?;
    let refund = refunded_so_far(payment)?;
    // Of what was not paid nothing can have been refunded.
    let is_paid = matches!(
        update.status,
        NormalizedStatus::Confirmed | NormalizedStatus::Chargeback | NormalizedStatus::ChargebackReversed
    );
    let is_stated = is_paid || refund.amount.minor > 0;
    Ok(StatusUpdate { refund: is_stated.then_some(refund), ..update })
}
