//! One configured module instance and the thread that its calls run on. A call that does not return is abandoned with
//! its thread, at most three times; then the instance is unavailable until one of them comes back.
//! Knows nothing of payments or networks.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::{ConfigError, ProviderConfig};
use tokio::sync::oneshot;

use super::limits::Limits;
use crate::ports::Clock;

/// Threads that may be stuck in one instance, or in the configuring of one module: a stuck thread costs its stack and
/// what it holds, and a module that swallows three swallows all.
pub(super) const STUCK_MAX: usize = 3;
/// What Rust gives a thread by default; modules are written and tested under it.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// Why a call brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallFailure {
    /// Too many calls wait, or this one waited too long; it was not begun.
    Busy,
    /// It was begun and did not return in time.
    Late,
    /// Too many calls never returned, or the host's own side of the call failed.
    Unavailable,
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the module is overloaded: too many calls wait for it",
            Self::Late => "the module did not return from a call in time",
            Self::Unavailable => "the module is unavailable: too many of its calls never returned",
        })
    }
}

/// Why there is no instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StartFailure {
    /// The module refuses the configuration, in its own words.
    Refused(ConfigError),
    Late,
    /// Too many earlier attempts to configure this module never returned.
    TooManyStuck,
    NoThread(String),
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) if error.field.is_empty() => f.write_str(&error.message),
            Self::Refused(error) => error.fmt(f),
            Self::Late => f.write_str("the module did not return from configuring in time"),
            Self::TooManyStuck => f.write_str("the module is unavailable: it never returned from configuring before"),
            Self::NoThread(error) => write!(f, "no thread for the module: {error}"),
        }
    }
}

/// A live instance with its thread. Dropping it lets the instance go, on that thread.
pub(super) struct ModuleThread {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    limits: Limits,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    /// What new calls are made on. Gone when the owner is.
    instance: Option<Arc<Instance>>,
    queue: VecDeque<Job>,
    last_ticket: u64,
    /// The call that runs, and since when.
    running: Option<(u64, Duration)>,
    /// The number of the thread that serves the queue; one that finds another number here was abandoned.
    crew: u64,
    /// Whether that thread exists.
    served: bool,
    stuck: usize,
}

struct Job {
    ticket: u64,
    work: Box<dyn FnOnce(&Instance) + Send>,
}

impl ModuleThread {
    /// Asks `module` for an instance of `config` on a new thread, which then serves it. `stuck` counts the module's
    /// threads that never returned from here.
    pub(super) async fn start(
        module: ModuleV1,
        config: ProviderConfig,
        limits: Limits,
        clock: Arc<dyn Clock>,
        stuck: Arc<AtomicUsize>,
    ) -> Result<Self, StartFailure> {
        // Counted as stuck until it returns, so that attempts at one time are limited as well.
        if stuck.fetch_add(1, Ordering::AcqRel) >= STUCK_MAX {
            stuck.fetch_sub(1, Ordering::AcqRel);
            return Err(StartFailure::TooManyStuck);
        }
        let (answer, answered) = oneshot::channel();
        let name = format!("module {} {}", config.provider, config.id);
        let (thread_name, thread_clock, counted) = (name.clone(), Arc::clone(&clock), Arc::clone(&stuck));
        let born = spawn(&name, move || {
            let made = catch_unwind(AssertUnwindSafe(|| module.configure(&config)));
            counted.fetch_sub(1, Ordering::AcqRel);
            let made = made.unwrap_or_else(|_| Err(ConfigError::new("", "the host failed while configuring")));
            match made {
                Err(refused) => drop(answer.send(Err(StartFailure::Refused(refused)))),
                Ok(instance) => {
                    let shared = Arc::new(Shared::new(thread_name, limits, thread_clock, instance));
                    if answer.send(Ok(Self { shared: Arc::clone(&shared) })).is_ok() {
                        shared.serve(0);
                    }
                }
            }
        });
        if let Err(error) = born {
            stuck.fetch_sub(1, Ordering::AcqRel);
            return Err(StartFailure::NoThread(error.to_string()));
        }
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or(Err(StartFailure::Late)),
            () = clock.sleep(limits.call) => Err(StartFailure::Late),
        }
    }

    /// Runs `work` on the module's thread and waits for it, no longer than one call may take.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Instance) -> T + Send + 'static,
    ) -> Result<T, CallFailure> {
        let (answer, mut answered) = oneshot::channel();
        // Nobody waits for the answer of an abandoned call.
        let ticket = self.shared.enqueue(Box::new(move |instance| drop(answer.send(work(instance)))))?;
        let mut wait = self.shared.limits.call;
        loop {
            tokio::select! {
                biased;
                answer = &mut answered => return answer.map_err(|_| CallFailure::Unavailable),
                () = self.shared.clock.sleep(wait) => {}
            }
            match self.shared.overdue(ticket) {
                Overdue::NotBegun => return Err(CallFailure::Busy),
                Overdue::Abandoned => return Err(CallFailure::Late),
                Overdue::Running { left } => wait = left,
                Overdue::Over => return answered.await.map_err(|_| CallFailure::Unavailable),
            }
        }
    }

    /// Later calls are made on this instance; the earlier one is let go when its calls are over.
    pub(super) fn replace(&self, instance: Instance) {
        let before = self.shared.lock().instance.replace(Arc::new(instance));
        // The earlier instance is let go on the module's thread: its code may hang.
        let _ = self.shared.enqueue(Box::new(move |_| drop(before)));
    }

    /// How many of its threads never returned.
    pub(super) fn stuck(&self) -> usize {
        self.shared.lock().stuck
    }
}

