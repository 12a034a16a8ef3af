//! Calls to the platform over one connection. A call that fails says whether it was never sent or may have been; a caller that
//! gives up before a byte was written takes it back. It knows no command and decides nothing about money.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::link_health::LinkHealth;
use super::messages::PlatformPush;
use super::server_error::ServerError;
use crate::ports::{Clock, Fault};

/// Calls that wait to be written; the next is refused at once. Four times as many as may be in flight.
pub(super) const CALLS_QUEUED_MAX: usize = 256;

/// How long a call waits to be written before it is taken back: a connection is made in less, and a customer waits.
pub(super) const CALL_QUEUE_WAIT: Duration = Duration::from_secs(5);

/// Pushed events that a slow reader may leave behind; it is then sent to read everything anew.
const PUSHES_KEPT_MAX: usize = 1024;

/// The event that the connection itself announces; none of the platform's has this name.
pub(super) const CONNECTED: &str = "cashier:connected";

/// A call that was taken back before it was written, in place of the number of its connection.
const TAKEN_BACK: u64 = u64::MAX;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PlatformFailure {
    /// Not a byte of it was written: the server knows nothing of it.
    NeverSent(String),
    /// It may have been received, and may take effect.
    Unknown(String),
    /// The server answered with an error. Only one that is stated says that it does not do it (`ServerErrorKind`).
    Answered(ServerError),
}

impl fmt::Display for PlatformFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSent(why) => write!(f, "not sent: {why}"),
            Self::Unknown(why) => write!(f, "outcome unknown: {why}"),
            Self::Answered(error) => write!(f, "the trading server answered {error}"),
        }
    }
}

/// The number of the connection that a call was written to; 0 while it is not.
#[derive(Debug, Clone, Default)]
pub(super) struct CallTrace(Arc<AtomicU64>);

impl CallTrace {
    pub(super) fn connection(&self) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst)).filter(|number| ![0, TAKEN_BACK].contains(number))
    }

    pub(super) fn of_connection(number: u64) -> Self {
        Self(Arc::new(AtomicU64::new(number)))
    }

    /// Whether it is not written, and then never is.
    pub(super) fn take_back(&self) -> bool {
        self.claim(TAKEN_BACK) || self.is_taken_back()
    }

    /// The server answered that it did nothing of it.
    pub(super) fn not_done(&self) {
        self.0.store(TAKEN_BACK, Ordering::SeqCst);
    }

    fn is_taken_back(&self) -> bool {
        self.0.load(Ordering::SeqCst) == TAKEN_BACK
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whoever does it first: the connection, before it writes the first byte, or the caller who takes the call back.
    fn claim(&self, by: u64) -> bool {
        self.0.compare_exchange(0, by, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    pub(super) fn written_to(&self, connection: u64) -> bool {
        self.claim(connection)
    }
}

/// A call on its way to the connection.
pub(super) struct PlatformCall {
    pub(super) command: Box<str>,
    pub(super) data: String,
    pub(super) trace: CallTrace,
    pub(super) answer: oneshot::Sender<Result<Value, PlatformFailure>>,
}

/// What the connection and its callers share.
pub(super) struct PlatformLinkState {
    pub(super) pushes: broadcast::Sender<PlatformPush>,
    pub(super) seen: Mutex<LinkHealth>,
}

impl PlatformLinkState {
    pub(super) fn new() -> Arc<Self> {
        let seen = LinkHealth { problem: Some("not connected yet".to_owned()), ..LinkHealth::default() };
        Arc::new(Self { pushes: broadcast::Sender::new(PUSHES_KEPT_MAX), seen: Mutex::new(seen) })
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut LinkHealth) -> T) -> T {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The callers' side.
#[derive(Clone)]
pub(super) struct PlatformClient {
    pub(super) calls: mpsc::Sender<PlatformCall>,
    pub(super) state: Arc<PlatformLinkState>,
    pub(super) clock: Arc<dyn Clock>,
    /// By the monotonic clock.
    pub(super) opened: Duration,
}

impl PlatformClient {
    pub(super) async fn call(&self, command: &str, data: Value) -> Result<Value, PlatformFailure> {
        self.call_traced(command, data, CallTrace::default()).await
    }

    /// The same, and where it was written can be seen while it runs and after its caller went away.
    pub(super) async fn call_traced(
        &self,
        command: &str,
        data: Value,
        trace: CallTrace,
    ) -> Result<Value, PlatformFailure> {
        let (answer, answered) = oneshot::channel();
        let data = data.to_string();
        let queued = PlatformCall { command: command.into(), data, trace: trace.clone(), answer };
        if self.calls.try_send(queued).is_err() {
            return Err(PlatformFailure::NeverSent("too many calls wait for the trading server".to_owned()));
        }
        let answered = match select(answered, self.clock.sleep(CALL_QUEUE_WAIT)).await {
            Either::Left((answered, _)) => answered,
            Either::Right(((), _)) if trace.claim(TAKEN_BACK) => {
                let why = self.state.with(|seen| seen.problem.clone());
                return Err(PlatformFailure::NeverSent(
                    why.unwrap_or_else(|| "it waited too long to be sent".to_owned()),
                ));
            }
            // The connection answers what it wrote, in time.
            Either::Right(((), answered)) => answered.await,
        };
        answered.unwrap_or_else(|_| match trace.connection() {
            Some(_) => Err(PlatformFailure::Unknown("the cashier stops".to_owned())),
            None => Err(PlatformFailure::NeverSent("the cashier stops".to_owned())),
        })
    }

    /// How long the connection of a call has been closed; `None` while it is open, and while the call may be written yet. What this
    /// process did not send, an earlier one may have, whose connections were closed before it was opened.
    pub(super) fn closed_for(&self, trace: Option<&CallTrace>) -> Option<Duration> {
        let closed = match trace.map(|trace| (trace.connection(), trace.is_taken_back())) {
            Some((Some(connection), _)) => self.state.with(|seen| seen.closed_at(connection))?,
            Some((None, false)) => return None,
            Some((None, true)) | None => self.opened,
        };
        Some(self.clock.monotonic().saturating_sub(closed))
    }

    /// The same; a connection that is open is closed soon, and another one opened, so that the next question has an answer.
    pub(super) fn closed_or_closing(&self, trace: Option<&CallTrace>) -> Option<Duration> {
        let closed = self.closed_for(trace);
        if let (None, Some(connection)) = (closed, trace.and_then(CallTrace::connection)) {
            self.state.with(|seen| seen.retired = seen.retired.max(connection));
        }
        closed
    }

    /// Whether something can be sent now. What is refused of one command holds up no other.
    pub(super) fn reaches(&self) -> Result<(), Fault> {
        self.state.with(|seen| seen.reaches())
    }

    /// Whether the platform does what it is asked; the fault is a sentence for the operator.
    pub(super) fn health(&self) -> Result<(), Fault> {
        self.state.with(|seen| seen.health())
    }
}
