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
use super::list_limits::ListPermit;
use super::list_reader::ListReader;
use super::list_time::ListTime;
use crate::ledger::storage_unavailable;
use crate::ports::{Fault, TEXTS_AT_ONCE_MAX};

/// Bytes that a list holds until its rows are sized: they suffice for most, rows and answer.
pub(super) const SIZED_BYTES: usize = 1024 * 1024;

/// The page of a list, whose rows are taken one piece after the other.
pub struct TransactionPage {
    cashier: Arc<Cashier>,
    filter: Filter<TransactionField>,
    page: Box<ListPage>,
    /// The reloads of the books in which the page was found: no others can unpack it.
    reloads: u64,
    time: ListTime,
    permit: ListPermit,
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

    /// How much of its time a list has left; `None` where it is an export, whose reader has a pace to keep instead.
    pub fn time_left(&self) -> Option<Duration> {
        self.time.left()
    }

    /// From now on it holds its rows that are not taken yet, and so many bytes of the answer.
    ///
    /// # Errors
    /// They are more than may be held now.
    pub async fn holds(&mut self, answer: usize) -> Result<(), Refusal> {
        let rows = if self.page.is_finished() { 0 } else { self.page.bytes() };
        self.permit.hold(rows.saturating_add(answer)).await
    }

    /// The next rows; none once all were taken.
    ///
    /// # Errors
    /// Why the answer breaks off: the books were read again.
    pub async fn next_rows(&mut self) -> Result<Vec<Transaction>, Fault> {
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
}

/// A page of transactions within a scope, once everything it shows is on disk.
pub async fn list(
    cashier: &Arc<Cashier>,
    reader: ListReader,
    scope: &Scope,
    filter: Filter<TransactionField>,
) -> Result<TransactionPage, Refusal> {
    let time = ListTime::begin(&cashier.clock, reader.clone());
    let mut permit = cashier.list_permit(reader).await?;
    let mut capacity = SIZED_BYTES;
    permit.hold(capacity).await?;
    let mut resume: Option<Box<Scan>> = None;
    let (epoch, reloads) = (cashier.ledger.epoch(), cashier.ledger.reloads());
    loop {
        let ticket = cashier.ledger.read(|books| {
            let progress = books.query(&filter, scope, capacity, resume.take());
            let newest = if let Progress::Found(page) = &progress { page.newest() } else { Seq(0) };
            (progress, newest)
        })?;
        let progress = ticket.durable().await?.into_inner();
        // A scan belongs to the books it began in; after a reload it must begin again, and the asker decides that.
        if cashier.ledger.epoch() != epoch {
            return Err(storage_unavailable());
        }
        match progress {
            Progress::Found(page) => {
                return Ok(TransactionPage { cashier: Arc::clone(cashier), filter, page, reloads, time, permit });
            }
            Progress::More(scan) => resume = Some(scan),
            Progress::NeedsCapacity(scan, bytes) => {
                // A little more than what was found, as rows change meanwhile.
                capacity = bytes.saturating_add(bytes / 16);
                permit.hold(capacity).await?;
                resume = Some(scan);
            }
            Progress::TooLarge => {
                return Err(Refusal::too_large("limit: the rows take more than 32 MiB, ask for fewer"));
            }
            Progress::Restless => return Err(storage_unavailable()),
        }
        if time.is_over() {
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
