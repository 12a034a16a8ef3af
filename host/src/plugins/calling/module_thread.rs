//! One configured module instance and the thread that its calls run on. A call that does not return is abandoned with its
//! thread, at most three times; then the instance is unavailable until one of them returns. All code of the module runs on
//! such a thread: configuring, calls and dropping. It does not know payments or networks.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::{ConfigError, ProviderConfig};
use tokio::sync::oneshot;

use super::call_failures::{CallFailure, StartFailure};
use crate::plugins::crash::{self, About, CallEntry, CallSite};
use crate::plugins::limits::GatewayLimits;
use crate::plugins::thread_slots::{AllSlotsStuck, STUCK_MAX, ThreadSlots};
use crate::ports::Clock;

/// What Rust gives a thread by default; modules are written and tested under it.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// A live instance with its thread. Dropping it drops the instance, on that thread.
pub(super) struct ModuleThread {
    shared: Arc<SharedThread>,
}

struct SharedThread {
    config: i64,
    name: String,
    limits: GatewayLimits,
    clock: Arc<dyn Clock>,
    /// Dropping the last instance takes one of them.
    slots: ThreadSlots,
    site: CallSite,
    state: Mutex<ThreadState>,
    wake: Condvar,
}

struct ThreadState {
    /// What new calls are made on. Taken out only to be dropped on the module's thread, or leaked.
    instance: Option<Arc<Instance>>,
    /// Whether the [`ModuleThread`] still exists.
    owned: bool,
    queue: VecDeque<QueuedCall>,
    last_ticket: u64,
    /// The call that runs, and since when.
    running: Option<(u64, Duration)>,
    /// The number of the thread that serves the queue; a thread with another number was abandoned.
    thread: u64,
    /// Whether that thread exists.
    served: bool,
    /// The calls that were abandoned with their threads and have not returned.
    abandoned: Vec<u64>,
}

/// A call that waits. Dropping it does not run code of the module.
struct QueuedCall {
    ticket: u64,
    work: Box<dyn FnOnce(&Instance) + Send>,
}

