//! A manager's refund: requested under the ledger's lock, debited at the trading server, then sent to the provider, each step
//! durable before the next. What is left after a crash the janitor finds by the transaction's state and does by the same
//! steps. The rules are `core::refund`'s.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::draft::Draft;
use cashier_core::duty::{ProviderQuery, WINDOW_MARGIN_SECONDS};
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::inbox::{self, AppliedAnswer};
use cashier_core::money::Money;
use cashier_core::refund::{
    self, CallGround, ManagerRefundRequest, PaymentAbilities, RefundAnswer, RefundCall, RefundStep,
};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Actor;
use cashier_core::status::ProviderStatus;
use tokio::sync::oneshot;

use super::decisions::{Decision, decide};
use super::manager_act::{ManagerAct, recorded};
use super::{Cashier, provider_query, settle, transactions};
use crate::ports::{Called, Durable, Gateway, RefundQuery};

/// Request id of the commits of a refund after its request.
const REQUEST_ID: &str = "refund";

/// What became of a request.
#[derive(Debug)]
pub enum RefundOutcome {
    /// The transaction as it is: refunded, accepted, or under way.
    Made(Box<Aggregate>),
    /// Nothing changed: this amount needs a second person, on the ground on which it was judged.
    Waits { amount: Money, ground: u64 },
}

/// Requests a refund, and waits for its debit and the provider's answer, unless it needs a second person.
///
/// # Errors
/// As [`refund::request`]; 404 for a transaction that does not exist for the session; 409 where the debit was refused, 502 where
/// the provider refused, 503 where it was not reached: the account has the money again.
pub async fn refund(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    id: TransactionId,
    request: ManagerRefundRequest,
) -> Result<RefundOutcome, Refusal> {
    let config = transactions::one(cashier, &act.session, id).await?.transaction.config_id;
    let abilities = abilities(cashier, config);
    let (mut requested, mut waits) = (None, None);
    let needs_second = act.approval.is_none() && cashier.rules.second_person.refunds;
    // A repeated request finds what it changed itself.
    let repeatable = act.clone().on(None);
    let decided = decide(cashier, &repeatable, id, |draft, known| {
        // What it would be, before anything of it is in the draft.
        let mut tried = Draft::new(draft.books(), draft.now());
        let would = refund::request(&mut tried, known, &request, abilities.clone());
        if !would.as_ref().is_ok_and(|would| would.repeated) {
            act.check_ground(known, draft.now())?;
        }
        let would = would?;
        act.approval.as_deref().map_or(Ok(()), |approval| would.check_approved(approval))?;
        if would.waits(needs_second, &cashier.rules.refund_limits) {
            waits = Some(RefundOutcome::Waits { amount: would.amount, ground: known.ground() });
            return Err(Refusal::new(RefusalCode::PermissionDenied, "the refund needs a second person"));
        }
        let made = refund::request(draft, known, &request, abilities)?;
        let stated = vec![
            recorded("refund", "", &*made.id),
            recorded("amount", "", made.amount.to_string()),
            recorded("reason", "", &*request.reason),
        ];
        requested = Some(made.id);
        Ok(Decision { stated, repeats: made.repeated })
    })
    .await;
    match (decided, waits) {
        (Err(_), Some(waits)) => return Ok(waits),
        (decided, _) => decided?,
    };
    // It goes on where the client stops waiting.
    let (done, ended) = oneshot::channel();
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        settle::run(&flow, id).await;
        perform(&flow, id).await;
        let _ = done.send(());
    }));
    let _ = ended.await;
    let known = transactions::one(cashier, &act.session, id).await?;
    let refusal = requested.and_then(|own| refund::refusal_of(&known.transaction, &own));
    refusal.map_or(Ok(RefundOutcome::Made(Box::new(known))), Err)
}

/// What the module that serves a config can do.
///
/// # Errors
/// 409 where the config is disabled or deleted: trying later changes nothing. 503 where no module works for it.
pub(super) fn abilities(cashier: &Cashier, config: ConfigId) -> Result<PaymentAbilities, Refusal> {
    let unavailable = |message: &str| Refusal::new(RefusalCode::ProviderUnavailable, message);
    let snapshot = cashier.snapshot();
    let wrong = |message: &str| Refusal::new(RefusalCode::WrongStatus, message);
    let served = snapshot.config(config).ok_or_else(|| wrong("the transaction's config does not exist any more"))?;
    if !served.config.enabled {
        return Err(wrong("the transaction's config is disabled: MngUpdateCashierProviderConfig enables it"));
    }
    let is_available = snapshot.module(&served.config.provider).is_some_and(|line| line.available);
    match &served.gateway {
        Ok(gateway) if is_available => Ok(gateway.abilities()),
        Ok(_) | Err(_) => Err(unavailable("the module of the transaction's config does not work")),
    }
}

