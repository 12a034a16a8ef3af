//! One webhook as received, and the module's verdict on it.
//! There is no boolean "signature valid": a verdict has three variants, and two of them state a reason.

use std::fmt;

use serde_json::Value;

use super::{Pairs, ProviderFailure, StatusUpdate};
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
    /// `UnreadableAnswer` if it is not JSON; the host stores such a webhook for review. The message does not
    /// quote the body, which may contain secrets.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookVerdict {
    /// The signature is valid.
    Verified {
        /// What it reports. Empty for a ping or an event that concerns no payment.
        updates: Vec<StatusUpdate>,
        /// The response the provider requires; `None` for the host's default.
        acknowledgement: Option<Acknowledgement>,
    },
    /// It is not the provider's, with the reason: wrong or missing signature, too old, for another merchant.
    Rejected(String),
    /// It cannot be verified, with the reason: no secret is configured.
    Undetermined(String),
}

impl WebhookVerdict {
    /// Verified, and without an update.
    pub fn no_updates() -> Self {
        Self::updates(Vec::new())
    }

    /// Verified with these updates and the host's default response.
    pub fn updates(updates: Vec<StatusUpdate>) -> Self {
        Self::Verified { updates, acknowledgement: None }
    }

    /// [`WebhookVerdict::Rejected`] for this reason.
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected(reason.into())
    }

    /// [`WebhookVerdict::Undetermined`] for this reason.
    pub fn undetermined(reason: impl Into<String>) -> Self {
        Self::Undetermined(reason.into())
    }
}

impl From<Unverified> for WebhookVerdict {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Rejected(reason) => Self::Rejected(reason),
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
