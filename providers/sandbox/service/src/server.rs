//! The accept loop: bounded connections, bodies and timeouts, and connections closed without an answer on request.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::api_error::{ApiError, ApiErrorCode};
use crate::ports::SandboxClock;
use crate::response::{self, NoAnswer};
use crate::settings::{BODY_BYTES_MAX, CONNECTIONS_MAX, REQUEST_TIMEOUT};

/// How long `create_hang` holds a connection: longer than any client's deadline, and bounded.
const HANG: Duration = Duration::from_secs(120);
/// Pause after a failed accept, so that the loop does not spin when file handles run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `end` changes or its sender is gone.
pub(crate) async fn serve_connections<S>(
    listener: TcpListener,
    routes: S,
    clock: Arc<dyn SandboxClock>,
    mut end: watch::Receiver<bool>,
) where
    S: Service<Request<Full<Bytes>>, Response = warp::reply::Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = end.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, permit)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let routes = routes.clone();
        let clock = Arc::clone(&clock);
        connections.spawn(async move {
            serve(stream, routes, clock).await;
            drop(permit);
        });
    }
    connections.shutdown().await;
}

/// A connection with its permit; connections wait in the kernel's queue while all permits are taken.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "accepting a connection failed");
            None
        }
    }
}

async fn serve<S>(stream: TcpStream, routes: S, clock: Arc<dyn SandboxClock>)
where
    S: Service<Request<Full<Bytes>>, Response = warp::reply::Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "setting TCP_NODELAY failed");
    }
    let service = service_fn(move |request| answer_one(request, routes.clone(), Arc::clone(&clock)));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer_one<S>(
    request: Request<Incoming>,
    mut routes: S,
    clock: Arc<dyn SandboxClock>,
) -> Result<warp::reply::Response, ConnectionClosed>
where
    S: Service<Request<Full<Bytes>>, Response = warp::reply::Response, Error = Infallible>,
{
    let (head, body) = request.into_parts();
    let method = head.method.clone();
    let path = head.uri.path().to_owned();
    let collected = tokio::time::timeout(REQUEST_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let response: Response<_> = match collected {
        Err(_) => return Err(ConnectionClosed),
        Ok(Err(error)) if error.is::<LengthLimitError>() => response::api_error(&ApiError::new(
            ApiErrorCode::TooLarge,
            format!("a body has at most {BODY_BYTES_MAX} bytes"),
        )),
        Ok(Err(_)) => return Err(ConnectionClosed),
        Ok(Ok(body)) => match routes.call(Request::from_parts(head, Full::new(body.to_bytes()))).await {
            Ok(response) => response,
            Err(infallible) => match infallible {},
        },
    };
    match response.extensions().get::<NoAnswer>() {
        None => {
            tracing::info!(%method, path, status = response.status().as_u16(), "request answered");
            return Ok(response);
        }
        Some(NoAnswer::Drop) => {}
        Some(NoAnswer::Hang) => clock.sleep(HANG).await,
    }
    tracing::info!(%method, path, "connection closed without an answer by a switch");
    Err(ConnectionClosed)
}

/// Makes hyper close the connection without a byte.
#[derive(Debug)]
struct ConnectionClosed;

impl fmt::Display for ConnectionClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed without an answer")
    }
}

impl Error for ConnectionClosed {}
