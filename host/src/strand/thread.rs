//! The strand itself: a queue of commits and the one thread that writes them in batches and says when they are on disk.
//! It knows no SQL; what it writes to is a [`Store`]. The queue is bounded by the ledger's admission, not here, because
//! what was decided is never refused.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use cashier_core::change::{Body, Commit};
use cashier_core::ids::Seq;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::BatchLimits;
use crate::ports::{Fault, Loaded, Recorder, Synced};

/// Where commits become durable.
pub(super) trait Store: Send {
    /// Writes every row of these commits in one open transaction.
    fn write_batch(&mut self, batch: &[Arc<Commit>]) -> Result<(), Fault>;
    /// Ends the transaction; what it holds is on disk when this returns.
    fn sync(&mut self) -> Result<(), Fault>;
    /// Forgets the open transaction after a failure; nothing is written until [`Store::load`] succeeds.
    fn abandon(&mut self);
    /// Everything on disk.
    fn load(&mut self) -> Result<Loaded, Fault>;
    fn close(&mut self) -> Result<(), Fault>;
}

/// What a commit weighs in a batch and in the queue, beside its bodies: a row with its page overhead.
const CHANGE_BYTES: usize = 1024;

/// What waits to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    pub commits: usize,
    pub bytes: usize,
}

/// Whether submissions are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// A commit failed or a reload is under way: submissions are dropped.
    Shut,
    /// No more submissions; what is queued is still written.
    Closing,
    /// The thread is gone.
    Closed,
}

type Reloaded = oneshot::Sender<Result<Loaded, Fault>>;

