//! One configured module instance and the thread that its calls run on. A call that does not return is abandoned with
//! its thread, at most three times; then the instance is unavailable until one of them comes back. Whatever of the
//! module runs, runs on such a thread: configuring, calls and letting go. Knows nothing of payments or networks.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::{ConfigError, ProviderConfig};
use tokio::sync::oneshot;

use super::call_failures::{CallFailure, StartFailure};
use crate::plugins::limits::Limits;
use crate::plugins::thread_slots::{AllStuck, STUCK_MAX, ThreadSlots};
use crate::ports::Clock;

/// What Rust gives a thread by default; modules are written and tested under it.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// A live instance with its thread. Dropping it lets the instance go, on that thread.
pub(super) struct ModuleThread {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    limits: Limits,
    clock: Arc<dyn Clock>,
    /// What letting the last instance go is counted in.
    places: ThreadSlots,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    /// What new calls are made on. Taken out only to be let go on the module's thread, or forgotten.
    instance: Option<Arc<Instance>>,
    /// Whether anybody may still call.
    owned: bool,
    queue: VecDeque<Job>,
    last_ticket: u64,
    /// The call that runs, and since when.
    running: Option<(u64, Duration)>,
    /// The number of the thread that serves the queue; one that finds another number here was abandoned.
    crew: u64,
    /// Whether that thread exists.
    served: bool,
    /// The calls that were abandoned with their threads and have not returned.
    left: Vec<u64>,
}

/// A call. It owns nothing that runs the module's code when it is dropped unmade.
struct Job {
    ticket: u64,
    work: Box<dyn FnOnce(&Instance) + Send>,
}

impl ModuleThread {
    /// Asks `module` for an instance of `config` on a new thread, which then serves it. Waits for one of `places` first:
    /// a cashier with many configs of one module opens them all at once.
    pub(super) async fn start(
        module: ModuleV1,
        config: ProviderConfig,
        limits: Limits,
        clock: Arc<dyn Clock>,
        places: ThreadSlots,
    ) -> Result<Self, StartFailure> {
        let place = places.take(limits.call, &*clock).await.map_err(|AllStuck| StartFailure::AllStuck)?;
        let (answer, answered) = oneshot::channel();
        let name = format!("module {} {}", config.provider, config.id);
        let (thread_name, thread_clock) = (name.clone(), Arc::clone(&clock));
        let born = spawn(&name, move || {
            let made = catch_unwind(AssertUnwindSafe(|| module.configure(&config)));
            drop(place);
            let made = made.unwrap_or_else(|_| Err(ConfigError::new("", "the host failed while configuring")));
            match made {
                Err(refused) => drop(answer.send(Err(StartFailure::Refused(refused)))),
                Ok(instance) => {
                    let shared = Arc::new(Shared::new(thread_name, limits, thread_clock, places, instance));
                    // Where nobody waits any more, serving is letting go at once.
                    drop(answer.send(Ok(Self { shared: Arc::clone(&shared) })));
                    shared.serve(0);
                }
            }
        });
        born.map_err(|error| StartFailure::NoThread(error.to_string()))?;
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
        let (answer, answered) = oneshot::channel();
        // Nobody waits for the answer of an abandoned call.
        let ticket = self.shared.enqueue(Box::new(move |instance| drop(answer.send(work(instance)))))?;
        self.wait(ticket, answered).await
    }

    /// Asks `module` for an instance of another `config`, which later calls are made on. The earlier one is let go, here
    /// as well on the module's thread: its code may hang.
    pub(super) async fn reconfigure(
        &self,
        module: ModuleV1,
        config: ProviderConfig,
    ) -> Result<Result<(), ConfigError>, CallFailure> {
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let ticket = self.shared.enqueue(Box::new(move |_| {
            let made = module.configure(&config).map(Arc::new);
            let spare = made.map(|made| shared.replace(made, answer.is_closed()));
            match spare {
                Ok(spare) => {
                    drop(answer.send(Ok(())));
                    drop(spare);
                }
                Err(refused) => drop(answer.send(Err(refused))),
            }
        }))?;
        self.wait(ticket, answered).await
    }

