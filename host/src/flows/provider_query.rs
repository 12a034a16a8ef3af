//! Queries to the provider about an existing payment: its status, the capture it waits for, or its cancellation. Answers
//! are verified and applied like webhooks.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::change::Stamp;
use cashier_core::duty::{ProviderQuery, QueryOutcome};
use cashier_core::facts::ProviderFact;
use cashier_core::ids::TransactionId;
use cashier_core::inbox::{self, AppliedAnswer};
use cashier_core::notice::Update;
use cashier_core::refusal::Refusal;
use cashier_core::session::Actor;
use cashier_core::status::ProviderStatus;

use super::requeue::Unfinished;
use super::{Cashier, settle};
use crate::ports::{Durable, Gateway, PaymentQuery, QueryAnswer};

/// Request id of commits that come of a query.
const REQUEST_ID: &str = "provider_query";

/// Starts a query as a flow of its own, unless one about this transaction is under way.
pub(super) fn start(cashier: &Arc<Cashier>, id: TransactionId, query: ProviderQuery) {
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        if send(&flow, id, query).await != QueryOutcome::Answered {
            flow.requeue.push(id, Unfinished::Query);
        }
    }));
}

/// Sends the query, applies the answer, and starts what it makes due.
pub(super) async fn send(cashier: &Arc<Cashier>, id: TransactionId, query: ProviderQuery) -> QueryOutcome {
    let Some(_flight) = cashier.querying.begin(id) else {
        cashier.querying.ended(id).await;
        return QueryOutcome::NoAnswer;
    };
    let Some(aggregate) = durable_aggregate(cashier, id).await else { return QueryOutcome::NoAnswer };
    let Some(gateway) = cashier.gateway(aggregate.get().transaction.config_id) else { return QueryOutcome::NoGateway };
    let payment = aggregate.with(|aggregate| payment(cashier, aggregate, query));
    let answer = match query {
        ProviderQuery::Status => gateway.query(payment.into_inner()).await,
        ProviderQuery::Advance => gateway.advance(payment).await,
        ProviderQuery::Cancel => gateway.cancel(payment).await,
    };
    match answer {
        QueryAnswer::Stated(update) => apply(cashier, id, &*gateway, &update, query).await,
        QueryAnswer::Unsupported => QueryOutcome::NotQueryable,
        QueryAnswer::NotFound => QueryOutcome::NotFound,
        QueryAnswer::NoAnswer(reason) => {
            tracing::warn!(transaction = %id, ?query, reason, "provider query failed");
            QueryOutcome::NoAnswer
        }
    }
}

async fn durable_aggregate(cashier: &Cashier, id: TransactionId) -> Option<Durable<Aggregate>> {
    let ticket = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id))).ok()?;
    let durable = ticket.durable().await.ok()?;
    let aggregate = durable.get().clone()?;
    Some(durable.with(|_| aggregate))
}

fn payment(cashier: &Cashier, aggregate: &Aggregate, query: ProviderQuery) -> PaymentQuery {
    let transaction = &aggregate.transaction;
    PaymentQuery {
        reference: transaction.reference.clone(),
        refs: transaction.refs.iter().cloned().collect(),
        amount: transaction.amount,
        method: transaction.method.clone(),
        idempotency_key: query.idempotency_key(transaction),
        created_time: transaction.created_time,
        now: cashier.clock.now(),
        nonce: cashier.entropy.bits(),
    }
}

/// Applies the answer; one about another payment, or one whose commit failed, is no answer. Nor is one to a cancellation
/// that did not end the payment.
async fn apply(
    cashier: &Arc<Cashier>,
    id: TransactionId,
    gateway: &dyn Gateway,
    update: &Update,
    query: ProviderQuery,
) -> QueryOutcome {
    let receiver = cashier.receiver(gateway);
    let stamp = cashier.stamp(Actor::Provider(receiver.config_id), REQUEST_ID);
    let Ok(applied) = decide(cashier, &stamp, |draft| inbox::apply_answer(draft, &receiver, id, update)).await else {
        return QueryOutcome::NoAnswer;
    };
    settle::start(cashier, id);
    match applied {
        AppliedAnswer::Applied { found_payment } => {
            if found_payment {
                tracing::info!(transaction = %id, ?query, "provider query found a payment that no webhook had reported");
            }
            let under_way = matches!(update.status, ProviderStatus::Pending | ProviderStatus::InReview);
            if query == ProviderQuery::Cancel && under_way {
                let status = &*update.raw_status;
                tracing::info!(transaction = %id, status, "provider did not cancel a payment that is still under way");
                return QueryOutcome::NoAnswer;
            }
            QueryOutcome::Answered
        }
        AppliedAnswer::Failed(reason) => {
            tracing::error!(transaction = %id, ?query, %reason, "provider answer was not applied");
            QueryOutcome::Answered
        }
        AppliedAnswer::OtherPayment => {
            tracing::error!(transaction = %id, ?query, "provider answer named another payment: not applied");
            QueryOutcome::NoAnswer
        }
    }
}

/// Records a fact that the cashier itself established, such as an expiry.
pub(super) async fn establish(cashier: &Arc<Cashier>, id: TransactionId, fact: ProviderFact) -> Result<(), Refusal> {
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    decide(cashier, &stamp, |draft| {
        if let Some(before) = draft.aggregate(id) {
            let changes = before.establish(fact, draft.context());
            draft.add(changes);
        }
    })
    .await
}

async fn decide<T>(
    cashier: &Cashier,
    stamp: &Stamp,
    decision: impl FnOnce(&mut cashier_core::draft::Draft<'_>) -> T,
) -> Result<T, Refusal> {
    Ok(cashier.ledger.decide(stamp, decision)?.durable().await?.into_inner())
}
