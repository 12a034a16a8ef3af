//! Commands of managers that were refused: recorded with who sent what, in the chain of those that were done. A hostile
//! client must not fill the disk, nor use up the records of others: each sender and each brand has a share of its own. What is
//! beyond is counted, and a record of each brand says every minute how many there were, and whose.

use std::sync::atomic::Ordering;

use cashier_core::change::{AuditRecord, Body};
use cashier_core::edit::FieldChange;
use cashier_core::ids::{ApprovalId, ConfigId, ManagerId, TransactionId};
use cashier_core::refusal::RefusalCode;
use cashier_core::session::{Actor, ManagerSession, Role};

use super::Cashier;
use super::manager_act::{AuditSubject, ManagerAct, recorded};
use super::unrecorded_refusals::CountedRefusals;
use crate::ledger::Estimate;

/// Request id of the records of counts.
const REQUEST_ID: &str = "refusals";

/// The command of a record about one that does not exist; its name as it was sent is among the changes.
pub const UNKNOWN_COMMAND: &str = "unknown";

impl Cashier {
    /// A message without a valid token: unknown callers must not fill the disk, so that it is counted alone.
    pub fn count_anonymous_message(&self) {
        self.unrecorded.anonymous.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages of managers without a valid token, and refused commands beyond what is recorded, since the start.
    pub fn counted_refusals(&self) -> (u64, u64) {
        (self.unrecorded.anonymous.load(Ordering::Relaxed), self.unrecorded.beyond())
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
    count(cashier, &act.session);
}

/// Counts a refused command that has no record of its own.
pub fn count(cashier: &Cashier, session: &ManagerSession) {
    cashier.unrecorded.count(session.brand().unwrap_or_default(), (session.role(), session.manager_id()));
}

fn within_limits(cashier: &Cashier, act: &ManagerAct) -> bool {
    let (role, limits) = (act.session.role(), &cashier.limits);
    let brand: Box<str> = act.session.brand().unwrap_or_default().into();
    let shares = if role.may_manage_cashier() { &limits.refusals_of_brand } else { &limits.refusals_of_others };
    limits.refusals.check((role, act.session.manager_id(), brand.clone())).is_ok() && shares.check(brand).is_ok()
}

async fn written(
    cashier: &Cashier,
    act: &ManagerAct,
    subject: AuditSubject,
    code: RefusalCode,
    stated: Vec<FieldChange>,
) -> bool {
    let Ok(_admitted) = cashier.ledger.admit(Estimate::single(0)) else { return false };
    let record = act.record(subject, format!("refused: {}", code.text()), stated);
    let durable = match cashier.ledger.decide(&act.stamp(cashier), |draft| draft.store(record)) {
        Ok(ticket) => ticket.durable().await.map(drop),
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = &durable {
        tracing::error!(
            target: "security", command = act.command, by = %act.session.manager_id(), code = code.text(),
            why = refusal.message, "refused command was not recorded"
        );
    }
    durable.is_ok()
}

/// Records, for each brand, how many refused commands have no record of their own since the last time, and whose they were. A
/// session of the brand reads it with the brand's other records.
pub async fn record_counted(cashier: &Cashier) {
    for (brand, counted) in cashier.unrecorded.take() {
        if !is_written(cashier, &brand, &counted).await {
            cashier.unrecorded.add(&brand, counted);
        }
    }
}

async fn is_written(cashier: &Cashier, brand: &str, counted: &CountedRefusals) -> bool {
    let Ok(_admitted) = cashier.ledger.admit(Estimate::single(0)) else { return false };
    let by = counted.by.iter();
    let by = by.map(|((role, id), refusals)| recorded(&format!("{role:?} {id}"), "", refusals.to_string()));
    let others = (counted.others > 0).then(|| recorded("others", "", counted.others.to_string()));
    let record = AuditRecord {
        manager_id: ManagerId(0),
        role: Role::System,
        brand: brand.into(),
        address: Box::default(),
        command: Box::default(),
        config_id: ConfigId(0),
        transaction_id: TransactionId(0),
        approval: ApprovalId(0),
        outcome: format!("refused: {} more without a record", counted.total()).into(),
        changes: by.chain(others).collect(),
    };
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    match cashier.ledger.decide(&stamp, |draft| draft.store(Body::Audit(Box::new(record)))) {
        Ok(ticket) => ticket.durable().await.is_ok(),
        Err(_) => false,
    }
}
