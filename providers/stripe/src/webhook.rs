//! Verifies a notice: its signature and the configuration's mode, and reads its event. Each step
//! takes the proof of the one before. Stripe accepts any 2xx, so the host's own answer is enough.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::signature::{SignatureProof, TimestampedHeader};
use cashier_provider_sdk::{JsonRead, NormalizedStatus, ProviderFailure, StatusUpdate, WebhookNotice, WebhookVerdict};

use crate::config::Stripe;
use crate::events::{self, Meaning};
use crate::objects::mentioned;

/// Stripe writes one v1 per valid secret, and two while a secret is rolled; v0 is a scheme for test
/// traffic and is ignored.
const HEADER: TimestampedHeader = TimestampedHeader { name: "Stripe-Signature", signatures_max: 16 };

/// The `object` of an event that names a changed object and does not contain it.
const THIN_EVENT: &str = "v2.core.event";

/// # Errors
/// `UnreadableAnswer` when the signature is valid and the body is not JSON: the host stores it.
pub(crate) fn verify(stripe: &Stripe, notice: &WebhookNotice) -> Result<WebhookVerdict, ProviderFailure> {
    let proof = match HEADER.verify(&stripe.webhook_keys, notice) {
        Ok(proof) => proof,
        Err(unverified) => return Ok(unverified.into()),
    };
    let event = notice.json(&proof)?;
    Ok(read(stripe, &event).unwrap_or_else(|failure| unreadable(&proof, &event, failure)))
}

/// The verdict with what can still be read, so that the payment is queried at once.
fn unreadable(proof: &SignatureProof, event: &Value, failure: ProviderFailure) -> WebhookVerdict {
    let (reference, ids) = mentioned(event.at("/data/object"));
    WebhookVerdict::unreadable(proof, failure.message)
        .with_event_id(event.text_at("/id").ok().flatten().map(str::to_owned))
        .about(reference, ids)
}

fn read(stripe: &Stripe, event: &Value) -> Result<WebhookVerdict, ProviderFailure> {
    // Present in all of Stripe's own events.
    let event_id = event.text_at("/id")?.map(str::to_owned);
    let kind = event.required_text_at("/type")?;
    if event.text_at("/object")? == Some(THIN_EVENT) {
        let reason = format!("{kind} is a thin event: register the endpoint for snapshot events");
        return Ok(WebhookVerdict::ignored(event_id, reason));
    }
    let object = event.readable_at("/data/object")?;
    let mode = EventMode::of(stripe, event, object)?;
    if mode == EventMode::Other {
        let (sent, configured) = if stripe.sandbox { ("live", "sandbox") } else { ("test", "live") };
        let reason = format!("a {sent} event for a {configured} configuration ({kind})");
        return Ok(WebhookVerdict::ignored(event_id, reason));
    }
    Ok(match events::meaning(kind, object)? {
        Meaning::Nothing(reason) => WebhookVerdict::ignored(event_id, reason),
        Meaning::Update(update) => {
            WebhookVerdict::updates(vec![StatusUpdate { event_id, ..mode.applied_to(stripe, *update) }])
        }
    })
}

/// Test events must never move real balances, nor live events test money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventMode {
    /// The configuration's.
    Same,
    /// The other one: an endpoint of the other mode was registered with this URL. It concerns no payment of this
    /// configuration, and Stripe disables an endpoint that keeps refusing.
    Other,
    /// The event and its object state different modes.
    Contradictory,
}

impl EventMode {
    /// # Errors
    /// `UnreadableAnswer` when the event states no mode.
    fn of(stripe: &Stripe, event: &Value, object: &Value) -> Result<Self, ProviderFailure> {
        let live = event
            .flag_at("/livemode")?
            .ok_or_else(|| ProviderFailure::unreadable("the event does not state livemode"))?;
        // A refund states no mode of its own.
        let same_in_object = object.flag_at("/livemode")?.is_none_or(|stated| stated == live);
        Ok(match (same_in_object, live == stripe.sandbox) {
            (false, _) => Self::Contradictory,
            (true, true) => Self::Other,
            (true, false) => Self::Same,
        })
    }

    /// A contradiction about money becomes a review at the host; where the update states no money, it is one here.
    fn applied_to(self, stripe: &Stripe, update: StatusUpdate) -> StatusUpdate {
        match (self, update.status) {
            (Self::Same | Self::Other, _) => StatusUpdate { sandbox: Some(stripe.sandbox), ..update },
            (
                Self::Contradictory,
                NormalizedStatus::Confirmed
                | NormalizedStatus::Refunded
                | NormalizedStatus::RefundFailed
                | NormalizedStatus::Chargeback
                | NormalizedStatus::ChargebackReversed,
            ) => StatusUpdate { sandbox: Some(stripe.sandbox), mode_conflict: true, ..update },
            (Self::Contradictory, _) => StatusUpdate {
                status: NormalizedStatus::ManualReview,
                reason: Some("an event and its object state different modes".to_owned()),
                amount: None,
                sandbox: Some(stripe.sandbox),
                mode_conflict: true,
                ..update
            },
        }
    }
}
