//! The records of the wire protocol, exactly as they are read and written.
//! What may happen to them is decided in `books`; here are only shapes and words.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::money::Amount;
use crate::switch::Switch;

/// Body of `POST /v1/payments`. Unknown fields are refused by name, so a misspelt one is never ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// The merchant's own reference, 1..=64 visible ASCII characters. Need not be unique.
    pub reference: String,
    /// Decimal text above zero, at most 15 digits before and 8 behind the point.
    pub amount: Amount,
    /// 3..=10 characters `A-Z0-9`.
    pub currency: String,
    /// Free word such as `card`, at most 32 characters; shown on the page.
    #[serde(default)]
    pub method: String,
    /// At most 200 characters; shown on the page.
    #[serde(default)]
    pub description: String,
    /// Absolute `http://` URL for webhooks; loopback unless the operator allowed more. Empty: no webhooks.
    #[serde(default)]
    pub notify_url: String,
    /// Absolute URL the browser returns to when paid. Empty: the page shows the result itself.
    #[serde(default)]
    pub success_url: String,
    /// Absolute URL the browser returns to when declined or cancelled. Empty: as above.
    #[serde(default)]
    pub failure_url: String,
    /// At most 50 text pairs, echoed. The key `sandbox_switches` is also read as switches.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// What shall go wrong with this payment.
    #[serde(default)]
    pub switches: Vec<Switch>,
}

/// A payment as every answer and every webhook shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// `sp_` and 32 hex characters.
    pub id: String,
    pub status: PaymentStatus,
    /// As asked for, in the spelling in which it was asked for.
    pub amount: Amount,
    pub currency: String,
    pub reference: String,
    pub method: String,
    pub description: String,
    /// The hosted page of this payment.
    pub payment_url: String,
    pub success_url: String,
    pub failure_url: String,
    pub metadata: BTreeMap<String, String>,
    /// Why the latest attempt failed; empty unless `status` is `failed`.
    pub failure_reason: String,
    /// Sum of `refunds`.
    pub refunded_total: Amount,
    pub refunds: Vec<Refund>,
    /// The latest dispute, if there was one.
    pub dispute: Option<Dispute>,
    /// Always false: no money moves here.
    pub livemode: bool,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub updated: i64,
}

/// `pending` → `confirmed` | `failed` | `cancelled`; a failed one may be tried again on its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Waiting for the payer.
    Pending,
    /// Paid; stays so after a part refund.
    Confirmed,
    /// Declined; may still become confirmed by a further attempt.
    Failed,
    /// Given up by payer or merchant; final.
    Cancelled,
    /// Refunded in full.
    Refunded,
    /// Taken back by the payer's bank, until reversed.
    Chargeback,
}

impl PaymentStatus {
    /// The wire word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::Chargeback => "chargeback",
        }
    }
}

/// Body of `POST /v1/payments/{id}/refunds`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundRequest {
    /// Absent: everything not yet refunded.
    #[serde(default)]
    pub amount: Option<Amount>,
    /// At most 200 characters.
    #[serde(default)]
    pub reason: String,
}

/// One refund; it succeeds at once or is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// `sr_` and 32 hex characters.
    pub id: String,
    /// Id of the payment.
    pub payment: String,
    pub amount: Amount,
    pub currency: String,
    pub reason: String,
    /// Unix seconds.
    pub created: i64,
}

/// Answer of `POST` and `GET /v1/payments/{id}/refunds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundList {
    /// Id of the payment.
    pub payment: String,
    /// Status of the payment after these refunds.
    pub status: PaymentStatus,
    /// The refund just made; absent in the answer of a `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
    /// All refunds, oldest first.
    pub refunds: Vec<Refund>,
    pub refunded_total: Amount,
    pub currency: String,
}

/// A chargeback and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// `sd_` and 32 hex characters.
    pub id: String,
    pub amount: Amount,
    pub status: DisputeStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// The money is with the payer.
    Open,
    /// The money came back to the merchant.
    Reversed,
}

/// Answer of `GET /v1/payments?reference=`, newest first, at most `LIST_MAX`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentList {
    pub payments: Vec<Payment>,
    /// All that match, also those beyond the page.
    pub count: usize,
}

/// Body of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `evt_` and 32 hex characters; the same in every delivery of this event.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Unix seconds.
    pub created: i64,
    /// Always false, unless the switch `webhook_livemode` lies.
    pub livemode: bool,
    /// The payment as it was right after this event.
    pub data: Payment,
    /// The refund this event is about; only with `payment.refunded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
    /// The dispute this event is about; only with the chargeback kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<Dispute>,
}

/// What a webhook tells. On the wire `payment.<word>`; in switches and control calls the bare word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    #[serde(rename = "payment.pending", alias = "pending")]
    Pending,
    #[serde(rename = "payment.confirmed", alias = "confirmed")]
    Confirmed,
    #[serde(rename = "payment.failed", alias = "failed")]
    Failed,
    #[serde(rename = "payment.cancelled", alias = "cancelled")]
    Cancelled,
    #[serde(rename = "payment.refunded", alias = "refunded")]
    Refunded,
    #[serde(rename = "payment.chargeback", alias = "chargeback")]
    Chargeback,
    #[serde(rename = "payment.chargeback_reversed", alias = "chargeback_reversed")]
    ChargebackReversed,
}

impl EventKind {
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Confirmed,
        Self::Failed,
        Self::Cancelled,
        Self::Refunded,
        Self::Chargeback,
        Self::ChargebackReversed,
    ];

    /// The bare word, as used in switches.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::Chargeback => "chargeback",
            Self::ChargebackReversed => "chargeback_reversed",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("payment.").unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|kind| kind.word() == bare)
            .ok_or_else(|| format!("unknown event `{}`", text.escape_default()))
    }
}

/// Body of `POST /_control/payments/{id}/events`: something happens to a payment at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRequest {
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// For `refunded` and `chargeback`: how much; absent: all that is left.
    #[serde(default)]
    pub amount: Option<Amount>,
    /// For `failed` and `refunded`: why.
    #[serde(default)]
    pub reason: String,
}

/// Body of `POST /_control/defaults` and its answer: switches for every payment created from then on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    pub switches: Vec<Switch>,
}

/// Answer of `GET /_control/deliveries`, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryList {
    pub deliveries: Vec<Delivery>,
    pub count: usize,
}

/// One attempt series to bring one event to the merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// `dl_` and 32 hex characters.
    pub id: String,
    pub event: String,
    #[serde(rename = "type")]
    pub kind: EventKind,
    pub payment: String,
    pub url: String,
    pub state: DeliveryState,
    pub attempts: Vec<Attempt>,
    /// Unix seconds.
    pub created: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waiting for its first or next attempt.
    Waiting,
    /// Answered 2xx.
    Delivered,
    /// Every attempt failed.
    Failed,
    /// Held back by the switch `webhook_never`.
    Withheld,
    /// The delivery queue was full.
    Dropped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Unix seconds.
    pub at: i64,
    /// HTTP status of the answer; 0 when there was none.
    pub status: u16,
    /// Empty when answered, else `timeout`, `connect` or `broken`.
    pub error: String,
}

/// Body of every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// One of the published words, see `RefusalCode`.
    pub code: String,
    pub message: String,
    /// The payment the refusal is about, when one was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
}
