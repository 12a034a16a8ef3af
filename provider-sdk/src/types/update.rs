//! What is said about one payment, in the cashier's words.

use super::Pairs;
use crate::money::Amount;

/// What a provider states about a payment. The host compares amount, currency, reference and
/// sandbox flag itself: a signature proves who speaks, not that the facts fit.
///
/// A notice usually says one thing; the answer to a question may say all at once what notices said
/// one by one, so that a lost one is found by asking. `refund` and `dispute` add to the status:
///
/// | status | `amount` | `refund` | `dispute` |
/// |---|---|---|---|
/// | `Confirmed` | what was paid | what went back of it | disputed, though the word is still "paid" |
/// | `Refunded` | what was paid | what went back; all of it where absent | - |
/// | `Chargeback` | what was paid | what went back besides | what is disputed |
/// | `ChargebackReversed` | what was paid: the whole of it confirms again | what went back besides | which dispute was lifted |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusUpdate {
    /// The provider's id of this event, by which repeats are known.
    pub event_id: Option<String>,
    /// Our reference, where the provider brought it back.
    pub reference: Option<String>,
    /// Every id it named.
    pub refs: Vec<ProviderRef>,
    pub status: NormalizedStatus,
    /// The stable id of the payment proper, so that two events about one payment are one fact.
    pub payment_id: Option<String>,
    /// The amount as the provider states it. A confirmation without one credits nothing by itself.
    pub amount: Option<Amount>,
    /// Money that went back, beside what the status says.
    pub refund: Option<Refund>,
    /// Money that is disputed; lifted where the status is `ChargebackReversed`.
    pub dispute: Option<Dispute>,
    /// The provider's own word for the status.
    pub raw_status: String,
    /// Why, in a few words for managers.
    pub reason: Option<String>,
    /// Whether the provider says this is test money.
    pub sandbox: Option<bool>,
    /// Asks the host to call `advance_payment` once, as a duty with its own key.
    pub advance: bool,
    pub bag: Pairs,
}

impl StatusUpdate {
    /// An update that states `status` in the provider's word `raw_status`.
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

/// The nine words every provider's statuses are translated to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NormalizedStatus {
    /// The module does not know this word; nothing is derived from it.
    #[default]
    Unknown,
    Pending,
    Confirmed,
    /// This attempt failed; another under the same reference may still succeed.
    Failed,
    /// Cancelled or expired.
    Cancelled,
    /// Refunded, in full or in part as `refund` says.
    Refunded,
    Chargeback,
    ChargebackReversed,
    ManualReview,
}

impl NormalizedStatus {
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Pending,
        Self::Confirmed,
        Self::Failed,
        Self::Cancelled,
        Self::Refunded,
        Self::Chargeback,
        Self::ChargebackReversed,
        Self::ManualReview,
    ];

    /// The word as written in cases and logs.
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
        }
    }
}

/// One id at the provider. Only equal kinds are ever compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProviderRef {
    /// Such as `checkout_session`, `payment_intent`, `capture`, `tid`.
    pub kind: String,
    pub value: String,
}

impl ProviderRef {
    pub fn new(kind: impl Into<String>, value: impl Into<String>) -> Self {
        Self { kind: kind.into(), value: value.into() }
    }
}

/// Money that went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The provider's id of this refund.
    pub id: Option<String>,
    pub amount: Amount,
    pub reach: RefundReach,
}

/// What a refund's amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundReach {
    /// This refund alone; it needs an id to be counted once.
    Delta,
    /// Everything refunded so far, this one included.
    TotalSoFar,
}

/// Money that is disputed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The provider's id of the dispute.
    pub id: String,
    /// How much of the payment; everything where absent.
    pub amount: Option<Amount>,
}
