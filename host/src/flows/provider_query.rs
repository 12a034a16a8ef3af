//! RequestContext the provider: what became of a payment, the capture it waits for, or that it be closed. Answers are weighed
//! like webhooks.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::facts::ProviderFact;
use cashier_core::ids::TransactionId;
use cashier_core::refusal::Refusal;
use cashier_core::session::Actor;
use cashier_core::transaction::Transaction;

use super::deposit::provider_key;
use super::requeue::Left;
use super::{Cashier, hearing, settle};
use crate::ports::{Durable, Gateway, PaymentQuery, QueryAnswer};

/// Request id of commits that come of context.
const REQUEST_ID: &str = "provider_query";

/// What to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProviderQuery {
    Status,
    /// The money-moving follow-up that a notice asked for.
    Advance,
    Cancel,
}

impl ProviderQuery {
    /// The idempotency key of this call: providers refuse one key for two sorts of request, and the same call asked again
    /// must be the same.
    fn key(self, transaction: &Transaction) -> Box<str> {
        let own = provider_key(transaction);
        match self {
            Self::Status => own,
            Self::Advance => format!("{own}-advance").into(),
            Self::Cancel => format!("{own}-cancel").into(),
        }
    }
}

/// What context brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueryOutcome {
    Answered,
    /// The module cannot ask this.
    NotQueryable,
    /// The config has no gateway: its module is not loaded.
    NoGateway,
    NotFound,
    NoAnswer,
}

/// Starts context about a transaction as a flow of its own, unless that is under way.
pub(super) fn start(cashier: &Arc<Cashier>, id: TransactionId, question: ProviderQuery) {
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        if query(&flow, id, question).await != QueryOutcome::Answered {
            flow.requeue.push(id, Left::Query);
        }
    }));
}

/// Asks, hears the answer, and starts what it makes due.
pub(super) async fn query(cashier: &Arc<Cashier>, id: TransactionId, question: ProviderQuery) -> QueryOutcome {
    let Some(_flight) = cashier.querying.begin(id) else {
        cashier.querying.landed(id).await;
        return QueryOutcome::NoAnswer;
    };
    let Some(aggregate) = subject(cashier, id).await else { return QueryOutcome::NoAnswer };
    let Some(gateway) = cashier.gateway(aggregate.get().transaction.config_id) else { return QueryOutcome::NoGateway };
    let payment = aggregate.with(|aggregate| payment(cashier, aggregate, question));
    let answer = match question {
        ProviderQuery::Status => gateway.query(payment.into_inner()).await,
        ProviderQuery::Advance => gateway.advance(payment).await,
        ProviderQuery::Cancel => gateway.cancel(payment).await,
    };
    match answer {
        QueryAnswer::Stated(update) => {
            let recorded = record(cashier, id, &*gateway, &update).await;
            if recorded.is_ok_and(|own| own) { QueryOutcome::Answered } else { QueryOutcome::NoAnswer }
        }
        QueryAnswer::Unsupported => QueryOutcome::NotQueryable,
        QueryAnswer::NotFound => QueryOutcome::NotFound,
        QueryAnswer::NoAnswer(why) => {
            tracing::warn!(transaction = %id, why, ?question, "the provider did not answer");
            QueryOutcome::NoAnswer
        }
    }
}

async fn subject(cashier: &Cashier, id: TransactionId) -> Option<Durable<Aggregate>> {
    let ticket = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id))).ok()?;
    let durable = ticket.durable().await.ok()?;
    let aggregate = durable.get().clone()?;
    Some(durable.with(|_| aggregate))
}

fn payment(cashier: &Cashier, aggregate: &Aggregate, question: ProviderQuery) -> PaymentQuery {
    let transaction = &aggregate.transaction;
    PaymentQuery {
        reference: transaction.reference.clone(),
        refs: transaction.refs.iter().cloned().collect(),
        amount: transaction.amount,
        method: transaction.method.clone(),
        idempotency_key: question.key(transaction),
        created_time: transaction.created_time,
        now: cashier.clock.now(),
        nonce: cashier.entropy.bits(),
    }
}

async fn record(
    cashier: &Arc<Cashier>,
    id: TransactionId,
    gateway: &dyn Gateway,
    update: &cashier_core::notice::Update,
) -> Result<bool, Refusal> {
    let receiver = gateway.receiver();
    let stamp = cashier.stamp(Actor::Provider(receiver.config_id), REQUEST_ID);
    let ticket = cashier.ledger.decide(&stamp, |draft| hearing::hear_answer(draft, receiver, id, update))?;
    let own = ticket.durable().await?.into_inner();
    settle::start(cashier, id);
    Ok(own)
}

/// Records a fact that the cashier itself established, such as an expiry.
pub(super) async fn establish(cashier: &Arc<Cashier>, id: TransactionId, fact: ProviderFact) -> Result<(), Refusal> {
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let ticket = cashier.ledger.decide(&stamp, |draft| {
        if let Some(before) = draft.aggregate(id) {
            let changes = before.establish(fact, draft.context());
            draft.add(changes);
        }
    })?;
    ticket.durable().await.map(|_| ())
}
