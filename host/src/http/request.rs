//! A request as an endpoint sees it: method, path, query, headers, origin, and a body that is read on demand within a
//! size and a time. It knows no endpoint.

use std::net::IpAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future::{self, Either};
use futures_util::{Stream, StreamExt};
use http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::flows::RequestContext;
use crate::http::connections::AdmittedConnection;
use crate::http::phase::Phase;
use crate::http::sender::Sender;
use crate::ports::Clock;

/// How long a body may take to arrive: a phone on a poor line sends 64 KiB in far less.
pub(super) const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes of a body that count against no limit of the listener: deposits and most webhooks are far smaller, so slow senders
/// of large bodies never block them.
const FREE_LENGTH: usize = 64 * 1024;

/// Kilobytes of larger bodies that one listener holds at once; without it every connection could hold a megabyte.
pub(super) const LARGE_BODIES_KIB_MAX: usize = 64 * 1024;

/// Of these, what senders of whom nothing is known leave to the others.
const RESERVED_BODIES_KIB_MIN: usize = 16 * 1024;

/// Longest locale carried, as BCP 47 recommends for fixed fields (RFC 5646, section 4.4.1).
const LOCALE_LENGTH_MAX: usize = 35;

/// What the accept loop knows of a request: its id, its sender, and the capacity it shares.
#[derive(Debug, Clone)]
pub(super) struct RequestOrigin {
    pub(super) request_id: Arc<str>,
    /// The client's address, as reported by trusted proxies.
    pub(super) ip: IpAddr,
    /// Microseconds spent waiting for the client to send the body; not the cashier's own time.
    pub(super) waited_us: Arc<AtomicU64>,
    /// The connection it came on.
    pub(super) connection: Arc<AdmittedConnection>,
    /// What the endpoint found out about the sender.
    pub(super) sender: Arc<Sender>,
    /// The listener's capacity for large bodies, in kilobytes: [`LARGE_BODIES_KIB_MAX`].
    pub(super) large_bodies: Arc<Semaphore>,
}

/// A body, with its share of the listener's capacity: it is held as long as the body is.
#[derive(Debug)]
pub(super) struct ReadBody {
    pub(super) bytes: Bytes,
    pub(super) share: Option<OwnedSemaphorePermit>,
}

impl Deref for ReadBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// How much of a body is read.
pub(super) struct BodyLimits {
    length_max: usize,
    /// Kilobytes of the listener's capacity that stay free.
    reserved_kib: usize,
    /// The answer to a longer one.
    beyond: Option<fn() -> Refusal>,
}

impl BodyLimits {
    /// From senders who may be anybody.
    pub(super) fn of_anybody(length_max: usize) -> Self {
        Self { reserved_kib: RESERVED_BODIES_KIB_MIN, ..length_max.into() }
    }

    /// With another answer than 413 to a longer one.
    pub(super) fn answering(self, beyond: fn() -> Refusal) -> Self {
        Self { beyond: Some(beyond), ..self }
    }
}

impl From<usize> for BodyLimits {
    fn from(length_max: usize) -> Self {
        Self { length_max, reserved_kib: 0, beyond: None }
    }
}

type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, ()>> + Send>>;

/// A request.
pub(super) struct Request {
    pub(super) method: Method,
    /// As received, percent-encoded.
    pub(super) path: Box<str>,
    /// Behind the `?`, as received.
    pub(super) raw_query: Box<str>,
    pub(super) headers: HeaderMap,
    pub(super) origin: RequestOrigin,
    body: BodyStream,
}

fn too_many_large_bodies() -> Refusal {
    Refusal::new(RefusalCode::Frequent, "too many large bodies are being sent at once, try again shortly")
}

/// Extracts the whole request; it follows the filters that match the path.
pub(super) fn request() -> BoxedFilter<(Request,)> {
    let raw_query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(raw_query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<RequestOrigin>())
        .and(warp::body::stream())
        .map(|method, path: warp::path::FullPath, query: String, headers, origin, body| Request {
            method,
            path: path.as_str().into(),
            raw_query: query.into(),
            headers,
            origin,
            body: as_bytes(body),
        })
        .boxed()
}

