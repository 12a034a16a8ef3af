//! The accept loop around the routes: slow senders, connection limits, panics, TLS, request ids, latency and the access
//! log are handled here, once, for every listener. It knows no path.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;
use tracing::Instrument;
use warp::Reply as _;
use warp::reply::Response;

use crate::http::parser_refusals;
use crate::http::reply::{ProviderWait, Reply};
use crate::http::request::{LARGE_BODIES_KIB_MAX, RequestOrigin};
use crate::http::stall::StallGuard;
use crate::http::switched_routes::SwitchedRoutes;
use crate::ports::{Clock, Entropy, Fault};

/// How long a request's head may take, and how long an idle connection is kept: a half-sent request must not hold a
/// connection for long.
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a TLS handshake may take: three round trips on the slowest line served.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of a request's head: the longest filter (1000 list values, percent-encoded) takes 48 KiB.
const HEAD_LENGTH_MAX: usize = 64 * 1024;

/// Header lines of a request; browsers behind two proxies send about 30.
const HEADERS_MAX: usize = 96;

/// Longest request id taken over from a client.
const REQUEST_ID_LENGTH_MAX: usize = 64;

/// Bytes of a path that are logged.
const LOGGED_PATH_MAX: usize = 128;

/// Pause after the system refused to accept: it is out of descriptors and needs some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener: where it listens and what it answers.
pub struct Listener {
    /// For the log.
    pub name: &'static str,
    pub socket: TcpListener,
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections beyond this wait in the system's queue.
    pub connections_max: usize,
    pub routes: Arc<SwitchedRoutes>,
}

/// What every listener needs from the system.
#[derive(Clone)]
pub struct ListenerContext {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Proxies whose `x-forwarded-for` is trusted.
    pub trusted_proxies: Arc<[IpAddr]>,
}

/// Serves until `end` says how long requests in progress may take to finish. Returns how many connections were cut.
pub async fn serve(listener: Listener, context: ListenerContext, mut end: watch::Receiver<Option<Duration>>) -> usize {
    let Listener { name, socket, tls, connections_max, routes } = listener;
    let slots = Arc::new(Semaphore::new(connections_max));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let connection = ConnectionContext {
        name,
        routes,
        context: context.clone(),
        large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_KIB_MAX)),
    };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = end.wait_for(Option::is_some) => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&socket, &slots) => accepted,
        };
        match accepted {
            Ok((stream, peer, slot)) => {
                let (connection, tls, watcher) = (connection.clone(), tls.clone(), graceful.watcher());
                connections.spawn(async move {
                    if let Err(fault) = serve_connection(connection, stream, peer, tls, watcher).await {
                        tracing::debug!(listener = name, %fault, "connection failed");
                    }
                    drop(slot);
                });
            }
            Err(fault) => {
                tracing::warn!(listener = name, %fault, "accepting a connection failed");
                context.clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(socket);
    // An owner that is gone waits for nothing.
    let drain = end.borrow().unwrap_or_default();
    let finished = Box::pin(async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    });
    let late = futures_util::future::select(finished, context.clock.sleep(drain)).await;
    drop(late);
    let cut = connections.len();
    connections.shutdown().await;
    cut
}

/// The next connection, once there is a free slot for it.
async fn accept(
    socket: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Result<(TcpStream, SocketAddr, OwnedSemaphorePermit), Fault> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(|error| Fault::new(error.to_string()))?;
    let (stream, peer) = socket.accept().await.map_err(|error| Fault::new(error.to_string()))?;
    Ok((stream, peer, slot))
}

async fn serve_connection(
    connection: ConnectionContext,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    watcher: Watcher,
) -> Result<(), Fault> {
    // Responses are whole and small; waiting to fill a packet costs 40 ms.
    stream.set_nodelay(true).map_err(|error| Fault::new(error.to_string()))?;
    let stream = StallGuard::new(stream);
    match tls {
        None => serve_http(connection, stream, peer, watcher).await,
        Some(config) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            let stream = tokio::time::timeout(HANDSHAKE_TIME_MAX, handshake).await;
            let stream = stream.map_err(|_| Fault::new("the TLS handshake timed out"))?;
            serve_http(connection, stream.map_err(|error| Fault::new(format!("TLS: {error}")))?, peer, watcher).await
        }
    }
}

