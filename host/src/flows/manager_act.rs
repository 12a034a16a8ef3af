//! What a manager does: whose session, with which command, from where. It makes the record that is stored with what it
//! changes.

use std::borrow::Cow;
use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::approval::Approval;
use cashier_core::change::{AuditRecord, Body, Stamp};
use cashier_core::edit::{AuditedValue, FieldChange, FieldClass};
use cashier_core::ids::{ApprovalId, ConfigId, TransactionId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{Actor, ManagerSession};
use cashier_core::time::UnixTime;

use super::{Cashier, RequestContext};

/// One command of one manager.
#[derive(Debug, Clone)]
pub struct ManagerAct {
    pub session: ManagerSession,
    /// The name of the command.
    pub command: &'static str,
    pub context: RequestContext,
    /// What a second person decides with it: another one asked for the same.
    pub approval: Option<Arc<Approval>>,
    /// What the manager saw of the transaction ([`Aggregate::ground`]); `None` where the request does not say.
    pub ground: Option<u64>,
}

/// What a record is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditSubject {
    pub config: ConfigId,
    pub transaction: TransactionId,
    pub approval: ApprovalId,
}

impl ManagerAct {
    /// The same on the ground that its request names.
    pub fn on(self, ground: Option<u64>) -> Self {
        Self { ground, ..self }
    }

    /// Whether what is known of the transaction is what the manager saw, and what an approval that is given with it was asked
    /// for.
    ///
    /// # Errors
    /// 409 where a payment, reversal, review, person's decision or the answer to a posting came in between; what [`Approval::check_approver`] refuses.
    pub(super) fn check_ground(&self, known: &Aggregate, now: UnixTime) -> Result<(), Refusal> {
        if let Some(approval) = &self.approval {
            approval.check_approver(&self.session, known.ground(), now)?;
        }
        if self.ground.is_none_or(|seen| seen == known.ground()) {
            return Ok(());
        }
        let message = format!("transaction {} changed since it was shown: look at it again", known.transaction.id);
        Err(Refusal::new(RefusalCode::TransactionChanged, message))
    }

    pub(super) fn stamp(&self, cashier: &Cashier) -> Stamp {
        cashier.stamp(Actor::Manager(self.session.manager_id()), &self.context.request_id)
    }

    /// The record of it; `outcome` says what became of it.
    pub(super) fn record(
        &self,
        subject: AuditSubject,
        outcome: impl Into<Cow<'static, str>>,
        changes: Vec<FieldChange>,
    ) -> Body {
        Body::Audit(Box::new(AuditRecord {
            manager_id: self.session.manager_id(),
            role: self.session.role(),
            brand: self.session.brand().unwrap_or_default().into(),
            address: self.context.ip.clone(),
            command: self.command.into(),
            config_id: subject.config,
            transaction_id: subject.transaction,
            approval: subject.approval,
            outcome: outcome.into(),
            changes,
        }))
    }
}

/// A changed value that everyone who reads the records may see.
pub(super) fn recorded(field: &str, before: impl Into<Box<str>>, after: impl Into<Box<str>>) -> FieldChange {
    let [before, after] = [before.into(), after.into()].map(AuditedValue::Clear);
    FieldChange { field: field.into(), class: FieldClass::Other, before, after }
}
