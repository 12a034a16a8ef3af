//! Commands of managers that were refused: recorded with who sent what, in the chain of those that were done. A hostile
//! client must not fill the disk, so that records are bounded by session and in all; what is beyond is counted.

use std::sync::atomic::{AtomicU64, Ordering};

use cashier_core::edit::FieldChange;
use cashier_core::refusal::RefusalCode;

use super::Cashier;
use super::manager_act::{AuditSubject, ManagerAct, recorded};
use crate::ledger::Estimate;

impl Cashier {
    /// A message without a valid token: unknown callers must not fill the disk, so that it is counted alone.
    pub fn count_anonymous_message(&self) {
        self.unrecorded.anonymous.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages of managers without a valid token, and refused commands beyond what is recorded, since the start.
    pub fn counted_refusals(&self) -> (u64, u64) {
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (counted(&self.unrecorded.anonymous), counted(&self.unrecorded.beyond))
    }
}

/// Records a refused command before it is answered. Where that is not possible it is counted; the refusal stands.
pub async fn record(
    cashier: &Cashier,
    act: &ManagerAct,
    subject: AuditSubject,
    code: RefusalCode,
    stated: Vec<FieldChange>,
) {
    if within_limits(cashier, act) && written(cashier, act, subject, code, stated).await {
        return;
    }
    cashier.unrecorded.beyond.fetch_add(1, Ordering::Relaxed);
    cashier.unrecorded.since.fetch_add(1, Ordering::Relaxed);
}

fn within_limits(cashier: &Cashier, act: &ManagerAct) -> bool {
    let (role, limits) = (act.session.role(), &cashier.limits);
    let all = if role.may_manage_cashier() { &limits.refusals_of_managers } else { &limits.refusals_of_others };
    limits.refusals.check((role, act.session.manager_id())).is_ok() && all.check(()).is_ok()
}

async fn written(
    cashier: &Cashier,
    act: &ManagerAct,
    subject: AuditSubject,
    code: RefusalCode,
    mut stated: Vec<FieldChange>,
) -> bool {
    let Ok(_admitted) = cashier.ledger.admit(Estimate::single(0)) else { return false };
    // It counts whoever was refused: a record that a session of one brand reads does not say it.
    let is_of_all = act.session.brand().is_none();
    let unrecorded = if is_of_all { cashier.unrecorded.since.swap(0, Ordering::Relaxed) } else { 0 };
    if unrecorded > 0 {
        stated.push(recorded("refusals before this one without a record", "", unrecorded.to_string()));
    }
    let record = act.record(subject, format!("refused: {}", code.text()), stated);
    let durable = match cashier.ledger.decide(&act.stamp(cashier), |draft| draft.store(record)) {
        Ok(ticket) => ticket.durable().await.map(drop),
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = &durable {
        cashier.unrecorded.since.fetch_add(unrecorded, Ordering::Relaxed);
        tracing::error!(
            target: "security", command = act.command, by = %act.session.manager_id(), code = code.text(),
            why = refusal.message, "refused command was not recorded"
        );
    }
    durable.is_ok()
}
