//! Reads Stripe's objects (session, intent, charge, refund, dispute) into updates, from notices and replies alike. An
//! absent field stays absent; a present one that cannot be read is a failure.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{
    Amount, Dispute, JsonRead, NormalizedStatus, ProviderFailure, ProviderRef, Refund, RefundReach, StatusUpdate,
};

use crate::amounts::from_stripe;
use crate::refs;

/// The update of a Checkout Session. The intent is the payment; a session that names none yet names no payment, since the
/// intent's own events follow.
///
/// # Errors
/// `UnreadableAnswer` when its id is missing or its amount is not a whole number.
pub(crate) fn session_update(
    session: &Value,
    status: NormalizedStatus,
    raw_status: &str,
) -> Result<StatusUpdate, ProviderFailure> {
    let update = StatusUpdate {
        reference: agreed_reference(session)?,
        amount: money(session, "amount_total")?,
        reason: session.get("payment_intent").and_then(decline_reason),
        sandbox: sandbox(session)?,
        ..StatusUpdate::new(status, raw_status)
    }
    .with_ref(refs::CHECKOUT_SESSION, own_id(session, "checkout.session")?);
    of_intent(update, session)
}

/// The update of a PaymentIntent. A confirmation states the received amount, any other status the
/// requested one.
///
/// # Errors
/// As [`session_update`].
pub(crate) fn intent_update(
    intent: &Value,
    status: NormalizedStatus,
    raw_status: &str,
) -> Result<StatusUpdate, ProviderFailure> {
    let intent_id = own_id(intent, "payment_intent")?;
    let confirmed = status == NormalizedStatus::Confirmed;
    let received = if confirmed { money(intent, "amount_received")? } else { None };
    let amount = match received {
        Some(received) => Some(received),
        None => money(intent, "amount")?,
    };
    let reason = if confirmed {
        None
    } else {
        intent.note_at("/cancellation_reason").map(str::to_owned).or_else(|| decline_reason(intent))
    };
    let update = StatusUpdate {
        reference: metadata_reference(intent)?.map(str::to_owned),
        payment_id: Some(intent_id.to_owned()),
        amount,
        reason,
        sandbox: sandbox(intent)?,
        ..StatusUpdate::new(status, raw_status)
    };
    Ok(update.with_ref(refs::PAYMENT_INTENT, intent_id))
}

/// The update of a refunded charge: `amount_refunded` is the sum of all refunds so far.
///
/// # Errors
/// `UnreadableAnswer` when the id, the refunded amount or the currency is missing or unreadable.
pub(crate) fn charge_refunded_update(charge: &Value, raw_status: &str) -> Result<StatusUpdate, ProviderFailure> {
    let charge_id = own_id(charge, "charge")?;
    let refunded = money(charge, "amount_refunded")?
        .ok_or_else(|| ProviderFailure::unreadable("a refunded charge states no amount_refunded"))?;
    let update = StatusUpdate {
        reference: metadata_reference(charge)?.map(str::to_owned),
        amount: money(charge, "amount")?,
        refund: Some(Refund { id: None, amount: refunded, reach: RefundReach::TotalSoFar, requested: None }),
        sandbox: sandbox(charge)?,
        ..StatusUpdate::new(NormalizedStatus::Refunded, raw_status)
    };
    Ok(of_intent(update, charge)?.with_ref(refs::CHARGE, charge_id))
}

/// The sum refunded so far of an intent's charge, when the reply contains the expanded charge; also zero: that is what proves
/// that a refund was not made.
///
/// # Errors
/// `UnreadableAnswer` when the refunded amount is not a whole number.
pub(crate) fn refunded_so_far(intent: &Value) -> Result<Option<Refund>, ProviderFailure> {
    let refunded = money(intent.readable_at("/latest_charge")?, "amount_refunded")?;
    Ok(refunded.map(|amount| Refund { id: None, amount, reach: RefundReach::TotalSoFar, requested: None }))
}

/// Whether the intent's charge was ever disputed, when the reply contains the expanded charge.
///
/// # Errors
/// `UnreadableAnswer` when the flag is none.
pub(crate) fn is_disputed(intent: &Value) -> Result<bool, ProviderFailure> {
    Ok(intent.flag_at("/latest_charge/disputed")?.unwrap_or(false))
}

/// The update of one refund with `status`, by its own id: however many events state it, it counts once, beside the total
/// that `charge.refunded` states. One that the cashier requested names its request. Else a refund's metadata is not the payment's: the intent and the charge identify the payment.
///
/// # Errors
/// `UnreadableAnswer` when the id or the amount is missing or unreadable.
pub(crate) fn refund_update(
    refund: &Value,
    status: NormalizedStatus,
    raw_status: &str,
) -> Result<StatusUpdate, ProviderFailure> {
    let id = own_id(refund, "refund")?.to_owned();
    let amount = money(refund, "amount")?.ok_or_else(|| ProviderFailure::unreadable("a refund states no amount"))?;
    let requested = refund.note_at("/metadata/refund_reference").map(str::to_owned);
    let update = StatusUpdate {
        refund: Some(Refund { id: Some(id), amount, reach: RefundReach::Delta, requested }),
        reason: refund.note_at("/failure_reason").map(str::to_owned),
        ..StatusUpdate::new(status, raw_status)
    };
    of_charge(of_intent(update, refund)?, refund)
}

