//! One exchange between a module and its provider: calls the module with all replies so far, sends the request it returns,
//! and records whether a request that may move money may have left. It does not know payments; `outcomes` decides what an
//! outcome means for them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_provider_sdk::host::Instance;
use cashier_provider_sdk::{CachePolicy, FailureKind, HttpReply, HttpRequest, ProviderFailure, Step};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use super::allowed_requests::AllowedRequests;
use super::call_failures::HostFailure;
use super::credentials::Credentials;
use super::module_thread::ModuleThread;
use super::reply_cache::{FetchTime, ReplyCache};
use super::sent_requests::{RequestLine, SentRequest};
use crate::circuit_breaker::{BreakerChange, CircuitBreaker};
use crate::plugins::egress::date;
use crate::plugins::egress::port::{Network, SendError};
use crate::plugins::limits::GatewayLimits;
use crate::ports::Clock;

/// The network has a deadline of its own; past it by this much, its reply is not waited for.
const NETWORK_GRACE: Duration = Duration::from_millis(250);
/// An exchange sends its first request only while this part of its time is left: with less, the request would mostly time
/// out after it left, and a request that never left is known not to have happened.
const FIRST_REQUEST_SHARE: u32 = 4;

/// How an exchange ended, and what is known about its requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExchangeOutcome<T> {
    pub(super) end: ExchangeEnd<T>,
    /// A request was handed to the network.
    pub(super) request_sent: bool,
    /// A request that may move money may have left the cashier.
    pub(super) money_may_have_moved: bool,
    /// So may an earlier request than the last one: a refusal of the last says nothing about it.
    pub(super) moved_before_last: bool,
    /// The last request may have moved money.
    pub(super) moved_by_last: bool,
    /// Time spent waiting for the network.
    pub(super) provider_time: Duration,
    /// What the module asked to send, in order; replies from the cache are none.
    pub(super) requests: Vec<SentRequest>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExchangeEnd<T> {
    Done(T),
    Failed(ProviderFailure),
    Unsupported,
    HostFailed(HostFailure),
}

/// An entry point of a module with its arguments.
type EntryCall<T> = dyn Fn(&Instance, &[HttpReply]) -> Step<T> + Send + Sync;

/// Drives the exchanges of one gateway.
pub(super) struct ExchangeDriver {
    gateway: String,
    limits: GatewayLimits,
    clock: Arc<dyn Clock>,
    network: Arc<dyn Network>,
    cache: ReplyCache,
    breaker: Mutex<CircuitBreaker>,
    pub(super) credentials: Credentials,
    network_permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// What one exchange holds while it runs.
#[derive(Default)]
struct ExchangeState {
    started: Duration,
    /// The time before the first request, once there is one.
    queued: Option<Duration>,
    money_may_have_moved: bool,
    moved_before_last: bool,
    moved_by_last: bool,
    provider_time: Duration,
    requests: Vec<SentRequest>,
    /// The request that the module asked for and whose end is not noted.
    current: Option<RequestLine>,
    /// The right to use the network, taken before the first request.
    permit: Option<OwnedSemaphorePermit>,
    /// The circuit breaker admitted the first request, and with it the whole exchange.
    admitted: bool,
    /// Cached replies used since the last start.
    cached: Vec<(String, FetchTime)>,
}

impl ExchangeDriver {
    pub(super) fn new(
        gateway: String,
        limits: GatewayLimits,
        clock: Arc<dyn Clock>,
        network: Arc<dyn Network>,
    ) -> Self {
        let network_permits = Arc::new(Semaphore::new(limits.concurrency_max));
        let (cache, credentials, waiting) = (ReplyCache::default(), Credentials::default(), AtomicUsize::new(0));
        let breaker = Mutex::new(CircuitBreaker::new());
        Self { gateway, limits, clock, network, cache, breaker, credentials, network_permits, waiting }
    }

    pub(super) fn circuit_is_open(&self) -> bool {
        self.breaker().is_open()
    }

