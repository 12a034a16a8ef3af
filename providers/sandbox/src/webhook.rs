//! Judges a notice: signed by the service, and what it says. Each step takes the proof of the one
//! before. The service wants any 2xx, so the host's own answer will do.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::signature::{SignatureProof, TimestampedHeader};
use cashier_provider_sdk::{JsonRead, NormalizedStatus, ProviderFailure, StatusUpdate, WebhookNotice, WebhookVerdict};

use crate::config::Sandbox;
use crate::payment::{dispute_update, payment_update, refund_update, sandbox};

/// The service signs with the one secret it has.
const HEADER: TimestampedHeader = TimestampedHeader { name: "Sandbox-Signature", signatures_max: 1 };

/// # Errors
/// `UnreadableAnswer` where the notice is the service's and cannot be read: the host keeps it.
pub(crate) fn judge(configured: &Sandbox, notice: &WebhookNotice) -> Result<WebhookVerdict, ProviderFailure> {
    let proof = match HEADER.verify(&configured.webhook_keys, notice) {
        Ok(proof) => proof,
        Err(unverified) => return Ok(unverified.into()),
    };
    let event = read_event(notice, &proof)?;
    Ok(match update(&event)? {
        None => WebhookVerdict::no_updates(),
        // The mode is passed on, not judged: what test money may do is the host's to say.
        Some(update) => WebhookVerdict::updates(vec![StatusUpdate {
            event_id: Some(event.body.required_text_at("/id")?.to_owned()),
            sandbox: Some(sandbox(&event.body)?),
            ..update
        }]),
    })
}

/// A signed event.
struct Event {
    kind: String,
    body: Value,
}

fn read_event(notice: &WebhookNotice, proof: &SignatureProof) -> Result<Event, ProviderFailure> {
    let body = notice.json(proof)?;
    let kind = body.required_text_at("/type")?.to_owned();
    Ok(Event { kind, body })
}

/// The README's table of types. A refund in part is `Refunded` as one in full: how far it reaches
/// is said by its amount, and the service itself keeps calling the payment confirmed.
fn update(event: &Event) -> Result<Option<StatusUpdate>, ProviderFailure> {
    let (kind, payment) = (event.kind.as_str(), event.body.at("/data"));
    match kind {
        "payment.pending" => payment_update(payment, NormalizedStatus::Pending, kind),
        "payment.confirmed" => payment_update(payment, NormalizedStatus::Confirmed, kind),
        "payment.failed" => payment_update(payment, NormalizedStatus::Failed, kind),
        "payment.cancelled" => payment_update(payment, NormalizedStatus::Cancelled, kind),
        "payment.refunded" => refund_update(payment, event.body.at("/refund"), kind),
        "payment.chargeback" => dispute_update(payment, event.body.at("/dispute"), NormalizedStatus::Chargeback, kind),
        "payment.chargeback_reversed" => {
            dispute_update(payment, event.body.at("/dispute"), NormalizedStatus::ChargebackReversed, kind)
        }
        _ => return Ok(None),
    }
    .map(Some)
}
