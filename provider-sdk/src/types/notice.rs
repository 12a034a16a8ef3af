//! One incoming webhook as received, and what a module makes of it.
//! There is no boolean for "signature valid": a verdict is one of three and carries its reason.

use std::fmt;

use serde_json::Value;

use super::{Pairs, ProviderFailure, StatusUpdate};
use crate::http::find_header;
use crate::signature::SignatureProof;

/// What a provider sent, byte for byte.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebhookNotice {
    pub provider: String,
    pub path: String,
    pub method: String,
    /// Names in lower case, in the order received.
    pub headers: Pairs,
    pub body: Vec<u8>,
    /// The query string without its question mark.
    pub raw_query: String,
    pub content_type: String,
    /// When it was received, Unix seconds. A replay brings the first time back, so this is the
    /// clock to check timestamps against.
    pub received_unix: i64,
    pub nonce: String,
    pub bag: Pairs,
}

impl WebhookNotice {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// The body of a proven notice as JSON; numbers keep the text they were written in.
    ///
    /// # Errors
    /// `UnreadableAnswer` when it is not JSON: the host keeps such a notice. The body itself is not
    /// quoted: it may hold secrets.
    pub fn json(&self, _: &SignatureProof) -> Result<Value, ProviderFailure> {
        serde_json::from_slice(&self.body).map_err(|_| ProviderFailure::unreadable("the signed notice is not JSON"))
    }
}

/// Bodies and headers hold signatures and customers' data: only their measure is shown.
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

/// Whether a notice is the provider's, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookVerdict {
    /// It is. `updates` may be empty: a ping, a report that matters to no payment.
    Verified {
        updates: Vec<StatusUpdate>,
        /// The answer the provider wants; the host's own where absent.
        acknowledgement: Option<Acknowledgement>,
    },
    /// It is not: a wrong or missing signature, too old, for another merchant.
    Rejected(String),
    /// Nobody can say: no secret is configured.
    Undetermined(String),
}

impl WebhookVerdict {
    /// Genuine and saying nothing about a payment.
    pub fn no_updates() -> Self {
        Self::updates(Vec::new())
    }

    /// Genuine, acknowledged in the host's own words.
    pub fn updates(updates: Vec<StatusUpdate>) -> Self {
        Self::Verified { updates, acknowledgement: None }
    }

    pub fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected(reason.into())
    }

    pub fn undetermined(reason: impl Into<String>) -> Self {
        Self::Undetermined(reason.into())
    }
}

/// The answer a provider wants to its notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The HTTP status, 200..=599.
    pub status: u16,
    pub headers: Pairs,
    pub body: Vec<u8>,
}
