//! Lists of transactions: long scans go in bounded holds of the ledger's lock and let others in between, so that
//! deposits never wait for a list.

use cashier_core::aggregate::Aggregate;
use cashier_core::books::{Answer, Progress, Scan, Scope};
use cashier_core::filter::{Filter, TransactionField};
use cashier_core::ids::{Seq, TransactionId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::ManagerSession;

use super::Cashier;
use crate::ledger::storage_unavailable;

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

/// One transaction with its balance operations, if it exists for this session.
pub async fn one(cashier: &Cashier, session: &ManagerSession, id: TransactionId) -> Result<Aggregate, Refusal> {
    let ticket = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id)))?;
    let found = ticket.durable().await?.into_inner();
    found
        .filter(|aggregate| session.sees(&aggregate.transaction.brand))
        .ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such transaction"))
}
