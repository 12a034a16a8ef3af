//! Judges a notice: signed by Stripe, for this configuration's mode, and what it says. Each step
//! takes the proof of the one before. Stripe wants any 2xx, so the host's own answer will do.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::signature::{Doubt, Genuine, StampedHeader};
use cashier_provider_sdk::{JsonRead, ProviderFailure, StatusUpdate, WebhookNotice, WebhookVerdict};

use crate::config::Stripe;
use crate::events;

/// Stripe writes one v1 per secret in force, and two while a secret is rolled; v0 is a scheme for
/// test traffic that proves nothing.
const HEADER: StampedHeader = StampedHeader { name: "Stripe-Signature", signatures_max: 16 };

/// # Errors
/// `UnreadableAnswer` where the notice is Stripe's and cannot be read: the host keeps it.
pub(crate) fn judge(stripe: &Stripe, notice: &WebhookNotice) -> Result<WebhookVerdict, ProviderFailure> {
    let proof = match HEADER.prove(&stripe.webhook_keys, notice) {
        Ok(proof) => proof,
        Err(doubt) => return Ok(doubt.into()),
    };
    let event = read_event(notice, &proof)?;
    if let Err(doubt) = check_mode(stripe, &event) {
        return Ok(doubt.into());
    }
    let update = events::update(&event.kind, &event.object)?;
    Ok(match update {
        None => WebhookVerdict::nothing_to_do(),
        Some(update) => WebhookVerdict::updates(vec![StatusUpdate {
            event_id: event.id,
            sandbox: event.livemode.map(|live| !live),
            ..update
        }]),
    })
}

/// A signed event.
struct Event {
    /// Absent in none of Stripe's own.
    id: Option<String>,
    kind: String,
    livemode: Option<bool>,
    object: Value,
}

fn read_event(notice: &WebhookNotice, proof: &Genuine) -> Result<Event, ProviderFailure> {
    let mut body = notice.json(proof)?;
    Ok(Event {
        id: body.text_at("/id").map(str::to_owned),
        kind: body.required_text_at("/type")?.to_owned(),
        livemode: body.at("/livemode").as_bool(),
        object: body.pointer_mut("/data/object").map(Value::take).unwrap_or_default(),
    })
}

/// Test events must never move real balances, nor live ones play money: the modes have secrets of
/// their own, so a mismatch is a secret in the wrong row.
fn check_mode(stripe: &Stripe, event: &Event) -> Result<(), Doubt> {
    match event.livemode {
        Some(live) if live != stripe.sandbox => Ok(()),
        Some(true) => Err(Doubt::NotGenuine("a live event for a configuration marked sandbox".into())),
        Some(false) => Err(Doubt::NotGenuine("a test event for a configuration not marked sandbox".into())),
        None => Err(Doubt::NotGenuine("the event does not say its mode".into())),
    }
}
