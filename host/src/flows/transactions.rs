//! Lists of transactions: long scans go in bounded holds of the ledger's lock and let others in between, so that
//! deposits never wait for a list. Their texts are read from the disk, in pieces of a page, while no lock is held.

use std::collections::BTreeMap;
use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::{Answer, Progress, Scan, Scope};
use cashier_core::filter::{Filter, TransactionField};
use cashier_core::ids::{Seq, TransactionId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::ManagerSession;
use cashier_core::texts::Texts;
use cashier_core::transaction::Transaction;

use super::Cashier;
use crate::ledger::storage_unavailable;
use crate::ports::TEXTS_AT_ONCE_MAX;

/// A page of transactions within a scope, once everything it shows is on disk.
pub async fn list(cashier: &Cashier, scope: &Scope, filter: &Filter<TransactionField>) -> Result<Answer, Refusal> {
    let mut resume: Option<Box<Scan>> = None;
    let epoch = cashier.ledger.epoch();
    loop {
        let ticket = cashier.ledger.read(|books| match books.query(filter, scope, resume.take()) {
            Progress::Done(answer) => {
                let newest = answer.newest;
                (Progress::Done(answer), newest)
            }
            unfinished @ (Progress::More(_) | Progress::Restless) => (unfinished, Seq(0)),
        })?;
        let progress = ticket.durable().await?.into_inner();
        // A scan belongs to the books it began in; after a reload it must begin again, and the asker decides that.
        if cashier.ledger.epoch() != epoch {
            return Err(storage_unavailable());
        }
        match progress {
            Progress::Done(answer) => return Ok(answer),
            Progress::More(scan) => resume = Some(scan),
            Progress::Restless => return Err(storage_unavailable()),
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
