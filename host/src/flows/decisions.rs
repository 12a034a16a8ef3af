//! A person's decision about one transaction: judged under the ledger's lock on the transaction as it is then, so that of two
//! managers one decides and the other is refused; committed with the record of who decided; then what is due is posted.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::approval::ApprovalState;
use cashier_core::change::Change;
use cashier_core::draft::Draft;
use cashier_core::edit::FieldChange;
use cashier_core::ids::TransactionId;
use cashier_core::operation::BalanceOperation;
use cashier_core::refusal::{Refusal, RefusalCode};

use super::approvals::{self, decided, outcome};
use super::manager_act::{AuditSubject, ManagerAct, recorded};
use super::{Cashier, settle, transactions};
use crate::ledger::Estimate;

/// What a person decided, with what the record shows beside the changes of the transaction: an amount, a reason.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) stated: Vec<FieldChange>,
    /// It was decided before: a client that repeats its request adds no record, which nothing would ever remove.
    pub(super) repeats: bool,
}

/// Decides about a transaction that this session sees. `judge` gets it as it is and adds its changes to the draft; where it
/// refuses, it must have added none. The answer is the transaction once it is durable, before anything is posted.
///
/// # Errors
/// 404 for a transaction that does not exist for the session; 403 and 409 where it was asked for by the same person, or its
/// ground changed since, or since it was shown; what `judge` refuses; the storage is not working.
pub(super) async fn decide(
    cashier: &Cashier,
    act: &ManagerAct,
    id: TransactionId,
    judge: impl FnOnce(&mut Draft<'_>, &Aggregate) -> Result<Decision, Refusal>,
) -> Result<Aggregate, Refusal> {
    let _admitted = cashier.ledger.admit(Estimate::single(0))?;
    let ticket = cashier.ledger.decide(&act.stamp(cashier), |draft| {
        let before = draft.aggregate(id).filter(|known| act.session.sees(&known.transaction.brand));
        let before = before.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such transaction"))?;
        act.check_ground(&before, draft.now())?;
        let decision = judge(draft, &before)?;
        let after = draft.aggregate(id).unwrap_or_else(|| before.clone());
        let mut changes = decision.stated;
        changes.extend(changed(&before, &after));
        let config = before.transaction.config_id;
        let closed =
            act.approval.as_deref().map(|open| decided(open, ApprovalState::Approved, &act.session, draft.now()));
        draft.add(closed.clone().map(|closed| Change::Approval(Box::new(closed))));
        let approval = closed.as_ref().map(|closed| closed.id).unwrap_or_default();
        let outcome = if closed.is_some() { outcome(&act.session, "done") } else { "done" };
        // What changes nothing and asks for nothing outside leaves no record.
        let changes_nothing = decision.repeats || (changes.is_empty() && before == after);
        if !changes_nothing || closed.is_some() {
            draft.store(act.record(AuditSubject { transaction: id, config, approval }, outcome, changes));
        }
        Ok((after, closed))
    })?;
    let (after, closed) = ticket.durable().await?.into_inner()?;
    if let Some(closed) = closed {
        approvals::approved(cashier, act, closed).await;
    }
    Ok(after)
}

/// The same, and what is due is posted before the answer; the transaction as it is then.
///
/// # Errors
/// As [`decide`].
pub(super) async fn decide_and_settle(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    id: TransactionId,
    judge: impl FnOnce(&mut Draft<'_>, &Aggregate) -> Result<Decision, Refusal>,
) -> Result<Aggregate, Refusal> {
    let decided = decide(cashier, act, id, judge).await?;
    if decided.operations.iter().any(BalanceOperation::is_unsettled) {
        settle::within_patience(cashier, id).await;
    }
    transactions::one(cashier, &act.session, id).await
}

/// What a decision changed of a transaction, as its record shows it.
fn changed(before: &Aggregate, after: &Aggregate) -> Vec<FieldChange> {
    let of = |known: &Aggregate| {
        let (row, standing) = (&known.transaction, known.standing());
        let owed = cashier_core::money::Money::new(standing.owed_minor, row.account_currency);
        [
            ("status", row.status.name().to_owned()),
            ("failure_reason", row.reason.to_string()),
            ("owed", owed.to_string()),
            ("may be posted", if standing.may_post { "yes" } else { "no" }.to_owned()),
            ("reject_reason", row.reject_reason.to_string()),
            ("operations", known.operations.len().to_string()),
        ]
    };
    let pairs = of(before).into_iter().zip(of(after)).filter(|(before, after)| before != after);
    pairs.map(|((field, before), (_, after))| recorded(field, before, after)).collect()
}
