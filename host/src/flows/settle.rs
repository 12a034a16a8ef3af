//! Settlement: the one unsettled operation of a transaction is posted to the trading server, and the outcome is recorded.
//! An operation without an answer stays due.

use std::sync::Arc;

use cashier_core::account::AccountMode;
use cashier_core::aggregate::{Aggregate, DecisionContext};
use cashier_core::change::Change;
use cashier_core::decisions::Absence;
use cashier_core::ids::{OperationId, TransactionId};
use cashier_core::operation::{self, BalanceOperation, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::session::Actor;
use cashier_core::status::{OperationCmd, OperationStatus};
use futures_util::future::{Either, select};

use super::Cashier;
use super::requeue::Unfinished;
use super::single_flight::Flight;
use crate::ports::{Durable, Fault, PostStep, Posting, Voiding};

/// Request id of commits of settlement.
const REQUEST_ID: &str = "settle";

/// Postings that one run performs for a transaction: facts recorded meanwhile may plan another, endlessly they may not.
const POSTINGS_PER_RUN_MAX: usize = 8;

/// How a run of settlement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// Everything that was posted is recorded, durably.
    Recorded,
    /// The last posting is proven by the trading server's own record; ours of it is on its way to the disk.
    Proven,
    /// An operation got no answer, or none yet, and stays due.
    Unanswered,
}

/// Settles, and waits for it as long as a webhook sender may be kept waiting. The work goes on without us.
pub(super) async fn within_patience(cashier: &Arc<Cashier>, id: TransactionId) -> Settled {
    let patience = cashier.clock.sleep(cashier.rules.webhook_patience);
    let flow = Arc::clone(cashier);
    // In the caller's own flow, until its patience ends: another one would only change threads.
    let settled = Box::pin(async move { run(&flow, id).await });
    match select(settled, patience).await {
        Either::Left((settled, _)) => settled.unwrap_or(Settled::Recorded),
        Either::Right(((), settled)) => {
            cashier.spawn.spawn(Box::pin(async move {
                settled.await;
            }));
            tracing::warn!(transaction = %id, "trading server timed out: answered before the credit");
            Settled::Unanswered
        }
    }
}

/// Starts settling as a flow of its own, unless it is under way.
pub(super) fn start(cashier: &Arc<Cashier>, id: TransactionId) {
    let Some(flight) = cashier.settling.begin(id) else { return };
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        settle_once(&flow, id, flight).await;
    }));
}

/// Settles within the caller's flow; none where another flow was settling, which has ended then.
pub(super) async fn run(cashier: &Arc<Cashier>, id: TransactionId) -> Option<Settled> {
    match cashier.settling.begin(id) {
        Some(flight) => Some(settle_once(cashier, id, flight).await),
        None => {
            cashier.settling.ended(id).await;
            None
        }
    }
}

async fn settle_once(cashier: &Arc<Cashier>, id: TransactionId, flight: Flight) -> Settled {
    let (unanswered, settled) = match settle(cashier, id).await {
        Ok(settled) => (None, settled),
        Err(unanswered) => (Some(unanswered), Settled::Unanswered),
    };
    drop(flight);
    let left = unsettled(cashier, id);
    // An operation planned while this run was ending found it under way and did not start another.
    if unanswered != left {
        start(cashier, id);
    } else if left.is_some() {
        cashier.requeue.push(id, Unfinished::Posting);
    }
    settled
}

fn unsettled(cashier: &Cashier, id: TransactionId) -> Option<OperationId> {
    let aggregate = cashier.ledger.peek(|books| books.aggregate(id)).ok().flatten()?;
    aggregate.operations.iter().find(|known| known.is_unsettled()).map(|known| known.id)
}

