//! What a provider is asked to do, and what a created payment looks like.
//! Texts are as the host checked them: ids and codes ≤ 64, keys ≤ 128, URLs ≤ 2048, metadata ≤ 16 KiB.

use super::{NormalizedStatus, Pairs, ProviderFailure, ProviderRef, StatusUpdate};
use crate::money::Amount;

/// Longest idempotency key that providers take.
const KEY_BYTES_MAX: usize = 255;

/// One payment to begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentOrder {
    /// Our reference, at most 20 characters: what the provider is told and its notices bring back.
    pub reference: String,
    pub amount: Amount,
    pub customer_id: String,
    pub login: String,
    pub brand: String,
    /// ISO 3166 alpha-2, or empty.
    pub country: String,
    /// Such as `en` or `de-AT`, or empty.
    pub locale: String,
    /// The customer's address, or empty.
    pub ip: String,
    pub method: String,
    /// Travels with every request that moves money.
    pub idempotency_key: String,
    pub notify_url: String,
    pub success_url: String,
    pub failure_url: String,
    /// The client's own JSON object.
    pub metadata_json: String,
    /// What the customer may read on the provider's page.
    pub description: String,
    /// The time of this exchange, Unix seconds; the only clock a module has.
    pub now_unix: i64,
    /// Unguessable text, fixed for this exchange; the only randomness a module has.
    pub nonce: String,
    pub bag: Pairs,
}

impl PaymentOrder {
    /// The key, fit for a header. Without one a repetition would begin a second payment, so nothing
    /// is sent without one.
    ///
    /// # Errors
    /// `RefusedRequest` where it is empty, longer than 255 bytes or not visible ASCII.
    pub fn checked_idempotency_key(&self) -> Result<&str, ProviderFailure> {
        let key = self.idempotency_key.as_str();
        let sound = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        sound.then_some(key).ok_or_else(|| {
            ProviderFailure::refused_request(
                "idempotency_key_unusable",
                "the idempotency key is empty, longer than 255 bytes or not visible ASCII",
            )
        })
    }
}

/// What a provider said to a new payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentCreated {
    pub status: NormalizedStatus,
    /// The provider's ids for this payment, the descriptor's primary kind among them if known.
    pub refs: Vec<ProviderRef>,
    pub next: NextAction,
    /// Set where the answer itself states a money fact, such as an immediate confirmation. The host
    /// checks it exactly as it checks a notice.
    pub update: Option<StatusUpdate>,
    /// When the provider closes the payment by itself, Unix seconds.
    pub expires_unix: Option<i64>,
    pub bag: Pairs,
}

impl PaymentCreated {
    /// A payment that stands as the provider's answer says. One that already tells an outcome is
    /// handed on as a fact to be checked; one that tells of a beginning is no fact about money.
    ///
    /// # Errors
    /// `UnreadableAnswer` where it stands at a word the module does not know: the outcome is unknown.
    pub fn from_update(update: StatusUpdate, next: NextAction) -> Result<Self, ProviderFailure> {
        if update.status == NormalizedStatus::Unknown {
            return Err(ProviderFailure::unreadable(format!(
                "the created payment stands at {}, which this module does not know",
                update.raw_status
            )));
        }
        Ok(Self {
            status: update.status,
            refs: update.refs.clone(),
            next,
            update: (update.status != NormalizedStatus::Pending).then_some(update),
            ..Self::default()
        })
    }
}

/// What the customer does next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NextAction {
    /// Goes to this page.
    Redirect { url: String },
    /// Follows these instructions: a JSON object for the broker's page.
    Instructions { json_text: String },
    /// Waits; the result comes by itself.
    Wait,
    /// Nothing: the outcome is final.
    #[default]
    None,
}

/// A payment that exists, for calls about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentRef {
    pub reference: String,
    /// Every id heard for it so far.
    pub refs: Vec<ProviderRef>,
    /// The provider's id of the payment proper, where a confirmation named one.
    pub payment_id: Option<String>,
    /// What was ordered.
    pub amount: Amount,
    pub customer_id: String,
    pub login: String,
    pub brand: String,
    pub country: String,
    pub method: String,
    pub created_unix: i64,
    /// The key of this call, not that of the creation.
    pub idempotency_key: String,
    pub notify_url: String,
    pub now_unix: i64,
    pub nonce: String,
    pub bag: Pairs,
}

impl PaymentRef {
    /// The last heard id of this kind.
    pub fn id_of(&self, kind: &str) -> Option<&str> {
        self.refs.iter().rev().find(|id| id.kind == kind).map(|id| id.value.as_str())
    }

    /// The last heard id of this kind, fit to be a part of a URL's path as it is.
    ///
    /// # Errors
    /// `RefusedRequest` where it is empty or holds more than letters, digits, `_` and `-`.
    pub fn path_id_of(&self, kind: &str) -> Result<Option<&str>, ProviderFailure> {
        let plain =
            |id: &str| !id.is_empty() && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
        match self.id_of(kind) {
            Some(id) if !plain(id) => Err(ProviderFailure::refused_request(
                "id_unusable",
                format!("the {kind} known for this payment is not an id that can be asked about"),
            )),
            id => Ok(id),
        }
    }
}

/// Money to give back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundOrder {
    pub payment: PaymentRef,
    /// Our id of this refund.
    pub refund_reference: String,
    /// How much goes back by this call.
    pub amount: Amount,
    /// How much went back before, by facts heard.
    pub refunded_before: Amount,
    /// Whether this call completes the refund of everything that was paid.
    pub completes: bool,
    pub reason: String,
    pub bag: Pairs,
}
