//! The records of the wire protocol, exactly as they are read and written.
//! What may happen to them is decided in `payments` and `lifecycle`; here are only the shapes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decimal_amount::DecimalAmount;
use crate::event_kind::EventKind;
use crate::switch::Switch;

/// Body of `POST /v1/payments`. Unknown fields are refused by name, so a misspelt one is never ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// The merchant's own reference, 1..=64 visible ASCII characters. Need not be unique.
    pub reference: String,
    /// Decimal text above zero, at most 15 digits before and 8 behind the point.
    pub amount: DecimalAmount,
    /// 3..=10 characters `A-Z0-9`.
    pub currency: String,
    /// Free text such as `card`, at most 32 characters; shown on the page.
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
    /// The failures to simulate for this payment.
    #[serde(default)]
    pub switches: Vec<Switch>,
}

/// A payment, in every answer and every webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// `sp_` and 32 hex characters.
    pub id: String,
    pub status: PaymentStatus,
    /// As requested, with the same number of decimals.
    pub amount: DecimalAmount,
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
    pub refunded_total: DecimalAmount,
    pub refunds: Vec<PaymentRefund>,
    /// The latest dispute, if there was one.
    pub dispute: Option<PaymentDispute>,
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
    /// Cancelled by payer or merchant; final.
    Cancelled,
    /// Refunded in full.
    Refunded,
    /// Disputed by the payer's bank, until reversed.
    Chargeback,
}

impl PaymentStatus {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
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
    /// Absent: the amount not yet refunded.
    #[serde(default)]
    pub amount: Option<DecimalAmount>,
    /// At most 200 characters.
    #[serde(default)]
    pub reason: String,
    /// The merchant's own id of the refund, 1..=64 visible ASCII characters, echoed; empty is none.
    #[serde(default)]
    pub reference: String,
}

/// One refund; it succeeds at once or is refused, and may fail later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefund {
    /// `sr_` and 32 hex characters.
    pub id: String,
    /// Id of the payment.
    pub payment: String,
    pub amount: DecimalAmount,
    pub currency: String,
    pub reason: String,
    /// Unix seconds.
    pub created: i64,
    /// As requested; absent where none was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// It did not reach the payer; absent where it did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
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
    pub refund: Option<PaymentRefund>,
    /// All refunds, oldest first.
    pub refunds: Vec<PaymentRefund>,
    pub refunded_total: DecimalAmount,
    pub currency: String,
}

/// A chargeback and its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentDispute {
    /// `sd_` and 32 hex characters.
    pub id: String,
    pub amount: DecimalAmount,
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
pub struct PaymentEvent {
    /// `evt_` and 32 hex characters; the same in every delivery of this event.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Unix seconds.
    pub created: i64,
    /// Always false, unless the switch `webhook_livemode` is on.
    pub livemode: bool,
    /// The payment as it was right after this event.
    pub data: Payment,
    /// The refund this event is about; only with `payment.refunded` and `payment.refund_failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<PaymentRefund>,
    /// The dispute this event is about; only with the chargeback kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<PaymentDispute>,
}

/// Body of `POST /_control/payments/{id}/events`: something happens to a payment at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRequest {
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// For `refunded` and `chargeback`; absent: the remaining amount.
    #[serde(default)]
    pub amount: Option<DecimalAmount>,
    /// For `failed` and `refunded`.
    #[serde(default)]
    pub reason: String,
}

/// Body of `POST /_control/defaults` and its answer: switches for every payment created from then on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultSwitches {
    pub switches: Vec<Switch>,
}

/// Answer of `GET /_control/deliveries`, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryList {
    pub deliveries: Vec<WebhookDelivery>,
    pub count: usize,
}

/// One event sent to the merchant, with all its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// `dl_` and 32 hex characters.
    pub id: String,
    pub event: String,
    #[serde(rename = "type")]
    pub kind: EventKind,
    pub payment: String,
    pub url: String,
    pub state: DeliveryState,
    pub attempts: Vec<DeliveryAttempt>,
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
pub struct DeliveryAttempt {
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
    /// One of the published codes, see `ApiErrorCode`.
    pub code: String,
    pub message: String,
    /// The payment the error is about, when one was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
}
