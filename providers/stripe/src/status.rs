//! Asks Stripe what became of a payment, and reads the standing of its objects. Only GETs.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{
    CallTarget, HttpReply, HttpRequest, JsonRead, NormalizedStatus, PaymentRef, ProviderFailure, StatusUpdate, Step,
};

use crate::config::Stripe;
use crate::failure::failure;
use crate::objects::{intent_update, refunded_so_far, session_update};
use crate::refs;

/// Which form of its objects Stripe answers in. An account's own default may be older than
/// `latest_charge` (2022-11-15), and then the question would be refused.
pub(crate) const API_VERSION: &str = "2025-01-27.acacia";

pub(crate) fn query_status(stripe: &Stripe, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
    let subject = match Subject::of(payment) {
        Ok(Some(subject)) => subject,
        Ok(None) => return Step::Unsupported,
        Err(failure) => return Step::Failed(failure),
    };
    match replies {
        [] => Step::send(subject.request(stripe)),
        [reply, ..] => subject.read(reply).into(),
    }
}

/// What is asked about. The session first: a session that expired unpaid, or one that was paid by
/// the second of two intents, is told by the session alone.
pub(crate) enum Subject<'a> {
    Session(&'a str),
    Intent(&'a str),
}

impl<'a> Subject<'a> {
    /// `None` where the answer to the creation was lost: Stripe is asked by its own ids alone. Its search by metadata
    /// lags behind, so that finding nothing there would say nothing.
    pub(crate) fn of(payment: &'a PaymentRef) -> Result<Option<Self>, ProviderFailure> {
        let session = payment.path_id_of(refs::CHECKOUT_SESSION)?.map(Self::Session);
        let intent = payment.path_id_of(refs::PAYMENT_INTENT)?.map(Self::Intent);
        Ok(session.or(intent))
    }

    pub(crate) fn request(&self, stripe: &Stripe) -> HttpRequest {
        let path = match self {
            Self::Session(id) => format!("/v1/checkout/sessions/{id}?expand%5B%5D=payment_intent.latest_charge"),
            Self::Intent(id) => format!("/v1/payment_intents/{id}?expand%5B%5D=latest_charge"),
        };
        HttpRequest::get(stripe.api.at(&path)).bearer(stripe.secret_key.expose()).header("stripe-version", API_VERSION)
    }

    pub(crate) fn read(&self, reply: &HttpReply) -> Result<StatusUpdate, ProviderFailure> {
        if !reply.is_success() {
            return Err(failure(reply, CallTarget::Payment));
        }
        let object = reply.json()?;
        let (Self::Session(id) | Self::Intent(id)) = self;
        if object.text_at("/id") != Some(id) {
            return Err(ProviderFailure::unreadable("the answer is about another id"));
        }
        match self {
            Self::Session(_) => session_standing(&object),
            Self::Intent(_) => intent_standing(&object),
        }
    }
}

/// A session as it stands. `complete` and `unpaid` is a payment under way by a slow method, unless
/// its intent (shown where the answer was asked to expand it) fell back to wanting a method: the
/// page is closed by then, so that attempt failed for good.
pub(crate) fn session_standing(session: &Value) -> Result<StatusUpdate, ProviderFailure> {
    let status_word = session.text_at("/status").unwrap_or("?");
    let paid_word = session.text_at("/payment_status").unwrap_or("?");
    let intent_word = session.get("payment_intent").and_then(|intent| intent.text_at("/status"));
    let status = match (status_word, paid_word) {
        ("complete", "paid" | "no_payment_required") => NormalizedStatus::Confirmed,
        ("complete", "unpaid") => match intent_word {
            Some("requires_payment_method" | "canceled") => NormalizedStatus::Failed,
            Some(_) | None => NormalizedStatus::Pending,
        },
        ("open", _) => NormalizedStatus::Pending,
        ("expired", _) => NormalizedStatus::Cancelled,
        _ => NormalizedStatus::Unknown,
    };
    let update = session_update(session, status, &format!("{status_word}/{paid_word}"))?;
    with_refunds(update, session.at("/payment_intent"))
}

/// An intent as it stands.
pub(crate) fn intent_standing(intent: &Value) -> Result<StatusUpdate, ProviderFailure> {
    let word = intent.text_at("/status").unwrap_or("?");
    let status = match word {
        "succeeded" => NormalizedStatus::Confirmed,
        "requires_payment_method" | "requires_confirmation" | "requires_action" | "requires_capture" | "processing" => {
            NormalizedStatus::Pending
        }
        "canceled" => NormalizedStatus::Cancelled,
        _ => NormalizedStatus::Unknown,
    };
    with_refunds(intent_update(intent, status, word)?, intent)
}

/// What went back stands beside being paid, so that a lost notice of a refund is found by asking. A
/// dispute is not told here: a charge says that it was disputed, not how that ended.
fn with_refunds(update: StatusUpdate, intent: &Value) -> Result<StatusUpdate, ProviderFailure> {
    if update.status != NormalizedStatus::Confirmed {
        return Ok(update);
    }
    Ok(StatusUpdate { refund: refunded_so_far(intent)?, ..update })
}