impl Drop for ModuleThread {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // The thread lets it go; when all of them are stuck, nobody can.
        let instance = state.instance.take();
        if state.served {
            let ticket = state.last_ticket.saturating_add(1);
            state.queue.push_back(Job { ticket, work: Box::new(move |_| drop(instance)) });
        } else {
            std::mem::forget(instance);
        }
        drop(state);
        self.shared.wake.notify_all();
    }
}

/// What a caller finds whose patience is over.
enum Overdue {
    NotBegun,
    Running { left: Duration },
    Abandoned,
    Over,
}

impl Shared {
    fn new(name: String, limits: Limits, clock: Arc<dyn Clock>, instance: Instance) -> Self {
        let state = State {
            instance: Some(Arc::new(instance)),
            queue: VecDeque::new(),
            last_ticket: 0,
            running: None,
            crew: 0,
            served: true,
            stuck: 0,
        };
        Self { name, limits, clock, state: Mutex::new(state), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is whole before its guard is dropped.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, work: Box<dyn FnOnce(&Instance) + Send>) -> Result<u64, CallFailure> {
        let mut state = self.lock();
        if !state.served {
            return Err(CallFailure::Unavailable);
        }
        if state.queue.len() >= self.limits.waiting_max {
            return Err(CallFailure::Busy);
        }
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.queue.push_back(Job { ticket, work });
        drop(state);
        self.wake.notify_one();
        Ok(ticket)
    }

    /// The thread numbered `crew`: call after call until the owner is gone or the thread was abandoned.
    fn serve(self: Arc<Self>, mut crew: u64) {
        loop {
            let Some((job, instance)) = self.next() else { return };
            // The guard in the module catches its panics; this catches the host's own side of the call.
            let _ = catch_unwind(AssertUnwindSafe(|| (job.work)(&instance)));
            let mut state = self.lock();
            if state.crew == crew {
                state.running = None;
                continue;
            }
            // Abandoned, and back all the same.
            state.stuck -= 1;
            if state.served || state.instance.is_none() {
                return;
            }
            state.crew += 1;
            state.served = true;
            crew = state.crew;
        }
    }

    fn next(&self) -> Option<(Job, Arc<Instance>)> {
        let mut state = self.lock();
        loop {
            let Some(instance) = state.instance.clone() else {
                // The owner is gone: the last jobs only let instances go, here, when they are dropped.
                let last = std::mem::take(&mut state.queue);
                drop(state);
                drop(last);
                return None;
            };
            if let Some(job) = state.queue.pop_front() {
                state.running = Some((job.ticket, self.clock.monotonic()));
                return Some((job, instance));
            }
            drop(instance);
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Decides about a call whose caller waited long enough.
    fn overdue(self: &Arc<Self>, ticket: u64) -> Overdue {
        let mut state = self.lock();
        if let Some(place) = state.queue.iter().position(|job| job.ticket == ticket) {
            state.queue.remove(place);
            return Overdue::NotBegun;
        }
        let Some((_, since)) = state.running.filter(|(running, _)| *running == ticket) else {
            return Overdue::Over;
        };
        let ran = self.clock.monotonic().saturating_sub(since);
        if ran < self.limits.call {
            return Overdue::Running { left: self.limits.call.saturating_sub(ran) };
        }
        self.abandon(&mut state);
        Overdue::Abandoned
    }

    fn abandon(self: &Arc<Self>, state: &mut State) {
        state.running = None;
        state.crew += 1;
        state.stuck += 1;
        tracing::error!(thread = self.name, stuck = state.stuck, "a module call did not return; its thread is left");
        let crew = state.crew;
        let next = Arc::clone(self);
        state.served = state.stuck < STUCK_MAX && spawn(&self.name, move || next.serve(crew)).is_ok();
        if !state.served {
            // Their callers hear that nobody serves.
            state.queue.clear();
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    builder.spawn(work).map(drop)
}