/// The update of a dispute. It carries no metadata of ours, so the intent identifies the payment.
///
/// # Errors
/// `UnreadableAnswer` when the id is missing or the amount is not a whole number.
pub(crate) fn dispute_update(
    dispute: &Value,
    status: NormalizedStatus,
    raw_status: &str,
) -> Result<StatusUpdate, ProviderFailure> {
    let update = StatusUpdate {
        dispute: Some(Dispute { id: own_id(dispute, "dispute")?.to_owned(), amount: money(dispute, "amount")? }),
        reason: dispute.note_at("/reason").map(str::to_owned),
        sandbox: sandbox(dispute)?,
        ..StatusUpdate::new(status, raw_status)
    };
    of_charge(of_intent(update, dispute)?, dispute)
}

/// What an object that cannot be read in full still says about its payment: our reference, and Stripe's ids.
pub(crate) fn mentioned(object: &Value) -> (Option<String>, Vec<ProviderRef>) {
    let own_kind = match object.note_at("/object") {
        Some("checkout.session") => Some(refs::CHECKOUT_SESSION),
        Some("payment_intent") => Some(refs::PAYMENT_INTENT),
        Some("charge") => Some(refs::CHARGE),
        Some(_) | None => None,
    };
    // The metadata of a refund or a dispute is not the payment's.
    let reference = own_kind.and_then(|_| agreed_reference(object).ok().flatten());
    let own = own_kind.and_then(|kind| Some((kind, object.text_at("/id").ok().flatten()?)));
    let related = |kind, key| Some((kind, id_under(object, key).ok().flatten()?));
    let ids = [own, related(refs::PAYMENT_INTENT, "payment_intent"), related(refs::CHARGE, "charge")];
    (reference, ids.into_iter().flatten().map(|(kind, id)| ProviderRef::new(kind, id)).collect())
}

/// The id of the object itself.
pub(crate) fn own_id<'a>(object: &'a Value, what: &str) -> Result<&'a str, ProviderFailure> {
    object.text_at("/id")?.ok_or_else(|| ProviderFailure::unreadable(format!("a {what} without an id")))
}

/// Whether the object states test money.
///
/// # Errors
/// `UnreadableAnswer` when `livemode` is not a flag.
pub(crate) fn sandbox(object: &Value) -> Result<Option<bool>, ProviderFailure> {
    Ok(object.flag_at("/livemode")?.map(|live| !live))
}

fn of_intent(update: StatusUpdate, object: &Value) -> Result<StatusUpdate, ProviderFailure> {
    Ok(match id_under(object, "payment_intent")? {
        None => update,
        Some(intent) => {
            StatusUpdate { payment_id: Some(intent.to_owned()), ..update.with_ref(refs::PAYMENT_INTENT, intent) }
        }
    })
}

fn of_charge(update: StatusUpdate, object: &Value) -> Result<StatusUpdate, ProviderFailure> {
    Ok(match id_under(object, "charge")? {
        Some(charge) => update.with_ref(refs::CHARGE, charge),
        None => update,
    })
}

/// The id of a related object: Stripe writes it as text, or as the whole object when it is expanded.
fn id_under<'a>(object: &'a Value, key: &str) -> Result<Option<&'a str>, ProviderFailure> {
    match object.text_at(&format!("/{key}"))? {
        Some(id) => Ok(Some(id)),
        None => object.text_at(&format!("/{key}/id")),
    }
}

/// `client_reference_id` and our metadata are equal when the cashier set both. The former may also
/// come from the URL of a payment link, which a customer can edit: when the two differ, neither is
/// used, and only the provider's ids identify the payment.
fn agreed_reference(session: &Value) -> Result<Option<String>, ProviderFailure> {
    let by_client = session.text_at("/client_reference_id")?;
    let by_metadata = metadata_reference(session)?;
    Ok(match (by_client, by_metadata) {
        // Letter case distinguishes no references, nor do blanks around one.
        (Some(one), Some(other)) if !one.trim().eq_ignore_ascii_case(other.trim()) => None,
        (one, other) => one.or(other).map(str::to_owned),
    })
}

fn metadata_reference(object: &Value) -> Result<Option<&str>, ProviderFailure> {
    object.text_at("/metadata/transaction_id")
}

/// The amount under `key` in the object's currency; none when either is absent.
fn money(object: &Value, key: &str) -> Result<Option<Amount>, ProviderFailure> {
    let units = object.readable_at(&format!("/{key}"))?;
    let Some(currency) = object.text_at("/currency")?.filter(|_| !units.is_null()) else {
        return Ok(None);
    };
    from_stripe(units, currency)
        .ok()
        .filter(|amount| amount.minor >= 0)
        .map(Some)
        .ok_or_else(|| ProviderFailure::unreadable(format!("{key} is not a whole number of minor units")))
}

/// `card_declined (insufficient_funds): Your card has insufficient funds.`
fn decline_reason(intent: &Value) -> Option<String> {
    let error = intent.get("last_payment_error")?;
    let code = error.note_at("/code").or_else(|| error.note_at("/type"))?;
    let detail = error.note_at("/decline_code").map_or(String::new(), |code| format!(" ({code})"));
    let message = error.note_at("/message").map_or(String::new(), |text| format!(": {text}"));
    Some(format!("{code}{detail}{message}"))
}
