//! The accept loop: connections, TLS handshakes and the end of both, once for every listener. It knows no request; which
//! connections there may be is decided in `open_connections`, what is done around a request in `answering`.

use std::convert::Infallible;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
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

use crate::http::answering::{ConnectionContext, ListenerContext};
use crate::http::connection_counts::ListenerCounts;
use crate::http::connection_limits::{ConnectionLimits, SWEEP_PAUSE};
use crate::http::connections::{AdmittedConnection, Connections};
use crate::http::observed_stream::{ObservedBody, ObservedStream};
use crate::http::open_connections::Newcomer;
use crate::http::parser_refusals;
use crate::http::phase::Phase;
use crate::http::proxy_hints::ProxyHints;
use crate::http::request::LARGE_BODIES_KIB_MAX;
use crate::http::stall::StallGuard;
use crate::http::switched_routes::SwitchedRoutes;
use crate::http::tls::ServedTls;
use crate::ports::Fault;

/// How long a TLS handshake may take: three round trips on the slowest line served.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of a request's head: the longest filter (1000 list values, percent-encoded) takes 48 KiB.
const HEAD_LENGTH_MAX: usize = 64 * 1024;

/// Header lines of a request; browsers behind two proxies send about 30.
const HEADERS_MAX: usize = 96;

/// Pause after the system refused to accept: it is out of descriptors and needs some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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

/// Serves until `end` says how long requests in progress may take to finish. Returns how many connections were cut.
pub async fn serve(listener: Listener, context: ListenerContext, mut end: watch::Receiver<Option<Duration>>) -> usize {
    let Listener { name, socket, tls, limits, routes } = listener;
    let places = Connections::new(limits, ListenerCounts::of(name));
    let mut sweeper = JoinSet::new();
    sweeper.spawn(sweep(Arc::clone(&places)));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let hints = Arc::new(ProxyHints::new(name));
    let connection = ConnectionContext {
        name,
        routes,
        context: context.clone(),
        is_tls: tls.is_some(),
        hints: Arc::clone(&hints),
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
                hints.connected(peer, &context.trusted_proxies);
                let Some(admitted) = places.admit(Newcomer::of(peer, &context.trusted_proxies)) else {
                    refuse(stream, tls.is_none());
                    tracing::debug!(listener = name, %peer, "connection was refused: there are too many");
                    continue;
                };
                let (connection, tls, watcher) = (connection.clone(), tls.clone(), graceful.watcher());
                connections.spawn(async move {
                    let serving = serve_connection(connection, stream, peer, tls, watcher, Arc::clone(&admitted));
                    let served = tokio::select! {
                        served = serving => served,
                        () = admitted.ended() => Err(Fault::new("it waited too long, or another needed its place")),
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
    let stream = StallGuard::new(stream, Arc::clone(admitted.sending()));
    let Some(tls) = tls else { return serve_http(connection, stream, peer, watcher, admitted).await };
    admitted.enter(Phase::Handshake);
    let handshake = TlsAcceptor::from(tls.current()).accept(stream);
    let stream = tokio::time::timeout(HANDSHAKE_TIME_MAX, handshake).await;
    let stream = stream.map_err(|_| Fault::new("the TLS handshake timed out"))?;
    let stream = stream.map_err(|error| Fault::new(format!("TLS: {error}")))?;
    admitted.enter(Phase::Fresh);
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
    let service = service_fn(move |request: Request<Incoming>| {
        let (connection, admitted) = (connection.clone(), Arc::clone(&admitted));
        async move {
            admitted.go_on(Phase::Answering).await;
            let response = connection.answer(request, peer, &admitted).await;
            admitted.enter(Phase::Sending);
            let making = admitted.sending().begin(response.extensions().get().copied().unwrap_or_default());
            Ok::<_, Infallible>(response.map(|body| ObservedBody::new(body, admitted, making)))
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

#[cfg(test)]
mod tests;
