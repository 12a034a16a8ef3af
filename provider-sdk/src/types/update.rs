//! What a provider reports about one payment, in normalized terms.

use super::Pairs;
use crate::money::Amount;

/// What a provider reports about a payment. The host compares amount, currency, reference and sandbox flag
/// itself: a signature proves the sender, not that the content matches the order.
///
/// A webhook usually reports one fact. A status query may report several at once, so that it replaces
/// webhooks that were lost. `refund` and `dispute` add to the status:
///
/// | status | `amount` | `refund` | `dispute` |
/// |---|---|---|---|
/// | `Confirmed` | what was paid | what was refunded of it, in the answer to a query also 0 | a dispute while the provider still reports "paid" |
/// | `Refunded` | what was paid | what was refunded; everything if `None` | what is disputed besides |
/// | `Chargeback` | what was paid | what was refunded besides, in the answer to a query also 0 | what is disputed |
/// | `ChargebackReversed` | what was paid; all of it counts as confirmed again | what was refunded besides, in the answer to a query also 0 | the dispute that was reversed |
/// | `RefundFailed` | - | the refund that failed, by its id | - |
/// | `ManualReview` | what the order is about | what was refunded, in the answer to a query also 0 | what is disputed |
/// | `InReview` | what the order is about | what was refunded; of a payment that was paid also 0 | what is disputed |
///
/// No `refund` beside a status other than `Refunded` says nothing about refunds. That 0 was refunded so far proves that a refund of
/// which the answer was lost was not made, and gives its amount back to the account; without it a person must find that out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusUpdate {
    /// The provider's id of this event; the host detects duplicates by it.
    pub event_id: Option<String>,
    /// The cashier's reference, if the provider returned it.
    pub reference: Option<String>,
    /// Every provider id that it contains.
    pub refs: Vec<ProviderRef>,
    /// The normalized status.
    pub status: NormalizedStatus,
    /// The provider's stable id of the payment itself, so that two events about one payment are one fact. A refund or dispute
    /// names the payment that it takes back, under the id that confirmed it.
    pub payment_id: Option<String>,
    /// The amount as the provider states it. A confirmation without one credits nothing by itself.
    pub amount: Option<Amount>,
    /// A refund, beside the status.
    pub refund: Option<Refund>,
    /// A dispute; reversed if the status is `ChargebackReversed`.
    pub dispute: Option<Dispute>,
    /// The provider's own name of the status.
    pub raw_status: String,
    /// Why, for managers; the guard cuts it to 200 characters.
    pub reason: Option<String>,
    /// Whether the provider marks it as test money; `None` if it states nothing.
    pub sandbox: Option<bool>,
    /// The notice states one mode and the payment in it the other: money that it reports becomes a review.
    pub mode_conflict: bool,
    /// Makes the host call `advance_payment` once, later and with its own idempotency key.
    pub advance: bool,
    /// Extension pairs.
    pub bag: Pairs,
}

impl StatusUpdate {
    /// An update with `status`, which the provider calls `raw_status`.
    pub fn new(status: NormalizedStatus, raw_status: impl Into<String>) -> Self {
        Self { status, raw_status: raw_status.into(), ..Self::default() }
    }

    /// The same with one more provider id.
    #[must_use]
    pub fn with_ref(mut self, kind: impl Into<String>, value: impl Into<String>) -> Self {
        self.refs.push(ProviderRef::new(kind, value));
        self
    }
}

/// The statuses that every provider's statuses are mapped to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NormalizedStatus {
    /// The module does not know the provider's status; the host derives nothing from it.
    #[default]
    Unknown,
    /// Not paid yet.
    Pending,
    /// Paid.
    Confirmed,
    /// This attempt failed; another attempt with the same reference may still succeed.
    Failed,
    /// Cancelled or expired; nothing was paid.
    Cancelled,
    /// Refunded, in full or as much as `refund` states.
    Refunded,
    /// Disputed by the customer's bank, or charged back.
    Chargeback,
    /// The dispute was won or withdrawn.
    ChargebackReversed,
    /// A person must decide. The host holds the transaction for review until a person resolves it, whatever the provider
    /// states before or after; an exact `Confirmed` is credited all the same. Use it only for what no later answer ends.
    ManualReview,
    /// The provider itself has not decided yet: a fraud check, a bank's answer. The host holds the transaction for review
    /// and queries the provider; any statement of how the payment ended ends the review, in any order.
    InReview,
    /// A refund did not reach the customer. Name it in `refund`: it counts no more, and a person decides.
    RefundFailed,
}

impl NormalizedStatus {
    /// All statuses, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::Unknown,
        Self::Pending,
        Self::Confirmed,
        Self::Failed,
        Self::Cancelled,
        Self::Refunded,
        Self::Chargeback,
        Self::ChargebackReversed,
        Self::ManualReview,
        Self::InReview,
        Self::RefundFailed,
    ];

    /// The name used in cases and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::Chargeback => "chargeback",
            Self::ChargebackReversed => "chargeback_reversed",
            Self::ManualReview => "manual_review",
            Self::InReview => "in_review",
            Self::RefundFailed => "refund_failed",
        }
    }
}

/// One id at the provider. The host compares ids of the same kind only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProviderRef {
    /// What it identifies, such as `checkout_session`, `payment_intent`, `capture`.
    pub kind: String,
    /// The id.
    pub value: String,
}

impl ProviderRef {
    /// The id `value` of kind `kind`.
    pub fn new(kind: impl Into<String>, value: impl Into<String>) -> Self {
        Self { kind: kind.into(), value: value.into() }
    }
}

/// Money returned to the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The provider's id of this refund; a `Delta` without one cannot be counted.
    pub id: Option<String>,
    /// How much.
    pub amount: Amount,
    /// What the amount counts.
    pub reach: RefundReach,
    /// `RefundOrder::refund_reference` of the refund that the cashier requested, if the provider returns it: the host then
    /// counts the request and the provider's statement of it once.
    pub requested: Option<String>,
}

/// What a refund's amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundReach {
    /// This refund only; its id makes sure it is counted once.
    Delta,
    /// Everything refunded so far, including this refund.
    TotalSoFar,
}

/// Money that the customer's bank disputes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The provider's id of the dispute.
    pub id: String,
    /// How much of the payment; everything if `None`.
    pub amount: Option<Amount>,
}
