//! A module's answers as core types: bounded, masked, and with amounts that are exact or marked as unreadable. It verifies
//! nothing: the core decides whether an amount matches its transaction.

use std::time::Duration;

use bytes::Bytes;
use cashier_core::aggregate::CreateEnding;
use cashier_core::ids::Reference;
use cashier_core::money::{Currency, MINOR_MAX, Money};
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, UnreadableNotice, Update};
use cashier_core::refs::ProviderRef;
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::NextAction;
use cashier_provider_sdk as sdk;
use url::Url;

use super::SecretMasks;
use super::masks::stored_id;
use crate::ports::{Acknowledgement, CreateAnswer};

/// Ids of events, payments, refunds and disputes; providers use up to 100 characters.
const ID_LENGTH_MAX: usize = 255;
/// A provider's own name of a status.
const RAW_STATUS_LENGTH_MAX: usize = 64;
/// A reason; `failure_reason` on the wire holds no more.
pub(in crate::plugins::calling) const REASON_LENGTH_MAX: usize = 256;
/// An unreadable amount, as shown to the person who decides.
const AMOUNT_TEXT_MAX: usize = 64;
/// Updates of one webhook. Batching providers send tens; each becomes a row.
const UPDATES_MAX: usize = 256;
/// The longest that every browser follows.
const URL_LENGTH_MAX: usize = 2048;
/// Many times the bank details and a QR code as text.
const INSTRUCTIONS_BYTES_MAX: usize = 16 * 1024;
/// Acknowledgements are a short text or a small JSON object.
const ACKNOWLEDGEMENT_BYTES_MAX: usize = 64 * 1024;
/// Headers of an acknowledgement: a content type and a signature or two.
const ACKNOWLEDGEMENT_HEADERS_MAX: usize = 16;

/// A created payment, or a declined one where its status is final and negative. Where its page or instructions cannot be
/// shown, the customer waits: the payment exists, and the provider is queried for its outcome.
pub(in crate::plugins::calling) fn created(
    answer: sdk::PaymentCreated,
    provider_time: Duration,
    masks: &SecretMasks,
) -> CreateAnswer {
    let refs = refs(answer.refs);
    let (next, redirect_url, instructions_json) = match answer.next {
        sdk::NextAction::Redirect { url } if is_page(&url) => (NextAction::Redirect, url, String::new()),
        sdk::NextAction::Instructions { json_text } if is_small_object(&json_text) => {
            (NextAction::Instructions, String::new(), masks.object(&json_text))
        }
        sdk::NextAction::Redirect { .. } | sdk::NextAction::Instructions { .. } => {
            tracing::error!("module returned a page or instructions that cannot be shown; the customer waits");
            (NextAction::Wait, String::new(), String::new())
        }
        sdk::NextAction::Wait => (NextAction::Wait, String::new(), String::new()),
        sdk::NextAction::None => (NextAction::None, String::new(), String::new()),
    };
    let status = status(answer.status);
    let stated = answer.update.map(|stated| update(stated, masks));
    let (ending, implied) = match status {
        ProviderStatus::Failed | ProviderStatus::Cancelled => {
            let reason = stated.as_ref().map(|stated| &*stated.reason).filter(|reason| !reason.is_empty());
            (CreateEnding::Declined { reason: reason.unwrap_or("declined by the provider").into() }, None)
        }
        ProviderStatus::Unknown | ProviderStatus::Pending => (CreateEnding::Accepted(next), None),
        ProviderStatus::Confirmed
        | ProviderStatus::Refunded
        | ProviderStatus::Chargeback
        | ProviderStatus::ChargebackReversed
        | ProviderStatus::ManualReview
        | ProviderStatus::InReview
        | ProviderStatus::RefundFailed => (CreateEnding::Accepted(next), Some(bare_update(status, &refs))),
    };
    CreateAnswer {
        ending,
        update: stated.or(implied),
        refs,
        redirect_url: redirect_url.into_boxed_str(),
        instructions_json: instructions_json.into_boxed_str(),
        unreadable: Box::default(),
        provider_time,
    }
}

