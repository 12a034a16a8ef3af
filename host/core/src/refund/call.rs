//! When the provider is called about a refund, and with what.

use super::{REFUND_ABSENT_SECONDS, is_debit_due, whole_minor};
use crate::draft::Draft;
use crate::facts::{ManagerRefund, PersonFact, RefundPhase, RefundSending, RefusedBy};
use crate::ids::TransactionId;
use crate::money::Money;
use crate::standing;
use crate::status::TransactionStatus;
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// Under what a call can be made now.
#[derive(Debug, Clone, Copy)]
pub struct CallGround {
    /// The module may move money: plugins.toml does not disable it.
    pub may_call: bool,
    /// The version of the config's terms.
    pub terms: i64,
    /// Within how many seconds a call may be repeated under its key, less the margin; 0 never.
    pub repeat_seconds: i64,
    /// The clock is plausible, and so was every time that it stamped from here on.
    pub trusted_since: Option<UnixTime>,
}

/// What is to be done about the open refund of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundStep {
    /// Nothing: there is none, or its debit is not posted.
    Wait,
    /// It was refused without a call.
    Refused,
    /// Call the provider; `repeated` where it may have been called before.
    Call { order: RefundCall, repeated: bool },
    /// Ask the provider what was refunded.
    Query,
}

/// A refund as the provider is sent it: the same whenever it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundCall {
    /// Our id of it.
    pub id: Box<str>,
    pub payment: Box<str>,
    pub amount: Money,
    /// Minor units that were refunded before.
    pub before_minor: i64,
    /// Nothing of the payment is left after it.
    pub completes: bool,
    pub reason: Box<str>,
}

/// The next step of the transaction's newest refund that has not ended. Before the first call it records that it may leave.
pub fn step(draft: &mut Draft<'_>, id: TransactionId, ground: &CallGround) -> RefundStep {
    let Some(known) = draft.aggregate(id) else { return RefundStep::Wait };
    let facts = &known.transaction.facts;
    let refunds = facts.refunds();
    let Some(refund) = refunds.iter().rfind(|refund| refund.phase.is_pending()) else { return RefundStep::Wait };
    match refund.phase {
        RefundPhase::Requested if is_debit_due(&known) => RefundStep::Wait,
        RefundPhase::Requested => {
            if let Some(reason) = never_sent(known.standing().status, refund, ground, draft.now()) {
                draft.add(known.decide_all(RefusedBy::Cashier.facts(refund.id, &reason), draft.context()));
                return RefundStep::Refused;
            }
            if !ground.may_call {
                return RefundStep::Wait;
            }
            let before = standing::refunded_before(known.transaction.amount, facts, refund.seq);
            let order = call(&known.transaction, refund, before);
            let sent = PersonFact::RefundSent { id: refund.id.into(), terms: ground.terms, before };
            draft.add(known.decide_all([sent], draft.context()));
            RefundStep::Call { order, repeated: false }
        }
        // Beside a dispute, a first call that never arrived would be made by the repetition: the total says what became of it.
        RefundPhase::Sent(sending)
            if known.standing().status == TransactionStatus::Credited && may_repeat(&sending, ground, draft.now()) =>
        {
            RefundStep::Call { order: call(&known.transaction, refund, sending.before), repeated: true }
        }
        RefundPhase::Sent(_) | RefundPhase::Accepted => RefundStep::Query,
        RefundPhase::Done | RefundPhase::Failed | RefundPhase::Resolved | RefundPhase::Refused { .. } => {
            RefundStep::Wait
        }
    }
}

/// No call has left yet for the newest refund that has not ended.
pub fn awaits_first_call(transaction: &Transaction) -> bool {
    let refunds = transaction.facts.refunds();
    refunds
        .iter()
        .rfind(|refund| refund.phase.is_pending())
        .is_some_and(|refund| refund.phase == RefundPhase::Requested)
}

/// Why a refund that no call has left for ends without one: posting its debit back is certain then.
fn never_sent(
    status: TransactionStatus,
    refund: &ManagerRefund<'_>,
    ground: &CallGround,
    now: UnixTime,
) -> Option<String> {
    if status != TransactionStatus::Credited {
        return Some(format!("the transaction is at {} {}", status.number(), status.name()));
    }
    let waited = refund.since.plus(REFUND_ABSENT_SECONDS) <= now;
    (!ground.may_call && waited).then(|| "no module works that could send it".to_owned())
}

fn call(transaction: &Transaction, refund: &ManagerRefund<'_>, before_minor: i64) -> RefundCall {
    RefundCall {
        id: refund.id.into(),
        payment: refund.payment.into(),
        amount: Money::new(refund.minor, transaction.amount.currency),
        before_minor,
        completes: before_minor.saturating_add(refund.minor) >= whole_minor(transaction, refund.seq),
        reason: refund.reason.into(),
    }
}

/// An identical call is safe under the same terms and inside the provider's window; one that ended the process is not made again.
fn may_repeat(sending: &RefundSending, ground: &CallGround, now: UnixTime) -> bool {
    let trusted = ground.trusted_since.is_some_and(|since| sending.at > since);
    let inside = sending.at <= now && now < sending.at.plus(ground.repeat_seconds);
    ground.may_call && trusted && inside && !sending.crashed && sending.terms == ground.terms
}
