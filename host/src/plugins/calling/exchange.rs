//! One exchange between a module and its provider: calls the module with all replies so far, sends what it wants sent,
//! and keeps account of what may have left the cashier. Knows nothing of payments; what an outcome means is `outcomes`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_provider_sdk::host::Instance;
use cashier_provider_sdk::{CachePolicy, FailureKind, HttpMethod, HttpReply, HttpRequest, ProviderFailure, Step};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::call_failures::CallFailure;
use super::circuit_breaker::{CircuitBreaker, Turn};
use super::module_thread::ModuleThread;
use super::reply_cache::{ReplyCache, Stamp};
use crate::plugins::egress::port::{Network, SendError};
use crate::plugins::limits::Limits;
use crate::ports::Clock;

/// The network keeps its own deadline; past it by this much, its answer is not waited for.
const NETWORK_GRACE: Duration = Duration::from_millis(250);
/// The first request of an exchange gets at least one part in so many of the exchange's time: with less it would mostly be
/// cut off underway, and one that never left is known not to have happened.
const FIRST_REQUEST_SHARE: u32 = 4;

/// What a module may send in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugins) enum Allowed<'a> {
    Nothing,
    SafeRequests,
    Everything,
    /// Everything; and whatever carries one of these texts of the order may begin its payment.
    Creating {
        marks: &'a [&'a str],
    },
}

impl Allowed<'_> {
    /// Whether a request may move money. Where a payment is created the module's own word is not enough: a create under a
    /// key may well be repeated, and yet its lost answer leaves a payment behind. There what is sent moves, unless it
    /// only asks, or fetches for many exchanges, as a token is fetched.
    fn moves(self, request: &HttpRequest, keep: Option<&CachePolicy>) -> bool {
        let errand = request.method == HttpMethod::Get || keep.is_some();
        match self {
            Self::Creating { marks } => {
                !request.safe_to_repeat || !errand || marks.iter().any(|mark| request.carries(mark))
            }
            Self::Nothing | Self::SafeRequests | Self::Everything => !request.safe_to_repeat,
        }
    }
}

/// How an exchange ended and what is known of it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::plugins) struct Exchanged<T> {
    pub(in crate::plugins) ended: Ended<T>,
    /// The network was given a request.
    pub(in crate::plugins) asked: bool,
    /// A request that may move money may have left the cashier.
    pub(in crate::plugins) moved: bool,
    /// Time spent waiting for the network.
    pub(in crate::plugins) provider_time: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::plugins) enum Ended<T> {
    Done(T),
    Failed(ProviderFailure),
    Unsupported,
    Broken(Broken),
}

/// Why the host could not bring an exchange to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugins) enum Broken {
    Call(CallFailure),
    /// The module wants to send where nothing may be sent.
    WouldSend,
    /// The module wants to send what may move money where only safe requests may be sent.
    WouldMove,
    TooManySteps(usize),
    /// Too many exchanges wait for the network.
    Overloaded,
    /// The provider could not be reached of late.
    BreakerOpen,
    /// The last request did not leave.
    NotSent(String),
    /// The last request got no answer.
    NoAnswer(String),
    OutOfTime,
}

/// The network side of one gateway.
pub(in crate::plugins) struct Line {
    name: String,
    limits: Limits,
    clock: Arc<dyn Clock>,
    network: Arc<dyn Network>,
    kept: ReplyCache,
    breaker: Mutex<CircuitBreaker>,
    room: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// What one exchange holds while it runs.
struct Running {
    started: Duration,
    /// The time that was spent before the first request, once there is one.
    queued: Option<Duration>,
    moved: bool,
    provider_time: Duration,
    /// The right to use the network, taken at the first request.
    permit: Option<OwnedSemaphorePermit>,
    /// The breaker let its first request through; it lets an exchange through as a whole.
    admitted: bool,
    /// Kept replies shown since the last start.
    shown: Vec<(String, Stamp)>,
}

impl Line {
    pub(in crate::plugins) fn new(
        name: String,
        limits: Limits,
        clock: Arc<dyn Clock>,
        network: Arc<dyn Network>,
    ) -> Self {
        let room = Arc::new(Semaphore::new(limits.concurrency_max));
        let (breaker, waiting) = (Mutex::new(CircuitBreaker::new()), AtomicUsize::new(0));
        Self { name, limits, clock, network, kept: ReplyCache::default(), breaker, room, waiting }
    }

