//! The newest durable commit, and the tickets that wait for later ones. The strand reports here. Where it reports commits
//! that the database refused, their rows are put back under the lock of the books, before anything else is decided.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cashier_core::books::Books;
use cashier_core::ids::Seq;
use tokio::sync::{Notify, oneshot};

use super::holds::HoldMeter;
use super::refused::{Claim, RefusedSeqs};
use crate::ports::{Collect, DurabilityListener, Fault, Refused};

/// The newest durable commit. Closed from a failed commit until the books are reloaded; each opening is a new epoch, so
/// that a ticket of a lost commit is never released by a later commit with its number.
#[derive(Default)]
pub struct Watermark {
    durable: AtomicU64,
    epoch: AtomicU64,
    /// How often rows were put back.
    put_back: AtomicU64,
    open: AtomicBool,
    waiting: Mutex<Waiting>,
    failed: Notify,
    /// Where rows are put back. Set once, by the ledger.
    books: OnceLock<(Arc<Mutex<Books>>, Arc<HoldMeter>)>,
    /// Why nothing is written at present, for the operator.
    busy: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_seq: BTreeMap<u64, Vec<WaitingTicket>>,
    refused: RefusedSeqs,
}

#[derive(Debug)]
struct WaitingTicket {
    claim: Claim,
    sender: oneshot::Sender<bool>,
}

impl fmt::Debug for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watermark").field("durable", &self.durable).finish_non_exhaustive()
    }
}

impl Watermark {
    pub fn new() -> Self {
        Self::default()
    }

    /// The books in which rows are put back, and the meter of how long they are held.
    pub(super) fn attach(&self, books: &Arc<Mutex<Books>>, holds: &Arc<HoldMeter>) {
        // A watermark belongs to one ledger.
        let _ = self.books.set((Arc::clone(books), Arc::clone(holds)));
    }

    pub(super) fn open_at(&self, seq: Seq) {
        self.release(u64::MAX, false);
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.refused.begin_epoch();
        }
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

    pub(super) fn put_back(&self) -> u64 {
        self.put_back.load(Ordering::SeqCst)
    }

    pub(super) fn busy(&self) -> Option<String> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// Whether what is claimed is durable; waits until that is known.
    pub(super) async fn wait(&self, claim: Claim) -> bool {
        let receiver = {
            let Ok(mut waiting) = self.waiting.lock() else { return false };
            if !self.is_open() || self.epoch() != claim.epoch || waiting.refused.refuse(claim) {
                return false;
            }
            if self.durable.load(Ordering::SeqCst) >= claim.seq.0 {
                return true;
            }
            let (sender, receiver) = oneshot::channel();
            waiting.by_seq.entry(claim.seq.0).or_default().push(WaitingTicket { claim, sender });
            receiver
        };
        receiver.await.unwrap_or(false)
    }

    fn release(&self, up_to: u64, durable: bool) {
        let Ok(mut waiting) = self.waiting.lock() else { return };
        let later = up_to.checked_add(1).map(|next| waiting.by_seq.split_off(&next)).unwrap_or_default();
        let due = std::mem::replace(&mut waiting.by_seq, later);
        drop(waiting);
        for waiter in due.into_values().flatten() {
            // The waiter may have gone.
            let _ = waiter.sender.send(durable);
        }
    }

    /// Answers those who wait for what was refused, and remembers it for those who will.
    fn refuse(&self, seqs: &[Seq]) {
        let Ok(mut waiting) = self.waiting.lock() else { return };
        let waiting = &mut *waiting;
        waiting.refused.add(self.put_back.fetch_add(1, Ordering::SeqCst), self.epoch(), seqs);
        let mut refused = Vec::new();
        for waiters in waiting.by_seq.values_mut() {
            refused.extend(waiters.extract_if(.., |waiter| waiting.refused.refuse(waiter.claim)));
        }
        for waiter in refused {
            // The waiter may have gone.
            let _ = waiter.sender.send(false);
        }
    }
}

impl DurabilityListener for Watermark {
    fn synced(&self, up_to: Seq) {
        if self.is_open() {
            let Ok(up_to) = self.waiting.lock().map(|mut waiting| waiting.refused.settled(up_to)) else { return };
            self.durable.fetch_max(up_to.0, Ordering::SeqCst);
            self.release(up_to.0, true);
        }
    }