fn as_bytes<S, B>(body: S) -> BodyStream
where
    S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf,
{
    Box::pin(body.map(|piece| piece.map(|mut piece| piece.copy_to_bytes(piece.remaining())).map_err(|_| ())))
}

impl Request {
    /// The only value of a header; `None` when it is missing, repeated or not text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    pub(super) fn authorization(&self) -> Option<&str> {
        self.header(&AUTHORIZATION)
    }

    pub(super) fn content_type(&self) -> &str {
        self.header(&CONTENT_TYPE).unwrap_or_default()
    }

    /// The client's first preferred language, or an empty text.
    pub(super) fn locale(&self) -> &str {
        let accepted = self.header(&ACCEPT_LANGUAGE).unwrap_or_default();
        let first = accepted.split([',', ';']).next().unwrap_or_default().trim();
        let valid =
            first.len() <= LOCALE_LENGTH_MAX && first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if valid { first } else { "" }
    }

    /// Where the request came from, for the flows.
    pub(super) fn context(&self) -> RequestContext {
        RequestContext {
            request_id: (*self.origin.request_id).into(),
            ip: self.origin.ip.to_string().into(),
            locale: self.locale().into(),
        }
    }

    /// Reads the whole body: 413 where it is too long, 408 beyond [`BODY_TIME_MAX`], 429 when the listener has no capacity for
    /// another large one.
    pub(super) async fn read_body(
        &mut self,
        limits: impl Into<BodyLimits>,
        clock: &dyn Clock,
    ) -> Result<ReadBody, Refusal> {
        let BodyLimits { length_max, reserved_kib, beyond } = limits.into();
        let too_large = || match beyond {
            Some(refusal) => refusal(),
            None => Refusal::new(RefusalCode::BodyTooLarge, format!("the body is larger than {length_max} bytes")),
        };
        let declared = self.header(&CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        if declared.is_some_and(|length| length > length_max as u64) {
            return Err(too_large());
        }
        self.origin.connection.go_on(Phase::Receiving).await;
        let body = &mut self.body;
        let large_bodies = Arc::clone(&self.origin.large_bodies);
        let reading = Box::pin(async move {
            let mut whole = BytesMut::new();
            let mut permit: Option<OwnedSemaphorePermit> = None;
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(|()| Refusal::invalid("the body broke off"))?;
                if whole.len() + piece.len() > length_max {
                    return Err(too_large());
                }
                whole.extend_from_slice(&piece);
                let held = permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
                let wanted = whole.len().saturating_sub(FREE_LENGTH).div_ceil(1024).saturating_sub(held);
                if wanted > 0 {
                    if large_bodies.available_permits() < wanted.saturating_add(reserved_kib) {
                        return Err(too_many_large_bodies());
                    }
                    let more = u32::try_from(wanted).map_err(|_| too_large())?;
                    let more =
                        Arc::clone(&large_bodies).try_acquire_many_owned(more).map_err(|_| too_many_large_bodies())?;
                    match &mut permit {
                        Some(permit) => permit.merge(more),
                        None => permit = Some(more),
                    }
                }
            }
            Ok(ReadBody { bytes: whole.freeze(), share: permit })
        });
        let began = clock.monotonic();
        let read = match future::select(reading, clock.sleep(BODY_TIME_MAX)).await {
            Either::Left((body, _)) => body,
            Either::Right(_) => Err(Refusal::new(RefusalCode::RequestTimeout, "the body took too long to arrive")),
        };
        // From here on nobody but the cashier delays the answer.
        self.origin.connection.go_on(Phase::Answering).await;
        let waited = u64::try_from(clock.monotonic().saturating_sub(began).as_micros()).unwrap_or(u64::MAX);
        self.origin.waited_us.fetch_add(waited, Ordering::Relaxed);
        read
    }
}
