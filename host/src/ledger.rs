//! The only place where a decision becomes a fact: under one short lock it applies the changes to the books and hands
//! the same commit to the strand, in the same order. It knows no disk and no socket, and hands out nothing that is not
//! on disk: every decision, also one that changes nothing, comes back through a [`Ticket`].

mod admission;
mod durability;

use std::sync::{Arc, Mutex, MutexGuard};

use cashier_core::books::Books;
use cashier_core::change::Stamp;
use cashier_core::customer_override::CustomerOverride;
use cashier_core::draft::Draft;
use cashier_core::ids::Seq;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::{Refusal, RefusalCode};

pub use self::admission::{Admission, Admitted, Estimate};
pub use self::durability::Watermark;
use crate::ports::{Durable, Fault, Loaded, Recorder};

/// The books, the strand and what is known to be on disk.
pub struct Ledger {
    books: Mutex<Books>,
    recorder: Arc<dyn Recorder>,
    watermark: Arc<Watermark>,
    admission: Arc<Admission>,
}

/// A decision's value, to be had once everything it rests on is on disk.
#[must_use = "nothing leaves the cashier before it is on disk"]
#[derive(Debug)]
pub struct Ticket<T> {
    value: T,
    rests_on: Seq,
    epoch: u64,
    watermark: Arc<Watermark>,
}

impl<T> Ticket<T> {
    /// Waits for the disk. The refusal means that the outcome is not on disk and must not be shown.
    pub async fn durable(self) -> Result<Durable<T>, Refusal> {
        if self.watermark.wait(self.rests_on, self.epoch).await {
            Ok(Durable::assertion(self.value))
        } else {
            Err(storage_unavailable())
        }
    }
}

/// 503 STORAGE_UNAVAILABLE: nothing is known to be lost, and nothing can be promised.
pub fn storage_unavailable() -> Refusal {
    Refusal::new(RefusalCode::StorageUnavailable, "storage is not available, try again")
}

impl Ledger {
    pub fn new(recorder: Arc<dyn Recorder>, watermark: Arc<Watermark>, books: Books, admission: Admission) -> Self {
        watermark.open_at(Seq(books.counters().seq));
        Self { books: Mutex::new(books), recorder, watermark, admission: Arc::new(admission) }
    }

    /// Makes one decision. It sees the books and drafts changes; if it drafts any, they become one commit.
    pub fn decide<T>(&self, stamp: &Stamp, decision: impl FnOnce(&mut Draft<'_>) -> T) -> Result<Ticket<T>, Refusal> {
        let mut books = self.lock()?;
        let mut draft = Draft::new(&books, stamp.now);
        let value = decision(&mut draft);
        let attention = draft.needs_attention();
        let (seq, commit) = draft.into_commit(stamp);
        let rests_on = match commit {
            Some(commit) => {
                let commit = Arc::new(commit);
                books.apply(&commit);
                self.recorder.submit(commit);
                seq
            }
            None => Seq(books.counters().seq),
        };
        drop(books);
        for (id, status, reason) in attention {
            let (status, code, detail) = (status.name(), reason.code.name(), &*reason.detail);
            tracing::warn!(transaction = %id, status, reason = code, detail, "transaction needs a person");
        }
        Ok(Ticket { value, rests_on, epoch: self.watermark.epoch(), watermark: Arc::clone(&self.watermark) })
    }

    /// Reads the books; the ticket waits for the newest row that `read` names as shown.
    pub fn read<T>(&self, read: impl FnOnce(&Books) -> (T, Seq)) -> Result<Ticket<T>, Refusal> {
        let books = self.lock()?;
        let (value, rests_on) = read(&books);
        Ok(Ticket { value, rests_on, epoch: self.watermark.epoch(), watermark: Arc::clone(&self.watermark) })
    }

    /// Looks without showing: for decisions of the cashier that are checked again when they are made.
    pub fn peek<T>(&self, look: impl FnOnce(&Books) -> T) -> Result<T, Refusal> {
        Ok(look(&*self.lock()?))
    }

    /// Reserves capacity for all commits a flow will need, before it starts.
    pub fn admit(&self, estimate: Estimate) -> Result<Admitted, Refusal> {
        Admission::admit(&self.admission, estimate)
            .ok_or_else(|| Refusal::new(RefusalCode::StorageUnavailable, "the write queue is full, try again shortly"))
    }

    /// Whether decisions can be made and shown.
    pub fn is_open(&self) -> bool {
        self.watermark.is_open()
    }

    /// Changes whenever the books are loaded anew.
    pub fn epoch(&self) -> u64 {
        self.watermark.epoch()
    }

    /// Resolves when a commit has failed and the books must be loaded anew.
    pub async fn closed(&self) {
        self.watermark.closed().await;
    }

    /// Loads the books from disk after a failed commit and opens again; gives the configuration that is on disk.
    pub async fn reopen(&self) -> Result<(Vec<ProviderConfig>, Vec<CustomerOverride>), Fault> {
        // A decision that found the ledger open may still be under way: it must not submit to a strand that was reloaded
        // meanwhile. Those after it find the ledger closed.
        drop(self.books.lock());
        let Loaded { books: fresh, configs, overrides } = self.recorder.reload().await?;
        let seq = Seq(fresh.counters().seq);
        match self.books.lock() {
            Ok(mut books) => *books = fresh,
            Err(poisoned) => {
                *poisoned.into_inner() = fresh;
                self.books.clear_poison();
            }
        }
        self.watermark.open_at(seq);
        Ok((configs, overrides))
    }

    /// The books, unless a commit failed or a decision panicked half way: then only a reload brings them back.
    fn lock(&self) -> Result<MutexGuard<'_, Books>, Refusal> {
        let Ok(books) = self.books.lock() else {
            self.watermark.close();
            return Err(storage_unavailable());
        };
        if self.watermark.is_open() { Ok(books) } else { Err(storage_unavailable()) }
    }
}
