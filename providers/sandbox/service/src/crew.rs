//! Work that outlives the request that began it, and how it ends: all at once, on reset or stop.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

pub(crate) struct Crew {
    /// Every change ends the work begun before it.
    end: watch::Sender<u64>,
    /// A clone is held by each task; `None` once stopped.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    gone: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Crew {
    pub(crate) fn new() -> Self {
        let (alive, gone) = mpsc::channel(1);
        Self { end: watch::Sender::new(0), alive: Mutex::new(Some(alive)), gone: tokio::sync::Mutex::new(gone) }
    }

    /// After a stop, work is dropped unbegun.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Some(alive) = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return;
        };
        let mut end = self.end.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = end.changed() => {}
                () = work => {}
            }
            drop(alive);
        });
    }

    /// Ends what is under way.
    pub(crate) fn end(&self) {
        self.end.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
    }

    /// Ends what is under way, takes nothing more, and waits until all is gone.
    pub(crate) async fn stop(&self) {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.end();
        // Nothing is ever sent: this returns when the last task let go of its sender.
        self.gone.lock().await.recv().await;
    }
}
