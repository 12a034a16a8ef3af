//! The newest durable commit, and the tickets that wait for later ones. The strand reports here.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cashier_core::ids::Seq;
use tokio::sync::{Notify, oneshot};

use crate::ports::{DurabilityListener, Fault};

/// The newest durable commit. Closed from a failed commit until the books are reloaded; each opening is a new epoch, so
/// that a ticket of a lost commit is never released by a later commit with its number.
#[derive(Debug, Default)]
pub struct Watermark {
    durable: AtomicU64,
    epoch: AtomicU64,
    open: AtomicBool,
    waiting: Mutex<BTreeMap<u64, Vec<oneshot::Sender<bool>>>>,
    failed: Notify,
}

impl Watermark {
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn open_at(&self, seq: Seq) {
        self.release(u64::MAX, false);
        self.durable.store(seq.0, Ordering::SeqCst);
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.open.store(true, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        if self.open.swap(false, Ordering::SeqCst) {
            self.failed.notify_waiters();
        }
        self.release(u64::MAX, false);
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    pub(super) async fn closed(&self) {
        loop {
            let failed = self.failed.notified();
            if !self.is_open() {
                return;
            }
            failed.await;
        }
    }

    /// Whether the commit is durable; waits until that is known.
    pub(super) async fn wait(&self, seq: Seq, epoch: u64) -> bool {
        let receiver = {
            let Ok(mut waiting) = self.waiting.lock() else { return false };
            if !self.is_open() || self.epoch() != epoch {
                return false;
            }
            if self.durable.load(Ordering::SeqCst) >= seq.0 {
                return true;
            }
            let (sender, receiver) = oneshot::channel();
            waiting.entry(seq.0).or_default().push(sender);
            receiver
        };
        receiver.await.unwrap_or(false)
    }

    fn release(&self, up_to: u64, durable: bool) {
        let Ok(mut waiting) = self.waiting.lock() else { return };
        let later = up_to.checked_add(1).map(|next| waiting.split_off(&next)).unwrap_or_default();
        let due = std::mem::replace(&mut *waiting, later);
        drop(waiting);
        for sender in due.into_values().flatten() {
            // The waiter may have gone.
            let _ = sender.send(durable);
        }
    }
}

impl DurabilityListener for Watermark {
    fn synced(&self, up_to: Seq) {
        if self.is_open() {
            self.durable.fetch_max(up_to.0, Ordering::SeqCst);
            self.release(up_to.0, true);
        }
    }

    fn failed(&self, fault: &Fault) {
        tracing::error!(%fault, "commit failed; the ledger is closed until its books are reloaded");
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_ticket_waits_for_its_own_commit() {
        let watermark = Arc::new(Watermark::new());
        watermark.open_at(Seq(5));
        let epoch = watermark.epoch();
        assert!(watermark.wait(Seq(5), epoch).await, "already durable");
        let waiter = tokio::spawn({
            let watermark = Arc::clone(&watermark);
            async move { watermark.wait(Seq(7), epoch).await }
        });
        tokio::task::yield_now().await;
        watermark.synced(Seq(6));
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        watermark.synced(Seq(7));
        assert!(waiter.await.unwrap());
    }

    #[tokio::test]
    async fn a_ticket_of_a_failed_commit_is_refused_also_after_a_later_commit_takes_its_number() {
        let watermark = Arc::new(Watermark::new());
        watermark.open_at(Seq(1));
        let lost = watermark.epoch();
        let waiter = tokio::spawn({
            let watermark = Arc::clone(&watermark);
            async move { watermark.wait(Seq(2), lost).await }
        });
        tokio::task::yield_now().await;
        watermark.failed(&Fault::new("disk full"));
        assert!(!waiter.await.unwrap());
        watermark.closed().await;
        watermark.open_at(Seq(1));
        watermark.synced(Seq(2));
        assert!(!watermark.wait(Seq(2), lost).await, "that number belongs to another commit");
        assert!(watermark.wait(Seq(2), watermark.epoch()).await);
    }
}
