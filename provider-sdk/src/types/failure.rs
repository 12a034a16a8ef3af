//! How a call to a provider can go wrong, sorted by how much is known afterwards.
//! Not network trouble: that a request was never sent is the host's to know and to say.

use std::error::Error;
use std::fmt;

/// What is known after a failed exchange. The host decides money by this, so choose the weakest
/// that is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A definite no to this payment: nothing was taken and nothing will be.
    Declined,
    /// A definite no to our request: malformed, unauthorised, unknown to the provider.
    RefusedRequest,
    /// The provider states that it has no such payment. Only for query, cancel, refund, advance.
    NotFound,
    /// An answer came and could not be read: the outcome is unknown.
    UnreadableAnswer,
    /// May be repeated with the same key: too many requests, a 5xx. The outcome is unknown.
    Temporary,
    /// A kept reply, such as a token, stopped working: the host forgets it and starts once more.
    StaleReply,
    /// The module panicked. Made by the guard, never by an author. The outcome is unknown.
    Panicked,
}

impl FailureKind {
    /// The word as written in cases and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::RefusedRequest => "refused_request",
            Self::NotFound => "not_found",
            Self::UnreadableAnswer => "unreadable_answer",
            Self::Temporary => "temporary",
            Self::StaleReply => "stale_reply",
            Self::Panicked => "panicked",
        }
    }

    /// Whether it is certain that this exchange moved no money.
    pub fn is_definite(self) -> bool {
        match self {
            Self::Declined | Self::RefusedRequest | Self::NotFound => true,
            Self::UnreadableAnswer | Self::Temporary | Self::StaleReply | Self::Panicked => false,
        }
    }
}

/// A failed exchange. Texts are for the operator and the logs: they must hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderFailure {
    pub kind: FailureKind,
    /// The provider's own code or a short snake_case word, such as `card_declined`.
    pub code: String,
    /// One sentence for the operator.
    pub message: String,
    /// Whether the same request under the same key may succeed later.
    pub retryable: bool,
    /// How long the provider asked us to wait, in seconds.
    pub retry_after_seconds: Option<u32>,
}

impl ProviderFailure {
    /// A failure of `kind`; retryable where the kind says so by nature.
    pub fn new(kind: FailureKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            retryable: matches!(kind, FailureKind::Temporary | FailureKind::StaleReply),
            retry_after_seconds: None,
        }
    }

    /// The same failure where another kind is known; retryable where that kind says so by nature.
    #[must_use]
    pub fn with_kind(self, kind: FailureKind) -> Self {
        Self { retry_after_seconds: self.retry_after_seconds, ..Self::new(kind, self.code, self.message) }
    }

    /// A definite no to this payment.
    pub fn declined(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Declined, code, message)
    }

    /// A definite no to our request.
    pub fn refused_request(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::RefusedRequest, code, message)
    }

    /// The provider has no such payment.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, "not_found", message)
    }

    /// An answer that could not be read.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::UnreadableAnswer, "unreadable_answer", message)
    }

    /// Worth repeating with the same key.
    pub fn temporary(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Temporary, code, message)
    }

    /// A kept reply stopped working.
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

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The column or settings key at fault, such as `secret_key` or `api_base`.
    pub field: String,
    /// What is wrong with it, for the person who fills the form. Never the value of a secret.
    pub message: String,
}

impl ConfigError {
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
