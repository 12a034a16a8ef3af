//! The trait that a provider module implements, and the step that each of its calls returns.
//! It is not the ABI: `export_provider!` builds the exported functions from this trait.

use crate::http::{HttpReply, HttpRequest};
use crate::types::{
    ConfigError, Descriptor, FailureKind, PaymentCreated, PaymentOrder, PaymentRef, ProviderConfig, ProviderFailure,
    RefundOrder, StatusUpdate, WebhookNotice, WebhookVerdict,
};

/// One payment provider with one config.
///
/// Every call is a pure function of its arguments: a provider opens no socket, reads no clock, draws no random
/// number and has no mutable statics. If it needs the network it returns [`Step::Send`]; the host sends the
/// request and calls again with all replies so far. The time and a nonce are in the arguments and stay the
/// same for the whole exchange.
///
/// A call that is not implemented returns [`Step::Unsupported`], never success.
pub trait PaymentProvider: Sized + Send + Sync + 'static {
    /// Describes this module. Called before any config exists.
    fn descriptor() -> Descriptor;

    /// Validates one config and returns an instance. It cannot send requests.
    ///
    /// # Errors
    /// The first setting that cannot work, with a message for the person who fills in the form.
    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError>;

    /// Whether an order can be paid with this provider, asked before it exists. What can never work is refused here: an
    /// amount that its currency cannot express, a missing return URL, an unsupported currency. It sends no request; what
    /// it lets pass is created with the same order.
    ///
    /// Unless it is implemented, the first step of [`create_payment`](Self::create_payment) answers, if that refuses the
    /// request. A provider whose first step is a request for a token should implement it.
    ///
    /// # Errors
    /// [`ProviderFailure::refused_order`] with the field and its limit, for the customer. Any other kind means that the
    /// question could not be answered: the order is not sent.
    fn check_order(&self, order: &PaymentOrder) -> Result<(), ProviderFailure> {
        match self.create_payment(order, &[]) {
            Step::Failed(failure) if failure.kind == FailureKind::RefusedRequest => Err(failure),
            Step::Send { .. } | Step::Done(_) | Step::Failed(_) | Step::Unsupported => Ok(()),
        }
    }

    /// Creates one payment. Send the order's `idempotency_key` with every request that moves money: the host
    /// may repeat the exchange, byte for byte, if a reply was lost.
    fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated>;

    /// Verifies one webhook and maps it to updates. Verify first: once every byte is proven, what fails is an authentic
    /// webhook that was not understood (see [`WebhookVerdict::Unreadable`]); before that it is a failure, and the host
    /// answers 503. A wrong signature is a verdict, not a failure. It may send only requests that are safe to repeat; if the
    /// webhook requires a call that moves money, set `StatusUpdate::advance`.
    fn normalize_status(&self, notice: &WebhookNotice, replies: &[HttpReply]) -> Step<WebhookVerdict>;

    /// Makes the call that moves money after an update with `advance`, such as a capture.
    fn advance_payment(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Unsupported
    }

    /// Queries the status of a payment. It may send only requests that are safe to repeat. A module that declares `refund` states
    /// of a payment that was paid, also beside a dispute or a review, what was refunded so far, also 0: without it nothing says that
    /// a refund without an answer was not made.
    fn query_status(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Unsupported
    }

    /// Cancels an unpaid payment at the provider.
    fn cancel_payment(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Unsupported
    }

    /// Refunds a payment. `Refunded` means done, `Pending` means accepted and a webhook will report the
    /// result, a failure of kind `Declined` means finally refused.
    fn refund_payment(&self, _refund: &RefundOrder, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Unsupported
    }
}

/// What a call returns: one more request to send, or the end of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Send a request and call again with its reply appended to the replies so far.
    Send {
        /// The request.
        request: HttpRequest,
        /// Set if the reply may be reused in later exchanges, such as an access token.
        cache: Option<CachePolicy>,
    },
    /// The exchange ended with this result.
    Done(T),
    /// The exchange failed; the kind states what is known about the money.
    Failed(ProviderFailure),
    /// This provider has no such call, or no id is known by which to make it for this payment.
    Unsupported,
}

impl<T> Step<T> {
    /// Sends `request`; its reply is used in this exchange only.
    pub fn send(request: HttpRequest) -> Self {
        Self::Send { request, cache: None }
    }

    /// Sends `request`, or reuses the cached reply `name` if it is younger than `ttl_seconds`.
    pub fn send_cached(request: HttpRequest, name: impl Into<String>, ttl_seconds: u32) -> Self {
        Self::Send { request, cache: Some(CachePolicy { name: name.into(), ttl_seconds }) }
    }

    /// The same step, with `read` applied to a `Done` result.
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Send { request, cache } => Step::Send { request, cache },
            Self::Done(value) => Step::Done(read(value)),
            Self::Failed(failure) => Step::Failed(failure),
            Self::Unsupported => Step::Unsupported,
        }
    }
}

/// A function that reads replies can use `?` and end with `.into()`.
impl<T> From<Result<T, ProviderFailure>> for Step<T> {
    fn from(result: Result<T, ProviderFailure>) -> Self {
        match result {
            Ok(value) => Self::Done(value),
            Err(failure) => Self::Failed(failure),
        }
    }
}

/// Lets the host reuse a successful reply in later exchanges of the same instance. A failure of kind
/// `StaleReply` makes the host drop it and restart the exchange once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachePolicy {
    /// The cache key within one instance, such as `token`.
    pub name: String,
    /// How long after its arrival the reply may be reused, in seconds.
    pub ttl_seconds: u32,
}
