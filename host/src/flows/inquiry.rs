//! Asking the provider: what became of a payment, the capture it waits for, or that it be closed. Answers are weighed
//! like webhooks.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::facts::ProviderFact;
use cashier_core::ids::TransactionId;
use cashier_core::refusal::Refusal;
use cashier_core::session::Actor;
use cashier_core::transaction::Transaction;

use super::deposit::provider_key;
use super::undone::Left;
use super::{House, hearing, settle};
use crate::ports::{Durable, Gateway, PaymentQuery, QueryAnswer};

/// Request id of commits that come of asking.
const HOUSE_REQUEST: &str = "inquiry";

/// What to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Status,
    /// The money-moving follow-up that a notice asked for.
    Advance,
    Cancel,
}

impl Question {
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

/// What asking brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Heard,
    /// The module cannot ask this.
    NotAskable,
    /// The config has no gateway: its module is not loaded.
    NoGateway,
    NotFound,
    NoAnswer,
}

/// Starts asking about a transaction as a flow of its own, unless that is under way.
pub(super) fn start(house: &Arc<House>, id: TransactionId, question: Question) {
    let flow = Arc::clone(house);
    house.spawn.spawn(Box::pin(async move {
        if ask(&flow, id, question).await != Asked::Heard {
            flow.undone.leave(id, Left::Question);
        }
    }));
}

/// Asks, hears the answer, and starts what it makes due.
pub(super) async fn ask(house: &Arc<House>, id: TransactionId, question: Question) -> Asked {
    let Some(_flight) = house.asking.begin(id) else {
        house.asking.landed(id).await;
        return Asked::NoAnswer;
    };
    let Some(aggregate) = subject(house, id).await else { return Asked::NoAnswer };
    let Some(gateway) = house.gateway(aggregate.get().transaction.config_id) else { return Asked::NoGateway };
    let payment = aggregate.with(|aggregate| payment(house, aggregate, question));
    let answer = match question {
        Question::Status => gateway.query(payment.into_inner()).await,
        Question::Advance => gateway.advance(payment).await,
        Question::Cancel => gateway.cancel(payment).await,
    };
    match answer {
        QueryAnswer::Heard(update) => {
            let recorded = record(house, id, &*gateway, &update).await;
            if recorded.is_ok_and(|own| own) { Asked::Heard } else { Asked::NoAnswer }
        }
        QueryAnswer::Unsupported => Asked::NotAskable,
        QueryAnswer::NotFound => Asked::NotFound,
        QueryAnswer::NoAnswer(why) => {
            tracing::warn!(transaction = %id, why, ?question, "the provider did not answer");
            Asked::NoAnswer
        }
    }
}

async fn subject(house: &House, id: TransactionId) -> Option<Durable<Aggregate>> {
    let ticket = house.ledger.read(|books| (books.aggregate(id), books.touched(id))).ok()?;
    let durable = ticket.durable().await.ok()?;
    let aggregate = durable.get().clone()?;
    Some(durable.with(|_| aggregate))
}

fn payment(house: &House, aggregate: &Aggregate, question: Question) -> PaymentQuery {
    let transaction = &aggregate.transaction;
    PaymentQuery {
        reference: transaction.reference.clone(),
        refs: transaction.refs.iter().cloned().collect(),
        amount: transaction.amount,
        method: transaction.method.clone(),
        idempotency_key: question.key(transaction),
        created_time: transaction.created_time,
        now: house.clock.now(),
        nonce: house.entropy.bits(),
    }
}

async fn record(
    house: &Arc<House>,
    id: TransactionId,
    gateway: &dyn Gateway,
    update: &cashier_core::notice::Update,
) -> Result<bool, Refusal> {
    let listener = gateway.listener();
    let stamp = house.stamp(Actor::Provider(listener.config_id), HOUSE_REQUEST);
    let ticket = house.ledger.decide(&stamp, |draft| hearing::hear_answer(draft, listener, id, update))?;
    let own = ticket.durable().await?.into_inner();
    settle::start(house, id);
    Ok(own)
}

/// Records a fact that the house itself established, such as an expiry.
pub(super) async fn establish(house: &Arc<House>, id: TransactionId, fact: ProviderFact) -> Result<(), Refusal> {
    let stamp = house.stamp(Actor::House, HOUSE_REQUEST);
    let ticket = house.ledger.decide(&stamp, |draft| {
        if let Some(before) = draft.aggregate(id) {
            let changes = before.establish(fact, draft.circumstances());
            draft.add(changes);
        }
    })?;
    ticket.durable().await.map(|_| ())
}