struct Queue {
    gate: Gate,
    waiting: VecDeque<(Arc<Commit>, usize)>,
    bytes: usize,
    reloads: VecDeque<Reloaded>,
    /// The thread sleeps and must be woken; a wake costs a system call that a busy thread does not need.
    idle: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// The handle: submits from any thread, and joins the thread when closed.
pub(super) struct Line {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<(), Fault>>>>,
}

impl Line {
    pub(super) fn start(store: Box<dyn Store>, limits: BatchLimits, synced: Arc<dyn Synced>) -> Result<Self, Fault> {
        let queue =
            Queue { gate: Gate::Open, waiting: VecDeque::new(), bytes: 0, reloads: VecDeque::new(), idle: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), wake: Condvar::new() });
        let watch = Watch { shared: shared.clone(), synced };
        let thread = thread::Builder::new()
            .name("strand".to_owned())
            .spawn(move || watch.run(store, limits))
            .map_err(|error| Fault::new(format!("cannot start the strand's thread: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn backlog(&self) -> Backlog {
        let queue = self.shared.lock();
        Backlog { commits: queue.waiting.len(), bytes: queue.bytes }
    }

    /// Writes what is queued, then ends the thread. A second call has nothing left to do.
    pub(super) fn close(&self) -> Result<(), Fault> {
        let mut queue = self.shared.lock();
        match queue.gate {
            Gate::Open | Gate::Shut => queue.gate = Gate::Closing,
            Gate::Closing | Gate::Closed => {}
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

impl Drop for Line {
    fn drop(&mut self) {
        // Whoever wanted to know how it ended has called close.
        let _ = self.close();
    }
}

impl Recorder for Line {
    fn submit(&self, commit: Arc<Commit>) {
        let bytes = weight(&commit);
        let mut queue = self.shared.lock();
        match queue.gate {
            Gate::Open => {
                queue.bytes += bytes;
                queue.waiting.push_back((commit, bytes));
                self.shared.wake_if_idle(queue);
            }
            Gate::Shut | Gate::Closing | Gate::Closed => {}
        }
    }

    fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>> {
        let (answer, loaded) = oneshot::channel();
        let mut queue = self.shared.lock();
        match queue.gate {
            Gate::Open | Gate::Shut => {
                queue.gate = Gate::Shut;
                queue.drop_waiting();
                queue.reloads.push_back(answer);
                self.shared.wake_if_idle(queue);
            }
            // The dropped sender answers.
            Gate::Closing | Gate::Closed => {}
        }
        Box::pin(async move { loaded.await.unwrap_or_else(|_| Err(Fault::new("the strand is closed"))) })
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

    /// Waits for work. Commits come before a reload: those still queued at a reload were dropped by it.
    fn next(&self, limits: BatchLimits, batch: &mut Vec<Arc<Commit>>) -> Work {
        let mut queue = self.lock();
        loop {
            if !queue.waiting.is_empty() {
                queue.take(limits, batch);
                return Work::Write;
            }
            if let Some(answer) = queue.reloads.pop_front() {
                return Work::Reload(answer);
            }
            match queue.gate {
                Gate::Open | Gate::Shut => {}
                Gate::Closing | Gate::Closed => return Work::End,
            }
            queue.idle = true;
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes nothing more until a reload, and forgets what is queued.
    fn shut(&self) {
        let mut queue = self.lock();
        queue.drop_waiting();
        match queue.gate {
            Gate::Open => queue.gate = Gate::Shut,
            Gate::Shut | Gate::Closing | Gate::Closed => {}
        }
    }

    fn open(&self) {
        let mut queue = self.lock();
        match queue.gate {
            // A further reload asked for meanwhile keeps the gate shut until it is answered.
            Gate::Shut if queue.reloads.is_empty() => queue.gate = Gate::Open,
            Gate::Open | Gate::Shut | Gate::Closing | Gate::Closed => {}
        }
    }
}

impl Queue {
    /// Moves the oldest commits into the batch until a limit is met; one at least, however large.
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

    fn drop_waiting(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }
}

enum Work {
    Write,
    Reload(Reloaded),
    End,
}

/// The thread's own side. Dropped when the thread ends, also by a panic, so that nobody waits for a thread that is gone.
struct Watch {
    shared: Arc<Shared>,
    synced: Arc<dyn Synced>,
}

impl Watch {
    fn run(self, mut store: Box<dyn Store>, limits: BatchLimits) -> Result<(), Fault> {
        let mut batch = Vec::new();
        loop {
            match self.shared.next(limits, &mut batch) {
                Work::Write => self.write(&mut *store, &batch),
                Work::Reload(answer) => {
                    let loaded = store.load();
                    if loaded.is_ok() {
                        self.shared.open();
                    }
                    // Whoever asked may have gone; the gate stands as the disk allows either way.
                    let _ = answer.send(loaded);
                }
                Work::End => return store.close(),
            }
            batch.clear();
        }
    }

    fn write(&self, store: &mut dyn Store, batch: &[Arc<Commit>]) {
        let Some(last) = batch.last() else { return };
        let up_to: Seq = last.seq;
        match store.write_batch(batch).and_then(|()| store.sync()) {
            Ok(()) => self.synced.synced(up_to),
            Err(fault) => {
                self.shared.shut();
                store.abandon();
                let commits = batch.len();
                tracing::error!(%fault, commits, "a commit failed; nothing is written until the books are reloaded");
                self.synced.failed(&fault);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.gate = Gate::Closed;
        queue.drop_waiting();
        queue.reloads.clear();
        drop(queue);
        if thread::panicking() {
            self.synced.failed(&Fault::new("the strand's thread panicked"));
        }
    }
}

/// Bytes a commit holds until it is written; an estimate, for batching.
pub(super) fn weight(commit: &Commit) -> usize {
    let bodies = commit.bodies.iter().map(|body| match body {
        Body::Notice { body, headers_json, .. } => body.len() + headers_json.len(),
        Body::Answer { redirect_url, instructions_json, .. } => redirect_url.len() + instructions_json.len(),
        Body::Order { details, .. } => details.success_url.len() + details.failure_url.len() + details.notify_url.len(),
    });
    (commit.changes.len() + commit.bodies.len()).saturating_mul(CHANGE_BYTES).saturating_add(bodies.sum())
}