/// Performs what is due; the error is the operation that got no answer and stays due.
async fn settle(cashier: &Cashier, id: TransactionId) -> Result<Settled, OperationId> {
    for _ in 0..POSTINGS_PER_RUN_MAX {
        let due = match due(cashier, id).await {
            Some(due) => due,
            None if resume(cashier, id).await => continue,
            None => return Ok(Settled::Recorded),
        };
        let (aggregate, operation) = due.get();
        let Some(step) = send(cashier, &due).await else { return Err(operation.id) };
        let outcome = match step {
            PostStep::Done(outcome) => outcome,
            PostStep::Prepared { request_order } => {
                let prepared = |known: &Aggregate, at| known.prepare_posting(operation.id, request_order, at);
                match change(cashier, id, prepared).await {
                    true => continue,
                    false => return Err(operation.id),
                }
            }
            PostStep::NotSent => {
                tracing::warn!(transaction = %id, operation = %operation.id, "posting was not sent: it is tried again");
                // One that may have been sent earlier stays so, and so does one of which this is not recorded.
                if operation.status == OperationStatus::Planned {
                    change(cashier, id, |known, at| known.take_back_sending(operation.id, at)).await;
                }
                return Err(operation.id);
            }
        };
        let recorded = record(cashier, aggregate.transaction.id, operation.id, &outcome).await;
        let answered = match &outcome {
            PostingOutcome::Posted { trade_order, flaw: None } => {
                tracing::info!(transaction = %id, operation = %operation.id, trade_order, "posting succeeded");
                true
            }
            PostingOutcome::Posted { trade_order, flaw: Some(flaw) } => {
                let reason = flaw.reason().name();
                tracing::error!(transaction = %id, operation = %operation.id, trade_order, ?flaw, reason, "posting succeeded and needs a review");
                true
            }
            PostingOutcome::Refused { reason } => {
                tracing::warn!(transaction = %id, operation = %operation.id, reason = &**reason, "posting was refused");
                true
            }
            PostingOutcome::Conflict => {
                let reason = ReasonCode::OperationKeyConflict.name();
                tracing::warn!(transaction = %id, operation = %operation.id, reason, "posting was refused: its key is another's");
                true
            }
            PostingOutcome::Unknown => {
                tracing::warn!(transaction = %id, operation = %operation.id, "posting has no outcome yet: it is asked for");
                false
            }
        };
        match recorded {
            Some(Settled::Proven) => return Ok(Settled::Proven),
            Some(Settled::Recorded) if answered => {}
            Some(_) | None => return Err(operation.id),
        }
    }
    unsettled(cashier, id).map_or(Ok(Settled::Recorded), Err)
}

/// Records the outcome of a posting, and waits until that is durable; none where it is not. It does not wait where the trading
/// server's own record proves the posting and nothing is left to be done or seen by a person: after a crash the operation is
/// planned still, is sent again under its key, and answered as posted.
async fn record(
    cashier: &Cashier,
    id: TransactionId,
    operation: OperationId,
    outcome: &PostingOutcome,
) -> Option<Settled> {
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let mut proven = matches!(outcome, PostingOutcome::Posted { .. });
    let mut ends_there = false;
    let recorded = cashier.ledger.decide(&stamp, |draft| {
        let Some(before) = draft.aggregate(id) else { return };
        proven &= cashier.trading.proves_postings(&before.transaction.server);
        let at = draft.context();
        // Who approved a manual one; nobody did a provider's.
        let by = before.transaction.approved_by;
        draft.add(before.end_posting(operation, outcome, by, at));
        let is_settled = |known: &Aggregate| !known.operations.iter().any(BalanceOperation::is_unsettled);
        ends_there = draft.needs_attention().is_empty() && draft.aggregate(id).as_ref().is_some_and(is_settled);
    });
    let recorded = recorded.ok()?;
    if proven && ends_there {
        drop(recorded);
        return Some(Settled::Proven);
    }
    recorded.durable().await.is_ok().then_some(Settled::Recorded)
}

/// Records what is known of a posting before its outcome, such as the request that is held for it: from then on no other one is
/// approved. Whether that is durable.
async fn change(
    cashier: &Cashier,
    id: TransactionId,
    changes: impl FnOnce(&Aggregate, DecisionContext) -> Vec<Change>,
) -> bool {
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let recorded = cashier.ledger.decide(&stamp, |draft| {
        let Some(known) = draft.aggregate(id) else { return };
        let at = draft.context();
        draft.add(changes(&known, at));
    });
    match recorded {
        Ok(ticket) => ticket.durable().await.is_ok(),
        Err(_) => false,
    }
}

