//! Tasks that outlive the request that started them, and their cancellation: all at once, on reset or stop.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

pub(crate) struct BackgroundTasks {
    /// Every change cancels the tasks started before it.
    cancelled: watch::Sender<u64>,
    /// A clone is held by each task; `None` once stopped.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    all_ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl BackgroundTasks {
    pub(crate) fn new() -> Self {
        let (alive, all_ended) = mpsc::channel(1);
        Self {
            cancelled: watch::Sender::new(0),
            alive: Mutex::new(Some(alive)),
            all_ended: tokio::sync::Mutex::new(all_ended),
        }
    }

    /// After a stop, the task is dropped without being started.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(alive) = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return;
        };
        let mut cancelled = self.cancelled.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = cancelled.changed() => {}
                () = task => {}
            }
            drop(alive);
        });
    }

    /// Cancels the running tasks.
    pub(crate) fn cancel(&self) {
        self.cancelled.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
    }

    /// Cancels the running tasks, accepts no more, and waits until all have ended.
    pub(crate) async fn stop(&self) {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.cancel();
        // Nothing is ever sent: this returns when the last task has dropped its sender.
        self.all_ended.lock().await.recv().await;
    }
}
