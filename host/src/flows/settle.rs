//! Bringing posted to owed: the one unsettled operation of a transaction is sent to the trading server, and what came of
//! it is recorded. An operation without an answer stays a duty.

use std::sync::Arc;

use cashier_core::account::AccountMode;
use cashier_core::aggregate::Aggregate;
use cashier_core::ids::{ManagerId, OperationId, TransactionId};
use cashier_core::operation::{BalanceOperation, PostingOutcome};
use cashier_core::session::Actor;
use cashier_core::status::{OperationCmd, OperationStatus};
use futures_util::future::{Either, select};

use super::Cashier;
use super::requeue::Left;
use crate::ports::{Durable, Posting};

/// Request id of commits that the cashier makes on its own account.
const REQUEST_ID: &str = "settle";

/// Postings one run performs for a transaction; facts heard meanwhile may plan another, endless repetition may not.
const POSTINGS_PER_RUN_MAX: usize = 8;

/// Starts settling and waits for it as long as a webhook sender may be kept waiting. The work goes on without us.
pub(super) async fn within_patience(cashier: &Arc<Cashier>, id: TransactionId) {
    let patience = cashier.clock.sleep(cashier.rules.webhook_patience);
    start(cashier, id);
    let landed = Box::pin(cashier.settling.landed(id));
    match select(landed, patience).await {
        Either::Left(_) => {}
        Either::Right(_) => tracing::warn!(transaction = %id, "the trading server is slow: answered before the credit"),
    }
}

/// Starts settling as a flow of its own, unless it is under way.
pub(super) fn start(cashier: &Arc<Cashier>, id: TransactionId) {
    let Some(flight) = cashier.settling.begin(id) else { return };
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        let unanswered = settle(&flow, id).await;
        drop(flight);
        let left = unsettled(&flow, id);
        // What was planned while this run was ending found it under way and did not start another.
        if unanswered != left {
            start(&flow, id);
        } else if left.is_some() {
            flow.requeue.push(id, Left::Posting);
        }
    }));
}

fn unsettled(cashier: &Cashier, id: TransactionId) -> Option<OperationId> {
    let aggregate = cashier.ledger.peek(|books| books.aggregate(id)).ok().flatten()?;
    aggregate.operations.iter().find(|known| known.is_unsettled()).map(|known| known.id)
}

/// Performs what is due; gives the operation that got no answer and stays a duty.
async fn settle(cashier: &Cashier, id: TransactionId) -> Option<OperationId> {
    for _ in 0..POSTINGS_PER_RUN_MAX {
        let due = due(cashier, id).await?;
        let (aggregate, operation) = due.get();
        let Some(outcome) = send(cashier, &due).await else { return Some(operation.id) };
        let on_disk = record(cashier, aggregate.transaction.id, operation.id, &outcome).await;
        tracing::info!(transaction = %id, operation = %operation.id, ?outcome, "posting answered");
        let finished = match outcome {
            PostingOutcome::Posted { .. } | PostingOutcome::Refused { .. } => false,
            PostingOutcome::Unknown => true,
        };
        if !on_disk || finished {
            return Some(operation.id);
        }
    }
    unsettled(cashier, id)
}

/// Records what became of a posting; whether that is on disk.
async fn record(cashier: &Cashier, id: TransactionId, operation: OperationId, outcome: &PostingOutcome) -> bool {
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let recorded = cashier.ledger.decide(&stamp, |draft| {
        let Some(before) = draft.aggregate(id) else { return };
        let at = draft.context();
        draft.add(before.end_posting(operation, outcome, ManagerId(0), at));
    });
    match recorded {
        Ok(ticket) => ticket.durable().await.is_ok(),
        Err(_) => false,
    }
}

/// The unsettled operation of a transaction, on disk.
async fn due(cashier: &Cashier, id: TransactionId) -> Option<Durable<(Aggregate, BalanceOperation)>> {
    let ticket = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id))).ok()?;
    let aggregate = ticket.durable().await.ok()?;
    let operation = aggregate.get().as_ref()?.operations.iter().find(|known| known.is_unsettled())?.clone();
    let both = aggregate.get().clone().map(|aggregate| (aggregate, operation))?;
    Some(aggregate.with(|_| both))
}

/// Asks the trading server; `None` when it did not hear us, so that nothing new is known. What may have been sent before
/// is asked about first; one that a keyed server never saw is judged anew before it is sent again.
async fn send(cashier: &Cashier, due: &Durable<(Aggregate, BalanceOperation)>) -> Option<PostingOutcome> {
    let (aggregate, operation) = due.get();
    let transaction = &aggregate.transaction;
    let may_post = aggregate.standing().may_post;
    // It may have been sent before, or doubt, a hold or a rejection came between planning and sending.
    if operation.status == OperationStatus::Unknown || !may_post {
        let found = cashier.trading.find(operation.id).await.ok()?;
        // Only a server that keys by our id may be sent it again, and proves that it never came.
        if found.is_some() || !cashier.trading.keyed_by_operation() {
            return found;
        }
        // Planned anew when a person lets money move.
        if !may_post {
            return Some(PostingOutcome::Refused { reason: "WITHHELD".into() });
        }
    }
    let facts = cashier.trading.account(operation.login).await.ok()?;
    let Some(facts) = facts else {
        return Some(PostingOutcome::Refused { reason: "ACCOUNT_NOT_FOUND".into() });
    };
    let sandbox_money = transaction.sandbox
        && operation.cmd == OperationCmd::BalanceIn
        && facts.group.account_mode == AccountMode::Real
        && !cashier.snapshot().allows_sandbox_credit(&transaction.brand);
    if sandbox_money {
        return Some(PostingOutcome::Refused { reason: "SANDBOX_ON_REAL_ACCOUNT".into() });
    }
    // A crash must not find it planned when it may have happened: such a server cannot be sent it again.
    if !cashier.trading.keyed_by_operation()
        && !record(cashier, transaction.id, operation.id, &PostingOutcome::Unknown).await
    {
        return None;
    }
    let posting = due.with(|(aggregate, operation)| Posting {
        operation: operation.clone(),
        customer_id: aggregate.transaction.customer_id,
        comment: format!("cashier {}", aggregate.transaction.id).into(),
    });
    Some(cashier.trading.post(posting).await)
}
