//! The accept loop: bounded connections, bounded bodies, bounded patience, and answers that are never given.

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

use crate::answer::{self, Silence};
use crate::ports::Clock;
use crate::refusal::{Refusal, RefusalCode};
use crate::settings::{BODY_BYTES_MAX, CONNECTIONS_MAX, REQUEST_PATIENCE};

/// How long `create_hang` keeps a connection: longer than any client's deadline, and then it is given back.
const HANG: Duration = Duration::from_secs(120);
/// Pause after a failed accept, so that a machine without file handles is not spun upon.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `end` changes or its sender is gone.
pub(crate) async fn keep_open<S>(
    listener: TcpListener,
    routes: S,
    clock: Arc<dyn Clock>,
    mut end: watch::Receiver<bool>,
) where
    S: Service<Request<Full<Bytes>>, Response = warp::reply::Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = end.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let routes = routes.clone();
        let clock = Arc::clone(&clock);
        connections.spawn(async move {
            serve(stream, routes, clock).await;
            drop(place);
        });
    }
    connections.shutdown().await;
}

/// A connection with its place; waits in the kernel's queue while all places are taken.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            None
        }
    }
}

async fn serve<S>(stream: TcpStream, routes: S, clock: Arc<dyn Clock>)
where
    S: Service<Request<Full<Bytes>>, Response = warp::reply::Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no nodelay");
    }
    let answering = service_fn(move |request| answer_one(request, routes.clone(), Arc::clone(&clock)));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_PATIENCE)
        .serve_connection(TokioIo::new(stream), answering)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer_one<S>(
    request: Request<Incoming>,
    mut routes: S,
    clock: Arc<dyn Clock>,
) -> Result<warp::reply::Response, Unanswered>
where
    S: Service<Request<Full<Bytes>>, Response = warp::reply::Response, Error = Infallible>,
{
    let (head, body) = request.into_parts();
    let method = head.method.clone();
    let path = head.uri.path().to_owned();
    let collected = tokio::time::timeout(REQUEST_PATIENCE, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let response: Response<_> = match collected {
        Err(_) => return Err(Unanswered),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            answer::refusal(&Refusal::new(RefusalCode::TooLarge, format!("a body has at most {BODY_BYTES_MAX} bytes")))
        }
        Ok(Err(_)) => return Err(Unanswered),
        Ok(Ok(body)) => match routes.call(Request::from_parts(head, Full::new(body.to_bytes()))).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
    };
    match response.extensions().get::<Silence>() {
        None => {
            tracing::info!(%method, path, status = response.status().as_u16(), "answered");
            return Ok(response);
        }
        Some(Silence::Drop) => {}
        Some(Silence::Hang) => clock.sleep(HANG).await,
    }
    tracing::info!(%method, path, "left without an answer, as switched");
    Err(Unanswered)
}

/// Makes hyper close the connection without a byte.
#[derive(Debug)]
struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("left without an answer")
    }
}

impl Error for Unanswered {}
