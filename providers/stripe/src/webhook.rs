//! Verifies a notice: its signature and the configuration's mode, and reads its event. Each step
//! takes the proof of the one before. Stripe accepts any 2xx, so the host's own answer is enough.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::signature::{SignatureProof, TimestampedHeader, Unverified};
use cashier_provider_sdk::{JsonRead, ProviderFailure, StatusUpdate, WebhookNotice, WebhookVerdict};

use crate::config::Stripe;
use crate::events;

/// Stripe writes one v1 per valid secret, and two while a secret is rolled; v0 is a scheme for test
/// traffic and is ignored.
const HEADER: TimestampedHeader = TimestampedHeader { name: "Stripe-Signature", signatures_max: 16 };

/// # Errors
/// `UnreadableAnswer` when the signature is valid and the notice cannot be read: the host stores it.
pub(crate) fn verify(stripe: &Stripe, notice: &WebhookNotice) -> Result<WebhookVerdict, ProviderFailure> {
    let proof = match HEADER.verify(&stripe.webhook_keys, notice) {
        Ok(proof) => proof,
        Err(unverified) => return Ok(unverified.into()),
    };
    let event = read_event(notice, &proof)?;
    if let Err(unverified) = check_mode(stripe, &event) {
        return Ok(unverified.into());
    }
    let update = events::update(&event.kind, &event.object)?;
    Ok(match update {
        None => WebhookVerdict::no_updates(),
        Some(update) => WebhookVerdict::updates(vec![StatusUpdate {
            event_id: event.id,
            sandbox: event.livemode.map(|live| !live),
            ..update
        }]),
    })
}

/// A signed event.
struct StripeEvent {
    /// Present in all of Stripe's own events.
    id: Option<String>,
    kind: String,
    livemode: Option<bool>,
    object: Value,
}

fn read_event(notice: &WebhookNotice, proof: &SignatureProof) -> Result<StripeEvent, ProviderFailure> {
    let mut body = notice.json(proof)?;
    Ok(StripeEvent {
        id: body.text_at("/id").map(str::to_owned),
        kind: body.required_text_at("/type")?.to_owned(),
        livemode: body.at("/livemode").as_bool(),
        object: body.pointer_mut("/data/object").map(Value::take).unwrap_or_default(),
    })
}

/// Test events must never move real balances, nor live events test money. Each mode has its own
/// secrets, so a mismatch means that a secret is in the wrong configuration.
fn check_mode(stripe: &Stripe, event: &StripeEvent) -> Result<(), Unverified> {
    match event.livemode {
        Some(live) if live != stripe.sandbox => Ok(()),
        Some(true) => Err(Unverified::Rejected("a live event for a configuration marked sandbox".into())),
        Some(false) => Err(Unverified::Rejected("a test event for a configuration not marked sandbox".into())),
        None => Err(Unverified::Rejected("the event does not state livemode".into())),
    }
}
