//! The strand itself: the one thread that writes queued commits in batches and reports when they are durable.
//! It knows no SQL; it writes to a [`Store`], as `writing` says. The ledger's admission bounds the queue, because a commit that was decided is
//! never refused.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cashier_core::change::Commit;
use cashier_core::ids::Seq;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::batch::{Backlog, BatchLimits};
use super::queue::{BATCHES_BEFORE_RETIRING, Between, Queue, QueueState, Reloaded};
use super::reseal::{ResealCursor, ResealStep};
use super::retention::{RetentionOrder, Retired};
use super::writing::{Store, Written, commit_bytes, write};
use crate::ports::{Configuration, DurabilityListener, Fault, FaultKind, Loaded, Recorder, Refused};

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
        let shared = Arc::new(Shared { queue: Mutex::new(Queue::new()), wake: Condvar::new() });
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
        self.between_batches(|_, answer| Between::Reseal(cursor, answer))
    }

    /// Deletes some old bodies, between two batches.
    pub(super) fn retire(&self, order: RetentionOrder) -> BoxFuture<'static, Result<Retired, Fault>> {
        self.between_batches(|queue, answer| Between::Retire(queue.batches + BATCHES_BEFORE_RETIRING, order, answer))
    }

    fn between_batches<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Queue, oneshot::Sender<Result<T, Fault>>) -> Between,
    ) -> BoxFuture<'static, Result<T, Fault>> {
        let (answer, done) = oneshot::channel();
        let mut queue = self.shared.lock();
        match queue.state {
            QueueState::Open => {
                let task = task(&queue, answer);
                queue.between.push_back(task);
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
        self.between_batches(|queue, answer| {
            let last = queue.waiting.back().map_or(Seq(0), |(commit, _)| commit.seq);
            Between::Configuration(last, answer)
        })
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

    /// Waits for the next task, at most so long where there is a pause. Commits come before a reload, which drops what was queued
    /// before it.
    fn next(&self, limits: BatchLimits, batch: &mut Vec<Arc<Commit>>, pause: Option<Duration>) -> Task {
        let mut queue = self.lock();
        loop {
            if let Some(between) = queue.take_between() {
                return Task::Between(between);
            }
            if !queue.waiting.is_empty() {
                queue.take(limits, batch);
                queue.took_batch = true;
                queue.batches += 1;
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
            let Some(pause) = pause else {
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (woken, waited) = self.wake.wait_timeout(queue, pause).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if waited.timed_out() && std::mem::take(&mut queue.idle) {
                return Task::Rest;
            }
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

enum Task {
    Write,
    Reload(Reloaded),
    Between(Between),
    /// Nothing was asked for during the pause.
    Rest,
    End,
}

/// The thread's side. Dropped when the thread ends, also by a panic, so that no caller waits for a thread that is gone.
struct StrandThread {
    shared: Arc<Shared>,
    listener: Arc<dyn DurabilityListener>,
}

impl StrandThread {
    fn run(self, mut store: Box<dyn Store>, limits: BatchLimits) -> Result<(), Fault> {
        let (mut batch, mut pause) = (Vec::new(), None);
        loop {
            match self.shared.next(limits, &mut batch, pause) {
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
                    let _ = answer.send(self.between(&mut *store, |store| store.reseal(cursor)));
                }
                Task::Between(Between::Configuration(_, answer)) => {
                    let _ = answer.send(store.configuration());
                }
                Task::Between(Between::Retire(_, order, answer)) => {
                    let _ = answer.send(self.between(&mut *store, |store| store.retire(&order)));
                }
                Task::Rest => {}
                Task::End => return store.close(),
            }
            batch.clear();
            pause = store.rest(Instant::now());
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

    /// What another program, a row or a full disk prevents is reverted, and leaves everything as it was: whoever asked says so.
    /// After a failing disk nothing is trusted, as after a commit.
    fn between<T>(
        &self,
        store: &mut dyn Store,
        task: impl FnOnce(&mut dyn Store) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let done = task(store);
        let lost = match &done {
            Ok(_) => Ok(()),
            Err(fault) => match fault.kind {
                FaultKind::Busy | FaultKind::Constraint | FaultKind::Full | FaultKind::Other => store.undo(),
                FaultKind::Io => Err(fault.clone()),
            },
        };
        if let Err(fault) = lost {
            self.fail(store, &fault, 0);
        }
        done
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
