//! Opens connections: resolves a name, checks every address, connects, and does the TLS handshake, all within one deadline.
//! Sends no byte of a request.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use url::Host;

use super::target::Target;
use super::types::NeverSent;

/// Addresses of one name that are tried. Large providers have eight; more would only cost time.
const ADDRESSES_MAX: usize = 8;

/// Resolves names to addresses.
pub trait Resolve: Send + Sync {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
    }
}

/// The settings shared by all providers.
#[derive(Clone)]
pub struct EgressSettings {
    /// For name resolution, connection and TLS together.
    pub connect_deadline: Duration,
    /// Roots trusted besides the public ones: a private network's, a test's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    pub resolver: Arc<dyn Resolve>,
}

impl Default for EgressSettings {
    fn default() -> Self {
        // Two lost SYNs are repeated after 1 and 3 s; a connection that needs longer rarely comes.
        Self { connect_deadline: Duration::from_secs(5), extra_roots: Vec::new(), resolver: Arc::new(SystemResolver) }
    }
}

/// An open connection, plain or TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Opens connections for every provider.
pub(super) struct Dialer {
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
    connect_deadline: Duration,
}

impl Dialer {
    pub(super) fn new(settings: &EgressSettings) -> Result<Self, String> {
        Ok(Self {
            tls: TlsConnector::from(Arc::new(tls_config(&settings.extra_roots)?)),
            resolver: Arc::clone(&settings.resolver),
            connect_deadline: settings.connect_deadline,
        })
    }

    /// Opens a connection before the connect deadline, or before `ends` if that is sooner.
    pub(super) async fn dial(
        &self,
        target: &Target,
        lookups: &Arc<Semaphore>,
        ends: Instant,
    ) -> Result<Box<dyn Duplex>, NeverSent> {
        let ends = ends.min(Instant::now() + self.connect_deadline);
        let addresses = self.addresses(target, lookups, ends).await?;
        let socket = connect(&addresses, target, ends).await?;
        // A request is written whole; waiting to fill a segment would only delay it.
        let _ = socket.set_nodelay(true);
        if !target.tls {
            return Ok(Box::new(socket));
        }
        let name = server_name(&target.host)?;
        match timeout_at(ends, self.tls.connect(name, socket)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(NeverSent::Tls(format!("TLS with {}: {error}", target.host))),
            Err(_) => Err(NeverSent::Tls(format!("TLS with {}: no handshake before the deadline", target.host))),
        }
    }

    /// The addresses of the host. One that is not permitted refuses them all: a name that mixes them is an attack.
    async fn addresses(
        &self,
        target: &Target,
        lookups: &Arc<Semaphore>,
        ends: Instant,
    ) -> Result<Vec<SocketAddr>, NeverSent> {
        let mut addresses = match &target.host {
            Host::Ipv4(address) => vec![SocketAddr::new(IpAddr::V4(*address), target.port)],
            Host::Ipv6(address) => vec![SocketAddr::new(IpAddr::V6(*address), target.port)],
            Host::Domain(name) => match timeout_at(ends, self.look_up(name, target.port, lookups)).await {
                Ok(Ok(addresses)) => addresses,
                Ok(Err(error)) => return Err(NeverSent::Dns(format!("{name}: {error}"))),
                Err(_) => return Err(NeverSent::Dns(format!("{name}: no answer before the deadline"))),
            },
        };
        for address in &addresses {
            target.permits(address.ip()).map_err(NeverSent::Refused)?;
        }
        if addresses.is_empty() {
            return Err(NeverSent::Dns(format!("{}: no address", target.host)));
        }
        addresses.truncate(ADDRESSES_MAX);
        Ok(addresses)
    }

    /// Resolves a name on a task of its own: a lookup that its request no longer waits for still blocks a thread, and its
    /// permit with it.
    async fn look_up(&self, name: &str, port: u16, lookups: &Arc<Semaphore>) -> io::Result<Vec<SocketAddr>> {
        let permit = Arc::clone(lookups).acquire_owned().await.map_err(io::Error::other)?;
        let resolving = self.resolver.resolve(name, port);
        let resolved = tokio::spawn(async move {
            let addresses = resolving.await;
            drop(permit);
            addresses
        });
        resolved.await.map_err(io::Error::other)?
    }
}

/// Tries the addresses in turn, each for its even share of the time left.
async fn connect(addresses: &[SocketAddr], target: &Target, ends: Instant) -> Result<TcpStream, NeverSent> {
    let mut failure = String::new();
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let turn_ends = Instant::now() + ends.saturating_duration_since(Instant::now()) / left;
        failure = match timeout_at(turn_ends, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => format!("{} at {address}: {error}", target.host),
            Err(_) => format!("{} at {address}: no connection before the deadline", target.host),
        };
    }
    Err(NeverSent::Connect(failure))
}

fn server_name(host: &Host) -> Result<ServerName<'static>, NeverSent> {
    match host {
        Host::Domain(name) => {
            ServerName::try_from(name.clone()).map_err(|_| NeverSent::Tls(format!("{name} cannot be named to TLS")))
        }
        Host::Ipv4(address) => Ok(ServerName::IpAddress(IpAddr::V4(*address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress(IpAddr::V6(*address).into())),
    }
}

fn tls_config(extra_roots: &[CertificateDer<'static>]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for root in extra_roots {
        roots.add(root.clone()).map_err(|error| format!("an extra root certificate is not usable: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
