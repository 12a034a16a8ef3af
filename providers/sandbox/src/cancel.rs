//! Cancels an unpaid payment at the service.

use cashier_provider_sdk::{HttpReply, HttpRequest, PaymentRef, StatusUpdate, Step};

use crate::config::Sandbox;
use crate::refs;
use crate::status::{SandboxTarget, standing};

/// The service refuses with 409 to cancel a payment that is paid: then its status is queried, so that a late payment is found.
pub(crate) fn cancel_payment(sandbox: &Sandbox, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
    let id = match payment.path_id_of(refs::SANDBOX_PAYMENT) {
        Ok(Some(id)) => id,
        Ok(None) => return Step::Unsupported,
        Err(failure) => return Step::Failed(failure),
    };
    let target = SandboxTarget::Id(id);
    match replies {
        [] => {
            let url = sandbox.api.at(&format!("/v1/payments/{id}/cancel"));
            Step::send(HttpRequest::post(url).bearer(sandbox.secret_key.expose()))
        }
        [refused] if refused.status == 409 => Step::send(target.request(sandbox)),
        [reply] | [_, reply, ..] => target.read(reply).and_then(|found| standing(&found)).into(),
    }
}
