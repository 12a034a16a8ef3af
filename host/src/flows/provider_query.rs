//! Queries to the provider about an existing payment: its status, the capture it waits for, or its cancellation. Answers
//! are verified and applied like webhooks.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::change::{Change, Stamp};
use cashier_core::draft::Draft;
use cashier_core::duty::{self, ProviderQuery, QueryOutcome};
use cashier_core::facts::ProviderFact;
use cashier_core::ids::{Seq, TransactionId};
use cashier_core::inbox::{self, AppliedAnswer};
use cashier_core::notice::Update;
use cashier_core::provider_call::ProviderCall;
use cashier_core::refund;
use cashier_core::refusal::Refusal;
use cashier_core::session::Actor;
use cashier_core::status::ProviderStatus;

use super::requeue::Unfinished;
use super::{Cashier, settle};
use crate::ports::{Called, Durable, Gateway, PaymentQuery, QueryAnswer};

/// Request id of commits that come of a query.
const REQUEST_ID: &str = "provider_query";

/// Starts a query as a flow of its own, unless one about this transaction is under way.
pub(super) fn start(cashier: &Arc<Cashier>, id: TransactionId, query: ProviderQuery) {
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        if send(&flow, id, query).await.outcome != QueryOutcome::Answered {
            flow.requeue.push(id, Unfinished::Query);
        }
    }));
}

/// How a query ended, and whether the provider answered it at all.
pub(super) struct Sent {
    pub(super) outcome: QueryOutcome,
    /// None where it was not asked.
    pub(super) answered: Option<bool>,
}

impl Sent {
    /// Nothing was sent: another query was under way, or the storage is not working.
    fn is_untried(&self) -> bool {
        self.outcome == QueryOutcome::NoAnswer && self.answered.is_none()
    }

    fn not_asked(outcome: QueryOutcome) -> Self {
        Self { outcome, answered: None }
    }
}

/// Sends what a person decided or rests a decision on. A query that was under way began before that and says nothing about it:
/// after it another is sent.
pub(super) async fn send_after_others(cashier: &Arc<Cashier>, id: TransactionId, query: ProviderQuery) -> Sent {
    let sent = send(cashier, id, query).await;
    if sent.is_untried() { send(cashier, id, query).await } else { sent }
}

/// Sends the query, applies the answer, and starts what it makes due.
pub(super) async fn send(cashier: &Arc<Cashier>, id: TransactionId, query: ProviderQuery) -> Sent {
    let Some(_flight) = cashier.querying.begin(id) else {
        cashier.querying.ended(id).await;
        return Sent::not_asked(QueryOutcome::NoAnswer);
    };
    let Some(aggregate) = durable_aggregate(cashier, id).await else {
        return Sent::not_asked(QueryOutcome::NoAnswer);
    };
    // A query that was waited for may have ended the payment.
    if query == ProviderQuery::Cancel && !aggregate.get().transaction.is_unpaid() {
        return Sent::not_asked(QueryOutcome::NoAnswer);
    }
    let Some(gateway) = cashier.gateway(aggregate.get().transaction.config_id) else {
        return Sent::not_asked(QueryOutcome::NoGateway);
    };
    // What is wanted while this query is under way needs another.
    let asked = Asked { id, query, wanted: aggregate.get().transaction.query_wanted };
    let payment =
        aggregate.with(|aggregate| payment(cashier, aggregate, query.idempotency_key(&aggregate.transaction)));
    let Called { answer, calls } = match query {
        ProviderQuery::Status => gateway.query(payment.into_inner()).await,
        ProviderQuery::Advance => gateway.advance(payment).await,
        ProviderQuery::Cancel => gateway.cancel(payment).await,
    };
    let answered = match &answer {
        QueryAnswer::Stated(_) | QueryAnswer::NotFound => Some(true),
        QueryAnswer::Unsupported => None,
        QueryAnswer::NoAnswer(_) => Some(false),
    };
    let outcome = match answer {
        QueryAnswer::Stated(update) => apply(cashier, &asked, &*gateway, &update, calls).await,
        QueryAnswer::Unsupported => end(cashier, &asked, QueryOutcome::NotQueryable, calls).await,
        QueryAnswer::NotFound => end(cashier, &asked, QueryOutcome::NotFound, calls).await,
        QueryAnswer::NoAnswer(reason) => {
            log_calls(cashier, id, calls);
            tracing::warn!(transaction = %id, ?query, reason, "provider query failed");
            QueryOutcome::NoAnswer
        }
    };
    Sent { outcome, answered }
}

/// A query that was sent.
struct Asked {
    id: TransactionId,
    query: ProviderQuery,
    /// The transaction's `query_wanted` when it was sent.
    wanted: Seq,
}

impl Asked {
    /// The answer to this query ends what an event required.
    fn is_wanted(&self) -> bool {
        self.query == ProviderQuery::Status && self.wanted > Seq(0)
    }

