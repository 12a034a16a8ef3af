//! The strand itself: a queue of commits and the one thread that writes them in batches and reports when they are durable.
//! It knows no SQL; it writes to a [`Store`], as `writing` says. The ledger's admission bounds the queue, because a commit that was decided is
//! never refused.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use cashier_core::change::Commit;
use cashier_core::dependence::Refusals;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::batch::{Backlog, BatchLimits};
use super::reseal::{ResealCursor, ResealStep};
use super::retention::{RetentionOrder, Retired};
use super::writing::{Store, Written, commit_bytes, write};
use crate::ports::{Configuration, DurabilityListener, Fault, FaultKind, Loaded, Recorder, Refused};

/// Whether submissions are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueueState {
    Open,
    /// A commit failed or a reload is under way: submissions are dropped.
    Suspended,
    /// No more submissions; what is queued is still written.
    Closing,
    /// The thread is gone.
    Closed,
}

type Reloaded = oneshot::Sender<Result<Loaded, Fault>>;
/// What is done between two batches.
enum Between {
    Reseal(ResealCursor, oneshot::Sender<Result<ResealStep, Fault>>),
    /// After every commit that was queued before it.
    Configuration(oneshot::Sender<Result<Configuration, Fault>>),
    Retire(RetentionOrder, oneshot::Sender<Result<Retired, Fault>>),
}

struct Queue {
    state: QueueState,
    waiting: VecDeque<(Arc<Commit>, usize)>,
    bytes: usize,
    reloads: VecDeque<Reloaded>,
    between: VecDeque<Between>,
    /// A batch was taken last: one of those goes before the next.
    took_batch: bool,
    /// The thread sleeps and must be woken; a wake costs a system call that a busy thread does not need.
    idle: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// The handle: submits from any thread and joins the thread when closed.
pub(super) struct CommitQueue {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<(), Fault>>>>,
}

impl CommitQueue {
    pub(super) fn start(
        store: Box<dyn Store>,
        limits: BatchLimits,
        listener: Arc<dyn DurabilityListener>,
    ) -> Result<Self, Fault> {
        let queue = Queue {
            state: QueueState::Open,
            waiting: VecDeque::new(),
            bytes: 0,
            reloads: VecDeque::new(),
            between: VecDeque::new(),
            took_batch: false,
            idle: false,
        };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), wake: Condvar::new() });
        let strand = StrandThread { shared: shared.clone(), listener };
        let thread = thread::Builder::new()
            .name("strand".to_owned())
            .spawn(move || strand.run(store, limits))
            .map_err(|error| Fault::new(format!("cannot start the strand's thread: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn backlog(&self) -> Backlog {
        let queue = self.shared.lock();
        Backlog { commits: queue.waiting.len(), bytes: queue.bytes }
    }

    /// One step of resealing, between two batches.
    pub(super) fn reseal(&self, cursor: ResealCursor) -> BoxFuture<'static, Result<ResealStep, Fault>> {
        self.between_batches(|answer| Between::Reseal(cursor, answer))
    }

    /// Deletes some old bodies once no commit waits.
    pub(super) fn retire(&self, order: RetentionOrder) -> BoxFuture<'static, Result<Retired, Fault>> {
        self.between_batches(|answer| Between::Retire(order, answer))
    }

    fn between_batches<T: Send + 'static>(
        &self,
        task: impl FnOnce(oneshot::Sender<Result<T, Fault>>) -> Between,
    ) -> BoxFuture<'static, Result<T, Fault>> {
        let (answer, done) = oneshot::channel();
        let mut queue = self.shared.lock();
        match queue.state {
            QueueState::Open => {
                queue.between.push_back(task(answer));
                self.shared.wake_if_idle(queue);
            }
            // Dropping the sender answers.
            QueueState::Suspended | QueueState::Closing | QueueState::Closed => {}
        }
        Box::pin(async move { done.await.unwrap_or_else(|_| Err(Fault::new("the strand writes nothing now"))) })
    }

    /// Writes what is queued, then ends the thread. A second call does nothing.
    pub(super) fn close(&self) -> Result<(), Fault> {
        let mut queue = self.shared.lock();
        match queue.state {
            QueueState::Open | QueueState::Suspended => queue.state = QueueState::Closing,
            QueueState::Closing | QueueState::Closed => {}
        }
        drop(queue);
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(Fault::new("the strand's thread panicked")),
        }
    }
}

