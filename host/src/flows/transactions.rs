//! Lists of transactions: long scans go in bounded holds of the ledger's lock and let others in between, so that deposits
//! never wait for a list. Its rows stay packed until they are sent, and are those of one moment; their texts are read from the
//! disk then, while no lock is held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::{ListPage, Progress, Scan, Scope};
use cashier_core::filter::{Filter, TransactionField};
use cashier_core::ids::{Seq, TransactionId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::ManagerSession;
use cashier_core::texts::Texts;
use cashier_core::transaction::Transaction;

use super::Cashier;
use super::list_limits::{ListPermit, ListReader};
use crate::ledger::storage_unavailable;
use crate::ports::{Fault, TEXTS_AT_ONCE_MAX};

/// How long a list may take in all, to a customer or a manager's screen: the largest page takes a phone half of it.
pub const LIST_TIME_MAX: Duration = Duration::from_secs(120);

/// How long an export may take once its rows were found: a slow line gets its fifty thousand rows.
pub const EXPORT_TIME_MAX: Duration = Duration::from_secs(600);

/// Bytes of an export that its reader takes in a second, on average over the time that the server waits for it.
pub const EXPORT_BYTES_PER_SECOND_MIN: u64 = 8 * 1024;

/// Bytes of the part of an answer that is being sent, beside its packed rows: what is made whole, and one piece.
const SENT_BYTES: usize = 1024 * 1024;

/// How long the server waits for the reader of an export before its progress is judged.
const EXPORT_GRACE: Duration = Duration::from_secs(10);

/// The page of a list, whose rows are taken one piece after the other.
pub struct TransactionPage {
    cashier: Arc<Cashier>,
    filter: Filter<TransactionField>,
    page: Box<ListPage>,
    reader: ListReader,
    /// The reloads of the books in which the page was found: no others can unpack it.
    reloads: u64,
    /// When it was asked for; of an export, when its rows were found.
    began: Duration,
    /// Since when the reader has what was made until now.
    given: Option<Duration>,
    /// How long the reader let the server wait. What the server itself takes, to search, to read texts, is not in it.
    waited: Duration,
    _permit: ListPermit,
}

impl TransactionPage {
    /// Matching rows before pagination.
    pub fn count(&self) -> u64 {
        self.page.count()
    }

    /// Every row was taken.
    pub fn is_finished(&self) -> bool {
        self.page.is_finished()
    }

    /// The texts of rows that were taken.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn texts_of(&self, rows: &[Transaction]) -> Result<Vec<Arc<Texts>>, Refusal> {
        texts_of(&self.cashier, rows).await
    }

    /// The next rows; none once all were taken. `sent`: the bytes of the answer that the reader took so far.
    ///
    /// # Errors
    /// Why the answer breaks off: its reader is too slow, or the books were read again.
    pub async fn next_rows(&mut self, sent: u64) -> Result<Vec<Transaction>, Fault> {
        let now = self.cashier.clock.monotonic();
        if let Some(given) = self.given.take() {
            self.waited = self.waited.saturating_add(now.saturating_sub(given));
        }
        self.check_time(now, sent)?;
        while !self.page.is_finished() {
            let (filter, page) = (&self.filter, &mut *self.page);
            let rows = self.cashier.ledger.peek(|books| books.take_rows(filter, page));
            if self.cashier.ledger.reloads() != self.reloads {
                return Err(Fault::new("the books were read again"));
            }
            let rows = rows.map_err(|refusal| Fault::new(refusal.message.to_string()))?;
            if !rows.is_empty() {
                return Ok(rows);
            }
            tokio::task::yield_now().await;
        }
        Ok(Vec::new())
    }

    /// From now on it is for the reader to take what was made of the rows.
    pub fn give(&mut self) {
        self.given = Some(self.cashier.clock.monotonic());
    }

    fn check_time(&self, now: Duration, sent: u64) -> Result<(), Fault> {
        let took = now.saturating_sub(self.began);
        let (took, is_late) = match self.reader {
            ListReader::Customer(_) | ListReader::Manager(_) => (took, took > LIST_TIME_MAX),
            ListReader::Export(_) => {
                let judged = self.waited.saturating_sub(EXPORT_GRACE).as_secs();
                let due = judged.saturating_mul(EXPORT_BYTES_PER_SECOND_MIN);
                (self.waited, took > EXPORT_TIME_MAX || sent < due)
            }
        };
        if is_late { Err(Fault::new(format!("its reader took {sent} bytes in {} s", took.as_secs()))) } else { Ok(()) }
    }
}

