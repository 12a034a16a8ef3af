//! Settlement: the one unsettled operation of a transaction is posted to the trading server, and the outcome is recorded.
//! An operation without an answer stays due.

use std::sync::Arc;

use cashier_core::account::AccountMode;
use cashier_core::aggregate::Aggregate;
use cashier_core::ids::{ManagerId, OperationId, TransactionId};
use cashier_core::operation::{BalanceOperation, OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::session::Actor;
use cashier_core::status::{OperationCmd, OperationStatus};
use futures_util::future::{Either, select};

use super::Cashier;
use super::requeue::Unfinished;
use crate::ports::{Durable, Posting};

/// Request id of commits of settlement.
const REQUEST_ID: &str = "settle";

/// Postings that one run performs for a transaction: facts recorded meanwhile may plan another, endlessly they may not.
const POSTINGS_PER_RUN_MAX: usize = 8;

/// Starts settling and waits for it as long as a webhook sender may be kept waiting. The work goes on without us.
pub(super) async fn within_patience(cashier: &Arc<Cashier>, id: TransactionId) {
    let patience = cashier.clock.sleep(cashier.rules.webhook_patience);
    start(cashier, id);
    let ended = Box::pin(cashier.settling.ended(id));
    match select(ended, patience).await {
        Either::Left(_) => {}
        Either::Right(_) => tracing::warn!(transaction = %id, "trading server timed out: answered before the credit"),
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
        // An operation planned while this run was ending found it under way and did not start another.
        if unanswered != left {
            start(&flow, id);
        } else if left.is_some() {
            flow.requeue.push(id, Unfinished::Posting);
        }
    }));
}

fn unsettled(cashier: &Cashier, id: TransactionId) -> Option<OperationId> {
    let aggregate = cashier.ledger.peek(|books| books.aggregate(id)).ok().flatten()?;
    aggregate.operations.iter().find(|known| known.is_unsettled()).map(|known| known.id)
}

/// Performs what is due; returns the operation that got no answer and stays due.
async fn settle(cashier: &Cashier, id: TransactionId) -> Option<OperationId> {
    for _ in 0..POSTINGS_PER_RUN_MAX {
        let due = due(cashier, id).await?;
        let (aggregate, operation) = due.get();
        let Some(outcome) = send(cashier, &due).await else { return Some(operation.id) };
        let recorded = record(cashier, aggregate.transaction.id, operation.id, &outcome).await;
        let answered = match &outcome {
            PostingOutcome::Posted { trade_order } => {
                tracing::info!(transaction = %id, operation = %operation.id, trade_order, "posting succeeded");
                true
            }
            PostingOutcome::Refused { reason } => {
                tracing::warn!(transaction = %id, operation = %operation.id, reason = &**reason, "posting was refused");
                true
            }
            PostingOutcome::Unknown => {
                tracing::warn!(transaction = %id, operation = %operation.id, "posting timed out: outcome unknown");
                false
            }
        };
        if !recorded || !answered {
            return Some(operation.id);
        }
    }
    unsettled(cashier, id)
}

/// Records the outcome of a posting; false where that is not durable.
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

/// The unsettled operation of a transaction, durable.
async fn due(cashier: &Cashier, id: TransactionId) -> Option<Durable<(Aggregate, BalanceOperation)>> {
    let ticket = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id))).ok()?;
    let aggregate = ticket.durable().await.ok()?;
    let operation = aggregate.get().as_ref()?.operations.iter().find(|known| known.is_unsettled())?.clone();
    let both = aggregate.get().clone().map(|aggregate| (aggregate, operation))?;
    Some(aggregate.with(|_| both))
}

/// Posts the operation; `None` where the trading server was not reached, so that nothing new is known. An operation that
/// may have been sent before is looked up first; one that a keyed server never received is checked again before it is
/// sent again.
async fn send(cashier: &Cashier, due: &Durable<(Aggregate, BalanceOperation)>) -> Option<PostingOutcome> {
    let (aggregate, operation) = due.get();
    let transaction = &aggregate.transaction;
    let may_post = aggregate.standing().may_post;
    // It may have been sent before, or a review hold, a held status or a rejection came between planning and sending.
    if operation.status == OperationStatus::Unknown || !may_post {
        let found = cashier.trading.find(&OperationKey::of(&transaction.reference, operation)).await.ok()?;
        // Only a server that keys by our key may be sent it again, and proves that it never received it.
        if found.is_some() || !cashier.trading.keyed_by_operation() {
            return found;
        }
        // Planned again when a person lets money move.
        if !may_post {
            return Some(refused(ReasonCode::Withheld));
        }
    }
    let facts = cashier.trading.account(operation.login).await.ok()?;
    let Some(facts) = facts else {
        return Some(refused(ReasonCode::AccountNotFound));
    };
    let sandbox_money = transaction.sandbox
        && operation.cmd == OperationCmd::BalanceIn
        && facts.group.account_mode == AccountMode::Real
        && !cashier.snapshot().allows_sandbox_credit(&transaction.brand);
    if sandbox_money {
        return Some(refused(ReasonCode::SandboxOnRealAccount));
    }
    // After a crash it must not look planned when it may have been posted: such a server cannot be sent it again.
    if !cashier.trading.keyed_by_operation()
        && !record(cashier, transaction.id, operation.id, &PostingOutcome::Unknown).await
    {
        return None;
    }
    let posting = due.with(|(aggregate, operation)| Posting {
        operation: operation.clone(),
        reference: aggregate.transaction.reference.clone(),
        customer_id: aggregate.transaction.customer_id,
        comment: format!("cashier {}", aggregate.transaction.id).into(),
    });
    Some(cashier.trading.post(posting).await)
}

fn refused(code: ReasonCode) -> PostingOutcome {
    PostingOutcome::Refused { reason: code.name().into() }
}