    fn failed(&self, fault: &Fault) {
        tracing::error!(%fault, "commit failed; the ledger is closed until its books are reloaded");
        self.close();
    }

    fn refused(&self, up_to: Seq, collect: &mut Collect<'_>) -> Result<(), Fault> {
        let (books, holds) =
            self.books.get().ok_or_else(|| Fault::new("there are no books yet to put rows back into"))?;
        // While it is held nothing is decided, so nothing is submitted.
        let books = books.lock().map_err(|_| Fault::new("a decision panicked: the books are read again"))?;
        let mut books = holds.hold(books);
        if !self.is_open() {
            return Ok(());
        }
        let Refused { seqs, transactions, events, waiting } = collect(&books)?;
        let counters = books.counters();
        for (id, stored) in &transactions {
            books.restore_transaction(*id, stored.as_ref());
        }
        events.iter().for_each(|stored| books.restore_event(stored));
        // Applying them again changes nothing but the rows that were put back to a state before them.
        waiting.iter().for_each(|commit| books.apply(commit));
        books.set_counters(counters);
        self.refuse(&seqs);
        drop(books);
        let (commits, transactions, events) = (seqs.len(), transactions.len(), events.len());
        tracing::error!(
            commits,
            transactions,
            events,
            "commits were refused; their rows are as the database holds them"
        );
        self.synced(up_to);
        Ok(())
    }

    fn waiting(&self, fault: Option<&Fault>) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = fault.map(ToString::to_string);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(watermark: &Watermark, seq: u64) -> Claim {
        Claim { seq: Seq(seq), own: true, epoch: watermark.epoch(), put_back: watermark.put_back() }
    }

    #[tokio::test]
    async fn a_ticket_waits_for_its_own_commit() {
        let watermark = Arc::new(Watermark::new());
        watermark.open_at(Seq(5));
        assert!(watermark.wait(claim(&watermark, 5)).await, "already durable");
        let waiter = tokio::spawn({
            let (watermark, claim) = (Arc::clone(&watermark), claim(&watermark, 7));
            async move { watermark.wait(claim).await }
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
        let lost = claim(&watermark, 2);
        let waiter = tokio::spawn({
            let watermark = Arc::clone(&watermark);
            async move { watermark.wait(lost).await }
        });
        tokio::task::yield_now().await;
        watermark.failed(&Fault::new("disk full"));
        assert!(!waiter.await.unwrap());
        watermark.closed().await;
        watermark.open_at(Seq(1));
        watermark.synced(Seq(2));
        assert!(!watermark.wait(lost).await, "that number belongs to another commit");
        assert!(watermark.wait(claim(&watermark, 2)).await);
    }

    #[tokio::test]
    async fn s3_a_refused_commit_is_never_confirmed_and_the_others_are() {
        let watermark = Arc::new(Watermark::new());
        watermark.open_at(Seq(1));
        let books = Arc::new(Mutex::new(Books::new()));
        watermark.attach(&books, &Arc::default());
        let all_up_to = |seq| Claim { own: false, ..claim(&watermark, seq) };
        let claims = [claim(&watermark, 2), claim(&watermark, 3), claim(&watermark, 4), all_up_to(2), all_up_to(4)];
        let early: Vec<_> = claims
            .map(|claim| {
                let watermark = Arc::clone(&watermark);
                tokio::spawn(async move { watermark.wait(claim).await })
            })
            .into_iter()
            .collect();
        tokio::task::yield_now().await;
        let refuse_3 = &mut |_: &Books| Ok(Refused { seqs: vec![Seq(3)], ..Refused::default() });
        watermark.refused(Seq(4), refuse_3).unwrap();
        let expected = [true, false, true, true, false];
        for (waiter, expected) in early.into_iter().zip(expected) {
            assert_eq!(waiter.await.unwrap(), expected);
        }
        for (claim, expected) in claims.into_iter().zip(expected) {
            assert_eq!(watermark.wait(claim).await, expected, "one that asks later: {claim:?}");
        }
        assert!(watermark.wait(all_up_to(4)).await, "the books that it read no longer show commit 3");
        // The newest commits are refused and nothing is queued: who reads the books now waits for nothing.
        let refuse_5_and_6 = &mut |_: &Books| Ok(Refused { seqs: vec![Seq(5), Seq(6)], ..Refused::default() });
        watermark.refused(Seq(5), refuse_5_and_6).unwrap();
        assert!(watermark.wait(all_up_to(6)).await);
    }
}
