//! Verifies a notice and reads its event. Each step takes the proof of the one before. The service
//! accepts any 2xx, so the host's own answer is enough.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::signature::{SignatureProof, TimestampedHeader};
use cashier_provider_sdk::{
    JsonRead, NormalizedStatus, ProviderFailure, ProviderRef, StatusUpdate, WebhookNotice, WebhookVerdict,
};

use crate::config::Sandbox;
use crate::payment::{dispute_update, payment_update, refund_update, sandbox};
use crate::refs;

/// The service signs with its only secret.
const HEADER: TimestampedHeader = TimestampedHeader { name: "Sandbox-Signature", signatures_max: 1 };

/// # Errors
/// `UnreadableAnswer` when the signature is valid and the body is not JSON: the host stores it.
pub(crate) fn verify(configured: &Sandbox, notice: &WebhookNotice) -> Result<WebhookVerdict, ProviderFailure> {
    let proof = match HEADER.verify(&configured.webhook_keys, notice) {
        Ok(proof) => proof,
        Err(unverified) => return Ok(unverified.into()),
    };
    let event = notice.json(&proof)?;
    Ok(read(&event).unwrap_or_else(|failure| unreadable(&proof, &event, failure)))
}

fn read(event: &Value) -> Result<WebhookVerdict, ProviderFailure> {
    let event_id = Some(event.required_text_at("/id")?.to_owned());
    let kind = event.required_text_at("/type")?;
    Ok(match update(kind, event)? {
        None => WebhookVerdict::ignored(event_id, format!("events of type {kind} change no payment")),
        // The mode is passed on: the host decides what test money may do.
        Some(update) => {
            let stated = Some(sandbox(event)?);
            let mode_conflict = stated != update.sandbox;
            WebhookVerdict::updates(vec![StatusUpdate { event_id, sandbox: stated, mode_conflict, ..update }])
        }
    })
}

/// The verdict with what can still be read, so that the payment is queried at once.
fn unreadable(proof: &SignatureProof, event: &Value, failure: ProviderFailure) -> WebhookVerdict {
    let readable = |pointer| event.text_at(pointer).ok().flatten().map(str::to_owned);
    let ids = readable("/data/id").map(|id| ProviderRef::new(refs::SANDBOX_PAYMENT, id));
    WebhookVerdict::unreadable(proof, failure.message)
        .with_event_id(readable("/id"))
        .about(readable("/data/reference"), ids.into_iter().collect())
}

/// The README's table of types. A partial refund is `Refunded` too: its amount distinguishes it, and
/// the service itself leaves the payment confirmed.
fn update(kind: &str, event: &Value) -> Result<Option<StatusUpdate>, ProviderFailure> {
    let payment = event.at("/data");
    match kind {
        "payment.pending" => payment_update(payment, NormalizedStatus::Pending, kind),
        "payment.confirmed" => payment_update(payment, NormalizedStatus::Confirmed, kind),
        "payment.failed" => payment_update(payment, NormalizedStatus::Failed, kind),
        "payment.cancelled" => payment_update(payment, NormalizedStatus::Cancelled, kind),
        "payment.refunded" => refund_update(payment, event.at("/refund"), NormalizedStatus::Refunded, kind),
        "payment.refund_failed" => refund_update(payment, event.at("/refund"), NormalizedStatus::RefundFailed, kind),
        "payment.chargeback" => dispute_update(payment, event.at("/dispute"), NormalizedStatus::Chargeback, kind),
        "payment.chargeback_reversed" => {
            dispute_update(payment, event.at("/dispute"), NormalizedStatus::ChargebackReversed, kind)
        }
        _ => return Ok(None),
    }
    .map(Some)
}
