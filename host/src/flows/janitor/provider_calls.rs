//! The janitor's calls to providers: a create call made again, the capture a payment waits for, status queries, and the
//! end of an expired order. What is due is decided in `cashier_core::duty`, when it is tried again in `backoff`.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::duty::{self, AtExpiry, ProviderDuty, ProviderQuery, QueryOutcome};
use cashier_core::ids::TransactionId;
use cashier_core::transaction::FirstAnswer;

use crate::flows::deposit::{end_create, order_of};
use crate::flows::{Cashier, provider_query, refund, settle, transactions};
use crate::ledger::Ticket;
use crate::ports::{CreateAnswer, Durable};

/// Request id of the commits that end a repeated create call.
const REQUEST_ID: &str = "janitor";

/// Makes the provider calls of a duty. Whether the provider answered the last of them; none where it was not called.
pub(super) async fn make(cashier: &Arc<Cashier>, id: TransactionId, duty: ProviderDuty) -> Option<bool> {
    match duty {
        ProviderDuty::RepeatCreate => repeat_create(cashier, id).await,
        ProviderDuty::Advance => advance(cashier, id).await,
        ProviderDuty::Query => provider_query::send(cashier, id, ProviderQuery::Status).await.answered,
        ProviderDuty::Refund => refund::perform(cashier, id).await,
        ProviderDuty::Expire => expire(cashier, id).await,
    }
}

/// Makes the call that the payment waits for. Without an answer it may have been made before: the status is queried.
async fn advance(cashier: &Arc<Cashier>, id: TransactionId) -> Option<bool> {
    let advanced = provider_query::send(cashier, id, ProviderQuery::Advance).await;
    if advanced.outcome == QueryOutcome::Answered {
        return advanced.answered;
    }
    provider_query::send(cashier, id, ProviderQuery::Status).await.answered
}

/// Repeats a create call byte for byte where the provider promises that this is safe; else the outcome stays unknown and
/// the provider is queried.
async fn repeat_create(cashier: &Arc<Cashier>, id: TransactionId) -> Option<bool> {
    let _flight = cashier.creating.begin(id)?;
    let ticket = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id))).ok()?;
    let durable = Ticket::durable(ticket).await.ok()?;
    let aggregate = durable.get().clone()?;
    let transaction = &aggregate.transaction;
    // The call that was under way when the round began may have ended meanwhile.
    let ended = !matches!(transaction.first_answer, FirstAnswer::Open | FirstAnswer::Unknown);
    if ended || !transaction.is_unpaid() {
        return None;
    }
    let Some(gateway) = cashier.gateway(transaction.config_id) else {
        let expired = duty::is_expired(transaction, cashier.clock.now());
        return if expired { expire(cashier, id).await } else { None };
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
            return None;
        }
    };
    let repeated = details.is_some();
    let mut called = match details {
        Some(details) => {
            let texts = transactions::texts(cashier, transaction).await.ok()?;
            let order: Durable<_> = durable.with(|_| Arc::new(order_of(transaction, &texts, details)));
            gateway.create(order).await
        }
        None => unknown_answer().into(),
    };
    // The first call may have arrived before it was interrupted, so a repeat that was never sent says nothing about it.
    if matches!(called.answer.ending, CreateEnding::NeverSent { .. }) {
        called.answer = unknown_answer();
    }
    let answer = &called.answer;
    let unreadable = answer.unreadable.clone();
    let answered = !unreadable.is_empty() || answer.ending != CreateEnding::Unknown;
    if !unreadable.is_empty() {
        tracing::warn!(transaction = %id, reason = &*unreadable, "provider answer to a create call was unreadable");
    }
    tracing::info!(transaction = %id, ending = ?answer.ending, repeated, "unfinished create call was retried");
    if let Err(refusal) = end_create(cashier, id, &*gateway, called, REQUEST_ID).await {
        tracing::warn!(%refusal, transaction = %id, "recording the end of a create call failed");
    }
    settle::start(cashier, id);
    if repeated && unreadable.is_empty() {
        return Some(answered);
    }
    let queried = provider_query::send(cashier, id, ProviderQuery::Status).await;
    if repeated { Some(answered) } else { queried.answered }
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
async fn expire(cashier: &Arc<Cashier>, id: TransactionId) -> Option<bool> {
    let queried = provider_query::send(cashier, id, ProviderQuery::Status).await;
    if !cashier.clock.is_plausible() {
        return queried.answered;
    }
    let aggregate = cashier.ledger.peek(|books| books.aggregate(id)).ok().flatten()?;
    let (fact, answered) = match duty::at_expiry(&aggregate.transaction, queried.outcome) {
        AtExpiry::Wait => return queried.answered,
        AtExpiry::Record(fact) => (fact, queried.answered),
        AtExpiry::Cancel(fact) => {
            let cancelled = provider_query::send(cashier, id, ProviderQuery::Cancel).await;
            if cancelled.outcome == QueryOutcome::NoAnswer {
                return cancelled.answered;
            }
            (fact, cancelled.answered)
        }
    };
    if let Err(refusal) = provider_query::establish(cashier, id, fact).await {
        tracing::warn!(%refusal, transaction = %id, "recording an expiry failed");
    }
    answered
}
