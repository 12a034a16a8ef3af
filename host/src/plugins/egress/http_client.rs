//! The only network that provider modules have: HTTP/1.1 over TLS, to allowed hosts, within deadlines and sizes.
//! A failure says whether the request certainly never left or may have; nothing that may have left is sent again. It
//! follows no redirect, reads no proxy from the environment, and knows nothing of payments.
//!
//! Connections are hyper's, one request at a time, because hyper gives a request back untouched when no byte of it was
//! written. That alone tells a pooled connection closed by its peer (never sent) from one that broke (unknown); pooled
//! clients above it keep this to themselves.

mod address;
mod dial;
mod message;
mod pool;
mod target;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use self::dial::Dialer;
pub use self::dial::{Resolve, SystemResolver};
pub use self::message::{ANSWER_BYTES_MAX, REQUEST_BYTES_MAX};
use self::pool::{Origin, Pool, Wire};
pub use self::target::ProviderEgress;
use self::target::Target;

/// Longest exchange, whatever the caller allows: twice the minute that the most patient providers advise. Every waiting
/// request holds a connection.
pub const DEADLINE_MAX: Duration = Duration::from_secs(120);

/// Connections of one provider at a time. At one second an answer this is 256 requests a second; beyond it they wait.
const CONNECTIONS_MAX: usize = 256;

/// How long a read answer waits for its connection to come to rest. It takes microseconds, unless the server answered
/// before it took the whole request, and such a connection is not worth keeping.
const REST_TIME_MAX: Duration = Duration::from_millis(20);

/// What holds for every provider.
#[derive(Clone)]
pub struct EgressSettings {
    /// For name, connection and TLS together.
    pub connect_deadline: Duration,
    /// Roots trusted besides the public ones: a private network's, a test's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    pub resolver: Arc<dyn Resolve>,
}

impl Default for EgressSettings {
    fn default() -> Self {
        // Two lost SYNs are repeated after 1 and 3 s; what needs longer is not coming.
        Self { connect_deadline: Duration::from_secs(5), extra_roots: Vec::new(), resolver: Arc::new(SystemResolver) }
    }
}

/// Makes one [`Egress`] per provider; they share name resolution and trusted roots, and no connection.
pub struct HttpClient {
    dialer: Arc<Dialer>,
}

impl HttpClient {
    /// # Errors
    /// An extra root that is no certificate.
    pub fn new(settings: &EgressSettings) -> Result<Self, String> {
        Ok(Self { dialer: Arc::new(Dialer::new(settings)?) })
    }

    /// The network of one provider.
    pub fn pool(&self, provider: ProviderEgress) -> Egress {
        Egress(Arc::new(Lines {
            provider,
            dialer: Arc::clone(&self.dialer),
            pool: Pool::default(),
            places: Semaphore::new(CONNECTIONS_MAX),
        }))
    }
}

/// A request as a module states it. No Debug: headers and body hold secrets.
#[derive(Clone)]
pub struct EgressRequest {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    pub method: Box<str>,
    pub url: Box<str>,
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// At most [`REQUEST_BYTES_MAX`].
    pub body: Bytes,
}

/// An answer, whatever its status. No Debug: it may hold tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct EgressReply {
    pub status: u16,
    /// Lower-case names, in the order received for each name.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// At most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
}

/// Why there is no answer. Holds no header, body, path or query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressError {
    /// No byte of the request has left: it did certainly not happen.
    NeverSent(NeverSent),
    /// Some of the request may have left: it may or may not have happened.
    Unknown(Unknown),
}

/// What kept a request from being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeverSent {
    /// The host or the address is not allowed, or the request is malformed.
    Refused(String),
    /// The name has no address.
    Dns(String),
    /// Nobody listens there, or not in time; or the peer closed before anything was written.
    Connect(String),
    /// No handshake, or a certificate that is not the host's.
    Tls(String),
    /// The deadline passed while all [`CONNECTIONS_MAX`] connections were busy.
    Busy,
}

/// What came in the way of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// No whole answer before the deadline.
    Deadline,
    /// The connection broke.
    Broken(String),
    /// The answer is larger than [`ANSWER_BYTES_MAX`].
    TooLarge,
    /// What came is no HTTP answer.
    Garbage(String),
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSent(why) => write!(f, "never sent: {why}"),
            Self::Unknown(why) => write!(f, "outcome unknown: {why}"),
        }
    }
}

impl fmt::Display for NeverSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Dns(why) => write!(f, "name: {why}"),
            Self::Connect(why) => write!(f, "connection: {why}"),
            Self::Tls(why) => f.write_str(why),
            Self::Busy => write!(f, "all {CONNECTIONS_MAX} connections were busy until the deadline"),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("no whole answer before the deadline"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
            Self::TooLarge => write!(f, "the answer is larger than {ANSWER_BYTES_MAX} bytes"),
            Self::Garbage(why) => write!(f, "what came is no HTTP answer: {why}"),
        }
    }
}