/// A page of transactions within a scope, once everything it shows is on disk.
pub async fn list(
    cashier: &Arc<Cashier>,
    reader: ListReader,
    scope: &Scope,
    filter: Filter<TransactionField>,
) -> Result<TransactionPage, Refusal> {
    let began = cashier.clock.monotonic();
    let mut permit = cashier.list_permit(reader).await?;
    let mut resume: Option<Box<Scan>> = None;
    let (epoch, reloads) = (cashier.ledger.epoch(), cashier.ledger.reloads());
    loop {
        let ticket = cashier.ledger.read(|books| match books.query(&filter, scope, resume.take()) {
            Progress::Found(page) => {
                let newest = page.newest();
                (Progress::Found(page), newest)
            }
            unfinished @ (Progress::More(_) | Progress::Restless | Progress::TooLarge) => (unfinished, Seq(0)),
        })?;
        let progress = ticket.durable().await?.into_inner();
        // A scan belongs to the books it began in; after a reload it must begin again, and the asker decides that.
        if cashier.ledger.epoch() != epoch {
            return Err(storage_unavailable());
        }
        match progress {
            Progress::Found(page) => {
                permit.hold(page.bytes() + SENT_BYTES)?;
                let began = match reader {
                    ListReader::Customer(_) | ListReader::Manager(_) => began,
                    ListReader::Export(_) => cashier.clock.monotonic(),
                };
                let (cashier, given, waited) = (Arc::clone(cashier), None, Duration::ZERO);
                let _permit = permit;
                return Ok(TransactionPage { cashier, filter, page, reader, reloads, began, given, waited, _permit });
            }
            Progress::More(scan) => resume = Some(scan),
            Progress::TooLarge => return Err(Refusal::invalid("limit: the rows take more than 32 MiB, ask for fewer")),
            Progress::Restless => return Err(storage_unavailable()),
        }
        if cashier.clock.monotonic().saturating_sub(began) > LIST_TIME_MAX {
            return Err(storage_unavailable());
        }
        tokio::task::yield_now().await;
    }
}

/// The texts of rows that are durable, in their order. Each piece is one read, and rows without texts need none.
pub async fn texts_of(cashier: &Cashier, rows: &[Transaction]) -> Result<Vec<Arc<Texts>>, Refusal> {
    let with_texts: Vec<TransactionId> = rows.iter().filter(|row| row.has_texts).map(|row| row.id).collect();
    let mut found = BTreeMap::new();
    for ids in with_texts.chunks(TEXTS_AT_ONCE_MAX) {
        found.extend(cashier.archive.texts(ids).await.map_err(|fault| {
            tracing::error!(%fault, transactions = ids.len(), "reading stored texts failed");
            storage_unavailable()
        })?);
    }
    let none = Arc::<Texts>::default();
    Ok(rows.iter().map(|row| found.remove(&row.id).unwrap_or_else(|| Arc::clone(&none))).collect())
}

/// The texts of a row that is durable.
pub async fn texts(cashier: &Cashier, row: &Transaction) -> Result<Arc<Texts>, Refusal> {
    Ok(texts_of(cashier, std::slice::from_ref(row)).await?.pop().unwrap_or_default())
}

/// One transaction with its balance operations, if it exists for this session.
pub async fn one(cashier: &Cashier, session: &ManagerSession, id: TransactionId) -> Result<Aggregate, Refusal> {
    let ticket = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id)))?;
    let found = ticket.durable().await?.into_inner();
    found
        .filter(|aggregate| session.sees(&aggregate.transaction.brand))
        .ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such transaction"))
}