impl ModuleThread {
    /// Configures an instance of `module` on a new thread, which then serves its calls. Waits for one of `slots` first: a
    /// cashier with many configs of one module opens them all at once.
    pub(super) async fn start(
        module: ModuleV1,
        config: ProviderConfig,
        limits: GatewayLimits,
        clock: Arc<dyn Clock>,
        slots: ThreadSlots,
        site: CallSite,
    ) -> Result<Self, StartFailure> {
        let slot =
            slots.take(config.id, limits.call, &*clock).await.map_err(|AllSlotsStuck| StartFailure::AllSlotsStuck)?;
        let (answer, answered) = oneshot::channel();
        let name = format!("module {} {}", config.provider, config.id);
        let (thread_name, thread_clock, thread_site) = (name.clone(), Arc::clone(&clock), site.clone());
        let id = config.id;
        let spawned = spawn(&name, &site, move || {
            let configuring = thread_site.enter(CallEntry::Configure, &About::default());
            let configured = catch_unwind(AssertUnwindSafe(|| module.configure(&config)));
            drop(configuring);
            drop(slot);
            let configured =
                configured.unwrap_or_else(|_| Err(ConfigError::new("", "the host failed while configuring")));
            match configured {
                Err(refused) => drop(answer.send(Err(StartFailure::Refused(refused)))),
                Ok(instance) => {
                    let shared = Arc::new(SharedThread::new(
                        id,
                        thread_name,
                        limits,
                        thread_clock,
                        slots,
                        thread_site,
                        instance,
                    ));
                    // Where the caller stopped waiting, this drops the `ModuleThread`, and serving drops the instance.
                    drop(answer.send(Ok(Self { shared: Arc::clone(&shared) })));
                    shared.serve(0);
                }
            }
        });
        spawned.map_err(|error| StartFailure::NoThread(error.to_string()))?;
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or(Err(StartFailure::TimedOut)),
            () = clock.sleep(limits.call) => Err(StartFailure::TimedOut),
        }
    }

    /// Runs `work` on the module's thread and waits for it, no longer than one call may take.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Instance) -> T + Send + 'static,
    ) -> Result<T, CallFailure> {
        let (answer, answered) = oneshot::channel();
        // An abandoned call has no receiver any more.
        let ticket = self.shared.enqueue(Box::new(move |instance| drop(answer.send(work(instance)))))?;
        self.wait(ticket, answered).await
    }

    /// Configures an instance with another `config`, which later calls are made on. The earlier instance is dropped on the
    /// module's thread as well: its code may hang.
    pub(super) async fn reconfigure(
        &self,
        module: ModuleV1,
        config: ProviderConfig,
    ) -> Result<Result<(), ConfigError>, CallFailure> {
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let ticket = self.shared.enqueue(Box::new(move |_| {
            let configuring = shared.site.enter(CallEntry::Configure, &About::default());
            let configured = module.configure(&config).map(Arc::new);
            drop(configuring);
            match configured.map(|instance| shared.replace(instance, answer.is_closed())) {
                Ok(unused) => {
                    drop(answer.send(Ok(())));
                    let _dropping = shared.site.enter(CallEntry::Drop, &About::default());
                    drop(unused);
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
                Overdue::NotStarted => return Err(CallFailure::Busy),
                Overdue::Abandoned => return Err(CallFailure::TimedOut),
                Overdue::Running { left } => wait = left,
                Overdue::Returned => return answered.await.map_err(|_| CallFailure::Unavailable),
            }
        }
    }

    /// How many of its threads have not returned in time, also from calls without a caller that waits.
    pub(super) fn stuck(&self) -> usize {
        let state = self.shared.lock();
        state.abandoned.len() + usize::from(self.shared.left_to_run(&state) == Some(Duration::ZERO))
    }
}

impl Drop for ModuleThread {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.owned = false;
        if !state.served {
            // Its threads are all stuck: none is left to drop the instance on.
            std::mem::forget(state.instance.take());
        }
        drop(state);
        self.shared.wake.notify_all();
    }
}

/// The state of a call whose caller has waited long enough.
enum Overdue {
    NotStarted,
    Running { left: Duration },
    Abandoned,
    Returned,
}

impl SharedThread {
    fn new(
        config: i64,
        name: String,
        limits: GatewayLimits,
        clock: Arc<dyn Clock>,
        slots: ThreadSlots,
        site: CallSite,
        instance: Instance,
    ) -> Self {
        let state = ThreadState {
            instance: Some(Arc::new(instance)),
            owned: true,
            queue: VecDeque::new(),
            last_ticket: 0,
            running: None,
            thread: 0,
            served: true,
            abandoned: Vec::new(),
        };
        Self { config, name, limits, clock, slots, site, state: Mutex::new(state), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, ThreadState> {
        // Every change of the state is complete before its guard is dropped.
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
        state.queue.push_back(QueuedCall { ticket, work });
        drop(state);
        self.wake.notify_one();
        Ok(ticket)
    }

    /// Makes `instance` the current one and returns the one to drop. That is the new one where its caller stopped waiting,
    /// because a later one may have been configured since.
    fn replace(&self, instance: Arc<Instance>, unwanted: bool) -> Arc<Instance> {
        let mut state = self.lock();
        match &mut state.instance {
            Some(current) if !unwanted => std::mem::replace(current, instance),
            Some(_) | None => instance,
        }
    }

    /// The thread of this number: runs call after call until the owner is gone or the thread was abandoned.
    fn serve(self: Arc<Self>, mut thread: u64) {
        loop {
            let Some((call, instance)) = self.next() else { return };
            let ticket = call.ticket;
            // The guard in the module catches its panics; this catches the host's own side of the call. An instance that
            // was replaced meanwhile is dropped as part of the call.
            let site = &self.site;
            let _ = catch_unwind(AssertUnwindSafe(move || {
                (call.work)(&instance);
                let _dropping = site.enter(CallEntry::Drop, &About::default());
                drop(instance);
            }));
            let mut state = self.lock();
            if state.thread == thread {
                state.running = None;
                continue;
            }
            // It was abandoned and has returned after all.
            state.abandoned.retain(|abandoned| *abandoned != ticket);
            if state.served || !state.owned {
                return;
            }
            state.thread += 1;
            state.served = true;
            thread = state.thread;
        }
    }

    fn next(&self) -> Option<(QueuedCall, Arc<Instance>)> {
        let mut state = self.lock();
        loop {
            if !state.owned {
                let last = (state.instance.take(), std::mem::take(&mut state.queue));
                drop(state);
                let _slot = self.slots.take_at_once(self.config, &*self.clock);
                let _dropping = self.site.enter(CallEntry::Drop, &About::default());
                let _ = catch_unwind(AssertUnwindSafe(|| drop(last)));
                return None;
            }
            if let Some(instance) = state.instance.clone()
                && let Some(call) = state.queue.pop_front()
            {
                state.running = Some((call.ticket, self.clock.monotonic()));
                return Some((call, instance));
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How much longer the call that runs may take.
    fn left_to_run(&self, state: &ThreadState) -> Option<Duration> {
        let (_, since) = state.running?;
        let ran = self.clock.monotonic().saturating_sub(since);
        Some(self.limits.call.saturating_sub(ran))
    }

    /// Decides about a call whose caller has waited long enough. A call that runs too long is abandoned here, also one
    /// without a caller: only waiting callers check.
    fn overdue(self: &Arc<Self>, ticket: u64) -> Overdue {
        let mut state = self.lock();
        let queued = state.queue.iter().position(|call| call.ticket == ticket);
        if let Some(position) = queued {
            state.queue.remove(position);
        }
        let runs = state.running.is_some_and(|(running, _)| running == ticket);
        match self.left_to_run(&state) {
            Some(Duration::ZERO) => self.abandon(&mut state),
            Some(left) if runs => return Overdue::Running { left },
            Some(_) | None => {}
        }
        match queued {
            Some(_) => Overdue::NotStarted,
            None if state.abandoned.contains(&ticket) => Overdue::Abandoned,
            None => Overdue::Returned,
        }
    }

    fn abandon(self: &Arc<Self>, state: &mut ThreadState) {
        state.abandoned.extend(state.running.take().map(|(ticket, _)| ticket));
        state.thread += 1;
        let stuck = state.abandoned.len();
        let timeout = self.limits.call;
        tracing::error!(thread = self.name, ?timeout, stuck, "module call timed out; its thread was abandoned");
        let (next, thread) = (Arc::clone(self), state.thread);
        state.served = stuck < STUCK_MAX && spawn(&self.name, &self.site, move || next.serve(thread)).is_ok();
        if !state.served {
            // Dropping the calls answers their callers with `Unavailable`.
            state.queue.clear();
        }
    }
}

fn spawn(name: &str, site: &CallSite, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    let site = site.clone();
    builder.spawn(move || crash::on_module_thread(&site, work)).map(drop)
}

#[cfg(test)]
mod tests;
