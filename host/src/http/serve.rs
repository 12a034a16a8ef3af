//! The accept loop around the routes: connections, panics, TLS, request ids, latency and the access log are handled here, once,
//! for every listener. It knows no path; which connections there may be is decided in `connection_limits`.

use std::convert::Infallible;
use std::io::Write;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::FutureExt;
use http::header::{STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;
use tracing::Instrument;
use warp::Reply as _;
use warp::reply::Response;

use crate::http::client_address::TrustedProxies;
use crate::http::connection::Phase;
use crate::http::connection_limits::{AdmittedConnection, ConnectionLimits, Connections, Newcomer, SWEEP_PAUSE};
use crate::http::observed_stream::{ObservedBody, ObservedStream};
use crate::http::parser_refusals;
use crate::http::reply::{ProviderWait, Reply};
use crate::http::request::{LARGE_BODIES_KIB_MAX, RequestOrigin};
use crate::http::sender::{Proof, Sender};
use crate::http::stall::StallGuard;
use crate::http::switched_routes::SwitchedRoutes;
use crate::http::tls::ServedTls;
use crate::ports::{Clock, Entropy, Fault};

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

/// How long a browser asks over TLS alone after one answer: the year that browsers' own lists want.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Microseconds of a request in the cashier itself, shown to sessions.
pub(super) const OWN_LATENCY: HeaderName = HeaderName::from_static("x-own-latency-us");
/// The same for a browser's developer tools.
pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a client is sent for whom there is no connection.
const REFUSED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A listener: where it listens and what it answers.
pub struct Listener {
    /// For the log.
    pub name: &'static str,
    pub socket: TcpListener,
    pub tls: Option<Arc<ServedTls>>,
    pub limits: ConnectionLimits,
    pub routes: Arc<SwitchedRoutes>,
}

/// What every listener needs from the system.
#[derive(Clone)]
pub struct ListenerContext {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub trusted_proxies: TrustedProxies,
}

/// Serves until `end` says how long requests in progress may take to finish. Returns how many connections were cut.
pub async fn serve(listener: Listener, context: ListenerContext, mut end: watch::Receiver<Option<Duration>>) -> usize {
    let Listener { name, socket, tls, limits, routes } = listener;
    let places = Connections::new(limits);
    let mut sweeper = JoinSet::new();
    sweeper.spawn(sweep(Arc::clone(&places)));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let connection = ConnectionContext {
        name,
        routes,
        context: context.clone(),
        is_tls: tls.is_some(),
        large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_KIB_MAX)),
    };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = end.wait_for(Option::is_some) => break,
            Some(_) = connections.join_next() => continue,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let peer = peer.ip();
                let Some(admitted) = places.admit(newcomer(peer, &context.trusted_proxies)) else {
                    refuse(stream, tls.is_none());
                    tracing::debug!(listener = name, %peer, "connection was refused: there are too many");
                    continue;
                };
                let (connection, tls, watcher) = (connection.clone(), tls.clone(), graceful.watcher());
                connections.spawn(async move {
                    let serving = serve_connection(connection, stream, peer, tls, watcher, Arc::clone(&admitted));
                    let served = tokio::select! {
                        served = serving => served,
                        () = admitted.connection().ended() => Err(Fault::new("it waited too long, or another needed its place")),
                    };
                    if let Err(fault) = served {
                        tracing::debug!(listener = name, %fault, "connection failed");
                    }
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

/// Ends connections whose time is over, for ever.
async fn sweep(places: Arc<Connections>) {
    loop {
        tokio::time::sleep(SWEEP_PAUSE).await;
        places.sweep();
    }
}

fn newcomer(address: IpAddr, proxies: &TrustedProxies) -> Newcomer {
    static UNSET: Once = Once::new();
    if proxies.is_unset_proxy(address) {
        UNSET.call_once(|| {
            tracing::warn!(
                "connections from this machine count for no limit per address: if a proxy sends them, name it in the \
                 settings, such as trusted_proxies = [\"127.0.0.1\", \"::1\"]; name any other to limit them too"
            );
        });
    }
    Newcomer { address, limited: !proxies.stands_for_many(address), trusted: proxies.contains(address) }
}

/// Closes a connection that nothing was read from. Whether the client sees the answer is its system's choice.
fn refuse(stream: TcpStream, is_plain: bool) {
    if let (true, Ok(mut stream)) = (is_plain, stream.into_std()) {
        // It is closed either way.
        let _ = stream.write(REFUSED);
    }
}

async fn serve_connection(
    connection: ConnectionContext,
    stream: TcpStream,
    peer: IpAddr,
    tls: Option<Arc<ServedTls>>,
    watcher: Watcher,
    admitted: Arc<AdmittedConnection>,
) -> Result<(), Fault> {
    // Responses are whole and small; waiting to fill a packet costs 40 ms.
    stream.set_nodelay(true).map_err(|error| Fault::new(error.to_string()))?;
    let stream = StallGuard::new(stream);
    let Some(tls) = tls else { return serve_http(connection, stream, peer, watcher, admitted).await };
    admitted.head_begun();
    let handshake = TlsAcceptor::from(tls.current()).accept(stream);
    let stream = tokio::time::timeout(HANDSHAKE_TIME_MAX, handshake).await;
    let stream = stream.map_err(|_| Fault::new("the TLS handshake timed out"))?;
    let stream = stream.map_err(|error| Fault::new(format!("TLS: {error}")))?;
    admitted.connection().step(&[Phase::Head], Phase::Fresh);
    serve_http(connection, stream, peer, watcher, admitted).await
}

async fn serve_http<S>(
    connection: ConnectionContext,
    stream: S,
    peer: IpAddr,
    watcher: Watcher,
    admitted: Arc<AdmittedConnection>,
) -> Result<(), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let name = connection.name;
    let stream = ObservedStream::new(stream, Arc::clone(&admitted));
    let service = service_fn(move |request| {
        let (connection, admitted) = (connection.clone(), Arc::clone(&admitted));
        async move {
            let waiting = [Phase::Fresh, Phase::Idle, Phase::Head, Phase::Busy, Phase::Flushing];
            if !admitted.connection().step(&waiting, Phase::Busy) {
                // It is being closed.
                std::future::pending().await
            }
            let response = connection.answer(request, peer, &admitted).await;
            Ok::<_, Infallible>(response.map(|body| ObservedBody::new(body, admitted)))
        }
    });
    let connection = http1::Builder::new()
        // The sweeper ends what takes too long: a timer of hyper's own also runs while a connection is idle.
        .header_read_timeout(None)
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
    is_tls: bool,
    /// Kilobytes of large bodies that may still be read at once.
    large_bodies: Arc<Semaphore>,
}

impl ConnectionContext {
    async fn answer(&self, mut request: Request<Incoming>, peer: IpAddr, admitted: &AdmittedConnection) -> Response {
        let began = self.context.clock.monotonic();
        let request_id = request_id(request.headers(), &*self.context.entropy);
        let ip = self.context.trusted_proxies.client_of(peer, request.headers());
        let sender = Arc::new(Sender::default());
        let waited_us = Arc::new(AtomicU64::new(0));
        let origin = RequestOrigin {
            request_id: Arc::clone(&request_id),
            ip,
            waited_us: Arc::clone(&waited_us),
            sender: Arc::clone(&sender),
            large_bodies: Arc::clone(&self.large_bodies),
        };
        request.extensions_mut().insert(origin);
        let (method, path) = (request.method().clone(), logged(request.uri().path()));

        // Behind a proxy the connections are the proxy's, and the requests the client's.
        let place = (ip != peer.to_canonical()).then(|| admitted.connections().begin_request(ip));
        let mut response = if let Some(None) = place {
            Reply::refused(&too_many_requests()).into_response()
        } else {
            self.routed(request, &request_id, &method, &path).await
        };
        drop(place);
        let proof = sender.proof();
        if proof != Proof::Nothing {
            admitted.proved();
        }

        let provider = response.extensions().get::<ProviderWait>().copied().unwrap_or_default().0;
        let outside = provider + Duration::from_micros(waited_us.load(Ordering::Relaxed));
        let own = self.context.clock.monotonic().saturating_sub(began).saturating_sub(outside);
        let (own_us, outside_us, status) = (micros(own), micros(outside), response.status());
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert(REQUEST_ID, value);
        }
        // How long a refusal took would show anyone what exists.
        if proof == Proof::Session && ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
            headers.insert(OWN_LATENCY, HeaderValue::from(own_us));
            let timing = format!("own;dur={}, outside;dur={}", millis(own_us), millis(outside_us));
            headers.extend(HeaderValue::from_str(&timing).ok().map(|timing| (SERVER_TIMING, timing)));
        }
        if self.is_tls {
            headers.insert(STRICT_TRANSPORT_SECURITY, TLS_ONLY);
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        tracing::info!(
            target: "access",
            listener = self.name,
            %request_id,
            %method,
            path,
            status = status.as_u16(),
            own_us,
            outside_us,
            %ip,
            "request answered",
        );
        response
    }

    /// What the routes answer, or 500 where they panic.
    async fn routed(&self, request: Request<Incoming>, request_id: &Arc<str>, method: &Method, path: &str) -> Response {
        let mut routes = warp::service(self.routes.current());
        let span = tracing::info_span!("request", id = %request_id);
        let routed = AssertUnwindSafe(async move { routes.call(request).await }).catch_unwind().instrument(span).await;
        match routed {
            Ok(Ok(response)) => response,
            Err(_) => {
                tracing::error!(listener = self.name, %request_id, %method, path, "request handler panicked");
                Reply::refused(&Refusal::new(
                    RefusalCode::Internal,
                    "the request failed; the log has the error under its request id",
                ))
                .into_response()
            }
        }
    }
}

fn too_many_requests() -> Refusal {
    let sentence = "too many requests of this address are being answered at once, try again shortly";
    Refusal::new(RefusalCode::Frequent, sentence)
}

/// Microseconds as milliseconds with their three decimals.
fn millis(micros: u64) -> String {
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
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

/// A path for the log: short, without its query, which may name people.
fn logged(path: &str) -> String {
    path.chars().take(LOGGED_PATH_MAX).collect()
}

#[cfg(test)]
mod tests;
