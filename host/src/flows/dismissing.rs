//! A person takes a payment from the work list that no transaction is known for: it belongs to another business of the same
//! merchant account. Nothing is applied and nothing is deleted.

use cashier_core::ids::{ConfigId, EventId};
use cashier_core::inbox::{self, Dismissal};
use cashier_core::notice::ProviderEvent;
use cashier_core::refusal::{Refusal, RefusalCode};

use super::Cashier;
use super::manager_act::{AuditSubject, ManagerAct, recorded};
use super::replay::{no_such_event, unreadable_storage};
use crate::ledger::Estimate;

/// Dismisses an unmatched payment; one that was dismissed before is answered as it is. The row as it is then.
///
/// # Errors
/// 404: there is no such event for this session. 409: it waits for no person, or by itself. 503: the storage is not working.
pub async fn dismiss(cashier: &Cashier, act: &ManagerAct, id: EventId, reason: &str) -> Result<ProviderEvent, Refusal> {
    let stored = cashier.archive.event(id).await.map_err(|fault| unreadable_storage(&fault))?;
    let stored = stored.filter(|event| act.session.sees(&event.brand)).ok_or_else(no_such_event)?;
    if inbox::is_dismissed(&stored) {
        return Ok(stored);
    }
    let snapshot = cashier.snapshot();
    let is_seen =
        |config: &ConfigId| snapshot.config(*config).is_some_and(|known| act.session.sees(&known.config.brand));
    if act.session.brand().is_some() && !stored.also_verified_by.iter().all(is_seen) {
        let message = "a config of another brand verified it too: a session of every brand dismisses it";
        return Err(Refusal::new(RefusalCode::PermissionDenied, message));
    }
    drop(snapshot);
    let _admitted = cashier.ledger.admit(Estimate::single(0))?;
    let ticket = cashier.ledger.decide(&act.stamp(cashier), |draft| {
        let found = inbox::dismiss(draft, id, act.session.manager_id());
        if let Dismissal::Dismissed(event) = &found {
            let subject = AuditSubject { config: event.config_id, ..AuditSubject::default() };
            let payment = recorded("provider_payment_id", "", event.provider_payment_id.clone());
            let changes = vec![recorded("event", "", id.to_string()), payment, recorded("reason", "", reason)];
            draft.store(act.record(subject, "dismissed", changes));
        }
        found
    })?;
    match ticket.durable().await?.into_inner() {
        Dismissal::Dismissed(event) => {
            tracing::info!(event = %id, config = %event.config_id, manager = %act.session.manager_id(), "payment without a transaction was dismissed");
            Ok(*event)
        }
        Dismissal::WaitsByItself => Err(Refusal::new(
            RefusalCode::WrongStatus,
            "it waits by itself, for its transaction or for a module that reads it: only an unmatched payment is dismissed",
        )),
        Dismissal::WaitsForNothing => {
            Err(Refusal::new(RefusalCode::WrongStatus, "it waits for nothing: there is nothing to dismiss"))
        }
    }
}
