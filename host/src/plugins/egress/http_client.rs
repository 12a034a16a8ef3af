//! The only network of provider modules: HTTP/1.1 over TLS, to allowed hosts, within deadlines and sizes. A failure states
//! whether the request certainly never left or may have; a request that may have left is never sent again. It follows no
//! redirect, reads no proxy from the environment, and does not know payments.
//!
//! Connections are hyper's, one request at a time, because hyper returns a request untouched when no byte of it was
//! written. That alone distinguishes a pooled connection that its peer had closed (never sent) from one that broke
//! (unknown); pooled clients built on hyper do not pass it on.

mod address;
mod dial;
mod message;
mod pool;
mod target;
#[cfg(test)]
mod tests;
mod types;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cashier_provider_sdk::HttpReply;
use http::Request;
use http_body_util::Full;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use self::dial::Dialer;
pub use self::dial::{EgressSettings, Resolve, SystemResolver};
use self::pool::{ConnectionOrigin, ConnectionPool, PooledConnection};
pub use self::target::EgressRules;
use self::target::Target;
pub use self::types::{EgressError, EgressRequest, NeverSent, REPLY_BYTES_MAX, REQUEST_BYTES_MAX, UnknownOutcome};

/// Longest exchange, whatever the caller allows: twice the minute that the most patient providers advise. Every waiting
/// request holds a connection.
pub const DEADLINE_MAX: Duration = Duration::from_secs(120);

/// Names of one config that are looked up at one time. The system's resolver blocks a thread of some 500 for each, for longer
/// than its request waits: a config whose names do not resolve must leave the others theirs.
const LOOKUPS_MAX: usize = 16;

/// How long to wait after a reply for its connection to become idle. It takes microseconds, unless the server replied
/// before it took the whole request, and such a connection is not worth keeping.
const IDLE_WAIT_MAX: Duration = Duration::from_millis(20);

/// Makes one [`Egress`] per provider, which makes one per config; they share trusted roots, and no connection.
pub struct HttpClient {
    dialer: Arc<Dialer>,
}

impl HttpClient {
    /// # Errors
    /// An extra root is not a certificate.
    pub fn new(settings: &EgressSettings) -> Result<Self, String> {
        Ok(Self { dialer: Arc::new(Dialer::new(settings)?) })
    }

    /// The network of one provider.
    pub fn pool(&self, rules: EgressRules) -> Egress {
        Egress::new(Arc::new(rules), Arc::clone(&self.dialer))
    }
}

/// The network of one config of a provider: its allowed hosts and its connections.
#[derive(Clone)]
pub struct Egress(Arc<ConfigConnections>);

impl Egress {
    fn new(rules: Arc<EgressRules>, dialer: Arc<Dialer>) -> Self {
        let (pool, lookups) = (ConnectionPool::default(), Arc::new(Semaphore::new(LOOKUPS_MAX)));
        Self(Arc::new(ConfigConnections { rules, dialer, pool, lookups }))
    }

    /// The same rules, with connections and lookups of its own.
    pub fn apart(&self) -> Self {
        Self::new(Arc::clone(&self.0.rules), Arc::clone(&self.0.dialer))
    }

    /// Whether requests may go to this URL, by its scheme, host and port.
    ///
    /// # Errors
    /// Why they may not.
    pub fn permits(&self, url: &str) -> Result<(), String> {
        self.0.rules.target(url).map(drop)
    }

    /// Sends a request and reads the reply, all within `deadline` (at most [`DEADLINE_MAX`]). Dropping the future closes
    /// the connection; the outcome is then unknown.
    ///
    /// # Errors
    /// [`EgressError::NeverSent`] where the request certainly did not happen, [`EgressError::Unknown`] otherwise.
    pub async fn send(&self, request: EgressRequest, deadline: Duration) -> Result<HttpReply, EgressError> {
        let started = Instant::now();
        let ends = started + deadline.min(DEADLINE_MAX);
        let method = request.method.clone();
        let refused = |why| EgressError::NeverSent(NeverSent::Refused(why));
        let target = self.0.rules.target(&request.url).map_err(refused)?;
        let outgoing = message::outgoing(request, &target).map_err(refused)?;
        let outcome = self.0.exchange(&target, outgoing, ends).await;
        let (authority, path, took) = (&target.authority, &target.path, started.elapsed());
        match &outcome {
            Ok(HttpReply { status, body, .. }) => {
                tracing::debug!(%method, %authority, %path, status, bytes = body.len(), ?took, "provider request answered");
            }
            Err(error) => tracing::warn!(%method, %authority, %path, %error, ?took, "provider request failed"),
        }
        outcome
    }
}

