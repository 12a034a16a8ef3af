//! The table of Stripe's events and the cashier's status for each.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{JsonRead, NormalizedStatus, ProviderFailure, StatusUpdate};

use crate::objects::{charge_refunded_update, dispute_update, intent_update, own_id, refund_update, session_update};

use NormalizedStatus::{
    Cancelled, Chargeback, ChargebackReversed, Confirmed, Failed, ManualReview, Pending, RefundFailed, Refunded,
    Unknown,
};

/// What an event means.
#[derive(Debug)]
pub(crate) enum Meaning {
    Update(Box<StatusUpdate>),
    /// It changes no payment, for this reason.
    Nothing(String),
}

/// The events to subscribe to: each one of the table below. `charge.refund.updated` is that of older API versions.
pub(crate) const SUBSCRIBED: &[&str] = &[
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.succeeded",
    "payment_intent.created",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refund.updated",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
];

impl Meaning {
    fn of(update: StatusUpdate) -> Self {
        Self::Update(Box::new(update))
    }
}

/// The meaning of one event.
///
/// # Errors
/// `UnreadableAnswer` when an event of this table lacks its object or a field of it that matters.
pub(crate) fn meaning(kind: &str, object: &Value) -> Result<Meaning, ProviderFailure> {
    let session = |status| session_update(object, status, kind);
    let intent = |status| intent_update(object, status, kind);

    let update = match kind {
        "checkout.session.completed" => session_completed(object, kind),
        "checkout.session.async_payment_succeeded" => session(Confirmed),
        "checkout.session.async_payment_failed" => session(Failed),
        "checkout.session.expired" => session(Cancelled),

        "payment_intent.succeeded" => intent(Confirmed),
        "payment_intent.created" => intent(Pending),
        "payment_intent.processing" => intent(Pending),
        "payment_intent.requires_action" => intent(Pending),
        // The customer may try another card on the same intent.
        "payment_intent.payment_failed" => intent(Pending),
        "payment_intent.canceled" => intent(Cancelled),

        "charge.refunded" => charge_refunded_update(object, kind),
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => return refund(kind, object),

        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => return dispute(kind, object),

        _ => return Ok(Meaning::Nothing(format!("events of type {kind} change no payment"))),
    };
    update.map(Meaning::of)
}

/// The customer completed the page; `payment_status` states whether the money was received.
fn session_completed(session: &Value, kind: &str) -> Result<StatusUpdate, ProviderFailure> {
    let payment_status = session.text_at("/payment_status")?.unwrap_or("?");
    let status = match payment_status {
        "paid" | "no_payment_required" => Confirmed,
        "unpaid" => Pending,
        _ => Unknown,
    };
    session_update(session, status, &format!("{kind}/{payment_status}"))
}

/// The refund's own status decides, whichever event carries it. One that is still on its way counts when it has succeeded:
/// until then it may fail, and `charge.refunded` states what Stripe itself counts already. One that failed or was cancelled
/// is back with the merchant, and a person decides whether the customer is owed it again.
fn refund(kind: &str, refund: &Value) -> Result<Meaning, ProviderFailure> {
    let stated = refund.text_at("/status")?;
    let status = match stated {
        Some("succeeded") => Refunded,
        Some("failed" | "canceled") => RefundFailed,
        None if kind == "refund.failed" => RefundFailed,
        Some(other) => return Ok(Meaning::Nothing(format!("the refund has the status {other}"))),
        None => return Ok(Meaning::Nothing("the refund states no status".to_owned())),
    };
    refund_update(refund, status, &with_status(kind, stated)).map(Meaning::of)
}

/// `charge.dispute.closed/lost`
fn with_status(kind: &str, stated: Option<&str>) -> String {
    stated.map_or_else(|| kind.to_owned(), |status| format!("{kind}/{status}"))
}

/// The dispute's own status decides together with the event, because each event may be the only one that arrives: `closed`
/// with `lost` is the dispute, `won` ends it, and `created`, `updated` and `funds_withdrawn` open it. An inquiry
/// (`warning_…`) requests evidence and takes no money; when it becomes a dispute, Stripe sends `funds_withdrawn`.
fn dispute(kind: &str, dispute: &Value) -> Result<Meaning, ProviderFailure> {
    let stated = dispute.text_at("/status")?;
    let status = match (kind, stated) {
        // Lost, and the money is back: in part, or in contradiction. Nothing is given back by itself.
        ("charge.dispute.funds_reinstated", Some("lost")) => ManualReview,
        ("charge.dispute.funds_reinstated", _) | (_, Some("won")) => ChargebackReversed,
        ("charge.dispute.funds_withdrawn", _) | ("charge.dispute.created", None) => Chargeback,
        (_, None) => return Ok(Meaning::Nothing("the dispute states no status".to_owned())),
        (_, Some(stated)) => match disputed_money(stated) {
            Some(status) => status,
            None => return Ok(Meaning::Nothing(format!("an inquiry takes no money (status {stated})"))),
        },
    };
    let mut update = dispute_update(dispute, status, &with_status(kind, stated))?;
    if status == ManualReview {
        // The same in every event about this dispute, which makes it one review hold.
        let reinstated = if stated == Some("lost") { ", and its funds were reinstated" } else { "" };
        let (id, stated) = (own_id(dispute, "dispute")?, stated.unwrap_or_default());
        let reason = format!("dispute {id} has the status {stated}{reinstated}");
        update = StatusUpdate { reason: Some(reason), amount: None, dispute: None, ..update };
    }
    Ok(Meaning::of(update))
}

/// What a dispute's own status says about its money; `None` for an inquiry, which takes none. `prevented`, as any other
/// status, is for a person: Stripe resolved it before a dispute, by a refund or without one.
pub(crate) fn disputed_money(stated: &str) -> Option<NormalizedStatus> {
    match stated {
        "needs_response" | "under_review" | "lost" => Some(Chargeback),
        "won" => Some(ChargebackReversed),
        inquiry if inquiry.starts_with("warning_") => None,
        _ => Some(ManualReview),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_to_subscribe_to_is_one_of_the_table_and_the_table_has_no_other() {
        let source = include_str!("events.rs");
        let table = source.split("let update = match kind {").nth(1).unwrap().split("_ => return").next().unwrap();
        let mut named: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
        let mut subscribed = SUBSCRIBED.to_vec();
        named.sort_unstable();
        subscribed.sort_unstable();
        assert_eq!(named, subscribed);
    }
}
