//! Reads the service's payment, refund and dispute into updates, for notices and answers alike. A
//! field that is absent stays absent; one that is there and unreadable is a failure.

use cashier_provider_sdk::serde_json::Value;
use cashier_provider_sdk::{
    Amount, Dispute, JsonRead, NormalizedStatus, ProviderFailure, Refund, RefundReach, StatusUpdate,
};

use crate::amounts::from_sandbox;
use crate::refs;

/// The update of a payment with `status`, which is the event's or the payment's own.
///
/// # Errors
/// `UnreadableAnswer` when the id, the amount, the currency or the mode is missing or unreadable.
pub(crate) fn payment_update(
    payment: &Value,
    status: NormalizedStatus,
    raw_status: &str,
) -> Result<StatusUpdate, ProviderFailure> {
    let id = payment.required_text_at("/id")?;
    let update = StatusUpdate {
        reference: payment.text_at("/reference")?.map(str::to_owned),
        payment_id: Some(id.to_owned()),
        amount: Some(money(payment, "/amount", currency(payment)?)?),
        reason: reason(payment, "/failure_reason"),
        sandbox: Some(sandbox(payment)?),
        ..StatusUpdate::new(status, raw_status)
    };
    Ok(update.with_ref(refs::SANDBOX_PAYMENT, id))
}

/// The update of one refund with `status`, with its payment. It is counted once, by its own id, and states its own
/// currency.
///
/// # Errors
/// As [`payment_update`], for the refund as well.
pub(crate) fn refund_update(
    payment: &Value,
    refund: &Value,
    status: NormalizedStatus,
    raw_status: &str,
) -> Result<StatusUpdate, ProviderFailure> {
    let id = refund.required_text_at("/id")?.to_owned();
    let amount = money(refund, "/amount", currency(refund)?)?;
    let requested = refund.note_at("/reference").map(str::to_owned);
    Ok(StatusUpdate {
        refund: Some(Refund { id: Some(id), amount, reach: RefundReach::Delta, requested }),
        reason: reason(refund, "/reason"),
        ..payment_update(payment, status, raw_status)?
    })
}

/// The sum of all refunds, also zero: that is what proves that a refund was not made.
///
/// # Errors
/// `UnreadableAnswer` when the sum or the currency is missing or unreadable.
pub(crate) fn refunded_so_far(payment: &Value) -> Result<Refund, ProviderFailure> {
    let amount = money(payment, "/refunded_total", currency(payment)?)?;
    Ok(Refund { id: None, amount, reach: RefundReach::TotalSoFar, requested: None })
}

/// The update of a dispute, with its payment and in the payment's currency.
///
/// # Errors
/// As [`payment_update`], for the dispute as well.
pub(crate) fn dispute_update(
    payment: &Value,
    dispute: &Value,
    status: NormalizedStatus,
    raw_status: &str,
) -> Result<StatusUpdate, ProviderFailure> {
    let id = dispute.required_text_at("/id")?.to_owned();
    let amount = money(dispute, "/amount", currency(payment)?)?;
    Ok(StatusUpdate {
        dispute: Some(Dispute { id, amount: Some(amount) }),
        ..payment_update(payment, status, raw_status)?
    })
}

/// Whether the object states test money. The service always states it.
///
/// # Errors
/// `UnreadableAnswer` when `livemode` is missing or not a flag.
pub(crate) fn sandbox(object: &Value) -> Result<bool, ProviderFailure> {
    let live = object.flag_at("/livemode")?.ok_or_else(|| ProviderFailure::unreadable("livemode is missing"))?;
    Ok(!live)
}

/// The amount at `pointer`, with the decimals of its text.
///
/// # Errors
/// `UnreadableAnswer` when it is missing or not decimal text.
pub(crate) fn money(object: &Value, pointer: &str, currency: &str) -> Result<Amount, ProviderFailure> {
    from_sandbox(object.at(pointer), currency)
        .map_err(|error| ProviderFailure::unreadable(format!("{pointer}: {error}")))
}

/// As stated; the host compares it with the ordered one.
pub(crate) fn currency(object: &Value) -> Result<&str, ProviderFailure> {
    object.required_text_at("/currency")
}

fn reason(object: &Value, pointer: &str) -> Option<String> {
    object.note_at(pointer).map(str::to_owned)
}