    async fn wait<T>(&self, ticket: u64, mut answered: oneshot::Receiver<T>) -> Result<T, CallFailure> {
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

    /// How many of its threads never returned, those included that nobody waits for.
    pub(super) fn stuck(&self) -> usize {
        let state = self.shared.lock();
        state.left.len() + usize::from(self.shared.left_to_run(&state) == Some(Duration::ZERO))
    }
}

impl Drop for ModuleThread {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.owned = false;
        if !state.served {
            // Its threads are all stuck: nobody can let it go.
            std::mem::forget(state.instance.take());
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
    fn new(name: String, limits: Limits, clock: Arc<dyn Clock>, places: ThreadSlots, instance: Instance) -> Self {
        let state = State {
            instance: Some(Arc::new(instance)),
            owned: true,
            queue: VecDeque::new(),
            last_ticket: 0,
            running: None,
            crew: 0,
            served: true,
            left: Vec::new(),
        };
        Self { name, limits, clock, places, state: Mutex::new(state), wake: Condvar::new() }
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

    /// Puts `instance` in its place and gives back whichever of the two is to be let go: the new one where nobody waits
    /// for it any more, because others may have been configured since.
    fn replace(&self, instance: Arc<Instance>, unwanted: bool) -> Arc<Instance> {
        let mut state = self.lock();
        match &mut state.instance {
            Some(place) if !unwanted => std::mem::replace(place, instance),
            Some(_) | None => instance,
        }
    }

    /// The thread numbered `crew`: call after call until the owner is gone or the thread was abandoned.
    fn serve(self: Arc<Self>, mut crew: u64) {
        loop {
            let Some((job, instance)) = self.next() else { return };
            let ticket = job.ticket;
            // The guard in the module catches its panics; this catches the host's own side of the call. An instance that
            // was replaced meanwhile is let go as part of the call.
            let _ = catch_unwind(AssertUnwindSafe(move || {
                (job.work)(&instance);
                drop(instance);
            }));
            let mut state = self.lock();
            if state.crew == crew {
                state.running = None;
                continue;
            }
            // Abandoned, and back all the same.
            state.left.retain(|left| *left != ticket);
            if state.served || !state.owned {
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
            if !state.owned {
                let last = (state.instance.take(), std::mem::take(&mut state.queue));
                drop(state);
                let _counted = self.places.take_at_once(&*self.clock);
                let _ = catch_unwind(AssertUnwindSafe(|| drop(last)));
                return None;
            }
            if let Some(instance) = state.instance.clone()
                && let Some(job) = state.queue.pop_front()
            {
                state.running = Some((job.ticket, self.clock.monotonic()));
                return Some((job, instance));
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How much longer the call that runs may take.
    fn left_to_run(&self, state: &State) -> Option<Duration> {
        let (_, since) = state.running?;
        let ran = self.clock.monotonic().saturating_sub(since);
        Some(self.limits.call.saturating_sub(ran))
    }

    /// Decides about a call whose caller waited long enough. Whatever runs too long is abandoned, also what nobody waits
    /// for: the caller is the only one who looks.
    fn overdue(self: &Arc<Self>, ticket: u64) -> Overdue {
        let mut state = self.lock();
        let queued = state.queue.iter().position(|job| job.ticket == ticket);
        if let Some(place) = queued {
            state.queue.remove(place);
        }
        let runs = state.running.is_some_and(|(running, _)| running == ticket);
        match self.left_to_run(&state) {
            Some(Duration::ZERO) => self.abandon(&mut state),
            Some(left) if runs => return Overdue::Running { left },
            Some(_) | None => {}
        }
        match queued {
            Some(_) => Overdue::NotBegun,
            None if state.left.contains(&ticket) => Overdue::Abandoned,
            None => Overdue::Over,
        }
    }

    fn abandon(self: &Arc<Self>, state: &mut State) {
        state.left.extend(state.running.take().map(|(ticket, _)| ticket));
        state.crew += 1;
        let stuck = state.left.len();
        tracing::error!(thread = self.name, stuck, "a module call did not return; its thread is left");
        let crew = state.crew;
        let next = Arc::clone(self);
        state.served = stuck < STUCK_MAX && spawn(&self.name, move || next.serve(crew)).is_ok();
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

#[cfg(test)]
mod tests;
