//! Starts the service; a running service is stopped through its handle.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::settings::{ATTEMPTS_MAX, SandboxSettings};
use crate::state::ServiceState;
use crate::{routes, server, validation};

/// The service, to be started inside a tokio runtime.
#[derive(Debug, Clone, Copy)]
pub struct SandboxService;

/// A running service. Dropping it closes the listener too, without waiting.
pub struct RunningSandbox {
    addr: SocketAddr,
    state: Arc<ServiceState>,
    end: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl SandboxService {
    /// Binds the address; when this returns, requests are answered.
    ///
    /// # Errors
    /// An empty secret, an address that is not allowed or not free, an unreadable public URL.
    pub async fn start(mut settings: SandboxSettings) -> Result<RunningSandbox, SandboxStartError> {
        if settings.api_key.is_empty() {
            return Err(SandboxStartError::EmptySecret("API key"));
        }
        if settings.webhook_secret.is_empty() {
            return Err(SandboxStartError::EmptySecret("webhook secret"));
        }
        if !settings.listen.ip().is_loopback() && !settings.allow_remote_listen {
            return Err(SandboxStartError::NotLoopback(settings.listen));
        }
        let attempts = settings.retry_delays.len().saturating_add(1);
        if attempts > ATTEMPTS_MAX {
            return Err(SandboxStartError::Attempts(attempts));
        }
        settings.limits = settings.limits.capped();
        validation::check_switch_count(&settings.default_switches)
            .map_err(|error| SandboxStartError::Switches(error.message))?;
        let public_url = match settings.public_url.as_deref() {
            Some(url) => match validation::absolute(url) {
                Some(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none() => {
                    Some(url.trim_end_matches('/').to_owned())
                }
                Some(_) | None => return Err(SandboxStartError::PublicUrl),
            },
            None => None,
        };
        let listener =
            TcpListener::bind(settings.listen).await.map_err(|why| SandboxStartError::Bind(settings.listen, why))?;
        let addr = listener.local_addr().map_err(|why| SandboxStartError::Bind(settings.listen, why))?;
        let base_url = public_url.unwrap_or_else(|| format!("http://{addr}"));

        let clock = Arc::clone(&settings.clock);
        let state = ServiceState::new(settings, base_url);
        let (end, ending) = watch::channel(false);
        let service = warp::service(routes::all(&state));
        let server = tokio::spawn(server::serve_connections(listener, service, clock, ending));
        Ok(RunningSandbox { addr, state, end, server })
    }
}

impl RunningSandbox {
    /// The bound address, with the actual port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Start of every URL here, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.state.base_url
    }

    /// Closes the listener, cancels running deliveries, and waits until all tasks have ended.
    pub async fn stop(self) {
        let _ = self.end.send(true);
        self.state.tasks.stop().await;
        // An error means that the accept loop panicked.
        if let Err(error) = self.server.await {
            tracing::error!(%error, "the accept loop failed");
        }
    }
}

/// Why the service did not start.
#[derive(Debug)]
pub enum SandboxStartError {
    /// The name of the secret that is empty.
    EmptySecret(&'static str),
    NotLoopback(SocketAddr),
    PublicUrl,
    /// How many attempts of a webhook its delays are for.
    Attempts(usize),
    Switches(String),
    Bind(SocketAddr, std::io::Error),
}

impl fmt::Display for SandboxStartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptySecret(which) => write!(f, "the {which} is empty"),
            Self::NotLoopback(addr) => {
                write!(f, "{addr} can be reached from other machines; allow it with --allow-remote-listen")
            }
            Self::PublicUrl => f.write_str("the public URL must be an absolute http(s):// URL without a query"),
            Self::Attempts(attempts) => {
                write!(
                    f,
                    "{attempts} attempts of a webhook are more than {ATTEMPTS_MAX}: give at most {} delays",
                    ATTEMPTS_MAX - 1
                )
            }
            Self::Switches(why) => f.write_str(why),
            Self::Bind(addr, why) => write!(f, "cannot listen on {addr}: {why}"),
        }
    }
}

impl Error for SandboxStartError {}