struct ConfigConnections {
    rules: Arc<EgressRules>,
    dialer: Arc<Dialer>,
    pool: ConnectionPool,
    lookups: Arc<Semaphore>,
}

impl ConfigConnections {
    async fn exchange(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        ends: Instant,
    ) -> Result<HttpReply, EgressError> {
        let origin = ConnectionOrigin::of(target);
        let permit = timeout_at(ends, self.pool.permits(&origin).acquire_owned()).await;
        // A permit that is released at the deadline itself is given to a waiter, which must not start any more.
        let permit = permit.ok().filter(|_| Instant::now() < ends);
        let _permit = permit.ok_or(EgressError::NeverSent(NeverSent::Busy))?;
        let (mut connection, reply) = match self.pool.take(&origin) {
            Some(pooled) => match attempt(pooled, request, ends).await {
                Ok(replied) => replied,
                // The peer had closed the idle connection, and hyper returned the request before any byte of it was
                // written: over a new connection it is sent for the first time.
                Err(FailedAttempt::NotWritten(request)) => self.attempt_anew(target, *request, ends).await?,
                Err(FailedAttempt::Unknown(why)) => return Err(EgressError::Unknown(why)),
            },
            None => self.attempt_anew(target, request, ends).await?,
        };
        let read = timeout_at(ends, message::incoming(reply)).await;
        let reply = read.unwrap_or(Err(UnknownOutcome::Deadline)).map_err(EgressError::Unknown)?;
        if matches!(timeout(IDLE_WAIT_MAX, connection.sender.ready()).await, Ok(Ok(()))) {
            self.pool.put(origin, connection);
        }
        Ok(reply)
    }

    async fn attempt_anew(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        ends: Instant,
    ) -> Result<Replied, EgressError> {
        let stream = self.dialer.dial(target, &self.lookups, ends).await.map_err(EgressError::NeverSent)?;
        let connection = PooledConnection::over(stream).await.map_err(EgressError::NeverSent)?;
        if Instant::now() >= ends {
            let why = format!("{}: no connection before the deadline", target.host);
            return Err(EgressError::NeverSent(NeverSent::Connect(why)));
        }
        attempt(connection, request, ends).await.map_err(|failed| match failed {
            FailedAttempt::NotWritten(_) => {
                let why = format!("{} closed it before anything was sent", target.host);
                EgressError::NeverSent(NeverSent::Connect(why))
            }
            FailedAttempt::Unknown(why) => EgressError::Unknown(why),
        })
    }
}

/// A connection with the reply that is still being read from it.
type Replied = (PooledConnection, http::Response<hyper::body::Incoming>);

/// Why a connection gave no reply.
enum FailedAttempt {
    /// No byte of the request was written.
    NotWritten(Box<Request<Full<Bytes>>>),
    Unknown(UnknownOutcome),
}

async fn attempt(
    mut connection: PooledConnection,
    request: Request<Full<Bytes>>,
    ends: Instant,
) -> Result<Replied, FailedAttempt> {
    match timeout_at(ends, connection.sender.try_send_request(request)).await {
        Ok(Ok(reply)) => Ok((connection, reply)),
        Ok(Err(mut error)) => Err(match error.take_message() {
            Some(request) => FailedAttempt::NotWritten(Box::new(request)),
            None => FailedAttempt::Unknown(message::unknown(&error.into_error())),
        }),
        Err(_) => Err(FailedAttempt::Unknown(UnknownOutcome::Deadline)),
    }
}
