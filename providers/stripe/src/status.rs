//! Queries the status of a payment at Stripe, and reads the state of its objects. Only GETs.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{
    CallTarget, HttpReply, HttpRequest, JsonRead, NormalizedStatus, PaymentRef, ProviderFailure, StatusUpdate, Step,
};

use crate::config::{API_VERSION, Stripe};
use crate::disputes;
use crate::failure::failure;
use crate::objects::{intent_update, is_disputed, refunded_so_far, session_update};
use crate::refs;

pub(crate) fn query_status(stripe: &Stripe, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
    let target = match StripeTarget::of(payment) {
        Ok(Some(target)) => target,
        Ok(None) => return Step::Unsupported,
        Err(failure) => return Step::Failed(failure),
    };
    match replies {
        [] => Step::send(target.request(stripe)),
        [reply, further @ ..] => target.read(stripe, payment, reply, further),
    }
}

/// The object to query. The session first: only the session reports that it expired unpaid, or that
/// the second of two intents paid it.
pub(crate) enum StripeTarget<'a> {
    Session(&'a str),
    Intent(&'a str),
}

impl<'a> StripeTarget<'a> {
    /// `None` when the answer to the creation was lost: Stripe is queried by its own ids only. Its search by metadata
    /// is delayed, so an empty result would prove nothing.
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

    /// The state of the payment by `reply`. Where its charge was disputed, its disputes are asked for, once: `further` has
    /// the reply.
    pub(crate) fn read(
        &self,
        stripe: &Stripe,
        payment: &PaymentRef,
        reply: &HttpReply,
        further: &[HttpReply],
    ) -> Step<StatusUpdate> {
        match (self.standing(reply), further) {
            (Ok((_, Some(intent))), []) => Step::send(disputes::request(stripe, &intent)),
            (Ok((update, Some(_))), [listed, ..]) => disputes::added(update, &payment.amount, listed).into(),
            (Ok((update, None)), _) => Step::Done(update),
            (Err(failure), _) => Step::Failed(failure),
        }
    }

    /// The update, and the intent to list the disputes of, where there are any.
    fn standing(&self, reply: &HttpReply) -> Result<(StatusUpdate, Option<String>), ProviderFailure> {
        if !reply.is_success() {
            return Err(failure(reply, CallTarget::Payment));
        }
        let object = reply.json()?;
        let (Self::Session(id) | Self::Intent(id)) = self;
        if object.text_at("/id")? != Some(id) {
            return Err(ProviderFailure::unreadable("the answer has another id"));
        }
        let (update, intent) = match self {
            Self::Session(_) => (session_standing(&object)?, object.at("/payment_intent")),
            Self::Intent(_) => (intent_standing(&object)?, &object),
        };
        let disputed = update.status == NormalizedStatus::Confirmed && is_disputed(intent)?;
        let disputed = disputed.then(|| update.payment_id.clone()).flatten();
        Ok((update, disputed))
    }
}

/// The current state of a session. `complete` and `unpaid` is a payment in progress by a slow method,
/// unless its intent (present when the query expands it) requires a payment method again: the page is
/// closed by then, so the attempt has finally failed.
pub(crate) fn session_standing(session: &Value) -> Result<StatusUpdate, ProviderFailure> {
    let session_status = session.text_at("/status")?.unwrap_or("?");
    let payment_status = session.text_at("/payment_status")?.unwrap_or("?");
    let intent_status = session.text_at("/payment_intent/status")?;
    let status = match (session_status, payment_status) {
        ("complete", "paid" | "no_payment_required") => NormalizedStatus::Confirmed,
        ("complete", "unpaid") => match intent_status {
            Some("requires_payment_method" | "canceled") => NormalizedStatus::Failed,
            Some(_) | None => NormalizedStatus::Pending,
        },
        ("open", _) => NormalizedStatus::Pending,
        ("expired", _) => NormalizedStatus::Cancelled,
        _ => NormalizedStatus::Unknown,
    };
    let update = session_update(session, status, &format!("{session_status}/{payment_status}"))?;
    with_refunds(update, session.at("/payment_intent"))
}

/// The current state of an intent.
pub(crate) fn intent_standing(intent: &Value) -> Result<StatusUpdate, ProviderFailure> {
    let intent_status = intent.text_at("/status")?.unwrap_or("?");
    let status = match intent_status {
        "succeeded" => NormalizedStatus::Confirmed,
        "requires_payment_method" | "requires_confirmation" | "requires_action" | "requires_capture" | "processing" => {
            NormalizedStatus::Pending
        }
        "canceled" => NormalizedStatus::Cancelled,
        _ => NormalizedStatus::Unknown,
    };
    with_refunds(intent_update(intent, status, intent_status)?, intent)
}

/// Adds the refunded sum to a confirmation, so that a query recovers a lost refund notice. The charge states that it was
/// disputed, not how the dispute ended: `disputes` reads that.
fn with_refunds(update: StatusUpdate, intent: &Value) -> Result<StatusUpdate, ProviderFailure> {
    if update.status != NormalizedStatus::Confirmed {
        return Ok(update);
    }
    Ok(StatusUpdate { refund: refunded_so_far(intent)?, ..update })
}