/// An update with a status and nothing else. Such a confirmation credits nothing by itself.
fn bare_update(status: ProviderStatus, refs: &[ProviderRef]) -> Update {
    Update {
        event_id: "".into(),
        reference: None,
        refs: refs.to_vec(),
        status,
        payment_id: "".into(),
        amount: None,
        refund: None,
        dispute: None,
        raw_status: status.name().into(),
        reason: "".into(),
        sandbox: None,
        mode_conflict: false,
        advance: false,
    }
}

/// The updates of one webhook.
///
/// # Errors
/// There are more than one webhook may carry; none of them is dropped silently.
pub(in crate::plugins::calling) fn updates(
    updates: Vec<sdk::StatusUpdate>,
    masks: &SecretMasks,
) -> Result<Vec<Update>, String> {
    if updates.len() > UPDATES_MAX {
        return Err(format!("the module read {} updates from one notice, at most {UPDATES_MAX} fit", updates.len()));
    }
    Ok(updates.into_iter().map(|stated| update(stated, masks)).collect())
}

/// The provider's id of a notice, or empty.
pub(in crate::plugins::calling) fn event_id(id: Option<&str>, masks: &SecretMasks) -> Box<str> {
    masks.id(id.unwrap_or_default(), ID_LENGTH_MAX)
}

/// What could be read of an authentic notice that was not understood.
pub(in crate::plugins::calling) fn unreadable(notice: sdk::Unreadable, masks: &SecretMasks) -> UnreadableNotice {
    UnreadableNotice {
        reason: masks.text(&notice.reason, REASON_LENGTH_MAX),
        event_id: event_id(notice.event_id.as_deref(), masks),
        references: notice.reference.as_deref().and_then(Reference::read).into_iter().collect(),
        refs: refs(notice.refs),
    }
}

/// One update.
pub(in crate::plugins::calling) fn update(update: sdk::StatusUpdate, masks: &SecretMasks) -> Update {
    let id = |id: Option<String>| masks.id(id.as_deref().unwrap_or_default(), ID_LENGTH_MAX);
    Update {
        event_id: id(update.event_id),
        reference: update.reference.as_deref().and_then(Reference::read),
        refs: refs(update.refs),
        status: status(update.status),
        payment_id: id(update.payment_id),
        amount: update.amount.map(|stated| amount(&stated)),
        refund: update.refund.map(|refund| RefundStatement {
            id: id(refund.id),
            amount: amount(&refund.amount),
            reach: match refund.reach {
                sdk::RefundReach::Delta => Reach::Delta,
                sdk::RefundReach::TotalSoFar => Reach::TotalSoFar,
            },
            requested: id(refund.requested),
        }),
        dispute: update.dispute.map(|dispute| DisputeStatement {
            id: id(Some(dispute.id)),
            amount: dispute.amount.map(|stated| amount(&stated)),
        }),
        raw_status: masks.text(&update.raw_status, RAW_STATUS_LENGTH_MAX),
        reason: masks.text(update.reason.as_deref().unwrap_or_default(), REASON_LENGTH_MAX),
        sandbox: update.sandbox,
        mode_conflict: update.mode_conflict,
        advance: update.advance,
    }
}

/// Converts the provider's exponent to the currency's, exactly or not at all.
fn amount(stated: &sdk::Amount) -> StatedAmount {
    let exact = || {
        let currency = Currency::from_code(&stated.currency.to_ascii_uppercase())?;
        let (from, to) = (u32::from(stated.exponent), u32::from(currency.exponent()));
        let minor = i128::from(stated.minor);
        let scale = 10_i128.checked_pow(from.abs_diff(to))?;
        let minor = match from.cmp(&to) {
            std::cmp::Ordering::Equal => minor,
            std::cmp::Ordering::Less => minor.checked_mul(scale)?,
            std::cmp::Ordering::Greater => (minor % scale == 0).then(|| minor / scale)?,
        };
        let minor = i64::try_from(minor).ok()?;
        (0..=MINOR_MAX).contains(&minor).then(|| Money::new(minor, currency))
    };
    match exact() {
        Some(money) => StatedAmount::Exact(money),
        None => {
            let text: String = stated.to_string().chars().filter(|c| !c.is_control()).collect();
            StatedAmount::Unreadable(text.chars().take(AMOUNT_TEXT_MAX).collect())
        }
    }
}

