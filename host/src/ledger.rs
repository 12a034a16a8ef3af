//! The only place where a decision takes effect: under one short lock it applies the changes to the books and hands the
//! same commit to the strand, in the same order. It knows no disk and no socket. Every decision, also one that changes
//! nothing, comes back through a [`Ticket`], which gives out its value once that is durable.

mod admission;
mod durability;
mod holds;
mod refused;

use std::sync::{Arc, Mutex};

use cashier_core::books::Books;
use cashier_core::change::Stamp;
use cashier_core::draft::{Attention, Draft};
use cashier_core::ids::Seq;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::status::TransactionStatus;
use tokio::sync::oneshot;

pub use self::admission::{Admission, Admitted, Estimate};
pub use self::durability::Watermark;
use self::holds::{Held, HoldMeter};
use self::refused::Claim;
use crate::ports::{Clock, Configuration, Durable, Fault, NewestAudit, Recorder};

/// The books, the strand and what is known to be durable.
pub struct Ledger {
    books: Arc<Mutex<Books>>,
    recorder: Arc<dyn Recorder>,
    watermark: Arc<Watermark>,
    admission: Arc<Admission>,
    holds: Arc<HoldMeter>,
}

/// A decision's value, available once every commit it depends on is durable.
#[must_use = "nothing leaves the cashier before it is durable"]
#[derive(Debug)]
pub struct Ticket<T> {
    value: T,
    claim: Claim,
    watermark: Arc<Watermark>,
    /// What a person must see, logged once it is durable.
    attention: Vec<Attention>,
}

impl<T> Ticket<T> {
    /// Waits until the value is durable. The refusal means that it is not and must not be shown.
    pub async fn durable(self) -> Result<Durable<T>, Refusal> {
        if !self.watermark.wait(self.claim).await {
            return Err(storage_unavailable());
        }
        for Attention { transaction, status, reason } in &self.attention {
            let refused = *status == TransactionStatus::CreditFailed;
            let event = if refused { "credit was refused" } else { "transaction moved to manual review" };
            let (status, code, detail) = (status.name(), reason.code.name(), &*reason.detail);
            tracing::warn!(%transaction, status, reason = code, detail, "{event}");
        }
        Ok(Durable::assertion(self.value))
    }
}

/// 503 STORAGE_UNAVAILABLE: whether the outcome was stored is not known.
pub fn storage_unavailable() -> Refusal {
    Refusal::new(RefusalCode::StorageUnavailable, "storage is not available, try again")
}

impl Ledger {
    pub fn new(recorder: Arc<dyn Recorder>, watermark: Arc<Watermark>, books: Books, admission: Admission) -> Self {
        watermark.open_at(Seq(books.counters().seq));
        let (admission, holds) = (Arc::new(admission), Arc::new(HoldMeter::default()));
        let books = Arc::new(Mutex::new(books));
        watermark.attach(&books, &holds);
        Self { books, recorder, watermark, admission, holds }
    }

    /// The ledger with its holds measured by a clock.
    pub fn measured_by(self, clock: Arc<dyn Clock>) -> Self {
        self.holds.measure_by(clock);
        self
    }

    /// The longest that the books were held since the start, in microseconds.
    pub fn longest_hold_us(&self) -> u64 {
        self.holds.longest()
    }

    /// The longest that they were held since this was asked last.
    pub fn take_recent_hold_us(&self) -> u64 {
        self.holds.take_recent()
    }