/// Plans an operation that is due although no decision planned it; false where none is.
async fn resume(cashier: &Cashier, id: TransactionId) -> bool {
    let plannable =
        |known: Aggregate| operation::due_minor(&known.transaction, &known.standing(), &known.operations).is_some();
    if !cashier.ledger.peek(|books| books.aggregate(id).is_some_and(plannable)).unwrap_or_default() {
        return false;
    }
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let planned = cashier.ledger.decide(&stamp, |draft| {
        let Some(known) = draft.aggregate(id) else { return };
        let at = draft.context();
        draft.add(known.resume(at));
    });
    match planned {
        Ok(ticket) => ticket.durable().await.is_ok(),
        Err(_) => false,
    }
}

/// The unsettled operation of a transaction, durable.
async fn due(cashier: &Cashier, id: TransactionId) -> Option<Durable<(Aggregate, BalanceOperation)>> {
    recorded(cashier, id, BalanceOperation::is_unsettled).await
}

/// The first such operation of a transaction, durable; `None` where there is none, or the books are closed.
pub(super) async fn recorded(
    cashier: &Cashier,
    id: TransactionId,
    is_it: impl Fn(&BalanceOperation) -> bool,
) -> Option<Durable<(Aggregate, BalanceOperation)>> {
    let ticket = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id))).ok()?;
    let aggregate = ticket.durable().await.ok()?;
    let operation = aggregate.get().as_ref()?.operations.iter().find(|known| is_it(known))?.clone();
    let both = aggregate.get().clone().map(|aggregate| (aggregate, operation))?;
    Some(aggregate.with(|_| both))
}

/// Posts the operation, or has its key voided; `None` where nothing new is known. An operation that may have been sent
/// before is looked up first.
async fn send(cashier: &Cashier, due: &Durable<(Aggregate, BalanceOperation)>) -> Option<PostStep> {
    let (aggregate, operation) = due.get();
    let keyed = cashier.trading.keyed_by_operation(&aggregate.transaction.server);
    if operation.status == OperationStatus::Unknown {
        let found = cashier.trading.find(posting(cashier, due).get()).await.ok()?;
        // Only a server that keys by our key may be sent it again.
        if found.is_some() || !keyed {
            return found.map(PostStep::Done);
        }
    }
    match objection(cashier, due).await {
        Ok(None) => {}
        Ok(Some(reason)) => return refuse(cashier, due, reason).await.map(PostStep::Done),
        // Whether it may be posted is not known, but it may have been posted.
        Err(fault) => {
            tracing::warn!(%fault, operation = %operation.id, "account lookup at the trading server failed");
            return cashier.trading.find(posting(cashier, due).get()).await.ok()?.map(PostStep::Done);
        }
    }
    if !keyed && let Err(fault) = cashier.trading.reaches(&aggregate.transaction.server) {
        tracing::warn!(%fault, operation = %operation.id, "posting waits: its trading server cannot be reached");
        return None;
    }
    // After a crash it must not look planned when it may have been posted: such a server cannot be sent it again.
    if !keyed && record(cashier, aggregate.transaction.id, operation.id, &PostingOutcome::Unknown).await.is_none() {
        return None;
    }
    Some(cashier.trading.post(posting(cashier, due)).await)
}

/// Why the cashier itself does not want the operation posted now.
async fn objection(
    cashier: &Cashier,
    due: &Durable<(Aggregate, BalanceOperation)>,
) -> Result<Option<ReasonCode>, Fault> {
    let (aggregate, operation) = due.get();
    // A held status, a rejection or what changed the owed amount came after it was planned. What is due is planned again when
    // money may move.
    let standing = aggregate.standing();
    let posted = operation::posted(&aggregate.transaction, &aggregate.operations).minor;
    if !standing.may_post || operation::leads_away(operation, standing.owed_minor, posted) {
        return Ok(Some(ReasonCode::Withheld));
    }
    // A server that holds a request compares the account itself before it approves.
    if operation.request_order != 0 {
        return Ok(None);
    }
    let Some(facts) = cashier.trading.account_of(posting(cashier, due).get()).await? else {
        return Ok(Some(ReasonCode::AccountNotFound));
    };
    let mode = facts.group.account_mode;
    let differs = only_on(cashier, aggregate, operation).is_some_and(|only| only != mode);
    Ok(differs.then_some(match mode {
        AccountMode::Real => ReasonCode::SandboxOnRealAccount,
        AccountMode::Demo => ReasonCode::LiveOnDemoAccount,
    }))
}