/// Ids of a kind that can be stored; a value that is too long is replaced by its hash, everywhere alike, so that it still
/// matches. One more than a transaction can hold is let through, so that the core reports what exceeds it.
fn refs(refs: Vec<sdk::ProviderRef>) -> Vec<ProviderRef> {
    let valid =
        |id: &sdk::ProviderRef| (1..=ProviderRef::KIND_LENGTH_MAX).contains(&id.kind.len()) && !id.value.is_empty();
    let valid = refs.into_iter().filter(valid).take(ProviderRef::PER_TRANSACTION_MAX + 1);
    valid
        .map(|id| ProviderRef { value: stored_id(&id.value, ProviderRef::VALUE_LENGTH_MAX), kind: id.kind.into() })
        .collect()
}

fn status(status: sdk::NormalizedStatus) -> ProviderStatus {
    match status {
        sdk::NormalizedStatus::Unknown => ProviderStatus::Unknown,
        sdk::NormalizedStatus::Pending => ProviderStatus::Pending,
        sdk::NormalizedStatus::Confirmed => ProviderStatus::Confirmed,
        sdk::NormalizedStatus::Failed => ProviderStatus::Failed,
        sdk::NormalizedStatus::Cancelled => ProviderStatus::Cancelled,
        sdk::NormalizedStatus::Refunded => ProviderStatus::Refunded,
        sdk::NormalizedStatus::Chargeback => ProviderStatus::Chargeback,
        sdk::NormalizedStatus::ChargebackReversed => ProviderStatus::ChargebackReversed,
        sdk::NormalizedStatus::ManualReview => ProviderStatus::ManualReview,
        sdk::NormalizedStatus::InReview => ProviderStatus::InReview,
        sdk::NormalizedStatus::RefundFailed => ProviderStatus::RefundFailed,
    }
}

/// A page that a browser may be sent to: a `javascript:` link would run in the broker's page.
fn is_page(url: &str) -> bool {
    let web = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    url.len() <= URL_LENGTH_MAX && !url.chars().any(char::is_control) && Url::parse(url).is_ok_and(web)
}

fn is_small_object(text: &str) -> bool {
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    text.len() <= INSTRUCTIONS_BYTES_MAX && object.is_ok()
}

/// The response to the provider's webhook.
///
/// # Errors
/// It cannot be sent as HTTP, or is too large.
pub(in crate::plugins::calling) fn acknowledgement(answer: sdk::Acknowledgement) -> Result<Acknowledgement, String> {
    let valid = |(name, value): &(String, String)| {
        http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_str(value).is_ok()
    };
    if !(200..=599).contains(&answer.status) {
        return Err(format!("the module acknowledges with status {}", answer.status));
    }
    if answer.headers.len() > ACKNOWLEDGEMENT_HEADERS_MAX || !answer.headers.iter().all(valid) {
        return Err("the module acknowledges with headers that cannot be sent".to_owned());
    }
    if answer.body.len() > ACKNOWLEDGEMENT_BYTES_MAX {
        return Err(format!("the module acknowledges with {} bytes", answer.body.len()));
    }
    let boxed = |(name, value): (String, String)| (name.into_boxed_str(), value.into_boxed_str());
    Ok(Acknowledgement {
        status: answer.status,
        headers: answer.headers.into_iter().map(boxed).collect(),
        body: Bytes::from(answer.body),
    })
}
