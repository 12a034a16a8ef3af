//! Idle connections of one provider, kept to be used again. A connection returns only when its answer was read to the end,
//! and carries one request at a time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Host;

use super::NeverSent;
use super::dial::Duplex;
use super::target::Target;

/// Idle connections of one host kept at most. More were only needed in a burst, and a burst can dial.
const IDLE_PER_HOST_MAX: usize = 32;

/// How long a connection may idle. Common servers and balancers close at 60 s and above; half of that seldom meets a
/// connection that is being closed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// Header lines of an answer; browsers and proxies stop at about as many.
const ANSWER_HEADERS_MAX: usize = 128;

/// Bytes of an answer's head. Servers commonly stop at 8 to 16 KiB; cookies of a few services need more.
const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin(bool, Host, u16);

impl Origin {
    pub(super) fn of(target: &Target) -> Self {
        Self(target.tls, target.host.clone(), target.port)
    }
}

/// An open connection and the task that drives it. Dropping it closes it.
pub(super) struct Wire {
    pub(super) sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Wire {
    pub(super) async fn over(stream: Box<dyn Duplex>) -> Result<Self, NeverSent> {
        let (sender, connection) = http1::Builder::new()
            .max_headers(ANSWER_HEADERS_MAX)
            .max_buf_size(ANSWER_HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| NeverSent::Connect(error.to_string()))?;
        // Its errors are heard by whoever waits for the answer.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The idle connections, by origin; the latest used is at the end.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Origin, Vec<(Instant, Wire)>>>,
}

impl Pool {
    /// The connection that idled least, if it is still open.
    pub(super) fn take(&self, origin: &Origin) -> Option<Wire> {
        let mut idle = self.idle();
        let wires = idle.get_mut(origin)?;
        while let Some((since, wire)) = wires.pop() {
            if since.elapsed() < IDLE_TIME_MAX && wire.sender.is_ready() {
                return Some(wire);
            }
        }
        None
    }

    /// Keeps a connection for the next request and closes those that idled too long.
    pub(super) fn put(&self, origin: Origin, wire: Wire) {
        let mut idle = self.idle();
        idle.retain(|_, wires| {
            wires.retain(|(since, wire)| since.elapsed() < IDLE_TIME_MAX && !wire.sender.is_closed());
            !wires.is_empty()
        });
        let wires = idle.entry(origin).or_default();
        if wires.len() < IDLE_PER_HOST_MAX {
            wires.push((Instant::now(), wire));
        }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<Origin, Vec<(Instant, Wire)>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
