//! Decisions about transactions that wait for a second person. Asking is one commit with its record; approving is the decision
//! itself, made under the approver's own scope, with the approval closed in the same commit (`decisions`). Which of two
//! deciders comes first is settled here, for changes of configs as well.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::approval::{APPROVAL_SECONDS, Approval, ApprovalState};
use cashier_core::change::Change;
use cashier_core::ids::{ApprovalId, ManagerId, TransactionId};
use cashier_core::money::Money;
use cashier_core::provider_config::Secret;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::ManagerSession;
use cashier_core::time::UnixTime;
use tokio::sync::oneshot;

use super::Cashier;
use super::deciding::DecidingOne;
use super::manager_act::{AuditSubject, ManagerAct, recorded};
use super::publication::Publication;
use crate::ledger::Estimate;
use crate::security_log;

/// How often it is looked at who decides.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a decision would do, for the one who approves it.
pub struct WantedDecision {
    /// The request's `data` as received: what is made once it is approved.
    pub request: Secret,
    /// Names of what it decides, separated by spaces.
    pub fields: Box<str>,
    /// What it would move.
    pub amount: Option<Money>,
    /// The [`cashier_core::aggregate::Aggregate::ground`] on which the request was judged: what is recorded between that and asking makes the approval stale.
    pub ground: u64,
}

/// Begins to decide an approval that this session sees. The approval as it is is read after this.
///
/// # Errors
/// 404 where there is none for the session; 409 where another manager decides it now.
pub fn begin(
    cashier: &Cashier,
    session: &ManagerSession,
    id: ApprovalId,
) -> Result<(DecidingOne, Arc<Approval>), Refusal> {
    let find = || {
        let snapshot = cashier.snapshot();
        let found = snapshot.approval(id).filter(|row| session.sees(&row.brand)).cloned();
        found.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such row"))
    };
    find()?;
    let deciding = cashier
        .deciding
        .begin(id)
        .ok_or_else(|| Refusal::new(RefusalCode::Duplicate, "another manager decides the approval at this moment"))?;
    Ok((deciding, find()?))
}

/// Asks for a second person about a transaction that this session sees; the transaction stays as it is. Who asks for the
/// same again, while the ground is the same, gets the approval that waits.
///
/// # Errors
/// 404 for a transaction that does not exist for the session, 429 where too many approvals wait.
pub async fn ask(
    cashier: &Cashier,
    act: &ManagerAct,
    id: TransactionId,
    wanted: WantedDecision,
) -> Result<Approval, Refusal> {
    let now = cashier.clock.now();
    let by = act.session.manager_id();
    let _admitted = cashier.ledger.admit(Estimate::single(wanted.request.expose().len() as u64))?;
    let mut asking = cashier.unshown_approvals.begin();
    let ticket = cashier.ledger.decide(&act.stamp(cashier), |draft| {
        let known = draft.aggregate(id).filter(|known| act.session.sees(&known.transaction.brand));
        let known = known.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such transaction"))?;
        let asked = Approval {
            id: ApprovalId(draft.seq().0),
            command: act.command.into(),
            config_id: known.transaction.config_id,
            transaction_id: id,
            amount: wanted.amount,
            brand: known.transaction.brand.clone(),
            ground: wanted.ground,
            request: wanted.request,
            unreadable: None,
            fields: wanted.fields,
            asked_by: by,
            asked_time: now,
            expires_time: now.plus(APPROVAL_SECONDS),
            state: ApprovalState::Open,
            decided_by: ManagerId(0),
            decided_time: UnixTime::UNSET,
        };
        // Those of commits that are not durable yet too: many may be asked for at once.
        let unshown = cashier.unshown_approvals.rows();
        let snapshot = cashier.snapshot();
        let mut waiting = snapshot.approvals().chain(&unshown);
        if let Some(waiting) = waiting.find(|row| row.waits_for_the_same(&asked, now)) {
            return Ok((waiting.clone(), false));
        }
        if !snapshot.takes_approvals(&unshown, &asked.brand, now) {
            let message = "too many changes wait for a second person: decide some first";
            return Err(Refusal::new(RefusalCode::Frequent, message));
        }
        asking.asked(&asked);
        draft.add([Change::Approval(Box::new(asked.clone()))]);
        let subject = AuditSubject { config: asked.config_id, transaction: id, approval: asked.id };
        let changes = asked.amount.map(|amount| recorded("amount", "", amount.to_string())).into_iter().collect();
        draft.store(act.record(subject, "approval asked", changes));
        Ok((asked, true))
    })?;
    let (asked, is_new) = ticket.durable().await?.into_inner()?;
    if is_new {
        publish(cashier, asked.clone()).await;
        security_log::approval_asked(asked.id, asked.config_id, by, &asked.fields);
    }
    Ok(asked)
}

/// The approval as this session decided it.
pub(super) fn decided(approval: &Approval, state: ApprovalState, session: &ManagerSession, now: UnixTime) -> Approval {
    Approval { state, decided_by: session.manager_id(), decided_time: now, ..approval.without_request() }
}

/// What became of a change that was approved: whether a second person did, or whoever owns the host alone.
pub(super) fn outcome(session: &ManagerSession, usual: &'static str) -> &'static str {
    if session.breaks_glass() { "break glass" } else { usual }
}

/// Has the publisher show an approval whose commit is durable. Where it cannot, the rows are read again anyway.
pub(super) async fn publish(cashier: &Cashier, row: Approval) {
    let (shown, done) = oneshot::channel();
    if cashier.publications.send(Publication::Asked(Box::new(row), shown)).await.is_ok() {
        let _ = done.await;
    }
}

/// Shows and logs an approval that was given about a transaction.
pub(super) async fn approved(cashier: &Cashier, act: &ManagerAct, row: Approval) {
    log_decided(&row, &act.session);
    publish(cashier, row).await;
}

/// Logs who decided.
pub(super) fn log_decided(row: &Approval, session: &ManagerSession) {
    security_log::approval_decided(row.id, row.config_id, session.manager_id(), row.state.name());
    if session.breaks_glass() && row.state == ApprovalState::Approved {
        security_log::glass_broken(row.id, row.config_id, row.transaction_id, session.manager_id(), &row.command);
    }
}

/// Warns, at a start and daily, where a second person is needed and the records name one manager alone: nothing can be
/// approved then.
pub async fn watch_managers(cashier: Arc<Cashier>) {
    if !cashier.rules.second_person.is_any() {
        return;
    }
    loop {
        match cashier.archive.sole_manager().await {
            Ok(Some(alone)) => security_log::one_manager_alone(alone),
            Ok(None) => {}
            Err(fault) => tracing::warn!(%fault, "reading which managers the audit records name failed"),
        }
        cashier.clock.sleep(DAY).await;
    }
}
