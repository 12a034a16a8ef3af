//! What the janitor asks of providers: a create call made again, the capture a payment waits for, what became of it, and
//! that it be closed when its time is over. What is due, and when, is decided in [`super`].

use std::sync::Arc;
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::facts::{ProviderFact, ReviewHold};
use cashier_core::ids::TransactionId;
use cashier_core::transaction::FirstAnswer;

use super::{Duty, REQUEST_ID, is_past_its_time};
use crate::flows::deposit::{end_create, order_of};
use crate::flows::provider_query::{self, ProviderQuery, QueryOutcome};
use crate::flows::{Cashier, settle};
use crate::ledger::Ticket;
use crate::ports::{CreateAnswer, Durable};

/// The part of a provider's idempotency window that is not used: its clock is not ours (API.md section 5).
const WINDOW_MARGIN_SECONDS: i64 = 60 * 60;

/// Starts what a duty asks of the provider; the place is free again when that has ended.
pub(super) fn ask(cashier: &Arc<Cashier>, id: TransactionId, duty: Duty, place: Arc<()>) {
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        match duty {
            Duty::RepeatCreate => repeat_create(&flow, id).await,
            Duty::Advance => advance(&flow, id).await,
            Duty::Ask => drop(provider_query::query(&flow, id, ProviderQuery::Status).await),
            Duty::Expire => expire(&flow, id).await,
            // The trading server's, not a provider's.
            Duty::Settle => {}
        }
        drop(place);
    }));
}

/// Makes the call that the payment waits for. Where that brings no answer it may have been made before: the provider is
/// asked.
async fn advance(cashier: &Arc<Cashier>, id: TransactionId) {
    if provider_query::query(cashier, id, ProviderQuery::Advance).await != QueryOutcome::Answered {
        provider_query::query(cashier, id, ProviderQuery::Status).await;
    }
}

/// Repeats a create call byte for byte where the provider promises that this is safe; else the outcome stays unknown and
/// the provider is asked.
async fn repeat_create(cashier: &Arc<Cashier>, id: TransactionId) {
    let Some(_flight) = cashier.creating.begin(id) else { return };
    let Ok(ticket) = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id))) else { return };
    let Ok(durable) = Ticket::durable(ticket).await else { return };
    let Some(aggregate) = durable.get().clone() else { return };
    let transaction = &aggregate.transaction;
    // The call that was under way when the round looked may have ended since.
    let ended = !matches!(transaction.first_answer, FirstAnswer::Open | FirstAnswer::Unknown);
    if ended || !transaction.is_unpaid() {
        return;
    }
    let Some(gateway) = cashier.gateway(transaction.config_id) else {
        if is_past_its_time(transaction, cashier.clock.now()) {
            expire(cashier, id).await;
        }
        return;
    };
    let window = gateway.idempotency_window_seconds() - WINDOW_MARGIN_SECONDS;
    let in_window = cashier.clock.now() < transaction.created_time.plus(window);
    let terms = cashier.snapshot().config(transaction.config_id).map(|served| served.config.terms_version);
    let details = match cashier.archive.order(id).await {
        // Under other credentials or settings it would be another order.
        Ok(details) => details.filter(|details| in_window && terms == Some(details.terms_version)),
        Err(fault) => {
            tracing::error!(%fault, transaction = %id, "a stored order could not be read");
            return;
        }
    };
    let repeated = details.is_some();
    let mut answer = match details {
        Some(details) => {
            let order: Durable<_> = durable.with(|_| Arc::new(order_of(transaction, details)));
            gateway.create(order).await
        }
        None => unknown_answer(),
    };
    // The first call may have arrived before it was cut, so one that did not leave tells nothing.
    if matches!(answer.ending, CreateEnding::NeverSent { .. }) {
        answer = unknown_answer();
    }
    tracing::info!(transaction = %id, ending = ?answer.ending, repeated, "an unfinished create call was taken up");
    if let Err(refusal) = end_create(cashier, id, &*gateway, answer, REQUEST_ID).await {
        tracing::warn!(%refusal, transaction = %id, "the end of a create call was not recorded");
    }
    settle::start(cashier, id);
    if !repeated {
        provider_query::query(cashier, id, ProviderQuery::Status).await;
    }
}

fn unknown_answer() -> CreateAnswer {
    CreateAnswer {
        ending: CreateEnding::Unknown,
        update: None,
        refs: Vec::new(),
        redirect_url: Box::default(),
        instructions_json: Box::default(),
        provider_time: Duration::ZERO,
    }
}

/// At expiry: ask, cancel at the provider where that is possible, then cancelled. What was never accepted and cannot be
/// asked is doubt, never cancelled (API.md section 5, unknown is never failed).
async fn expire(cashier: &Arc<Cashier>, id: TransactionId) {
    let asked = provider_query::query(cashier, id, ProviderQuery::Status).await;
    let Ok(Some(aggregate)) = cashier.ledger.peek(|books| books.aggregate(id)) else { return };
    if !aggregate.transaction.is_unpaid() {
        return;
    }
    let known = |fact: &ProviderFact| matches!(fact, ProviderFact::Accepted | ProviderFact::AdvanceWanted { .. });
    let accepted = aggregate.transaction.facts.provider.iter().any(|heard| known(&heard.fact));
    let fact = match asked {
        QueryOutcome::NoAnswer => return,
        // Nobody could hear of it: what the provider accepted stays pending until its module is back.
        QueryOutcome::NoGateway if accepted => return,
        QueryOutcome::NoGateway | QueryOutcome::NotQueryable if !accepted => {
            ProviderFact::ReviewHold(ReviewHold::OutcomeUnknown)
        }
        QueryOutcome::Answered | QueryOutcome::NotQueryable | QueryOutcome::NoGateway => {
            if provider_query::query(cashier, id, ProviderQuery::Cancel).await == QueryOutcome::NoAnswer {
                return;
            }
            ProviderFact::Cancelled { reason: "EXPIRED".into() }
        }
        QueryOutcome::NotFound => ProviderFact::Cancelled { reason: "EXPIRED".into() },
    };
    if let Err(refusal) = provider_query::establish(cashier, id, fact).await {
        tracing::warn!(%refusal, transaction = %id, "an expiry was not recorded");
    }
}
