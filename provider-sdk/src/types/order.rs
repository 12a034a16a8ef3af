//! What the host wants from a provider, and the provider's answer to a new payment.
//! Texts are as the host validated them: ids and codes ≤ 64, keys ≤ 128, URLs ≤ 2048, metadata ≤ 16 KiB.

use super::{NormalizedStatus, Pairs, ProviderFailure, ProviderRef, StatusUpdate};
use crate::money::Amount;

/// Longest idempotency key that providers accept.
const KEY_BYTES_MAX: usize = 255;

/// One payment to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentOrder {
    /// The cashier's reference, at most 20 characters. Send it to the provider so that its webhooks return it.
    pub reference: String,
    /// What the customer is to pay, positive.
    pub amount: Amount,
    /// The customer's id at the broker.
    pub customer_id: String,
    /// The trading account that the money is for.
    pub login: String,
    /// The broker's brand.
    pub brand: String,
    /// ISO 3166 alpha-2, or empty.
    pub country: String,
    /// Such as `en` or `de-AT`, or empty.
    pub locale: String,
    /// The customer's IP address, or empty.
    pub ip: String,
    /// The payment method, one of the descriptor's.
    pub method: String,
    /// Must be sent with every request that moves money.
    pub idempotency_key: String,
    /// The URL that receives webhooks about this payment.
    pub notify_url: String,
    /// Where the provider sends the customer's browser after a payment.
    pub success_url: String,
    /// Where the provider sends the customer's browser after a failed or cancelled payment.
    pub failure_url: String,
    /// The client's JSON object, or empty.
    pub metadata_json: String,
    /// A description that the provider may display to the customer.
    pub description: String,
    /// The time of this exchange, Unix seconds; the only clock a module has.
    pub now_unix: i64,
    /// Unguessable text, fixed for this exchange; the only randomness a module has.
    pub nonce: String,
    /// Extension pairs.
    pub bag: Pairs,
}

impl PaymentOrder {
    /// The idempotency key, if a header can carry it. Without a key a retry would create a second payment, so
    /// send nothing without one.
    ///
    /// # Errors
    /// `RefusedRequest` if it is empty, longer than 255 bytes or not visible ASCII.
    pub fn checked_idempotency_key(&self) -> Result<&str, ProviderFailure> {
        let key = self.idempotency_key.as_str();
        let valid = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then_some(key).ok_or_else(|| {
            ProviderFailure::refused_request(
                "idempotency_key_unusable",
                "the idempotency key is empty, longer than 255 bytes or not visible ASCII",
            )
        })
    }
}

/// The provider's answer to a new payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentCreated {
    /// The status that the answer states.
    pub status: NormalizedStatus,
    /// The provider's ids of this payment, including one of the descriptor's primary kind if known.
    pub refs: Vec<ProviderRef>,
    /// What the customer does next.
    pub next: NextAction,
    /// Set if the answer already states an outcome, such as an immediate confirmation. The host verifies it
    /// exactly as it verifies a webhook's update.
    pub update: Option<StatusUpdate>,
    /// When the provider closes an unpaid payment, Unix seconds.
    pub expires_unix: Option<i64>,
    /// Extension pairs.
    pub bag: Pairs,
}

impl PaymentCreated {
    /// A created payment with the status, ids and, unless it is `Pending`, the outcome of `update`.
    ///
    /// # Errors
    /// `UnreadableAnswer` if the status is `Unknown`: the outcome is unknown.
    pub fn from_update(update: StatusUpdate, next: NextAction) -> Result<Self, ProviderFailure> {
        if update.status == NormalizedStatus::Unknown {
            return Err(ProviderFailure::unreadable(format!(
                "the created payment has the status {}, which this module does not know",
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
    /// The browser goes to this page.
    Redirect {
        /// An absolute URL, `https` or loopback.
        url: String,
    },
    /// The broker's page displays instructions.
    Instructions {
        /// A JSON object.
        json_text: String,
    },
    /// Nothing yet: a webhook or a status query will report the result.
    Wait,
    /// Nothing: the outcome is final.
    #[default]
    None,
}

/// An existing payment, for the calls about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentRef {
    /// The cashier's reference, as in the order.
    pub reference: String,
    /// Every provider id received for it so far, oldest first.
    pub refs: Vec<ProviderRef>,
    /// The provider's id of the payment itself, if a confirmation stated one.
    pub payment_id: Option<String>,
    /// The ordered amount.
    pub amount: Amount,
    /// The customer's id at the broker.
    pub customer_id: String,
    /// The trading account that the money is for.
    pub login: String,
    /// The broker's brand.
    pub brand: String,
    /// ISO 3166 alpha-2, or empty.
    pub country: String,
    /// The payment method of the order.
    pub method: String,
    /// When the cashier created it, Unix seconds.
    pub created_unix: i64,
    /// The idempotency key of this call, not of the creation.
    pub idempotency_key: String,
    /// The URL that receives webhooks about this payment.
    pub notify_url: String,
    /// The time of this exchange, Unix seconds; the only clock a module has.
    pub now_unix: i64,
    /// Unguessable text, fixed for this exchange; the only randomness a module has.
    pub nonce: String,
    /// Extension pairs.
    pub bag: Pairs,
}

impl PaymentRef {
    /// The latest id of this kind.
    pub fn id_of(&self, kind: &str) -> Option<&str> {
        self.refs.iter().rev().find(|id| id.kind == kind).map(|id| id.value.as_str())
    }

    /// The latest id of this kind, if it can be a URL path segment without encoding.
    ///
    /// # Errors
    /// `RefusedRequest` if it is empty or has a character other than ASCII letters, digits, `_` and `-`.
    pub fn path_id_of(&self, kind: &str) -> Result<Option<&str>, ProviderFailure> {
        let plain =
            |id: &str| !id.is_empty() && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
        match self.id_of(kind) {
            Some(id) if !plain(id) => Err(ProviderFailure::refused_request(
                "id_unusable",
                format!("the {kind} id of this payment cannot be part of a URL path"),
            )),
            id => Ok(id),
        }
    }
}

/// One refund to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundOrder {
    /// The payment to refund.
    pub payment: PaymentRef,
    /// The cashier's id of this refund.
    pub refund_reference: String,
    /// How much to refund by this call, positive.
    pub amount: Amount,
    /// How much was refunded before, according to the recorded facts.
    pub refunded_before: Amount,
    /// Whether the payment is fully refunded after this call.
    pub completes: bool,
    /// Why; may be empty.
    pub reason: String,
    /// Extension pairs.
    pub bag: Pairs,
}