    /// Whether the provider cannot be reached of late.
    pub(in crate::plugins) fn is_broken(&self) -> bool {
        self.breaker().is_open()
    }

    /// Drives one exchange to its end. `call` is one entry of the module with what it is asked, fixed for the whole
    /// exchange.
    pub(in crate::plugins) async fn exchange<T, F>(
        &self,
        thread: &ModuleThread,
        allowed: Allowed<'_>,
        call: F,
    ) -> Exchanged<T>
    where
        T: Send + 'static,
        F: Fn(&Instance, &[HttpReply]) -> Step<T> + Send + Sync + 'static,
    {
        let started = self.clock.monotonic();
        let mut running = Running {
            started,
            queued: None,
            moved: false,
            provider_time: Duration::ZERO,
            permit: None,
            admitted: false,
            shown: Vec::new(),
        };
        let call = Arc::new(call);
        let ended = match self.attempt(thread, allowed, &call, &mut running).await {
            Ended::Failed(failure) if failure.kind == FailureKind::StaleReply && !running.shown.is_empty() => {
                for (name, stamp) in running.shown.drain(..) {
                    self.kept.forget(&name, stamp);
                }
                self.attempt(thread, allowed, &call, &mut running).await
            }
            ended => ended,
        };
        Exchanged { ended, asked: running.queued.is_some(), moved: running.moved, provider_time: running.provider_time }
    }

    async fn attempt<T, F>(
        &self,
        thread: &ModuleThread,
        allowed: Allowed<'_>,
        call: &Arc<F>,
        running: &mut Running,
    ) -> Ended<T>
    where
        T: Send + 'static,
        F: Fn(&Instance, &[HttpReply]) -> Step<T> + Send + Sync + 'static,
    {
        let mut replies = Vec::new();
        loop {
            let call = Arc::clone(call);
            let stepped = thread.call(move |instance| (call(instance, &replies), replies)).await;
            let (step, back) = match stepped {
                Ok(stepped) => stepped,
                Err(failure) => return Ended::Broken(Broken::Call(failure)),
            };
            replies = back;
            let (request, keep) = match step {
                Step::Done(value) => return Ended::Done(value),
                Step::Failed(failure) => return Ended::Failed(failure),
                Step::Unsupported => return Ended::Unsupported,
                Step::Send { request, cache: keep } => (request, keep),
            };
            if let Some(broken) = self.forbidden(allowed, &request, replies.len()) {
                return Ended::Broken(broken);
            }
            let moves = allowed.moves(&request, keep.as_ref());
            match self.reply_to(request, keep.filter(|_| !moves), moves, running).await {
                Ok(reply) => replies.push(reply),
                Err(broken) => return Ended::Broken(broken),
            }
        }
    }

    fn forbidden(&self, allowed: Allowed<'_>, request: &HttpRequest, sent: usize) -> Option<Broken> {
        match allowed {
            Allowed::Nothing => Some(Broken::WouldSend),
            Allowed::SafeRequests if !request.safe_to_repeat => Some(Broken::WouldMove),
            Allowed::SafeRequests | Allowed::Everything | Allowed::Creating { .. } => {
                (sent >= self.limits.steps_max).then_some(Broken::TooManySteps(self.limits.steps_max))
            }
        }
    }

    /// The reply to one request: a kept one, or the provider's. Nothing that moves money has a `keep` here, because a
    /// request that is answered from memory is not made.
    async fn reply_to(
        &self,
        request: HttpRequest,
        keep: Option<CachePolicy>,
        moves: bool,
        running: &mut Running,
    ) -> Result<HttpReply, Broken> {
        let Some(keep) = keep else { return self.send(request, moves, running).await };
        if let Some(reply) = self.kept_reply(&keep, running) {
            return Ok(reply);
        }
        // The network's room first: whoever fetches for others must not wait for it behind them.
        self.take_room(running).await?;
        let Some(errand) = self.kept.errand(&keep.name) else {
            return self.send(request, moves, running).await;
        };
        let left = self.left(running)?;
        let permit = tokio::select! {
            permit = errand.acquire() => permit,
            () = self.clock.sleep(left) => return Err(Broken::OutOfTime),
        };
        if let Some(reply) = self.kept_reply(&keep, running) {
            return Ok(reply);
        }
        let reply = self.send(request, moves, running).await?;
        self.kept.keep(&keep, &reply, self.clock.monotonic());
        drop(permit);
        Ok(reply)
    }

