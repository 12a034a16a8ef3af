//! What Stripe's events mean in the cashier's words: the whole table, in one place.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{JsonRead, NormalizedStatus, ProviderFailure, StatusUpdate};

use crate::objects::{dispute_update, failed_refund_update, intent_update, refund_update, session_update};

use NormalizedStatus::{Cancelled, Chargeback, ChargebackReversed, Confirmed, Failed, Pending, Unknown};

/// The update of one event; none where it matters to no payment.
///
/// # Errors
/// `UnreadableAnswer` where an event that matters lacks what it is about.
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
        // Three names of one event, by API version; a person must look at each of them once.
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

/// The page is done; whether the money is there is another word.
fn session_completed(session: &Value, kind: &str) -> Result<StatusUpdate, ProviderFailure> {
    let word = session.text_at("/payment_status").unwrap_or("?");
    let status = match word {
        "paid" | "no_payment_required" => Confirmed,
        "unpaid" => Pending,
        _ => Unknown,
    };
    session_update(session, status, &format!("{kind}/{word}"))
}

/// A refund that Stripe gave up after `charge.refunded` had counted it.
fn did_not_go_out(refund: &Value) -> bool {
    matches!(refund.text_at("/status"), Some("failed" | "canceled"))
}

/// An inquiry (`warning_…`) asks for evidence and takes no money. Where it becomes a dispute,
/// `funds_withdrawn` says so.
fn is_inquiry(dispute: &Value) -> bool {
    dispute.text_at("/status").is_some_and(|status| status.starts_with("warning_"))
}
