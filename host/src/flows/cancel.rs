//! A manager's cancellation of an unpaid deposit: recorded, then sent to the provider, whose answer alone closes it. Which
//! transaction may be cancelled is `core::refund`'s.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::duty::{ProviderQuery, QueryOutcome};
use cashier_core::ids::TransactionId;
use cashier_core::refund;
use cashier_core::refusal::{Refusal, RefusalCode};

use super::decisions::{Decision, decide};
use super::manager_act::{ManagerAct, recorded};
use super::provider_query::{self, Sent};
use super::refund::abilities;
use super::requeue::Unfinished;
use super::{Cashier, transactions};

/// Cancels at the provider. The answer is the transaction: closed, or pending where the provider answered with a payment that is
/// still under way.
///
/// # Errors
/// 404 for a transaction that does not exist for the session; 400 and 409 as [`refund::check_cancel`]; 400 where the module
/// cannot cancel; 409 where the provider reports it paid; 502 where it does not know the payment; 503 without an answer: it stays
/// as it is and is queried; 429 where too many were requested in a short time.
pub async fn cancel(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    id: TransactionId,
    reason: &str,
) -> Result<Aggregate, Refusal> {
    let seen = transactions::one(cashier, &act.session, id).await?;
    let abilities = abilities(cashier, seen.transaction.config_id);
    decide(cashier, act, id, |_, known| {
        refund::check_cancel(&known.transaction)?;
        if !abilities?.cancel {
            let message = format!("module {} cannot do this: it lacks cancel", known.transaction.provider);
            return Err(Refusal::invalid(message));
        }
        // Each is recorded and sent, whatever it changes: a client that repeats it must fill no disk.
        cashier.limits.cancels_of_one.check(id)?;
        cashier.limits.cancels_of_manager.check((act.session.role(), act.session.manager_id()))?;
        Ok(Decision {
            stated: vec![recorded("requested", "", "cancel"), recorded("reason", "", reason)],
            ..Decision::default()
        })
    })
    .await?;
    let (done, ended) = tokio::sync::oneshot::channel();
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        let sent = provider_query::send_after_others(&flow, id, ProviderQuery::Cancel).await;
        if sent.outcome != QueryOutcome::Answered {
            flow.requeue.push(id, Unfinished::Query);
        }
        let _ = done.send(sent);
    }));
    let sent = ended.await.unwrap_or(Sent { outcome: QueryOutcome::NoAnswer, answered: Some(false) });
    let known = transactions::one(cashier, &act.session, id).await?;
    if !known.transaction.is_unpaid() {
        let status = known.transaction.status;
        let is_closed = refund::is_closed_unpaid(&known.transaction);
        let message = format!("the provider reports transaction {id} at {} {}", status.number(), status.name());
        return if is_closed { Ok(known) } else { Err(Refusal::new(RefusalCode::WrongStatus, message)) };
    }
    match (sent.outcome, sent.answered) {
        (QueryOutcome::NotFound, _) => Err(Refusal::new(
            RefusalCode::ProviderDeclined,
            "the provider does not know the payment: it stays as it is",
        )),
        (QueryOutcome::NotQueryable, _) => {
            Err(Refusal::new(RefusalCode::WrongStatus, "the provider has stated no id by which it can be cancelled"))
        }
        (QueryOutcome::Answered | QueryOutcome::NoAnswer, Some(true)) => Ok(known),
        (QueryOutcome::Answered | QueryOutcome::NoAnswer | QueryOutcome::NoGateway, _) => {
            let message =
                "the provider did not confirm the cancellation: the transaction stays as it is and is queried";
            Err(Refusal::new(RefusalCode::ProviderUnavailable, message))
        }
    }
}