    /// Drives one exchange to its end. `call` is an entry point of the module with its arguments, the same for the whole
    /// exchange.
    pub(super) async fn exchange<T: Send + 'static>(
        &self,
        thread: &ModuleThread,
        allowed: AllowedRequests<'_>,
        call: impl Fn(&Instance, &[HttpReply]) -> Step<T> + Send + Sync + 'static,
    ) -> ExchangeOutcome<T> {
        let mut state = ExchangeState { started: self.clock.monotonic(), ..ExchangeState::default() };
        let call: Arc<EntryCall<T>> = Arc::new(call);
        let mut end = self.attempt(thread, allowed, &call, &mut state).await;
        if matches!(&end, ExchangeEnd::Failed(failure) if failure.kind == FailureKind::StaleReply)
            && !state.cached.is_empty()
        {
            for (name, fetched) in state.cached.drain(..) {
                self.cache.invalidate(&name, fetched);
            }
            // The module says that the provider refused it.
            state.moved_by_last = false;
            end = self.attempt(thread, allowed, &call, &mut state).await;
        }
        let ExchangeState {
            queued,
            money_may_have_moved,
            moved_before_last,
            moved_by_last,
            provider_time,
            requests,
            ..
        } = state;
        let failure = if let ExchangeEnd::Failed(failure) = &end { Some(failure) } else { None };
        if queued.is_some() && (failure.is_some() || matches!(end, ExchangeEnd::Done(_))) {
            self.credentials.note(&self.gateway, failure);
        }
        ExchangeOutcome {
            end,
            request_sent: queued.is_some(),
            money_may_have_moved,
            moved_before_last,
            moved_by_last,
            provider_time,
            requests,
        }
    }

