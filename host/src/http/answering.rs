//! What is done around every request, whichever route answers it: the request's id, the client's address, panics, headers, latency
//! and the access log. It knows no path and no socket.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cashier_core::card_data::masked;
use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::FutureExt;
use http::header::{STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tower_service::Service;
use tracing::Instrument;
use warp::Reply as _;
use warp::reply::Response;

use crate::http::client_address::TrustedProxies;
use crate::http::connections::AdmittedConnection;
use crate::http::open_connections::Newcomer;
use crate::http::proxy_hints::ProxyHints;
use crate::http::reply::{ProviderWait, Reply};
use crate::http::request::RequestOrigin;
use crate::http::sender::Sender;
use crate::http::switched_routes::SwitchedRoutes;
use crate::ports::{Clock, Entropy};

/// Longest request id taken over from a client.
const REQUEST_ID_LENGTH_MAX: usize = 64;

/// Bytes of a path that are logged.
const LOGGED_PATH_MAX: usize = 128;

/// How long a browser asks over TLS alone after one answer: the year that browsers' own lists want.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Microseconds of a request in the cashier itself, shown to sessions.
pub(super) const OWN_LATENCY: HeaderName = HeaderName::from_static("x-own-latency-us");
/// The same for a browser's developer tools.
pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every listener needs from the system.
#[derive(Clone)]
pub struct ListenerContext {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub trusted_proxies: TrustedProxies,
}

/// One listener's routes and what its connections share.
#[derive(Clone)]
pub(super) struct ConnectionContext {
    pub(super) name: &'static str,
    pub(super) routes: Arc<SwitchedRoutes>,
    pub(super) context: ListenerContext,
    pub(super) is_tls: bool,
    pub(super) hints: Arc<ProxyHints>,
    /// Kilobytes of large bodies that may still be read at once.
    pub(super) large_bodies: Arc<Semaphore>,
}

impl ConnectionContext {
    pub(super) async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: IpAddr,
        admitted: &Arc<AdmittedConnection>,
    ) -> Response {
        let began = self.context.clock.monotonic();
        let request_id = request_id(request.headers(), &*self.context.entropy);
        let proxies = &self.context.trusted_proxies;
        self.hints.requested(peer, request.headers(), proxies);
        let ip = proxies.client_of(peer, request.headers());
        let sender = Arc::new(Sender::default());
        let waited_us = Arc::new(AtomicU64::new(0));
        let origin = RequestOrigin {
            request_id: Arc::clone(&request_id),
            ip,
            waited_us: Arc::clone(&waited_us),
            connection: Arc::clone(admitted),
            sender: Arc::clone(&sender),
            large_bodies: Arc::clone(&self.large_bodies),
        };
        request.extensions_mut().insert(origin);
        let (method, path) = (request.method().clone(), logged(request.uri().path()));

        // Behind a proxy the connections are the proxy's, and the requests the client's.
        let has_place = ip == peer.to_canonical() || admitted.count_for(Newcomer::of(ip, proxies));
        let mut response = if has_place {
            self.routed(request, &request_id, &method, &path).await
        } else {
            Reply::refused(&too_many_requests()).into_response()
        };
        admitted.proved(sender.proof());

        let provider = response.extensions().get::<ProviderWait>().copied().unwrap_or_default().0;
        let outside = provider + Duration::from_micros(waited_us.load(Ordering::Relaxed));
        let own = self.context.clock.monotonic().saturating_sub(began).saturating_sub(outside);
        let (own_us, outside_us, status) = (micros(own), micros(outside), response.status());
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert(REQUEST_ID, value);
        }
        // How long a refusal took would show anyone what exists.
        if sender.proof().is_session() && ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
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
    let sentence = "too many requests, of this address or of all, are being answered at once: try again shortly";
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

/// A path for the log: short, without its query, which may name people, and masked before it is cut.
fn logged(path: &str) -> String {
    masked(path).chars().take(LOGGED_PATH_MAX).collect()
}
