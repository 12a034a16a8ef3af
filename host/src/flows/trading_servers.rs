//! The trading servers as managers see them: how each works, whether it agrees with the books, and what waits for it. It asks no
//! server anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use cashier_core::duty::{WorkItem, WorkKind};
use cashier_core::ids::{ServerName, TransactionId};
use cashier_core::refusal::Refusal;
use cashier_core::time::UnixTime;

use super::Cashier;
use crate::ports::{ServerDifferences, TradingStatus};

/// Transactions examined in one hold of the ledger's lock, as those of the work list.
const EXAMINED_PER_HOLD: usize = 128;

/// A trading server with what waits for it.
pub struct TradingServerState {
    /// None where transactions were made at it and the settings do not name it any more.
    pub status: Option<TradingStatus>,
    pub name: ServerName,
    pub differences: Option<Arc<ServerDifferences>>,
    pub waiting: WaitingPostings,
}

/// Operations without a recorded outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitingPostings {
    pub count: u64,
    /// When the oldest was planned; unset where none waits.
    pub since: UnixTime,
}

/// Every server of the settings in their order, then those that postings wait for all the same.
///
/// # Errors
/// The books are closed.
pub async fn states(cashier: &Cashier) -> Result<Vec<TradingServerState>, Refusal> {
    let mut waiting = waiting(cashier).await?;
    let differences: BTreeMap<_, _> = cashier.trading.differences().into_iter().collect();
    let named = cashier.trading.status().into_iter().map(|status| TradingServerState {
        name: status.server.clone(),
        differences: differences.get(&status.server).cloned(),
        waiting: waiting.remove(&status.server).unwrap_or_default(),
        status: Some(status),
    });
    let mut states: Vec<_> = named.collect();
    let others = waiting.into_iter();
    states.extend(others.map(|(name, waiting)| TradingServerState { status: None, name, differences: None, waiting }));
    Ok(states)
}

async fn waiting(cashier: &Cashier) -> Result<BTreeMap<ServerName, WaitingPostings>, Refusal> {
    let (mut waiting, mut after) = (BTreeMap::<ServerName, WaitingPostings>::new(), TransactionId(0));
    loop {
        let ids = cashier.ledger.peek(|books| {
            let ids = books.unrecorded_after(after, EXAMINED_PER_HOLD);
            for known in ids.iter().filter_map(|id| books.aggregate(*id)) {
                for open in known.operations.iter().filter(|known| known.is_unsettled()) {
                    let of = waiting.entry(known.transaction.server.clone()).or_default();
                    of.since = if of.count == 0 { open.created_time } else { of.since.min(open.created_time) };
                    of.count += 1;
                }
            }
            ids
        })?;
        let Some(last) = ids.last() else { return Ok(waiting) };
        after = *last;
        tokio::task::yield_now().await;
    }
}

/// What the books and each trading server elsewhere do not have alike: an item for each posting, and one for those that are not
/// kept one by one.
pub(super) fn work_items(cashier: &Cashier) -> Vec<WorkItem> {
    let mut items = Vec::new();
    for (server, differences) in cashier.trading.differences() {
        items.extend(differences.kept.iter().map(|known| WorkItem {
            transaction_id: known.transaction_id,
            login: known.login,
            amount: Some(known.amount),
            server: Some(server.clone()),
            reason: known.to_string().into(),
            ..WorkItem::new(WorkKind::PostingDiffers, known.since)
        }));
        if let Some(remark) = differences.remark() {
            items.push(WorkItem {
                server: Some(server),
                reason: remark.into(),
                ..WorkItem::new(WorkKind::PostingDiffers, differences.since)
            });
        }
    }
    items
}
