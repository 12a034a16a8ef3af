//! Starts the service and holds it while it runs.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::house::House;
use crate::settings::SandboxSettings;
use crate::{door, intake, routes};

/// The service, to be started inside a tokio runtime.
#[derive(Debug, Clone, Copy)]
pub struct SandboxService;

/// A running service. Dropping it closes the door too, without waiting.
pub struct Running {
    addr: SocketAddr,
    house: Arc<House>,
    end: watch::Sender<bool>,
    door: JoinHandle<()>,
}

impl SandboxService {
    /// Opens the door; when this returns, requests are answered.
    ///
    /// # Errors
    /// A blank secret, an address that is not allowed or not free, an unreadable public URL.
    pub async fn start(mut settings: SandboxSettings) -> Result<Running, StartError> {
        if settings.api_key.is_blank() {
            return Err(StartError::BlankSecret("API key"));
        }
        if settings.webhook_secret.is_blank() {
            return Err(StartError::BlankSecret("webhook secret"));
        }
        if !settings.listen.ip().is_loopback() && !settings.allow_remote_listen {
            return Err(StartError::NotLoopback(settings.listen));
        }
        settings.limits = settings.limits.capped();
        intake::switches_fit(&settings.default_switches).map_err(|refusal| StartError::Switches(refusal.message))?;
        let public_url = match settings.public_url.as_deref() {
            Some(url) => match intake::absolute(url) {
                Some(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none() => {
                    Some(url.trim_end_matches('/').to_owned())
                }
                Some(_) | None => return Err(StartError::PublicUrl),
            },
            None => None,
        };
        let listener =
            TcpListener::bind(settings.listen).await.map_err(|why| StartError::Bind(settings.listen, why))?;
        let addr = listener.local_addr().map_err(|why| StartError::Bind(settings.listen, why))?;
        let base_url = public_url.unwrap_or_else(|| format!("http://{addr}"));

        let clock = Arc::clone(&settings.clock);
        let house = House::new(settings, base_url);
        let (end, ending) = watch::channel(false);
        let service = warp::service(routes::all(&house));
        let door = tokio::spawn(door::keep_open(listener, service, clock, ending));
        Ok(Running { addr, house, end, door })
    }
}

impl Running {
    /// The bound address, with the true port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Start of every URL here, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.house.base_url
    }

    /// Closes the door, ends deliveries under way, and waits until all is gone.
    pub async fn stop(self) {
        let _ = self.end.send(true);
        self.house.crew.stop().await;
        // An error says that the door fell by itself.
        if let Err(error) = self.door.await {
            tracing::error!(%error, "the door broke");
        }
    }
}

/// Why the service did not start.
#[derive(Debug)]
pub enum StartError {
    /// Named: the secret that is empty.
    BlankSecret(&'static str),
    NotLoopback(SocketAddr),
    PublicUrl,
    Switches(String),
    Bind(SocketAddr, std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlankSecret(which) => write!(f, "the {which} is empty"),
            Self::NotLoopback(addr) => {
                write!(f, "{addr} can be reached from other machines; allow it with --allow-remote-listen")
            }
            Self::PublicUrl => f.write_str("the public URL must be an absolute http(s):// URL without a query"),
            Self::Switches(why) => f.write_str(why),
            Self::Bind(addr, why) => write!(f, "cannot listen on {addr}: {why}"),
        }
    }
}

impl Error for StartError {}
