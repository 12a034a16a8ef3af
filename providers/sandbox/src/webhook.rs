//! Verifies a notice and reads its event. Each step takes the proof of the one before. The service
//! accepts any 2xx, so the host's own answer is enough.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::signature::{SignatureProof, TimestampedHeader};
use cashier_provider_sdk::{JsonRead, NormalizedStatus, ProviderFailure, StatusUpdate, WebhookNotice, WebhookVerdict};

use crate::config::Sandbox;
use crate::payment::{dispute_update, payment_update, refund_update, sandbox};

/// The service signs with its only secret.
const HEADER: TimestampedHeader = TimestampedHeader { name: "Sandbox-Signature", signatures_max: 1 };

/// # Errors
/// `UnreadableAnswer` when the signature is valid and the notice cannot be read: the host stores it.
pub(crate) fn verify(configured: &Sandbox, notice: &WebhookNotice) -> Result<WebhookVerdict, ProviderFailure> {
    let proof = match HEADER.verify(&configured.webhook_keys, notice) {
        Ok(proof) => proof,
        Err(unverified) => return Ok(unverified.into()),
    };
    let event = read_event(notice, &proof)?;
    let event_id = Some(event.body.required_text_at("/id")?.to_owned());
    Ok(match update(&event)? {
        None => ignored(event_id, format!("events of type {} change no payment", event.kind)),
        // The mode is passed on: the host decides what test money may do. Where event and payment disagree it is live, and
        // no money moves.
        Some(update) => WebhookVerdict::updates(vec![StatusUpdate {
            event_id,
            sandbox: Some(sandbox(&event.body)? && update.sandbox != Some(false)),
            ..update
        }]),
    })
}

/// A signed event.
struct SandboxEvent {
    kind: String,
    body: Value,
}

fn read_event(notice: &WebhookNotice, proof: &SignatureProof) -> Result<SandboxEvent, ProviderFailure> {
    let body = notice.json(proof)?;
    let kind = body.required_text_at("/type")?.to_owned();
    Ok(SandboxEvent { kind, body })
}

/// The README's table of types. A partial refund is `Refunded` too: its amount distinguishes it, and
/// the service itself leaves the payment confirmed.
fn update(event: &SandboxEvent) -> Result<Option<StatusUpdate>, ProviderFailure> {
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

/// A webhook that changes nothing, for `_reason`.
fn ignored(_event_id: Option<String>, _reason: String) -> WebhookVerdict {
    WebhookVerdict::no_updates()
}