/// Sandbox money is for demo accounts, other money for real ones, unless the settings allow it for the brand.
fn only_on(cashier: &Cashier, aggregate: &Aggregate, operation: &BalanceOperation) -> Option<AccountMode> {
    let (transaction, snapshot) = (&aggregate.transaction, cashier.snapshot());
    let (only, is_allowed) = if transaction.sandbox {
        (AccountMode::Demo, snapshot.allows_sandbox_credit(&transaction.brand))
    } else {
        (AccountMode::Real, snapshot.allows_live_on_demo(&transaction.brand))
    };
    (operation.cmd == OperationCmd::BalanceIn && !is_allowed).then_some(only)
}

/// The only place where the cashier itself refuses an operation. "Planned" means "may have been sent": a process that
/// crashed may have posted it, and the posting may still be in flight. So the trading server is asked to void the key, and
/// what it answers is recorded: posted, if it was posted. Without its word nothing is recorded.
async fn refuse(
    cashier: &Cashier,
    due: &Durable<(Aggregate, BalanceOperation)>,
    reason: ReasonCode,
) -> Option<PostingOutcome> {
    let (aggregate, operation) = due.get();
    match cashier.trading.void(posting(cashier, due), reason).await {
        Ok(Voiding::Settled(outcome)) => Some(outcome),
        // A server that cannot key is sent nothing before the operation is recorded as possibly sent. A request of another way to
        // post, which the settings named before, may still be executed.
        Ok(Voiding::Undecided { .. })
            if !cashier.trading.keyed_by_operation(&aggregate.transaction.server)
                && operation.status == OperationStatus::Planned
                && operation.request_order == 0 =>
        {
            Some(PostingOutcome::Refused { reason: reason.name().into() })
        }
        // Its request has a number and is not found: a person decides, as about every posting without an answer.
        Ok(Voiding::Undecided { .. })
            if operation.status == OperationStatus::Planned && operation.request_order != 0 =>
        {
            Some(PostingOutcome::Unknown)
        }
        Ok(Voiding::Undecided { closed_for }) => {
            let closed_seconds = closed_for.map(|closed| closed.as_secs());
            tracing::warn!(operation = %operation.id, reason = %reason, closed_seconds, "posting could not be voided: outcome unknown");
            None
        }
        Err(fault) => {
            tracing::warn!(%fault, operation = %operation.id, reason = %reason, "voiding the posting failed");
            None
        }
    }
}

/// What the trading server says of a posting without an answer that a person holds to be absent: its key is made dead where
/// that can be. `None` where it does not answer, or the operation is another by now.
pub(super) async fn void_unanswered(cashier: &Cashier, id: TransactionId, operation: OperationId) -> Option<Absence> {
    // While a run is under way it may be about to send the posting.
    let _flight = cashier.settling.begin(id)?;
    let due = due(cashier, id).await.filter(|due| due.get().1.id == operation)?;
    match cashier.trading.void(posting(cashier, &due), ReasonCode::ConfirmedAbsent).await {
        Ok(Voiding::Settled(outcome)) => Some(Absence::Voided { operation, outcome }),
        // It is about to be sent, or was taken back because it was not: what was said of the time before says nothing of it.
        Ok(Voiding::Undecided { .. }) if due.get().1.status != OperationStatus::Unknown => None,
        Ok(Voiding::Undecided { closed_for }) => {
            let closed_seconds = closed_for.map(|closed| i64::try_from(closed.as_secs()).unwrap_or(i64::MAX));
            Some(Absence::NotShown { operation, closed_seconds })
        }
        Err(fault) => {
            tracing::warn!(%fault, %operation, "voiding the posting failed");
            None
        }
    }
}

/// An operation as it is asked about or posted.
pub(super) fn posting(cashier: &Cashier, due: &Durable<(Aggregate, BalanceOperation)>) -> Durable<Posting> {
    due.with(|(aggregate, operation)| Posting {
        operation: operation.clone(),
        reference: aggregate.transaction.reference.clone(),
        server: aggregate.transaction.server.clone(),
        customer_id: aggregate.transaction.customer_id,
        // Judged again at the posting: a roster may turn the group between the look-up and that.
        only_on: only_on(cashier, aggregate, operation),
        comment: format!("cashier {}", aggregate.transaction.id).into(),
    })
}
