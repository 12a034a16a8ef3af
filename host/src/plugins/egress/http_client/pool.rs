//! Connections of one config: how many a host may have, and idle ones, kept for reuse. A connection carries one request at a time and returns to the pool only
//! after its reply was read to the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Host;

use super::dial::Duplex;
use super::target::Target;
use super::types::{CONNECTIONS_MAX, NeverSent};

/// Idle connections kept per host. Only a burst needs more, and a burst can dial.
const IDLE_PER_HOST_MAX: usize = 32;

/// How long a connection may be idle. Common servers and balancers close at 60 s and above; at half of that a connection is
/// rarely being closed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// Header lines of a reply; browsers and proxies allow about as many.
const REPLY_HEADERS_MAX: usize = 128;

/// Bytes of a reply's head. Servers commonly stop at 8 to 16 KiB; cookies of a few services need more.
const REPLY_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ConnectionOrigin(bool, Host, u16);

impl ConnectionOrigin {
    pub(super) fn of(target: &Target) -> Self {
        Self(target.tls, target.host.clone(), target.port)
    }
}

/// An open connection and the task that drives it. Dropping it closes it.
pub(super) struct PooledConnection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl PooledConnection {
    pub(super) async fn over(stream: Box<dyn Duplex>) -> Result<Self, NeverSent> {
        let (sender, connection) = http1::Builder::new()
            .max_headers(REPLY_HEADERS_MAX)
            .max_buf_size(REPLY_HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| NeverSent::Connect(error.to_string()))?;
        // The caller that waits for the reply gets its errors.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver })
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The connections by origin.
#[derive(Default)]
pub(super) struct ConnectionPool {
    origins: Mutex<HashMap<ConnectionOrigin, OriginConnections>>,
}

struct OriginConnections {
    /// The latest used is at the end.
    idle: Vec<(Instant, PooledConnection)>,
    /// One for every request under way.
    permits: Arc<Semaphore>,
}

impl ConnectionPool {
    /// The permits of an origin. Every request takes one: a host that hangs leaves the other hosts theirs.
    pub(super) fn permits(&self, origin: &ConnectionOrigin) -> Arc<Semaphore> {
        Arc::clone(&self.origins().entry(origin.clone()).or_default().permits)
    }

    /// The connection that was idle for the shortest time, if it is still open.
    pub(super) fn take(&self, origin: &ConnectionOrigin) -> Option<PooledConnection> {
        let mut origins = self.origins();
        let connections = &mut origins.get_mut(origin)?.idle;
        while let Some((since, connection)) = connections.pop() {
            if since.elapsed() < IDLE_TIME_MAX && connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request and closes those that were idle too long.
    pub(super) fn put(&self, origin: ConnectionOrigin, connection: PooledConnection) {
        let mut origins = self.origins();
        origins.retain(|_, known| {
            known.idle.retain(|(since, idle)| since.elapsed() < IDLE_TIME_MAX && !idle.sender.is_closed());
            // A request under way, or one that waits, holds the permits.
            !known.idle.is_empty() || Arc::strong_count(&known.permits) > 1
        });
        let connections = &mut origins.entry(origin).or_default().idle;
        if connections.len() < IDLE_PER_HOST_MAX {
            connections.push((Instant::now(), connection));
        }
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<ConnectionOrigin, OriginConnections>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for OriginConnections {
    fn default() -> Self {
        Self { idle: Vec::new(), permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}
