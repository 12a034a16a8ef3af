//! The connections of a listener, shared by the accept loop and by every connection. Which ones there may be is decided in
//! `open_connections`; here are the lock, the clock and the sweep.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection_counts::ListenerCounts;
use super::connection_limits::ConnectionLimits;
use super::open_connections::{AdmittedPlace, Newcomer, OpenConnections};
use super::phase::Phase;
use super::sender::Proof;
use super::sending::Sending;

/// The connections of one listener.
pub(super) struct Connections {
    epoch: Instant,
    counts: &'static ListenerCounts,
    open: Mutex<OpenConnections>,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits, counts: &'static ListenerCounts) -> Arc<Self> {
        Arc::new(Self { epoch: Instant::now(), counts, open: Mutex::new(OpenConnections::new(limits, counts)) })
    }

    /// A place for a new connection; another may end for it. `None` where none may.
    pub(super) fn admit(self: &Arc<Self>, newcomer: Newcomer) -> Option<Arc<AdmittedConnection>> {
        let now = self.now();
        let admitted = self.lock().admit(newcomer, now);
        let place = admitted.inspect_err(|_| self.counts.refused(newcomer.address, now)).ok()?;
        let (awaits_head, was_made) = (AtomicBool::new(true), AtomicBool::new(false));
        Some(Arc::new(AdmittedConnection { connections: Arc::clone(self), place, awaits_head, was_made }))
    }

    pub(super) fn sweep(&self) {
        let now = self.now();
        self.lock().sweep(now);
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        self.lock().sizes()
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that was admitted. Its place is free again once the last of these is dropped.
pub(super) struct AdmittedConnection {
    connections: Arc<Connections>,
    place: AdmittedPlace,
    /// Whether the next byte begins a head.
    awaits_head: AtomicBool,
    /// Whether the whole answer was made, so that it only has to be sent.
    was_made: AtomicBool,
}

impl AdmittedConnection {
    /// What it does from now on; false where it was ended.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        self.awaits_head.store(matches!(phase, Phase::Fresh | Phase::Idle), Ordering::Relaxed);
        // What was made before is of another request.
        self.was_made.store(false, Ordering::Relaxed);
        let now = self.connections.now();
        self.connections.lock().enter(self.place.id, phase, now)
    }

    /// The same for a request: where its connection was ended, nothing more is done for it.
    pub(super) async fn go_on(&self, phase: Phase) {
        if !self.enter(phase) {
            std::future::pending().await
        }
    }

    /// So many bytes came: a head begins unless a request is being answered.
    pub(super) fn bytes_came(&self, bytes: usize) {
        self.place.sending.moved(bytes);
        if self.awaits_head.load(Ordering::Relaxed) {
            self.enter(Phase::Head);
        }
    }

    /// What is known of the answers that are sent on it.
    pub(super) fn sending(&self) -> &Arc<Sending> {
        &self.place.sending
    }

    /// The last piece of the answer was handed over.
    pub(super) fn answer_made(&self) {
        self.was_made.store(true, Ordering::Relaxed);
    }

    /// Everything that was handed over was sent.
    pub(super) fn flushed(&self) {
        if self.was_made.swap(false, Ordering::Relaxed) {
            self.enter(Phase::Idle);
        }
    }

    /// Counts the request for the client whose it is, until its answer was sent; false where it has too many at once.
    pub(super) fn count_for(&self, client: Newcomer) -> bool {
        let now = self.connections.now();
        let counted = self.connections.lock().count_for(self.place.id, client, now);
        counted.inspect_err(|_| self.connections.counts.refused(client.address, now)).is_ok()
    }

    /// The sender of the request proved who they are: their address may use the reserve from now on.
    pub(super) fn proved(&self, proof: Proof) {
        if proof != Proof::Nothing {
            let now = self.connections.now();
            self.connections.lock().proved(self.place.id, proof, now);
        }
    }

    /// Resolves once the connection is to end.
    pub(super) async fn ended(&self) {
        self.place.end.notified().await;
    }

    #[cfg(test)]
    pub(super) fn phase(&self) -> Option<Phase> {
        self.connections.lock().phase(self.place.id)
    }
}

impl fmt::Debug for AdmittedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmittedConnection").field("id", &self.place.id).finish_non_exhaustive()
    }
}

impl Drop for AdmittedConnection {
    fn drop(&mut self) {
        self.connections.lock().remove(self.place.id);
    }
}

#[cfg(test)]
mod tests;
