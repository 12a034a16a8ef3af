//! The janitor's calls to providers: a create call made again, the capture a payment waits for, status queries, and the
//! end of an expired order. What is due is decided in `cashier_core::duty`, when it is tried again in `backoff`.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::duty::{self, AtExpiry, ProviderDuty, ProviderQuery, QueryOutcome};
use cashier_core::ids::TransactionId;
use cashier_core::transaction::FirstAnswer;

use crate::flows::deposit::{end_create, order_of};
use crate::flows::{Cashier, provider_query, settle};
use crate::ledger::Ticket;
use crate::ports::{CreateAnswer, Durable};

/// Request id of the commits that end a repeated create call.
const REQUEST_ID: &str = "janitor";

/// Starts the provider calls of a duty; the slot is free again when they have ended.
pub(super) fn start(cashier: &Arc<Cashier>, id: TransactionId, duty: ProviderDuty, slot: Arc<()>) {
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        match duty {
            ProviderDuty::RepeatCreate => repeat_create(&flow, id).await,
            ProviderDuty::Advance => advance(&flow, id).await,
            ProviderDuty::Query => drop(provider_query::send(&flow, id, ProviderQuery::Status).await),
            ProviderDuty::Expire => expire(&flow, id).await,
        }
        drop(slot);
    }));
}

/// Makes the call that the payment waits for. Without an answer it may have been made before: the status is queried.
async fn advance(cashier: &Arc<Cashier>, id: TransactionId) {
    if provider_query::send(cashier, id, ProviderQuery::Advance).await != QueryOutcome::Answered {
        provider_query::send(cashier, id, ProviderQuery::Status).await;
    }
}

/// Repeats a create call byte for byte where the provider promises that this is safe; else the outcome stays unknown and
/// the provider is queried.
async fn repeat_create(cashier: &Arc<Cashier>, id: TransactionId) {
    let Some(_flight) = cashier.creating.begin(id) else { return };
    let Ok(ticket) = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id))) else { return };
    let Ok(durable) = Ticket::durable(ticket).await else { return };
    let Some(aggregate) = durable.get().clone() else { return };
    let transaction = &aggregate.transaction;
    // The call that was under way when the round began may have ended meanwhile.
    let ended = !matches!(transaction.first_answer, FirstAnswer::Open | FirstAnswer::Unknown);
    if ended || !transaction.is_unpaid() {
        return;
    }
    let Some(gateway) = cashier.gateway(transaction.config_id) else {
        if duty::is_expired(transaction, cashier.clock.now()) {
            expire(cashier, id).await;
        }
        return;
    };
    let window = gateway.idempotency_window_seconds();
    let clock = &cashier.clock;
    // A time that a wrong clock stamped begins no window.
    let trusted = clock.is_plausible() && transaction.created_time > clock.stamped_ahead_until();
    let in_window = trusted && duty::may_repeat_create(transaction, window, clock.now());
    let (terms, creates) = {
        let snapshot = cashier.snapshot();
        let served = snapshot.config(transaction.config_id);
        // A module that plugins.toml disables makes no payment, also of an order that exists.
        let available = snapshot.module(&transaction.provider).is_some_and(|line| line.available);
        (served.map(|served| served.config.terms_version), available)
    };
    let may_repeat = in_window && creates;
    let details = match cashier.archive.order(id).await {
        // Under other credentials or settings it would be another order.
        Ok(details) => details.filter(|details| may_repeat && terms == Some(details.terms_version)),
        Err(fault) => {
            tracing::error!(%fault, transaction = %id, "reading a stored order failed");
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
    // The first call may have arrived before it was interrupted, so a repeat that was never sent says nothing about it.
    if matches!(answer.ending, CreateEnding::NeverSent { .. }) {
        answer = unknown_answer();
    }
    let unreadable = answer.unreadable.clone();
    if !unreadable.is_empty() {
        tracing::warn!(transaction = %id, reason = &*unreadable, "provider answer to a create call was unreadable");
    }
    tracing::info!(transaction = %id, ending = ?answer.ending, repeated, "unfinished create call was retried");
    if let Err(refusal) = end_create(cashier, id, &*gateway, answer, REQUEST_ID).await {
        tracing::warn!(%refusal, transaction = %id, "recording the end of a create call failed");
    }
    settle::start(cashier, id);
    if !repeated || !unreadable.is_empty() {
        provider_query::send(cashier, id, ProviderQuery::Status).await;
    }
}

fn unknown_answer() -> CreateAnswer {
    CreateAnswer {
        ending: CreateEnding::Unknown,
        update: None,
        refs: Vec::new(),
        redirect_url: Box::default(),
        instructions_json: Box::default(),
        unreadable: Box::default(),
        provider_time: Duration::ZERO,
    }
}

/// At expiry the provider is queried, then sent a cancellation where its module can; what is recorded is the core's decision.
/// While the clock is implausible nothing but the query is done.
async fn expire(cashier: &Arc<Cashier>, id: TransactionId) {
    let outcome = provider_query::send(cashier, id, ProviderQuery::Status).await;
    if !cashier.clock.is_plausible() {
        return;
    }
    let Ok(Some(aggregate)) = cashier.ledger.peek(|books| books.aggregate(id)) else { return };
    let fact = match duty::at_expiry(&aggregate.transaction, outcome) {
        AtExpiry::Wait => return,
        AtExpiry::Record(fact) => fact,
        AtExpiry::Cancel(fact) => {
            if provider_query::send(cashier, id, ProviderQuery::Cancel).await == QueryOutcome::NoAnswer {
                return;
            }
            fact
        }
    };
    if let Err(refusal) = provider_query::establish(cashier, id, fact).await {
        tracing::warn!(%refusal, transaction = %id, "recording an expiry failed");
    }
}
