//! The only network that modules have, as a port: who may be asked, what is sent, what is known when no answer came.
//! The client behind it keeps to the policy, checks addresses after DNS, follows no redirect and limits every size.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use cashier_provider_sdk::{HttpReply, HttpRequest};
use futures_util::future::BoxFuture;

/// Where one module's requests may go. Comes from its descriptor and plugins.toml; a config may only choose among it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressPolicy {
    pub provider: String,
    /// `host` for port 443, or `host:port`.
    pub hosts: Vec<String>,
    /// `host:port` that may be asked though its address is private or loopback, or a range of addresses.
    pub private: Vec<String>,
}

/// No answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The host itself does not send it; says nothing about the provider.
    Refused(String),
    /// Not a byte of the request left.
    NeverSent(String),
    /// It may have arrived.
    Unknown(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) | Self::NeverSent(reason) | Self::Unknown(reason) => f.write_str(reason),
        }
    }
}

/// One module's way out, with connections of its own.
pub trait Network: Send + Sync {
    /// Whether requests may go to this URL, as far as scheme, host and port tell.
    ///
    /// # Errors
    /// Why they may not; without path or query.
    fn permits(&self, url: &str) -> Result<(), String>;

    /// Sends `request` and waits for the whole reply, no longer than `within`. Header names of the reply are lower case.
    fn send(&self, request: HttpRequest, within: Duration) -> BoxFuture<'static, Result<HttpReply, SendError>>;
}

/// Makes ways out.
pub trait Networks: Send + Sync {
    /// A way out under `policy`.
    ///
    /// # Errors
    /// The policy names something that is no host.
    fn open(&self, policy: EgressPolicy) -> Result<Arc<dyn Network>, String>;
}