impl Drop for CommitQueue {
    fn drop(&mut self) {
        // A caller that needs the result has called close.
        let _ = self.close();
    }
}

impl Recorder for CommitQueue {
    fn submit(&self, commit: Arc<Commit>) {
        let bytes = commit_bytes(&commit);
        let mut queue = self.shared.lock();
        match queue.state {
            QueueState::Open => {
                queue.bytes += bytes;
                queue.waiting.push_back((commit, bytes));
                self.shared.wake_if_idle(queue);
            }
            QueueState::Suspended | QueueState::Closing | QueueState::Closed => {}
        }
    }

    fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>> {
        let (answer, loaded) = oneshot::channel();
        let mut queue = self.shared.lock();
        match queue.state {
            QueueState::Open | QueueState::Suspended => {
                queue.state = QueueState::Suspended;
                queue.drop_waiting();
                queue.reloads.push_back(answer);
                self.shared.wake_if_idle(queue);
            }
            // Dropping the sender answers.
            QueueState::Closing | QueueState::Closed => {}
        }
        Box::pin(async move { loaded.await.unwrap_or_else(|_| Err(Fault::new("the strand is closed"))) })
    }

    fn configuration(&self) -> BoxFuture<'static, Result<Configuration, Fault>> {
        self.between_batches(Between::Configuration)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_if_idle(&self, mut queue: MutexGuard<'_, Queue>) {
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        if idle {
            self.wake.notify_one();
        }
    }

