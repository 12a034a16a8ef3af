//! Refunds a payment at the service, in full or in part, and reads the refund that it made.

use cashier_provider_sdk::serde_json::json;
use cashier_provider_sdk::{
    CallTarget, HttpReply, HttpRequest, JsonRead, NormalizedStatus, ProviderFailure, Refund, RefundOrder, RefundReach,
    StatusUpdate, Step,
};

use crate::amounts::to_sandbox;
use crate::config::Sandbox;
use crate::failure::failure;
use crate::payment::{currency, money};
use crate::refs;

/// Characters of a reason that the service accepts.
const REASON_CHARS_MAX: usize = 200;

/// One request, under the refund's own key: the service repeats its first answer to it.
pub(crate) fn refund_payment(sandbox: &Sandbox, refund: &RefundOrder, replies: &[HttpReply]) -> Step<StatusUpdate> {
    let id = match refund.payment.path_id_of(refs::SANDBOX_PAYMENT) {
        Ok(Some(id)) => id,
        Ok(None) => return Step::Unsupported,
        Err(failure) => return Step::Failed(failure),
    };
    match replies {
        [] => match request(sandbox, refund, id) {
            Ok(request) => Step::send(request),
            Err(failure) => Step::Failed(failure),
        },
        [reply, ..] => read(refund, id, reply).into(),
    }
}

fn request(sandbox: &Sandbox, refund: &RefundOrder, id: &str) -> Result<HttpRequest, ProviderFailure> {
    let reason: String = refund.reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    let body = json!({
        "amount": to_sandbox(&refund.amount)?,
        "reason": reason,
        "reference": refund.refund_reference,
    });
    Ok(HttpRequest::post(sandbox.api.at(&format!("/v1/payments/{id}/refunds")))
        .bearer(sandbox.secret_key.expose())
        .idempotency_key(&refund.refund_reference)
        .json(&body))
}

/// The service answers with the refund that was made, and the sum of all.
fn read(refund: &RefundOrder, id: &str, reply: &HttpReply) -> Result<StatusUpdate, ProviderFailure> {
    if !reply.is_success() {
        return Err(failure(reply, CallTarget::Payment));
    }
    let body = reply.json()?;
    let made = body.readable_at("/refund")?;
    if body.text_at("/payment")? != Some(id) || made.text_at("/reference")? != Some(&refund.refund_reference) {
        return Err(ProviderFailure::unreadable("the answer is about another refund"));
    }
    let stated = Refund {
        id: Some(made.required_text_at("/id")?.to_owned()),
        amount: money(made, "/amount", currency(made)?)?,
        reach: RefundReach::Delta,
        requested: Some(refund.refund_reference.clone()),
    };
    let update = StatusUpdate {
        payment_id: Some(id.to_owned()),
        refund: Some(stated),
        ..StatusUpdate::new(NormalizedStatus::Refunded, "refund/made")
    };
    Ok(update.with_ref(refs::SANDBOX_PAYMENT, id))
}
