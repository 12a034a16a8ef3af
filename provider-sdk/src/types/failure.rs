//! How a call to a provider can fail, by what is known about the money afterwards.
//! Network errors are not here: only the host knows whether a request was sent.

use std::error::Error;
use std::fmt;

/// What is known after a failed exchange. The host decides about money by it: if you are not certain, choose
/// a kind whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The provider declined this payment: no money was taken and none will be.
    Declined,
    /// The provider refused the request and did nothing: malformed, an unknown operation.
    RefusedRequest,
    /// The provider refused the config's credentials and did nothing: a wrong, expired or restricted key. It is not about
    /// the payment: the host answers "unavailable" and warns the operators.
    CredentialsRefused,
    /// The provider has no such payment. Only for query, cancel, refund, advance.
    NotFound,
    /// A reply arrived and could not be parsed: the outcome is unknown.
    UnreadableAnswer,
    /// Retry with the same idempotency key: too many requests, a 5xx. The outcome is unknown.
    Temporary,
    /// A cached reply, such as a token, no longer works: the host drops it and restarts the exchange once.
    StaleReply,
    /// The module panicked. Set by the guard, never by a module. The outcome is unknown.
    Panicked,
}

impl FailureKind {
    /// The name used in cases and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::RefusedRequest => "refused_request",
            Self::CredentialsRefused => "credentials_refused",
            Self::NotFound => "not_found",
            Self::UnreadableAnswer => "unreadable_answer",
            Self::Temporary => "temporary",
            Self::StaleReply => "stale_reply",
            Self::Panicked => "panicked",
        }
    }

    /// Whether this exchange certainly moved no money.
    pub fn is_definite(self) -> bool {
        match self {
            Self::Declined | Self::RefusedRequest | Self::CredentialsRefused | Self::NotFound => true,
            Self::UnreadableAnswer | Self::Temporary | Self::StaleReply | Self::Panicked => false,
        }
    }
}

/// A failed exchange. Its texts go to operators and logs: they must contain no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderFailure {
    /// What is known about the money.
    pub kind: FailureKind,
    /// The provider's own code or a short snake_case code, such as `card_declined`.
    pub code: String,
    /// The order's field that cannot be paid with, such as `amount`; empty if the failure is not about one.
    pub field: String,
    /// One sentence for the operator; the guard cuts it to 300 characters.
    pub message: String,
    /// Whether the same request with the same key may succeed later.
    pub retryable: bool,
    /// How long the provider wants the caller to wait before a retry, in seconds.
    pub retry_after_seconds: Option<u32>,
}

impl ProviderFailure {
    /// A failure of `kind`; retryable if the kind is `Temporary` or `StaleReply`.
    pub fn new(kind: FailureKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            field: String::new(),
            message: message.into(),
            retryable: matches!(kind, FailureKind::Temporary | FailureKind::StaleReply),
            retry_after_seconds: None,
        }
    }

    /// The same failure with another kind, and retryable as that kind is.
    #[must_use]
    pub fn with_kind(self, kind: FailureKind) -> Self {
        let Self { field, retry_after_seconds, .. } = self;
        Self { field, retry_after_seconds, ..Self::new(kind, self.code, self.message) }
    }

    /// [`FailureKind::Declined`].
    pub fn declined(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Declined, code, message)
    }

    /// [`FailureKind::RefusedRequest`].
    pub fn refused_request(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::RefusedRequest, code, message)
    }

    /// [`FailureKind::CredentialsRefused`].
    pub fn credentials_refused(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::CredentialsRefused, code, message)
    }

    /// [`FailureKind::RefusedRequest`] of an order that can never be paid, before any request was sent. The customer is
    /// shown `field` and `message`: name the limit, such as "must be a multiple of 0.010 KWD".
    pub fn refused_order(field: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), ..Self::refused_request(code, message) }
    }

    /// [`FailureKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, "not_found", message)
    }

    /// [`FailureKind::UnreadableAnswer`].
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::UnreadableAnswer, "unreadable_answer", message)
    }

    /// [`FailureKind::Temporary`].
    pub fn temporary(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Temporary, code, message)
    }

    /// [`FailureKind::StaleReply`].
    pub fn stale_reply(message: impl Into<String>) -> Self {
        Self::new(FailureKind::StaleReply, "stale_reply", message)
    }
}

impl fmt::Display for ProviderFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for ProviderFailure {}

/// A config that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The config field or settings key that is wrong, such as `secret_key` or `api_base`.
    pub field: String,
    /// What is wrong with it, for the person who fills in the form. Never the value of a secret.
    pub message: String,
}

impl ConfigError {
    /// `message` about `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl Error for ConfigError {}
