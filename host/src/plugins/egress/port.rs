//! The only network of modules, as a port: where requests may go, and what is known when no reply came. The client behind
//! it enforces the policy, checks addresses after DNS, follows no redirect and limits every size.

use std::sync::Arc;
use std::time::Duration;

pub use cashier_provider_sdk::{HttpReply, HttpRequest};
use futures_util::future::BoxFuture;

/// Where one module's requests may go, from its descriptor and plugins.toml; a config may only choose among these hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressPolicy {
    pub provider: String,
    /// `host` for port 443, or `host:port`.
    pub hosts: Vec<String>,
    /// A `host:port` that is allowed although its address is private or loopback, or a range of addresses.
    pub private: Vec<String>,
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The host itself refused to send it; this is no sign of the provider's health.
    Refused(String),
    /// No byte of the request left.
    NeverSent(String),
    /// It may have arrived.
    Unknown(String),
}

/// The network of one module, or of one of its configs.
pub trait Network: Send + Sync {
    /// The same network with connections of its own, for one config: those that hang under it must leave the others theirs.
    fn for_config(self: Arc<Self>) -> Arc<dyn Network>;

    /// Whether requests may go to this URL, by its scheme, host and port.
    ///
    /// # Errors
    /// Why they may not; without path or query.
    fn permits(&self, url: &str) -> Result<(), String>;

    /// Sends `request` and waits for the whole reply, no longer than `within`. Header names of the reply are lower case.
    fn send(&self, request: HttpRequest, within: Duration) -> BoxFuture<'static, Result<HttpReply, SendError>>;
}

/// Opens the networks of modules.
pub trait Networks: Send + Sync {
    /// The network of one module under `policy`.
    ///
    /// # Errors
    /// The policy names something that is not a host.
    fn open(&self, policy: EgressPolicy) -> Result<Arc<dyn Network>, String>;
}