    /// Makes one decision: it reads the books and drafts changes, which become one commit.
    pub fn decide<T>(&self, stamp: &Stamp, decision: impl FnOnce(&mut Draft<'_>) -> T) -> Result<Ticket<T>, Refusal> {
        let mut books = self.lock()?;
        let mut draft = Draft::new(&books, stamp.now);
        let value = decision(&mut draft);
        let attention = draft.needs_attention();
        let (seq, commit) = draft.into_commit(stamp);
        let (depends_on, own) = match commit {
            Some(commit) => {
                let commit = Arc::new(commit);
                books.apply(&commit);
                self.recorder.submit(commit);
                (seq, true)
            }
            None => (Seq(books.counters().seq), false),
        };
        Ok(Ticket { attention, ..self.ticket(&books, value, depends_on, own) })
    }

    /// Reads the books; the ticket waits for the newest commit that `read` names.
    pub fn read<T>(&self, read: impl FnOnce(&Books) -> (T, Seq)) -> Result<Ticket<T>, Refusal> {
        let books = self.lock()?;
        let (value, depends_on) = read(&books);
        Ok(self.ticket(&books, value, depends_on, false))
    }

    /// Takes the guard as proof that the epoch is read under the lock: a reload takes the lock before it raises the epoch,
    /// so a ticket never carries a later epoch than its commit.
    fn ticket<T>(&self, _locked: &Held<'_>, value: T, seq: Seq, own: bool) -> Ticket<T> {
        let claim = Claim { seq, own, epoch: self.watermark.epoch(), put_back: self.watermark.put_back() };
        Ticket { value, claim, watermark: Arc::clone(&self.watermark), attention: Vec::new() }
    }

    /// Reads without waiting for durability: for work that is checked again when it is decided. Not to be shown.
    pub fn peek<T>(&self, read: impl FnOnce(&Books) -> T) -> Result<T, Refusal> {
        Ok(read(&*self.lock()?))
    }

    /// Reserves capacity for all commits a flow will need, before it starts.
    pub fn admit(&self, estimate: Estimate) -> Result<Admitted, Refusal> {
        Admission::admit(&self.admission, estimate)
            .ok_or_else(|| Refusal::new(RefusalCode::StorageUnavailable, "the write queue is full, try again shortly"))
    }

    /// The rows of the configuration as they are stored after every decision so far.
    pub async fn configuration(&self) -> Result<Configuration, Fault> {
        self.recorder.configuration().await
    }

    /// The newest audit record that is durable.
    pub fn newest_audit(&self) -> Option<Arc<NewestAudit>> {
        self.recorder.newest_audit()
    }

    /// Whether decisions can be made and shown.
    pub fn is_open(&self) -> bool {
        self.watermark.is_open()
    }

    /// Rises whenever rows were taken back: the books were reloaded, or the rows of refused commits were put back.
    pub fn epoch(&self) -> u64 {
        self.watermark.epoch() + self.watermark.put_back()
    }

    /// Rises with every reload of the books; rows of refused commits that were put back do not raise it.
    pub fn reloads(&self) -> u64 {
        self.watermark.epoch()
    }

    /// Why nothing is written at present although the ledger is open, as a sentence: another program holds the database.
    pub fn busy(&self) -> Option<String> {
        self.watermark.busy()
    }

    /// Resolves when a commit has failed and the books must be reloaded.
    pub async fn closed(&self) {
        self.watermark.closed().await;
    }

    /// Reloads the books after a failed commit and opens again; returns the durable configuration.
    pub async fn reopen(&self) -> Result<Configuration, Fault> {
        // A decision that found the ledger open may still be running: it must not submit to a strand that was reloaded
        // meanwhile. Later decisions find the ledger closed.
        let old = self.replace(Books::new());
        tracing::warn!(transactions = old.transactions(), "books are dropped and read from the disk again");
        // Two copies would not fit where one fits well.
        drop_aside(old).await;
        let (fresh, configuration) = self.recorder.reload().await?.split();
        let (seq, transactions) = (Seq(fresh.counters().seq), fresh.transactions());
        drop(self.replace(fresh));
        tracing::warn!(%seq, transactions, "books were read from the disk again");
        self.watermark.open_at(seq);
        Ok(configuration)
    }

    /// Whatever a decision that panicked has left.
    fn replace(&self, books: Books) -> Books {
        let replaced = match self.books.lock() {
            Ok(mut guard) => std::mem::replace(&mut *guard, books),
            Err(poisoned) => std::mem::replace(&mut *poisoned.into_inner(), books),
        };
        self.books.clear_poison();
        replaced
    }

    /// The books, unless a commit failed or a decision panicked: then only a reload makes them available again.
    fn lock(&self) -> Result<Held<'_>, Refusal> {
        let Ok(books) = self.books.lock() else {
            self.watermark.close();
            return Err(storage_unavailable());
        };
        if self.watermark.is_open() { Ok(self.holds.hold(books)) } else { Err(storage_unavailable()) }
    }
}

