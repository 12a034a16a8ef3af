//! The table of Stripe's events and the cashier's status for each.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{JsonRead, NormalizedStatus, ProviderFailure, StatusUpdate};

use crate::objects::{dispute_update, failed_refund_update, intent_update, refund_update, session_update};

use NormalizedStatus::{Cancelled, Chargeback, ChargebackReversed, Confirmed, Failed, Pending, Unknown};

/// The update of one event; none when the event changes no payment.
///
/// # Errors
/// `UnreadableAnswer` when an event of this table lacks its object.
pub(crate) fn update(kind: &str, object: &Value) -> Result<Option<StatusUpdate>, ProviderFailure> {
    let session = |status| session_update(object, status, kind).map(Some);
    let intent = |status| intent_update(object, status, kind).map(Some);
    let dispute = |status| dispute_update(object, status, kind).map(Some);

    match kind {
        "checkout.session.completed" => session_completed(object, kind).map(Some),
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

        "charge.refunded" => refund_update(object, kind).map(Some),
        // Three names of one event, by API version; each failed refund needs one manual review.
        "refund.failed" => failed_refund_update(object, kind).map(Some),
        "refund.updated" | "charge.refund.updated" if did_not_go_out(object) => {
            failed_refund_update(object, kind).map(Some)
        }

        "charge.dispute.created" if is_inquiry(object) => Ok(None),
        "charge.dispute.created" => dispute(Chargeback),
        "charge.dispute.funds_withdrawn" => dispute(Chargeback),
        "charge.dispute.funds_reinstated" => dispute(ChargebackReversed),
        "charge.dispute.closed" if object.text_at("/status") == Some("won") => dispute(ChargebackReversed),

        _ => Ok(None),
    }
}

/// The customer completed the page; `payment_status` states whether the money was received.
fn session_completed(session: &Value, kind: &str) -> Result<StatusUpdate, ProviderFailure> {
    let payment_status = session.text_at("/payment_status").unwrap_or("?");
    let status = match payment_status {
        "paid" | "no_payment_required" => Confirmed,
        "unpaid" => Pending,
        _ => Unknown,
    };
    session_update(session, status, &format!("{kind}/{payment_status}"))
}

/// A refund that failed or was cancelled after `charge.refunded` had counted it.
fn did_not_go_out(refund: &Value) -> bool {
    matches!(refund.text_at("/status"), Some("failed" | "canceled"))
}

/// An inquiry (`warning_…`) requests evidence and takes no money. When it becomes a dispute, Stripe
/// sends `funds_withdrawn`.
fn is_inquiry(dispute: &Value) -> bool {
    dispute.text_at("/status").is_some_and(|status| status.starts_with("warning_"))
}
