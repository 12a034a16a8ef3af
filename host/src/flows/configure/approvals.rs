//! Changes of configs that wait for a second person: asked in one commit with its record, decided in another. What was asked is what is
//! done, or refused where the config changed since.

use std::sync::Arc;

use cashier_core::approval::{APPROVAL_SECONDS, Approval, ApprovalState};
use cashier_core::change::{AuditRecord, Body, Change};
use cashier_core::edit::{FieldChange, FieldClass};
use cashier_core::ids::{ApprovalId, ManagerId, TransactionId};
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{Actor, ManagerSession};
use cashier_core::time::UnixTime;

use crate::flows::approvals::decided;
use crate::flows::publication::ConfigRequest;
use crate::flows::request_context::RequestContext;
use crate::flows::{AuditSubject, Cashier};
use crate::ledger::Estimate;
use crate::security_log;
use crate::snapshot::Snapshot;

/// Who makes an edit, and on whose approval.
pub(super) struct EditedBy<'r> {
    pub(super) session: &'r ManagerSession,
    pub(super) command: &'r str,
    pub(super) context: &'r RequestContext,
    pub(super) authority: Authority<'r>,
}

pub(super) enum Authority<'r> {
    /// One person, with the request that a second one would have to approve.
    One(&'r Secret),
    /// A second person, who approved this.
    Two(&'r Approval),
}

impl<'r> EditedBy<'r> {
    pub(super) fn one(request: &'r ConfigRequest) -> Self {
        let ConfigRequest { session, command, data, context, .. } = request;
        Self { session, command, context, authority: Authority::One(data) }
    }
}

/// Names of the changed fields and of those put into service with them, separated by spaces.
pub(super) fn names(changes: &[FieldChange], earlier: &[(Box<str>, FieldClass)]) -> String {
    let changed = changes.iter().map(|change| &*change.field);
    let names: Vec<&str> = changed.chain(earlier.iter().map(|(field, _)| &**field)).collect();
    names.join(" ")
}

/// The record of what a manager did.
pub(super) fn record(
    by: &EditedBy<'_>,
    subject: AuditSubject,
    outcome: &'static str,
    changes: Vec<FieldChange>,
) -> Body {
    Body::Audit(Box::new(AuditRecord {
        manager_id: by.session.manager_id(),
        role: by.session.role(),
        brand: by.session.brand().unwrap_or_default().into(),
        address: by.context.ip.clone(),
        command: by.command.into(),
        config_id: subject.config,
        transaction_id: subject.transaction,
        approval: subject.approval,
        outcome: outcome.into(),
        changes,
    }))
}

/// Publishes an approval in a new snapshot.
pub(super) fn show(cashier: &Cashier, row: Approval) {
    let now = cashier.clock.now();
    cashier.snapshot.store(Arc::new(Snapshot::clone(&cashier.snapshot()).with_approval(row, now)));
}

/// Asks for a second person; the config stays as it is. Who asks for the same again gets the approval that waits.
pub(super) async fn ask(
    cashier: &Cashier,
    by: &EditedBy<'_>,
    data: &Secret,
    draft: &ProviderConfig,
    ground: u64,
    fields: String,
    changes: Vec<FieldChange>,
) -> Result<Approval, Refusal> {
    let now = cashier.clock.now();
    let asked = Approval {
        id: ApprovalId(0),
        command: by.command.into(),
        config_id: draft.id,
        transaction_id: TransactionId(0),
        amount: None,
        brand: draft.brand.clone(),
        ground,
        request: data.clone(),
        unreadable: None,
        fields: fields.into(),
        asked_by: by.session.manager_id(),
        asked_time: now,
        expires_time: now.plus(APPROVAL_SECONDS),
        state: ApprovalState::Open,
        decided_by: ManagerId(0),
        decided_time: UnixTime::UNSET,
    };
    // Edits are made one after the other, so that what was asked before is shown.
    let unshown = cashier.unshown_approvals.rows();
    let snapshot = Arc::clone(&cashier.snapshot());
    if let Some(waiting) = snapshot.approvals().find(|row| row.waits_for_the_same(&asked, now)) {
        return Ok(waiting.clone());
    }
    if !snapshot.takes_approvals(&unshown, &asked.brand, now) {
        let message = "too many changes wait for a second person: decide some first";
        return Err(Refusal::new(RefusalCode::Frequent, message));
    }
    let _admitted = cashier.ledger.admit(Estimate::single(data.expose().len() as u64))?;
    let stamp = cashier.stamp(Actor::Manager(by.session.manager_id()), &by.context.request_id);
    let ticket = cashier.ledger.decide(&stamp, |drafting| {
        let asked = Approval { id: ApprovalId(drafting.seq().0), ..asked };
        drafting.add([Change::Approval(Box::new(asked.clone()))]);
        let subject = AuditSubject { config: asked.config_id, approval: asked.id, ..AuditSubject::default() };
        drafting.store(record(by, subject, "approval asked", changes));
        asked
    })?;
    let asked = ticket.durable().await?.into_inner();
    show(cashier, asked.clone());
    let (approval, config, by) = (asked.id, asked.config_id, asked.asked_by);
    security_log::approval_asked(approval, config, by, &asked.fields);
    Ok(asked)
}

/// Rejects it; the config stays as it is.
pub(super) async fn reject(
    cashier: &Cashier,
    by: &EditedBy<'_>,
    approval: &Approval,
    now: UnixTime,
) -> Result<(), Refusal> {
    let _admitted = cashier.ledger.admit(Estimate::single(0))?;
    let stamp = cashier.stamp(Actor::Manager(by.session.manager_id()), &by.context.request_id);
    let ticket = cashier.ledger.decide(&stamp, |drafting| {
        let rejected = decided(approval, ApprovalState::Rejected, by.session, now);
        drafting.add([Change::Approval(Box::new(rejected))]);
        let (config, transaction) = (approval.config_id, approval.transaction_id);
        let subject = AuditSubject { config, transaction, approval: approval.id };
        drafting.store(record(by, subject, "rejected", Vec::new()));
    })?;
    ticket.durable().await.map(|_| ())
}

pub(super) fn no_row() -> Refusal {
    Refusal::new(RefusalCode::NotFound, "there is no such row")
}
