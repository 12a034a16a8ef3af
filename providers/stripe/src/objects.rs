//! Reads Stripe's objects (session, intent, charge, dispute) into updates, from notices and replies
//! alike. An absent field stays absent; a present but unreadable one is a failure.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{
    Amount, Dispute, JsonRead, NormalizedStatus, ProviderFailure, Refund, RefundReach, StatusUpdate,
};

use crate::amounts::from_stripe;
use crate::refs;

/// The update of a Checkout Session.
///
/// # Errors
/// `UnreadableAnswer` when its id is missing or its amount is not a whole number.
pub(crate) fn session_update(
    session: &Value,
    status: NormalizedStatus,
    raw_status: &str,
) -> Result<StatusUpdate, ProviderFailure> {
    let session_id = own_id(session, "checkout.session")?;
    let intent = id_under(session, "payment_intent");
    let mut update = StatusUpdate {
        reference: agreed_reference(session),
        payment_id: Some(intent.unwrap_or(session_id).to_owned()),
        amount: money(session, "amount_total")?,
        reason: session.get("payment_intent").and_then(decline_reason),
        sandbox: sandbox(session),
        ..StatusUpdate::new(status, raw_status)
    }
    .with_ref(refs::CHECKOUT_SESSION, session_id);
    if let Some(intent) = intent {
        update = update.with_ref(refs::PAYMENT_INTENT, intent);
    }
    Ok(update)
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
        intent.text_at("/cancellation_reason").map(str::to_owned).or_else(|| decline_reason(intent))
    };
    let update = StatusUpdate {
        reference: metadata_reference(intent).map(str::to_owned),
        payment_id: Some(intent_id.to_owned()),
        amount,
        reason,
        sandbox: sandbox(intent),
        ..StatusUpdate::new(status, raw_status)
    };
    Ok(update.with_ref(refs::PAYMENT_INTENT, intent_id))
}

/// The update of a refunded charge: `amount_refunded` is the sum of all refunds so far.
///
/// # Errors
/// `UnreadableAnswer` when the id, the refunded amount or the currency is missing or unreadable.
pub(crate) fn refund_update(charge: &Value, raw_status: &str) -> Result<StatusUpdate, ProviderFailure> {
    let charge_id = own_id(charge, "charge")?;
    let refunded = money(charge, "amount_refunded")?
        .ok_or_else(|| ProviderFailure::unreadable("a refunded charge states no amount_refunded"))?;
    let update = StatusUpdate {
        reference: metadata_reference(charge).map(str::to_owned),
        amount: money(charge, "amount")?,
        refund: Some(Refund { id: None, amount: refunded, reach: RefundReach::TotalSoFar, requested: None }),
        ..StatusUpdate::new(NormalizedStatus::Refunded, raw_status)
    };
    Ok(of_intent(update, charge).with_ref(refs::CHARGE, charge_id))
}

/// The sum refunded so far of an intent's charge, when the reply contains the expanded charge.
///
/// # Errors
/// `UnreadableAnswer` when the sum is not a whole number.
pub(crate) fn refunded_so_far(intent: &Value) -> Result<Option<Refund>, ProviderFailure> {
    let refunded = money(intent.at("/latest_charge"), "amount_refunded")?;
    Ok(refunded.filter(|amount| amount.minor > 0).map(|amount| Refund {
        id: None,
        amount,
        reach: RefundReach::TotalSoFar,
        requested: None,
    }))
}

/// The update of a failed refund: the money is back with the merchant, and a person decides whether
/// the customer is owed it again. The refund's amount is not the payment's, so only the reason text
/// states it; the text is the same in every event about this refund, which makes it one review hold. A
/// refund's metadata is not the payment's: the intent and the charge identify the payment.
///
/// # Errors
/// `UnreadableAnswer` when the id is missing or the amount is not a whole number.
pub(crate) fn failed_refund_update(refund: &Value, raw_status: &str) -> Result<StatusUpdate, ProviderFailure> {
    let id = own_id(refund, "refund")?;
    let amount = money(refund, "amount")?.map_or_else(String::new, |amount| format!(" of {amount}"));
    let cause = refund.text_at("/failure_reason").map_or_else(String::new, |cause| format!(": {cause}"));
    let update = StatusUpdate {
        reason: Some(format!("refund {id}{amount} did not go out{cause}")),
        ..StatusUpdate::new(NormalizedStatus::ManualReview, raw_status)
    };
    Ok(of_charge(of_intent(update, refund), refund))
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
        reason: dispute.text_at("/reason").map(str::to_owned),
        ..StatusUpdate::new(status, raw_status)
    };
    Ok(of_charge(of_intent(update, dispute), dispute))
}

/// The id of the object itself.
pub(crate) fn own_id<'a>(object: &'a Value, what: &str) -> Result<&'a str, ProviderFailure> {
    object.text_at("/id").ok_or_else(|| ProviderFailure::unreadable(format!("a {what} without an id")))
}

/// Whether the object states test money.
pub(crate) fn sandbox(object: &Value) -> Option<bool> {
    object.at("/livemode").as_bool().map(|live| !live)
}

fn of_intent(update: StatusUpdate, object: &Value) -> StatusUpdate {
    match id_under(object, "payment_intent") {
        None => update,
        Some(intent) => {
            StatusUpdate { payment_id: Some(intent.to_owned()), ..update.with_ref(refs::PAYMENT_INTENT, intent) }
        }
    }
}

fn of_charge(update: StatusUpdate, object: &Value) -> StatusUpdate {
    match id_under(object, "charge") {
        Some(charge) => update.with_ref(refs::CHARGE, charge),
        None => update,
    }
}

/// The id of a related object: Stripe writes it as text, or as the whole object when it is expanded.
fn id_under<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.text_at(&format!("/{key}")).or_else(|| object.text_at(&format!("/{key}/id")))
}

/// `client_reference_id` and our metadata are equal when the cashier set both. The former may also
/// come from the URL of a payment link, which a customer can edit: when the two differ, neither is
/// used, and only the provider's ids identify the payment.
fn agreed_reference(session: &Value) -> Option<String> {
    let by_client = session.text_at("/client_reference_id");
    let by_metadata = metadata_reference(session);
    match (by_client, by_metadata) {
        (Some(one), Some(other)) if one != other => None,
        (one, other) => one.or(other).map(str::to_owned),
    }
}

fn metadata_reference(object: &Value) -> Option<&str> {
    object.text_at("/metadata/transaction_id")
}

/// The amount under `key` in the object's currency; none when either is absent.
fn money(object: &Value, key: &str) -> Result<Option<Amount>, ProviderFailure> {
    let (Some(units), Some(currency)) = (object.get(key), object.text_at("/currency")) else {
        return Ok(None);
    };
    if units.is_null() {
        return Ok(None);
    }
    from_stripe(units, currency)
        .ok()
        .filter(|amount| amount.minor >= 0)
        .map(Some)
        .ok_or_else(|| ProviderFailure::unreadable(format!("{key} is not a whole number of minor units")))
}

/// `card_declined (insufficient_funds): Your card has insufficient funds.`
fn decline_reason(intent: &Value) -> Option<String> {
    let error = intent.get("last_payment_error")?;
    let code = error.text_at("/code").or_else(|| error.text_at("/type"))?;
    let detail = error.text_at("/decline_code").map_or(String::new(), |code| format!(" ({code})"));
    let message = error.text_at("/message").map_or(String::new(), |text| format!(": {text}"));
    Some(format!("{code}{detail}{message}"))
}