    async fn attempt<T: Send + 'static>(
        &self,
        thread: &ModuleThread,
        allowed: AllowedRequests<'_>,
        call: &Arc<EntryCall<T>>,
        state: &mut ExchangeState,
    ) -> ExchangeEnd<T> {
        let mut replies = Vec::new();
        loop {
            let call = Arc::clone(call);
            let called = thread.call(move |instance| (call(instance, &replies), replies)).await;
            let step = match called {
                Ok((step, back)) => {
                    replies = back;
                    step
                }
                Err(failure) => return ExchangeEnd::HostFailed(HostFailure::Call(failure)),
            };
            let (request, cache) = match step {
                Step::Done(value) => return ExchangeEnd::Done(value),
                Step::Failed(failure) => return ExchangeEnd::Failed(failure),
                Step::Unsupported => return ExchangeEnd::Unsupported,
                Step::Send { request, cache } => (request, cache),
            };
            let line = RequestLine::of(&request, self.clock.now());
            if let Some(failure) = self.forbidden(allowed, &request, replies.len()) {
                state.requests.push(line.held_back(&failure));
                return ExchangeEnd::HostFailed(failure);
            }
            state.current = Some(line);
            let may_move_money = allowed.may_move_money(&request, cache.as_ref());
            let reply = match cache.filter(|_| !may_move_money) {
                Some(cache) => self.cached_or_sent(request, &cache, state).await,
                None => self.send(request, may_move_money, state).await,
            };
            match reply {
                Ok(reply) => replies.push(reply),
                Err(failure) => {
                    state.requests.extend(state.current.take().map(|line| line.held_back(&failure)));
                    return ExchangeEnd::HostFailed(failure);
                }
            }
        }
    }

    fn forbidden(&self, allowed: AllowedRequests<'_>, request: &HttpRequest, sent: usize) -> Option<HostFailure> {
        match allowed {
            AllowedRequests::None => Some(HostFailure::RequestForbidden),
            AllowedRequests::SafeOnly if !request.safe_to_repeat => Some(HostFailure::MoneyForbidden),
            AllowedRequests::SafeOnly | AllowedRequests::All | AllowedRequests::Creating { .. } => {
                (sent >= self.limits.steps_max).then_some(HostFailure::TooManySteps(self.limits.steps_max))
            }
        }
    }

    /// The cached reply to a request, or the provider's. A request that may move money never comes here, because a request
    /// that is answered from the cache is not sent.
    async fn cached_or_sent(
        &self,
        request: HttpRequest,
        policy: &CachePolicy,
        state: &mut ExchangeState,
    ) -> Result<HttpReply, HostFailure> {
        if let Some(reply) = self.cached(policy, state) {
            return Ok(reply);
        }
        // The network permit before the fetch lock: an exchange that fetches for others must not queue behind them.
        self.take_permit(state).await?;
        let Some(lock) = self.cache.fetch_lock(&policy.name) else {
            return self.send(request, false, state).await;
        };
        let left = self.left(state)?;
        let _fetching = tokio::select! {
            fetching = lock.acquire() => fetching,
            () = self.clock.sleep(left) => return Err(HostFailure::TimedOut),
        };
        if let Some(reply) = self.cached(policy, state) {
            return Ok(reply);
        }
        let reply = self.send(request, false, state).await?;
        self.cache.put(policy, &reply, self.clock.monotonic());
        Ok(reply)
    }

    fn cached(&self, policy: &CachePolicy, state: &mut ExchangeState) -> Option<HttpReply> {
        let (reply, fetched) = self.cache.get(&policy.name, self.clock.monotonic())?;
        state.cached.push((policy.name.clone(), fetched));
        Some(reply)
    }

    async fn send(
        &self,
        request: HttpRequest,
        may_move_money: bool,
        state: &mut ExchangeState,
    ) -> Result<HttpReply, HostFailure> {
        self.take_permit(state).await?;
        let within = self.time_to_send(state)?;
        let sent_at = self.clock.monotonic();
        state.admitted = state.admitted || self.breaker().admits(sent_at);
        if !state.admitted {
            return Err(HostFailure::CircuitOpen);
        }
        let queued = *state.queued.get_or_insert(sent_at.saturating_sub(state.started));
        let witness = (!self.clock.is_plausible()).then(|| date::witness(&request.url)).flatten();
        let reply = tokio::select! {
            reply = self.network.send(request, within) => reply,
            () = self.clock.sleep(within.saturating_add(NETWORK_GRACE)) => {
                Err(SendError::Unknown("timed out".to_owned()))
            }
        };
        date::compare(&*self.clock, witness, &reply);
        let now = self.clock.monotonic();
        let took = now.saturating_sub(sent_at);
        state.provider_time = state.provider_time.saturating_add(took);
        state.requests.extend(state.current.take().map(|line| line.ended(&reply, took, within)));
        // A timeout does not count against a provider whose time the queue of the cashier had shortened.
        let queue_to_blame = took >= within && queued >= self.first_request_share();
        match &reply {
            Ok(_) => self.count_result(true, now),
            Err(_) if queue_to_blame => {}
            Err(SendError::NeverSent(_) | SendError::Unknown(_)) => self.count_result(false, now),
            Err(SendError::Refused(_)) => {}
        }
        state.moved_before_last |= state.moved_by_last;
        state.moved_by_last = may_move_money && matches!(reply, Ok(_) | Err(SendError::Unknown(_)));
        state.money_may_have_moved |= state.moved_by_last;
        reply.map_err(|error| match error {
            SendError::Refused(reason) | SendError::NeverSent(reason) => HostFailure::NotSent(reason),
            SendError::Unknown(reason) => HostFailure::NoReply(reason),
        })
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_result(&self, success: bool, now: Duration) {
        let mut breaker = self.breaker();
        let change = if success { breaker.succeeded(now) } else { breaker.failed(now) };
        drop(breaker);
        match change {
            BreakerChange::None => {}
            BreakerChange::Opened => {
                tracing::warn!(gateway = self.gateway, "provider requests failed repeatedly; circuit breaker opened");
            }
            BreakerChange::Closed => {
                tracing::info!(gateway = self.gateway, "provider replied again; circuit breaker closed")
            }
        }
    }

    /// Takes the right to use the network, held until the exchange ends.
    async fn take_permit(&self, state: &mut ExchangeState) -> Result<(), HostFailure> {
        if state.permit.is_some() {
            return Ok(());
        }
        let left = self.left(state)?;
        if let Ok(permit) = Arc::clone(&self.network_permits).try_acquire_owned() {
            state.permit = Some(permit);
            return Ok(());
        }
        let _waiter = Waiter::join(&self.waiting, self.limits.waiting_max).ok_or(HostFailure::Overloaded)?;
        let permit = tokio::select! {
            permit = Arc::clone(&self.network_permits).acquire_owned() => permit,
            () = self.clock.sleep(left) => return Err(HostFailure::Overloaded),
        };
        state.permit = Some(permit.map_err(|_| HostFailure::Overloaded)?);
        Ok(())
    }

    fn time_to_send(&self, state: &ExchangeState) -> Result<Duration, HostFailure> {
        match (self.left(state), state.queued) {
            (left, Some(_)) => left,
            (Ok(left), None) if left >= self.first_request_share() => Ok(left),
            (Ok(_) | Err(_), None) => Err(HostFailure::Overloaded),
        }
    }

    fn first_request_share(&self) -> Duration {
        self.limits.exchange / FIRST_REQUEST_SHARE
    }

    fn left(&self, state: &ExchangeState) -> Result<Duration, HostFailure> {
        let spent = self.clock.monotonic().saturating_sub(state.started);
        self.limits.exchange.checked_sub(spent).filter(|left| !left.is_zero()).ok_or(HostFailure::TimedOut)
    }
}

/// One of the exchanges that wait for the network; leaves the count when dropped.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn join(count: &'a AtomicUsize, waiting_max: usize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::AcqRel);
        let waiter = Self(count);
        (before < waiting_max).then_some(waiter)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
