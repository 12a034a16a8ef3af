//! The trait a provider's author implements, and the step it answers with.
//! Not the border: what crosses into the host is made from this trait by `export_provider!`.

use crate::http::{HttpReply, HttpRequest};
use crate::types::{
    ConfigError, Descriptor, PaymentCreated, PaymentOrder, PaymentRef, ProviderConfig, ProviderFailure, RefundOrder,
    StatusUpdate, WebhookNotice, WebhookVerdict,
};

/// One payment provider, configured with one row of credentials.
///
/// A provider is a pure function of what it is shown: it opens no socket, reads no clock, draws no
/// random number and keeps no statics. Where it needs the network it answers [`Step::Send`]; the
/// host sends, and calls again with all replies so far. The time and a nonce come with the order
/// and stay the same for the whole exchange.
///
/// Everything that is not implemented is unsupported, never "fine".
pub trait PaymentProvider: Sized + Send + Sync + 'static {
    /// What this module says of itself. Called before any configuration exists.
    fn descriptor() -> Descriptor;

    /// Checks one configuration and becomes a live instance. Nothing is sent from here.
    ///
    /// # Errors
    /// The first setting that cannot work, named, in words for the person who fills the form.
    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError>;

    /// Begins one payment. The order's `idempotency_key` must travel with every request that moves
    /// money: the host may repeat the exchange, byte for byte, when an answer was lost.
    fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated>;

    /// Judges one incoming notice and reads what it says. May send only requests that are safe to
    /// repeat; a notice that needs a money-moving call says so with `StatusUpdate::advance`.
    fn normalize_status(&self, notice: &WebhookNotice, replies: &[HttpReply]) -> Step<WebhookVerdict>;

    /// Makes the money-moving call that an update asked for with `advance`, such as a capture.
    fn advance_payment(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Unsupported
    }

    /// Asks the provider what became of a payment. Only requests that are safe to repeat.
    fn query_status(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Unsupported
    }

    /// Asks the provider to close a payment that nobody has paid.
    fn cancel_payment(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Unsupported
    }

    /// Gives money back. `Refunded` means done, `Pending` means accepted and the result comes as a
    /// notice, a failure of kind `Declined` means refused for good.
    fn refund_payment(&self, _refund: &RefundOrder, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Unsupported
    }
}

/// What a provider wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Send this and call again with its reply appended to the replies so far.
    Send {
        request: HttpRequest,
        /// Set where the reply may be shown again in later exchanges, such as an access token.
        cache: Option<CachePolicy>,
    },
    /// The exchange is over and this is what it gave.
    Done(T),
    /// The exchange is over and failed; the kind says how much is known.
    Failed(ProviderFailure),
    /// This provider has no such call, or none for this payment: nothing is known to ask by.
    Unsupported,
}

impl<T> Step<T> {
    /// Sends `request`; its reply belongs to this exchange alone.
    pub fn send(request: HttpRequest) -> Self {
        Self::Send { request, cache: None }
    }

    /// Sends `request` unless a reply kept under `name` is younger than `seconds`; that one is
    /// shown instead.
    pub fn send_cached(request: HttpRequest, name: impl Into<String>, ttl_seconds: u32) -> Self {
        Self::Send { request, cache: Some(CachePolicy { name: name.into(), ttl_seconds }) }
    }

    /// The same step with another result.
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Send { request, cache } => Step::Send { request, cache },
            Self::Done(value) => Step::Done(read(value)),
            Self::Failed(failure) => Step::Failed(failure),
            Self::Unsupported => Step::Unsupported,
        }
    }
}

/// Lets a reading function use `?` and be turned into a step at the end.
impl<T> From<Result<T, ProviderFailure>> for Step<T> {
    fn from(result: Result<T, ProviderFailure>) -> Self {
        match result {
            Ok(value) => Self::Done(value),
            Err(failure) => Self::Failed(failure),
        }
    }
}

/// A reply the host may show again in later exchanges of the same instance. A failure of kind
/// `StaleReply` makes the host forget it and start the exchange once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachePolicy {
    /// Names the reply within one instance, such as `token`.
    pub name: String,
    /// How long after its arrival the reply may be shown again.
    pub ttl_seconds: u32,
}