/// Does what is due about the open refund of a transaction, and posts what its end makes due. Returns whether the provider
/// answered; none where it was not called.
pub(super) async fn perform(cashier: &Arc<Cashier>, id: TransactionId) -> Option<bool> {
    let _flight = loop {
        if let Some(flight) = cashier.refunding.begin(id) {
            break flight;
        }
        cashier.refunding.ended(id).await;
        // What was under way may have begun before this refund was requested, and been about another.
        let known = cashier.ledger.peek(|books| books.aggregate(id)).ok().flatten()?;
        if !refund::awaits_first_call(&known.transaction) {
            return None;
        }
    };
    let known = cashier.ledger.peek(|books| books.aggregate(id)).ok().flatten()?;
    // Also where none is open: time ends what cannot go on.
    let gateway = cashier.gateway(known.transaction.config_id);
    let gateway = gateway.as_deref();
    let ground = ground(cashier, known.transaction.config_id, gateway);
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let decided = cashier.ledger.decide(&stamp, |draft| (refund::step(draft, id, &ground), draft.aggregate(id)));
    let durable = decided.ok()?.durable().await.ok()?;
    let answered = match durable.get() {
        (RefundStep::Wait, _) | (_, None) => return None,
        (RefundStep::Refused, _) => {
            tracing::warn!(transaction = %id, "refund was not sent: the transaction changed, or no module works");
            None
        }
        (RefundStep::Query, _) => return query(cashier, gateway, id).await,
        (RefundStep::Call { order, repeated }, Some(known)) => {
            let (order, repeated) = (order.clone(), *repeated);
            let call = durable.with(|_| RefundQuery {
                transaction_id: id,
                payment: provider_query::payment(cashier, known, order.id.clone()),
                refund: order.clone(),
            });
            call_provider(cashier, gateway?, call, &order, repeated).await
        }
    };
    settle::run(cashier, id).await;
    answered
}

/// Asks the provider what was refunded; the answer is judged where it is applied. What it leaves open for too long is held.
async fn query(cashier: &Arc<Cashier>, gateway: Option<&dyn Gateway>, id: TransactionId) -> Option<bool> {
    let queried = provider_query::send(cashier, id, ProviderQuery::Status).await;
    let (stamp, window) = (cashier.stamp(Actor::System, REQUEST_ID), repeat_window(gateway));
    let held = cashier.ledger.decide(&stamp, |draft| refund::hold_overdue(draft, id, queried.outcome, window)).ok()?;
    held.durable().await.ok()?;
    queried.answered
}

/// For how long a call may be repeated under its key; without a gateway none is.
fn repeat_window(gateway: Option<&dyn Gateway>) -> i64 {
    gateway.map_or(0, Gateway::idempotency_window_seconds)
}

/// Under what a refund of this config can be sent now.
fn ground(cashier: &Cashier, config: ConfigId, gateway: Option<&dyn Gateway>) -> CallGround {
    let snapshot = cashier.snapshot();
    let served = snapshot.config(config);
    let is_available = |code: &str| snapshot.module(code).is_some_and(|line| line.available);
    CallGround {
        may_call: gateway.is_some() && served.is_some_and(|served| is_available(&served.config.provider)),
        terms: served.map_or(-1, |served| i64::try_from(served.config.terms_version).unwrap_or(i64::MAX)),
        repeat_seconds: repeat_window(gateway).saturating_sub(WINDOW_MARGIN_SECONDS).max(0),
        trusted_since: cashier.clock.is_plausible().then(|| cashier.clock.stamped_ahead_until()),
    }
}

/// Sends the refund and records how the call ended, with what the answer states about the payment.
async fn call_provider(
    cashier: &Arc<Cashier>,
    gateway: &dyn Gateway,
    call: Durable<RefundQuery>,
    order: &RefundCall,
    repeated: bool,
) -> Option<bool> {
    let id = call.get().transaction_id;
    let Called { answer, calls } = gateway.refund(call).await;
    let receiver = cashier.receiver(gateway);
    let stamp = cashier.stamp(Actor::Provider(receiver.config_id), REQUEST_ID);
    let recorded = cashier.ledger.decide(&stamp, |draft| {
        let mut other_payment = false;
        if let RefundAnswer::Stated(update) = &answer
            && states_own_refund(update.status)
            && update.refund.as_ref().is_some_and(|stated| !stated.id.is_empty())
        {
            other_payment = inbox::apply_answer(draft, &receiver, id, update) == AppliedAnswer::OtherPayment;
        }
        let ended = !other_payment && refund::answered(draft, id, &order.id, &answer, repeated);
        draft.store_calls(id, calls);
        (ended, other_payment)
    });
    let (ended, other_payment) = match recorded {
        Ok(ticket) => ticket.durable().await.ok()?.into_inner(),
        Err(_) => return None,
    };
    let refund = &*order.id;
    match &answer {
        _ if other_payment => {
            tracing::error!(transaction = %id, refund, "provider answer to a refund named another payment: not applied");
        }
        RefundAnswer::Stated(update) => {
            let status = &*update.raw_status;
            tracing::info!(transaction = %id, refund, status, ended, repeated, "provider answered a refund");
        }
        RefundAnswer::Declined(reason) | RefundAnswer::Refused(reason) => {
            tracing::warn!(transaction = %id, refund, reason = &**reason, repeated, "provider refused a refund");
        }
        RefundAnswer::NotSent(reason) | RefundAnswer::NoAnswer(reason) => {
            tracing::warn!(transaction = %id, refund, reason = &**reason, ended, repeated, "refund got no answer");
        }
    }
    let answers =
        |answer| matches!(answer, RefundAnswer::Stated(_) | RefundAnswer::Declined(_) | RefundAnswer::Refused(_));
    Some(answers(answer))
}

/// Whether an answer of this status is about the refund itself, so that what it states is applied.
fn states_own_refund(status: ProviderStatus) -> bool {
    matches!(status, ProviderStatus::Refunded | ProviderStatus::RefundFailed)
}