async fn serve_http<S>(
    connection: ConnectionContext,
    stream: S,
    peer: SocketAddr,
    watcher: Watcher,
) -> Result<(), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let name = connection.name;
    let service = service_fn(move |request| {
        let connection = connection.clone();
        async move { Ok::<_, Infallible>(connection.answer(request, peer.ip()).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        // A client that closed its sending half still gets its request, once whole, carried out and answered.
        .half_close(true)
        .max_buf_size(HEAD_LENGTH_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let served = watcher.watch(connection).await.inspect_err(|error| parser_refusals::count(name, error));
    served.map_err(|error| Fault::new(error.to_string()))
}

/// One listener's routes and what its connections share.
#[derive(Clone)]
struct ConnectionContext {
    name: &'static str,
    routes: Arc<SwitchedRoutes>,
    context: ListenerContext,
    /// Kilobytes of large bodies that may still be read at once.
    large_bodies: Arc<Semaphore>,
}

impl ConnectionContext {
    async fn answer(&self, mut request: Request<Incoming>, peer: IpAddr) -> Response {
        let began = self.context.clock.monotonic();
        let request_id = request_id(request.headers(), &*self.context.entropy);
        let ip = client_ip(peer, request.headers(), &self.context.trusted_proxies);
        let waited_us = Arc::new(AtomicU64::new(0));
        let origin = RequestOrigin {
            request_id: Arc::clone(&request_id),
            ip,
            waited_us: Arc::clone(&waited_us),
            large_bodies: Arc::clone(&self.large_bodies),
        };
        request.extensions_mut().insert(origin);
        let (method, path) = (request.method().clone(), logged(request.uri().path()));

        let mut routes = warp::service(self.routes.current());
        let span = tracing::info_span!("request", id = %request_id);
        let routed = AssertUnwindSafe(async move { routes.call(request).await }).catch_unwind().instrument(span).await;
        let mut response = match routed {
            Ok(Ok(response)) => response,
            Err(_) => {
                tracing::error!(listener = self.name, %request_id, %method, path, "request handler panicked");
                Reply::refused(&Refusal::new(
                    RefusalCode::Internal,
                    "the request failed; the log has the error under its request id",
                ))
                .into_response()
            }
        };

        let provider = response.extensions().get::<ProviderWait>().copied().unwrap_or_default().0;
        let outside = provider + Duration::from_micros(waited_us.load(Ordering::Relaxed));
        let own = self.context.clock.monotonic().saturating_sub(began).saturating_sub(outside);
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert("x-request-id", value);
        }
        let own_us = micros(own);
        headers.insert("x-own-latency-us", HeaderValue::from(own_us));
        tracing::info!(
            target: "access",
            listener = self.name,
            %request_id,
            %method,
            path,
            status = response.status().as_u16(),
            own_us,
            outside_us = micros(outside),
            %ip,
            "request answered",
        );
        response
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

/// The client's own id where it is valid, so that one id follows a request through several systems; else a fresh one.
fn request_id(headers: &HeaderMap, entropy: &dyn Entropy) -> Arc<str> {
    let valid = |text: &&str| {
        (1..=REQUEST_ID_LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match headers.get("x-request-id").and_then(|value| value.to_str().ok()).filter(valid) {
        Some(given) => given.into(),
        None => format!("{:032x}", entropy.bits()).into(),
    }
}

/// The client's address: the peer's, or the last hop that is not a trusted proxy. Hops before one that cannot be read
/// may be forged.
fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(&peer) {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or_default());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let address = |hop: &str| hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|hop| hop.ip())).ok();
    let mut nearest = peer;
    for hop in hops.into_iter().rev() {
        let Some(hop) = address(hop) else { return nearest };
        nearest = hop.to_canonical();
        if !trusted.contains(&nearest) {
            return nearest;
        }
    }
    nearest
}

/// A path for the log: short, without its query, which may name people.
fn logged(path: &str) -> String {
    path.chars().take(LOGGED_PATH_MAX).collect()
}

#[cfg(test)]
mod tests;