    fn kept_reply(&self, keep: &CachePolicy, running: &mut Running) -> Option<HttpReply> {
        let (reply, stamp) = self.kept.fresh(&keep.name, self.clock.monotonic())?;
        running.shown.push((keep.name.clone(), stamp));
        Some(reply)
    }

    async fn send(&self, request: HttpRequest, moves: bool, running: &mut Running) -> Result<HttpReply, Broken> {
        self.take_room(running).await?;
        let within = self.time_to_send(running)?;
        let sent_at = self.clock.monotonic();
        running.admitted = running.admitted || self.breaker().admits(sent_at);
        if !running.admitted {
            return Err(Broken::BreakerOpen);
        }
        let queued = *running.queued.get_or_insert(sent_at.saturating_sub(running.started));
        let answer = tokio::select! {
            answer = self.network.send(request, within) => answer,
            () = self.clock.sleep(within.saturating_add(NETWORK_GRACE)) => {
                Err(SendError::Unknown("no answer came in time".to_owned()))
            }
        };
        let now = self.clock.monotonic();
        running.provider_time = running.provider_time.saturating_add(now.saturating_sub(sent_at));
        // A provider that was given less time than others because the cashier was busy is not to blame for it.
        let cut_off = now.saturating_sub(sent_at) >= within && queued >= self.first_request_share();
        match &answer {
            Ok(_) => self.remember(true, now),
            Err(_) if cut_off => {}
            Err(SendError::NeverSent(_) | SendError::Unknown(_)) => self.remember(false, now),
            Err(SendError::Refused(_)) => {}
        }
        running.moved |= moves && matches!(answer, Ok(_) | Err(SendError::Unknown(_)));
        answer.map_err(|error| match error {
            SendError::Refused(reason) | SendError::NeverSent(reason) => Broken::NotSent(reason),
            SendError::Unknown(reason) => Broken::NoAnswer(reason),
        })
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, answered: bool, now: Duration) {
        let mut breaker = self.breaker();
        let turn = if answered { breaker.answered() } else { breaker.failed(now) };
        drop(breaker);
        match turn {
            Turn::Stayed => {}
            Turn::Opened => tracing::warn!(gateway = self.name, "the provider cannot be reached; its breaker opens"),
            Turn::Closed => tracing::info!(gateway = self.name, "the provider answers; its breaker closes"),
        }
    }

    /// The right to use the network, held until the exchange ends.
    async fn take_room(&self, running: &mut Running) -> Result<(), Broken> {
        if running.permit.is_some() {
            return Ok(());
        }
        let left = self.left(running)?;
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            running.permit = Some(permit);
            return Ok(());
        }
        let _waits = Waiting::join(&self.waiting, self.limits.waiting_max).ok_or(Broken::Overloaded)?;
        let permit = tokio::select! {
            permit = Arc::clone(&self.room).acquire_owned() => permit,
            () = self.clock.sleep(left) => return Err(Broken::Overloaded),
        };
        running.permit = Some(permit.map_err(|_| Broken::Overloaded)?);
        Ok(())
    }

    fn time_to_send(&self, running: &Running) -> Result<Duration, Broken> {
        match (self.left(running), running.queued) {
            (left, Some(_)) => left,
            (Ok(left), None) if left >= self.first_request_share() => Ok(left),
            (Ok(_) | Err(_), None) => Err(Broken::Overloaded),
        }
    }

    fn first_request_share(&self) -> Duration {
        self.limits.exchange / FIRST_REQUEST_SHARE
    }

    fn left(&self, running: &Running) -> Result<Duration, Broken> {
        let spent = self.clock.monotonic().saturating_sub(running.started);
        self.limits.exchange.checked_sub(spent).filter(|left| !left.is_zero()).ok_or(Broken::OutOfTime)
    }
}

/// A place among those who wait, given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::AcqRel);
        let place = Self(count);
        (before < most).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
