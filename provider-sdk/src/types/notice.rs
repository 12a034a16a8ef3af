//! One webhook as received, and the module's verdict on it.
//! There is no boolean "signature valid": a verdict has four variants, and three of them state a reason.

use std::fmt;

use serde_json::Value;

use super::{Pairs, ProviderFailure, ProviderRef, StatusUpdate};
use crate::http::find_header;
use crate::signature::{SignatureProof, Unverified};

/// A webhook request as the provider sent it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebhookNotice {
    /// The provider code of the path.
    pub provider: String,
    /// The request path, with its leading slash.
    pub path: String,
    /// The HTTP method, upper case.
    pub method: String,
    /// Names in lower case, in the order received.
    pub headers: Pairs,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The query string without its question mark, not decoded.
    pub raw_query: String,
    /// The value of the content-type header, or empty.
    pub content_type: String,
    /// When it was first received, Unix seconds. It stays the same if the host replays the webhook, so check
    /// signed timestamps against it.
    pub received_unix: i64,
    /// Unguessable text, fixed for this webhook; the only randomness a module has.
    pub nonce: String,
    /// Extension pairs.
    pub bag: Pairs,
}

impl WebhookNotice {
    /// The first header of this name; case does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// The body as JSON, once its signature is proven, by [`json::parse`](crate::json::parse): read its fields with
    /// [`JsonRead`](crate::JsonRead).
    ///
    /// # Errors
    /// `UnreadableAnswer` if it is not JSON; return it, and the guard makes it [`WebhookVerdict::Unreadable`]. The message
    /// does not quote the body, which may contain secrets.
    pub fn json(&self, _: &SignatureProof) -> Result<Value, ProviderFailure> {
        crate::json::parse(&self.body)
            .map_err(|error| ProviderFailure::unreadable(format!("the signed notice: {}", error.message)))
    }
}

/// Bodies and headers contain signatures and customer data: Debug prints only their sizes.
impl fmt::Debug for WebhookNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookNotice")
            .field("provider", &self.provider)
            .field("path", &self.path)
            .field("method", &self.method)
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .field("content_type", &self.content_type)
            .field("received_unix", &self.received_unix)
            .finish_non_exhaustive()
    }
}

/// Whether a webhook is the provider's, and what it reports.
///
/// A failure is never a rejection. Once a [`SignatureProof`] over every byte exists, a call that ends with a failure (but
/// `CredentialsRefused`, `Temporary` and `StaleReply`) or a panic is [`Unreadable`](Self::Unreadable): the guard sees to it. Without such a proof
/// the host answers 503, so that the provider sends the webhook again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookVerdict {
    /// The signature is valid, and all that matters was read.
    Verified {
        /// What it reports. Empty for a ping or an event that changes no payment.
        updates: Vec<StatusUpdate>,
        /// The provider's id of this webhook, for those that report nothing; an update has its own.
        event_id: Option<String>,
        /// Why nothing is to be done, for managers: an unknown type, a test event under a live config.
        ignored: Option<String>,
        /// The response the provider requires; `None` for the host's default.
        acknowledgement: Option<Acknowledgement>,
    },
    /// The signature is valid over every byte, and what matters cannot be read. The host stores it, answers 2xx, queries
    /// the provider and shows it to newer builds of the module.
    Unreadable(Unreadable),
    /// It is not the provider's, with the reason: wrong or missing signature.
    Rejected(String),
    /// The signature is valid and the signed time is out of tolerance, with the reason: it was replayed, or a clock is
    /// wrong. The host rejects it, unless it does not believe its own clock.
    Untimely(String),
    /// It cannot be verified, with the reason: no secret is configured.
    Undetermined(String),
}

/// An authentic webhook that was not understood, with what could be read of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// What could not be read, for managers; never the value itself.
    pub reason: String,
    /// The provider's id of this webhook.
    pub event_id: Option<String>,
    /// The cashier's reference: this payment is queried at once.
    pub reference: Option<String>,
    /// Provider ids: a payment that is known by one of them is queried at once.
    pub refs: Vec<ProviderRef>,
    /// The response the provider requires; `None` for the host's default.
    pub acknowledgement: Option<Acknowledgement>,
}

impl WebhookVerdict {
    /// Verified, and without an update.
    pub fn no_updates() -> Self {
        Self::updates(Vec::new())
    }

    /// Verified with these updates and the host's default response.
    pub fn updates(updates: Vec<StatusUpdate>) -> Self {
        Self::Verified { updates, event_id: None, ignored: None, acknowledgement: None }
    }

    /// Verified, and nothing is to be done, for this reason: a type that the module does not know, an event of the other
    /// mode. `event_id` is the provider's id of the webhook.
    pub fn ignored(event_id: Option<String>, reason: impl Into<String>) -> Self {
        Self::Verified { updates: Vec::new(), event_id, ignored: Some(reason.into()), acknowledgement: None }
    }

    /// [`WebhookVerdict::Unreadable`] for this reason. Where the proof does not cover every byte the guard makes it a
    /// failure.
    pub fn unreadable(_: &SignatureProof, reason: impl Into<String>) -> Self {
        Self::Unreadable(Unreadable { reason: reason.into(), ..Unreadable::default() })
    }

    /// [`WebhookVerdict::Rejected`] for this reason.
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected(reason.into())
    }

    /// [`WebhookVerdict::Undetermined`] for this reason.
    pub fn undetermined(reason: impl Into<String>) -> Self {
        Self::Undetermined(reason.into())
    }

    /// The same with the provider's id of the webhook.
    #[must_use]
    pub fn with_event_id(mut self, id: Option<String>) -> Self {
        match &mut self {
            Self::Verified { event_id, .. } | Self::Unreadable(Unreadable { event_id, .. }) => *event_id = id,
            Self::Rejected(_) | Self::Untimely(_) | Self::Undetermined(_) => {}
        }
        self
    }

    /// The same with the response that the provider requires.
    #[must_use]
    pub fn acknowledged_with(mut self, answer: Acknowledgement) -> Self {
        match &mut self {
            Self::Verified { acknowledgement, .. } | Self::Unreadable(Unreadable { acknowledgement, .. }) => {
                *acknowledgement = Some(answer);
            }
            Self::Rejected(_) | Self::Untimely(_) | Self::Undetermined(_) => {}
        }
        self
    }

    /// The same with what can still be read of the payment; for [`WebhookVerdict::Unreadable`] alone.
    #[must_use]
    pub fn about(mut self, reference: Option<String>, refs: Vec<ProviderRef>) -> Self {
        if let Self::Unreadable(unreadable) = &mut self {
            (unreadable.reference, unreadable.refs) = (reference, refs);
        }
        self
    }
}

impl From<Unverified> for WebhookVerdict {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Rejected(reason) => Self::Rejected(reason),
            Unverified::Untimely(reason) => Self::Untimely(reason),
            Unverified::Undetermined(reason) => Self::Undetermined(reason),
        }
    }
}

/// The HTTP response that a provider requires to its webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The HTTP status, 200..=599.
    pub status: u16,
    /// Headers beside those the host sets.
    pub headers: Pairs,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}