    /// Waits for the next task. Commits come before a reload, which drops what was queued before it.
    fn next(&self, limits: BatchLimits, batch: &mut Vec<Arc<Commit>>) -> Task {
        let mut queue = self.lock();
        loop {
            if let Some(between) = queue.take_between() {
                return Task::Between(between);
            }
            if !queue.waiting.is_empty() {
                queue.take(limits, batch);
                queue.took_batch = true;
                return Task::Write;
            }
            if let Some(answer) = queue.reloads.pop_front() {
                return Task::Reload(answer);
            }
            match queue.state {
                QueueState::Open | QueueState::Suspended => {}
                QueueState::Closing | QueueState::Closed => return Task::End,
            }
            queue.idle = true;
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops what is queued, and every submission until a reload.
    fn suspend(&self) {
        let mut queue = self.lock();
        queue.drop_waiting();
        match queue.state {
            QueueState::Open => queue.state = QueueState::Suspended,
            QueueState::Suspended | QueueState::Closing | QueueState::Closed => {}
        }
    }

    fn open(&self) {
        let mut queue = self.lock();
        match queue.state {
            // A further reload that was requested meanwhile keeps the queue suspended until it is answered.
            QueueState::Suspended if queue.reloads.is_empty() => queue.state = QueueState::Open,
            QueueState::Open | QueueState::Suspended | QueueState::Closing | QueueState::Closed => {}
        }
    }
}

impl Queue {
    /// A look at rows waits for all that was submitted before it; a step of resealing for one batch.
    fn take_between(&mut self) -> Option<Between> {
        let is_next = match self.between.front()? {
            Between::Reseal(..) => self.waiting.is_empty() || self.took_batch,
            Between::Configuration(_) | Between::Retire(..) => self.waiting.is_empty(),
        };
        self.took_batch = false;
        if is_next { self.between.pop_front() } else { None }
    }

    /// Moves the oldest commits into the batch until a limit is met; at least one, however large.
    fn take(&mut self, limits: BatchLimits, batch: &mut Vec<Arc<Commit>>) {
        let mut taken = 0_usize;
        while let Some(&(_, bytes)) = self.waiting.front() {
            let full = batch.len() >= limits.commits || taken.saturating_add(bytes) > limits.bytes;
            if full && !batch.is_empty() {
                break;
            }
            if let Some((commit, _)) = self.waiting.pop_front() {
                taken = taken.saturating_add(bytes);
                self.bytes = self.bytes.saturating_sub(bytes);
                batch.push(commit);
            }
        }
    }

    /// Takes out the commits that rest on refused ones, which are refused with them.
    fn refuse(&mut self, refusals: &mut Refusals) {
        self.waiting.retain(|(commit, bytes)| {
            let rests = refusals.reaches(commit);
            if rests {
                refusals.add(commit);
                self.bytes = self.bytes.saturating_sub(*bytes);
            }
            !rests
        });
    }

    fn drop_waiting(&mut self) {
        self.waiting.clear();
        // Dropping their senders answers.
        self.between.clear();
        self.bytes = 0;
    }
}

enum Task {
    Write,
    Reload(Reloaded),
    Between(Between),
    End,
}

/// The thread's side. Dropped when the thread ends, also by a panic, so that no caller waits for a thread that is gone.
struct StrandThread {
    shared: Arc<Shared>,
    listener: Arc<dyn DurabilityListener>,
}

impl StrandThread {
    fn run(self, mut store: Box<dyn Store>, limits: BatchLimits) -> Result<(), Fault> {
        let mut batch = Vec::new();
        loop {
            match self.shared.next(limits, &mut batch) {
                Task::Write => self.write(&mut *store, &batch),
                Task::Reload(answer) => {
                    let loaded = store.load();
                    if loaded.is_ok() {
                        self.shared.open();
                    }
                    // The caller may have gone.
                    let _ = answer.send(loaded);
                }
                Task::Between(Between::Reseal(cursor, answer)) => {
                    // The caller may have gone.
                    let _ = answer.send(self.reseal(&mut *store, cursor));
                }
                Task::Between(Between::Configuration(answer)) => {
                    let _ = answer.send(store.configuration());
                }
                Task::Between(Between::Retire(order, answer)) => {
                    let _ = answer.send(store.retire(&order));
                }
                Task::End => return store.close(),
            }
            batch.clear();
        }
    }

    fn write(&self, store: &mut dyn Store, batch: &[Arc<Commit>]) {
        let Some(last) = batch.last() else { return };
        let written = match write(store, batch, &*self.listener) {
            Ok(Written::All) => {
                self.listener.synced(last.seq);
                Ok(())
            }
            Ok(Written::But(mut refusals)) => self.listener.refused(last.seq, &mut |books| {
                let mut queue = self.shared.lock();
                queue.refuse(&mut refusals);
                let waiting = queue.waiting.iter().map(|(commit, _)| Arc::clone(commit)).collect();
                drop(queue);
                Ok(Refused { waiting, ..store.stored(&refusals, books)? })
            }),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = written {
            self.fail(store, &fault, batch.len());
        }
    }

    /// A step that another program or a row prevents is reverted, and leaves everything as it was.
    fn reseal(&self, store: &mut dyn Store, cursor: ResealCursor) -> Result<ResealStep, Fault> {
        let step = store.reseal(cursor);
        let lost = match &step {
            Ok(_) => Ok(()),
            Err(fault) => match fault.kind {
                FaultKind::Busy | FaultKind::Constraint | FaultKind::Other => store.undo(),
                FaultKind::Full | FaultKind::Io => Err(fault.clone()),
            },
        };
        if let Err(fault) = lost {
            self.fail(store, &fault, 0);
        }
        step
    }

    fn fail(&self, store: &mut dyn Store, fault: &Fault, commits: usize) {
        self.shared.suspend();
        store.abandon();
        tracing::error!(%fault, commits, "commit failed; nothing is written until the books are reloaded");
        self.listener.failed(fault);
    }
}

impl Drop for StrandThread {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.state = QueueState::Closed;
        queue.drop_waiting();
        queue.reloads.clear();
        drop(queue);
        if thread::panicking() {
            self.listener.failed(&Fault::new("the strand's thread panicked"));
        }
    }
}