    /// The changes that end what was wanted, by the status that the provider stated, if any.
    fn ended(&self, draft: &Draft<'_>, stated: Option<ProviderStatus>) -> Vec<Change> {
        let Some(known) = draft.aggregate(self.id).filter(|_| self.is_wanted()) else { return Vec::new() };
        let ends = stated.is_none_or(|stated| duty::ends_wanted_query(&known.transaction, stated));
        if ends { known.end_query(self.wanted) } else { Vec::new() }
    }
}

/// Ends a query that an event required, and whose provider has nothing to state about the payment.
async fn end(cashier: &Cashier, asked: &Asked, outcome: QueryOutcome, calls: Vec<ProviderCall>) -> QueryOutcome {
    if !asked.is_wanted() {
        log_calls(cashier, asked.id, calls);
        return outcome;
    }
    let (id, stamp) = (asked.id, cashier.stamp(Actor::System, REQUEST_ID));
    let ended = decide(cashier, &stamp, |draft| {
        draft.add(asked.ended(draft, None));
        draft.store_calls(id, calls);
    })
    .await;
    tracing::warn!(transaction = %id, ?outcome, "event could not be confirmed: its payment's provider states nothing about it");
    if ended.is_err() { QueryOutcome::NoAnswer } else { outcome }
}

/// Stores the requests of a call that ended without a decision, in a commit that nobody waits for: nothing rests on it, and what
/// a crash loses of it is a line of the log.
fn log_calls(cashier: &Cashier, id: TransactionId, calls: Vec<ProviderCall>) {
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    // A closed ledger says so itself.
    let _ = cashier.ledger.decide(&stamp, |draft| draft.store_calls(id, calls));
}

async fn durable_aggregate(cashier: &Cashier, id: TransactionId) -> Option<Durable<Aggregate>> {
    let ticket = cashier.ledger.read(|books| (books.aggregate(id), books.touched(id))).ok()?;
    let durable = ticket.durable().await.ok()?;
    let aggregate = durable.get().clone()?;
    Some(durable.with(|_| aggregate))
}

/// The payment as its provider is asked about it, by a call of this key.
pub(super) fn payment(cashier: &Cashier, aggregate: &Aggregate, idempotency_key: Box<str>) -> PaymentQuery {
    let transaction = &aggregate.transaction;
    PaymentQuery {
        reference: transaction.reference.clone(),
        refs: transaction.refs.iter().cloned().collect(),
        amount: transaction.amount,
        method: transaction.method.clone(),
        idempotency_key,
        created_time: transaction.created_time,
        now: cashier.clock.now(),
        nonce: cashier.entropy.bits(),
    }
}

/// Whether an answer to this query says nothing about how the payment ends: a status that the module does not know, or a
/// payment that is still under way after its cancellation.
fn leaves_open(query: ProviderQuery, stated: ProviderStatus) -> bool {
    match stated {
        ProviderStatus::Unknown => true,
        ProviderStatus::Pending | ProviderStatus::InReview => query == ProviderQuery::Cancel,
        ProviderStatus::Confirmed
        | ProviderStatus::Failed
        | ProviderStatus::Cancelled
        | ProviderStatus::Refunded
        | ProviderStatus::RefundFailed
        | ProviderStatus::Chargeback
        | ProviderStatus::ChargebackReversed
        | ProviderStatus::ManualReview => false,
    }
}

/// Applies the answer; one about another payment, or one whose commit failed, is no answer. Nor is one that leaves open how
/// the payment ends.
async fn apply(
    cashier: &Arc<Cashier>,
    asked: &Asked,
    gateway: &dyn Gateway,
    update: &Update,
    calls: Vec<ProviderCall>,
) -> QueryOutcome {
    let Asked { id, query, wanted: _ } = *asked;
    let receiver = cashier.receiver(gateway);
    let stamp = cashier.stamp(Actor::Provider(receiver.config_id), REQUEST_ID);
    let applied = decide(cashier, &stamp, |draft| {
        let applied = inbox::apply_answer(draft, &receiver, id, update);
        if applied != AppliedAnswer::OtherPayment {
            draft.add(asked.ended(draft, Some(update.status)));
            if query == ProviderQuery::Status {
                refund::queried(draft, id, update, gateway.idempotency_window_seconds());
            }
        }
        draft.store_calls(id, calls);
        applied
    });
    let Ok(applied) = applied.await else { return QueryOutcome::NoAnswer };
    settle::start(cashier, id);
    match applied {
        AppliedAnswer::Applied { found_payment, found_advance } => {
            if found_advance {
                cashier.requeue.push(id, Unfinished::Query);
            }
            if found_payment {
                tracing::info!(transaction = %id, ?query, "provider query found a payment that no webhook had reported");
            }
            if leaves_open(query, update.status) {
                let status = &*update.raw_status;
                tracing::info!(transaction = %id, ?query, status, "provider answer did not end an open payment");
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

async fn decide<T>(cashier: &Cashier, stamp: &Stamp, decision: impl FnOnce(&mut Draft<'_>) -> T) -> Result<T, Refusal> {
    Ok(cashier.ledger.decide(stamp, decision)?.durable().await?.into_inner())
}
