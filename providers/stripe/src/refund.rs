//! Refunds a payment at Stripe, in full or in part, and reads the refund that it made.

use cashier_provider_sdk::{
    CallTarget, FailureKind, Form, HttpReply, HttpRequest, JsonRead, NormalizedStatus, ProviderFailure, RefundOrder,
    StatusUpdate, Step,
};

use crate::amounts::to_refund;
use crate::config::{API_VERSION, Stripe};
use crate::failure::failure;
use crate::objects::refund_update;
use crate::refs;

/// One request, under the refund's own key: Stripe repeats its first answer to it for at least a day.
pub(crate) fn refund_payment(stripe: &Stripe, refund: &RefundOrder, replies: &[HttpReply]) -> Step<StatusUpdate> {
    match replies {
        [] => match request(stripe, refund) {
            Ok(Some(request)) => Step::send(request),
            Ok(None) => Step::Unsupported,
            Err(failure) => Step::Failed(failure),
        },
        [reply, ..] => read(refund, reply).into(),
    }
}

/// `None` when Stripe has stated neither the intent nor the charge.
fn request(stripe: &Stripe, refund: &RefundOrder) -> Result<Option<HttpRequest>, ProviderFailure> {
    let payment = &refund.payment;
    let intent = payment.payment_id.as_deref().or_else(|| payment.id_of(refs::PAYMENT_INTENT));
    let (kind, id) = match (intent, payment.id_of(refs::CHARGE)) {
        (Some(intent), _) => ("payment_intent", intent),
        (None, Some(charge)) => ("charge", charge),
        (None, None) => return Ok(None),
    };
    let form = Form::new()
        .field(kind, id)
        .field("amount", to_refund(&refund.amount)?.to_string())
        .field("metadata[transaction_id]", &payment.reference)
        .field("metadata[refund_reference]", &refund.refund_reference);
    let request = HttpRequest::post(stripe.api.at("/v1/refunds"))
        .bearer(stripe.secret_key.expose())
        .header("stripe-version", API_VERSION)
        .idempotency_key(&refund.refund_reference)
        .form(&form);
    Ok(Some(request))
}

/// The refund's own status. One that is still on its way is accepted: an event reports its end.
fn read(refund: &RefundOrder, reply: &HttpReply) -> Result<StatusUpdate, ProviderFailure> {
    if !reply.is_success() {
        return Err(declined(reply, failure(reply, CallTarget::Creation)));
    }
    let object = reply.json()?;
    let stated = object.text_at("/status")?.unwrap_or("?");
    let status = match stated {
        "succeeded" => NormalizedStatus::Refunded,
        "pending" | "requires_action" => NormalizedStatus::Pending,
        "failed" | "canceled" => NormalizedStatus::RefundFailed,
        _ => NormalizedStatus::Unknown,
    };
    let update = refund_update(&object, status, &format!("refund/{stated}"))?;
    match update.refund.as_ref().and_then(|made| made.requested.as_deref()) {
        Some(requested) if requested != refund.refund_reference => {
            Err(ProviderFailure::unreadable("the answer is about another refund"))
        }
        Some(_) | None => Ok(update),
    }
}

/// These codes are about the refund itself, and final: nothing was refunded by this key, now or before.
fn declined(reply: &HttpReply, failure: ProviderFailure) -> ProviderFailure {
    let final_codes = ["charge_already_refunded", "charge_disputed", "charge_not_refundable", "insufficient_funds"];
    let is_final = reply.status == 400 && final_codes.contains(&failure.code.as_str());
    if is_final { failure.with_kind(FailureKind::Declined) } else { failure }
}