impl std::error::Error for EgressError {}

/// The network of one provider: its allowed hosts and its connections.
#[derive(Clone)]
pub struct Egress(Arc<Lines>);

impl Egress {
    /// Whether requests may go to this URL, as far as scheme, host and port tell.
    ///
    /// # Errors
    /// Why they may not.
    pub fn permits(&self, url: &str) -> Result<(), String> {
        self.0.provider.target(url).map(drop)
    }

    /// Sends a request and reads the answer, all within `deadline` (at most [`DEADLINE_MAX`]). Dropping the future closes
    /// the connection; the outcome is then unknown.
    ///
    /// # Errors
    /// [`EgressError::NeverSent`] where the request certainly did not happen, [`EgressError::Unknown`] in every doubt.
    pub async fn send(&self, request: EgressRequest, deadline: Duration) -> Result<EgressReply, EgressError> {
        let began = Instant::now();
        let ends = began + deadline.min(DEADLINE_MAX);
        let method = request.method.clone();
        let refused = |why| EgressError::NeverSent(NeverSent::Refused(why));
        let target = self.0.provider.target(&request.url).map_err(refused)?;
        let outgoing = message::outgoing(request, &target).map_err(refused)?;
        let outcome = self.0.exchange(&target, outgoing, ends).await;
        let (authority, path, took) = (&target.authority, &target.path, began.elapsed());
        match &outcome {
            Ok(reply) => {
                tracing::debug!(%method, %authority, %path, status = reply.status, bytes = reply.body.len(), ?took, "asked a provider");
            }
            Err(error) => tracing::warn!(%method, %authority, %path, %error, ?took, "asked a provider in vain"),
        }
        outcome
    }
}

struct Lines {
    provider: ProviderEgress,
    dialer: Arc<Dialer>,
    pool: Pool,
    places: Semaphore,
}

impl Lines {
    async fn exchange(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        ends: Instant,
    ) -> Result<EgressReply, EgressError> {
        let place = timeout_at(ends, self.places.acquire()).await;
        // A place that falls free at the deadline itself is given to whoever waits, who must not begin any more.
        let place = place.ok().filter(|_| Instant::now() < ends);
        let _place = place.ok_or(EgressError::NeverSent(NeverSent::Busy))?;
        let origin = Origin::of(target);
        let (mut wire, answer) = match self.pool.take(&origin) {
            Some(wire) => match ask(wire, request, ends).await {
                Ok(answered) => answered,
                // The peer had closed the idle connection, and hyper gave the request back before any byte of it was
                // written: sending it over a new one is sending it for the first time.
                Err(Unanswered::Untouched(request)) => self.ask_anew(target, *request, ends).await?,
                Err(Unanswered::Unknown(why)) => return Err(EgressError::Unknown(why)),
            },
            None => self.ask_anew(target, request, ends).await?,
        };
        let read = timeout_at(ends, message::incoming(answer)).await;
        let reply = read.unwrap_or(Err(Unknown::Deadline)).map_err(EgressError::Unknown)?;
        if matches!(timeout(REST_TIME_MAX, wire.sender.ready()).await, Ok(Ok(()))) {
            self.pool.put(origin, wire);
        }
        Ok(reply)
    }

    async fn ask_anew(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        ends: Instant,
    ) -> Result<Answered, EgressError> {
        let stream = self.dialer.dial(target, ends).await.map_err(EgressError::NeverSent)?;
        let wire = Wire::over(stream).await.map_err(EgressError::NeverSent)?;
        if Instant::now() >= ends {
            let why = format!("{}: no connection before the deadline", target.host);
            return Err(EgressError::NeverSent(NeverSent::Connect(why)));
        }
        ask(wire, request, ends).await.map_err(|unanswered| match unanswered {
            Unanswered::Untouched(_) => {
                let why = format!("{} closed it before anything was sent", target.host);
                EgressError::NeverSent(NeverSent::Connect(why))
            }
            Unanswered::Unknown(why) => EgressError::Unknown(why),
        })
    }
}

/// A connection with the answer that is still being read from it.
type Answered = (Wire, http::Response<hyper::body::Incoming>);

/// Why a connection brought no answer.
enum Unanswered {
    /// No byte of the request was written.
    Untouched(Box<Request<Full<Bytes>>>),
    Unknown(Unknown),
}

async fn ask(mut wire: Wire, request: Request<Full<Bytes>>, ends: Instant) -> Result<Answered, Unanswered> {
    match timeout_at(ends, wire.sender.try_send_request(request)).await {
        Ok(Ok(answer)) => Ok((wire, answer)),
        Ok(Err(mut error)) => Err(match error.take_message() {
            Some(request) => Unanswered::Untouched(Box::new(request)),
            None => Unanswered::Unknown(message::unknown(&error.into_error())),
        }),
        Err(_) => Err(Unanswered::Unknown(Unknown::Deadline)),
    }
}