/// Rows that are dropped where they are, within milliseconds.
const DROPPED_HERE: usize = 10_000;

/// Drops books without holding up the thread of the caller: millions of rows take seconds.
async fn drop_aside(books: Books) {
    if books.transactions() <= DROPPED_HERE {
        return;
    }
    let (done, dropped) = oneshot::channel();
    let aside = std::thread::Builder::new().name("drop-books".into()).spawn(move || {
        drop(books);
        // The receiver waits.
        let _ = done.send(());
    });
    // Without a thread the closure was dropped here, with the books.
    if aside.is_ok() {
        let _ = dropped.await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cashier_core::change::Body;
    use cashier_core::session::Actor;
    use cashier_core::time::UnixTime;
    use futures_util::future::{BoxFuture, FutureExt, ready};

    use super::*;
    use crate::ports::{DurabilityListener, Loaded};
    use crate::test_cashier::TestClock;

    /// Takes every commit and loads empty books.
    struct EmptyDisk;

    impl Recorder for EmptyDisk {
        fn submit(&self, _: Arc<cashier_core::change::Commit>) {}

        fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>> {
            ready(Ok(Loaded::default())).boxed()
        }
    }

    fn decided(ledger: &Ledger) -> Ticket<()> {
        let stamp = Stamp { actor: Actor::System, request_id: "test".into(), now: UnixTime(1_795_160_000) };
        let decision = |draft: &mut Draft<'_>| {
            let transaction_id = draft.next_transaction();
            draft.store(Body::Order { transaction_id, details: Default::default() });
        };
        ledger.decide(&stamp, decision).unwrap()
    }

    #[test]
    fn s1_the_longest_hold_is_measured_since_the_start_and_since_the_last_look() {
        let clock = Arc::new(TestClock::default());
        let admission = Admission::new(Admission::DEFAULT_LIMIT);
        let watermark = Arc::new(Watermark::new());
        let ledger = Ledger::new(Arc::new(EmptyDisk), Arc::clone(&watermark), Books::new(), admission);
        let ledger = ledger.measured_by(Arc::clone(&clock) as _);
        let hold = |micros| ledger.peek(|_| clock.advance(Duration::from_micros(micros))).unwrap();
        assert_eq!((ledger.longest_hold_us(), ledger.take_recent_hold_us()), (0, 0));
        hold(400);
        hold(900);
        clock.advance(Duration::from_secs(5));
        hold(70);
        assert_eq!((ledger.longest_hold_us(), ledger.take_recent_hold_us()), (900, 900));
        hold(30);
        assert_eq!((ledger.longest_hold_us(), ledger.take_recent_hold_us()), (900, 30));
        assert_eq!(ledger.take_recent_hold_us(), 0);
        let read_for = |_: &Books| {
            clock.advance(Duration::from_micros(1_200));
            Ok(crate::ports::Refused::default())
        };
        watermark.refused(Seq(0), &mut { read_for }).unwrap();
        assert_eq!(ledger.longest_hold_us(), 1_200, "while rows of refused commits are read and put back");
    }

    #[tokio::test]
    async fn a_lost_decision_is_refused_although_a_successor_took_its_number() {
        let watermark = Arc::new(Watermark::new());
        let admission = Admission::new(Admission::DEFAULT_LIMIT);
        let ledger = Ledger::new(Arc::new(EmptyDisk), Arc::clone(&watermark), Books::new(), admission);
        let lost = decided(&ledger);
        watermark.failed(&Fault::new("disk full"));
        ledger.reopen().await.unwrap();
        let successor = decided(&ledger);
        assert_eq!(lost.claim.seq, successor.claim.seq);
        watermark.synced(successor.claim.seq);
        assert!(lost.durable().await.is_err(), "the lost decision must not be shown");
        assert!(successor.durable().await.is_ok());
    }
}
