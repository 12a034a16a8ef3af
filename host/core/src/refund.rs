//! Refunds and cancellations that a manager requests: who may have one, when the provider is called, what its answer means
//! (docs/life-of-a-transaction.md, refunds by a manager). It sends nothing; `flows/refund` and `flows/cancel` do.

use crate::aggregate::Aggregate;
use crate::approval::{Approval, RefundLimits};
use crate::draft::Draft;
use crate::duty::QueryOutcome;
use crate::facts::{
    Facts, ManagerRefund, MismatchKind, PersonFact, ProviderFact, RefundPhase, RefundSending, RefusedBy, ReviewHold,
};
use crate::ids::{Seq, TransactionId};
use crate::money::Money;
use crate::notice::{Reach, RefundStatement, StatedAmount, Update};
use crate::operation::{self, BalanceOperation};
use crate::reason::ReasonCode;
use crate::refusal::{Refusal, RefusalCode};
use crate::standing;
use crate::status::{ProviderStatus, Source, TransactionStatus, TransactionType};
use crate::time::UnixTime;
use crate::transaction::{FirstAnswer, Transaction};

/// Refunds that one transaction may have, those that were refused included: each is some facts of its row.
pub const REFUNDS_MAX: usize = 32;

/// How long after the last call that may have left a provider's statement proves that the refund was not made.
pub const REFUND_ABSENT_SECONDS: i64 = 60 * 60;

/// How long a provider may take to report the end of a refund, or to answer at all, before a person must look at it: banks
/// return a refund that cannot be paid out within weeks.
pub const REFUND_REPORT_SECONDS: i64 = 30 * 24 * 60 * 60;

/// A refund as a manager requests it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerRefundRequest {
    /// A decimal in the transaction's currency; without one everything that is left.
    pub amount: Option<Box<str>>,
    pub reason: Box<str>,
    /// Empty is no key.
    pub idempotency_key: Box<str>,
}

/// What a module can do about a payment that exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaymentAbilities {
    pub refund: bool,
    /// A refund of less than the payment.
    pub partial_refund: bool,
    pub cancel: bool,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    pub id: Box<str>,
    pub amount: Money,
    /// It was requested before under its key.
    pub repeated: bool,
    /// What managers refund of the transaction together with this.
    pub together: Money,
}

impl Requested {
    /// Whether it waits for a second person: not what was requested before; judged with the earlier refunds of the
    /// transaction, so that a large one is not made in parts.
    pub fn waits(&self, second_person: bool, limits: &RefundLimits) -> bool {
        second_person && !self.repeated && limits.exceeds(self.together)
    }

    /// Whether it is what was approved.
    ///
    /// # Errors
    /// 409 where another amount would be refunded.
    pub fn check_approved(&self, approval: &Approval) -> Result<(), Refusal> {
        if approval.amount == Some(self.amount) {
            return Ok(());
        }
        let message = "another amount is left than was asked for: reject it and ask again";
        Err(Refusal::new(RefusalCode::ApprovalStale, message))
    }
}

/// Requests a refund. `abilities` are of the module that serves the transaction's config, or why none does.
///
/// # Errors
/// 400 for what can never be refunded so, 409 for what cannot be now, 503 where no module works. The draft has no changes then.
pub fn request(
    draft: &mut Draft<'_>,
    known: &Aggregate,
    request: &ManagerRefundRequest,
    abilities: Result<PaymentAbilities, Refusal>,
) -> Result<Requested, Refusal> {
    let transaction = &known.transaction;
    check_is_provider_deposit(transaction, "refunded")?;
    let earlier = transaction.facts.refunds();
    let asked = request.amount.as_deref().map(|text| amount(transaction, text)).transpose()?;
    if let Some(same) = earlier.iter().find(|refund| !refund.key.is_empty() && *refund.key == *request.idempotency_key)
    {
        let amount = Money::new(same.minor, transaction.amount.currency);
        if asked.is_some_and(|asked| asked != amount) || *same.reason != *request.reason {
            return Err(Refusal::new(RefusalCode::IdempotencyConflict, "the key stands for another refund"));
        }
        return Ok(Requested { id: same.id.into(), amount, repeated: true, together: amount });
    }
    if let Some(open) = earlier.iter().find(|refund| refund.phase.is_open()) {
        let progress = open.progress(transaction.amount.currency, is_debit_due(known));
        return Err(Refusal::new(
            RefusalCode::RefundUnderWay,
            format!("{progress}; another can be requested after it"),
        ));
    }
    check_is_credited(known)?;
    if earlier.len() >= REFUNDS_MAX {
        return Err(wrong_status(format!(
            "transaction {} has {REFUNDS_MAX} refunds, the most there may be",
            transaction.id
        )));
    }
    let sums = standing::refundable(transaction.amount, &transaction.facts);
    if sums.payments > 1 {
        let message = "the order has several payments: refund the one that is meant at the provider";
        return Err(wrong_status(message));
    }
    if is_in_another_currency(&transaction.facts) {
        let message = "the provider states the payment in another currency than the order's: refund it at the provider";
        return Err(wrong_status(message));
    }
    let left = Money::new(sums.left_minor, transaction.amount.currency);
    let amount = asked.unwrap_or(left);
    if amount.minor > left.minor || amount.minor <= 0 {
        return Err(Refusal::invalid(format!("amount must be at most {left}, which is left to refund")));
    }
    let abilities = abilities?;
    let lacks =
        |what: &str| Refusal::invalid(format!("module {} cannot do this: it lacks {what}", transaction.provider));
    if !abilities.refund {
        return Err(lacks("refund"));
    }
    if amount.minor < sums.left_minor.saturating_add(sums.refunded_minor) && !abilities.partial_refund {
        return Err(lacks("partial_refund"));
    }
    let id: Box<str> = format!("{}-refund-{}", transaction.reference, earlier.len() + 1).into();
    let facts = [
        PersonFact::RefundReason {
            id: id.clone(),
            key: request.idempotency_key.clone(),
            reason: request.reason.clone(),
        },
        PersonFact::RefundRequested { id: id.clone(), payment: payment_of(transaction), minor: amount.minor },
    ];
    draft.add(known.decide_all(facts, draft.context()));
    let made =
        earlier.iter().filter(|refund| !matches!(refund.phase, RefundPhase::Refused { .. } | RefundPhase::Failed));
    let made: i64 = made.map(|refund| refund.minor).fold(amount.minor, i64::saturating_add);
    let together = Money::new(made, amount.currency);
    Ok(Requested { id, amount, repeated: false, together })
}

/// An amount in the transaction's currency.
fn amount(transaction: &Transaction, text: &str) -> Result<Money, Refusal> {
    Money::parse_positive(text, transaction.amount.currency)
        .map_err(|error| Refusal::invalid(format!("amount {error}")))
}

fn check_is_provider_deposit(transaction: &Transaction, done: &str) -> Result<(), Refusal> {
    let id = transaction.id;
    let what = match (transaction.source, transaction.kind) {
        (Source::Provider, TransactionType::Deposit) => return Ok(()),
        (Source::Manual, TransactionType::Deposit) => "manual deposit",
        (Source::Provider | Source::Manual, TransactionType::Withdrawal) => "withdrawal",
    };
    Err(Refusal::invalid(format!("id: transaction {id} is a {what}, and a provider's deposit alone is {done}")))
}

fn check_is_credited(known: &Aggregate) -> Result<(), Refusal> {
    let (standing, id) = (known.standing(), known.transaction.id);
    if standing.status != TransactionStatus::Credited || !standing.may_post {
        let at = format!("{} {}", standing.status.number(), standing.status.name());
        return Err(wrong_status(format!("transaction {id} is at {at}: only a credited one is refunded")));
    }
    if known.operations.iter().any(BalanceOperation::is_unsettled) {
        return Err(wrong_status(format!("transaction {id} has a balance operation under way: try again")));
    }
    Ok(())
}

fn wrong_status(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::WrongStatus, message)
}

/// The payment that a person credited is stated in another currency: the provider would be sent an amount of the order's currency,
/// and refund that many units of its own.
fn is_in_another_currency(facts: &Facts) -> bool {
    let differs = |fact: &ProviderFact| {
        matches!(fact, ProviderFact::ReviewHold(ReviewHold::Mismatch { what: MismatchKind::Currency, .. }))
    };
    facts.any(differs) && !facts.any(ProviderFact::is_confirmation)
}

/// What the payment was worth when a refund was requested in this commit: what was left to refund, and what was refunded before.
/// Later statements change no call that is repeated.
fn whole_minor(transaction: &Transaction, requested: Seq) -> i64 {
    let mut then = transaction.facts.clone();
    then.provider.retain(|known| known.seq < requested);
    then.persons.retain(|known| known.seq < requested);
    let sums = standing::refundable(transaction.amount, &then);
    sums.left_minor.saturating_add(sums.refunded_minor)
}

/// The one confirmed payment; empty where the provider names none.
fn payment_of(transaction: &Transaction) -> Box<str> {
    let named = transaction.facts.provider.iter().filter_map(|known| match &known.fact {
        ProviderFact::Confirmed { payment, .. } => Some(payment.clone()),
        _ => None,
    });
    named.max().unwrap_or_default()
}

fn is_debit_due(known: &Aggregate) -> bool {
    operation::posted(&known.transaction, &known.operations).minor > known.standing().owed_minor
        || known.operations.iter().any(BalanceOperation::is_unsettled)
}

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

/// How a refund call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundAnswer {
    /// Done, accepted or failed, as the update says.
    Stated(Box<Update>),
    /// The provider refused it, finally.
    Declined(Box<str>),
    /// The provider refused this request: an earlier one of the same call may have made the refund.
    Refused(Box<str>),
    /// Nothing was sent that could move money.
    NotSent(Box<str>),
    NoAnswer(Box<str>),
}

/// Records the end of a call. A refusal of a repeated call says nothing about the one before it, unless the provider declined
/// the refund itself. The end of one that a person had to count without knowing it, to end a review, is held for a person again.
/// Returns whether the refund has ended or was accepted.
pub fn answered(draft: &mut Draft<'_>, id: TransactionId, refund: &str, answer: &RefundAnswer, repeated: bool) -> bool {
    let Some(known) = draft.aggregate(id) else { return false };
    let refunds = known.transaction.facts.refunds();
    let Some(own) = refunds.iter().find(|own| *own.id == *refund) else { return false };
    let (own_id, refund_id) = (Box::<str>::from(refund), stated_id(answer));
    let facts = match answer {
        _ if !own.phase.is_pending() && own.phase != RefundPhase::Resolved => return true,
        RefundAnswer::Stated(update) => match update.status {
            ProviderStatus::Refunded => vec![PersonFact::RefundDone { id: own_id, refund: refund_id }],
            ProviderStatus::Pending => vec![PersonFact::RefundAccepted { id: own_id, refund: refund_id }],
            ProviderStatus::RefundFailed => {
                let words = if update.reason.is_empty() { &update.raw_status } else { &update.reason };
                RefusedBy::Provider.facts(refund, words).into()
            }
            ProviderStatus::Unknown
            | ProviderStatus::Confirmed
            | ProviderStatus::Failed
            | ProviderStatus::Cancelled
            | ProviderStatus::Chargeback
            | ProviderStatus::ChargebackReversed
            | ProviderStatus::ManualReview
            | ProviderStatus::InReview => return false,
        },
        RefundAnswer::Declined(words) => RefusedBy::Provider.facts(refund, words).into(),
        RefundAnswer::Refused(words) if !repeated => RefusedBy::Provider.facts(refund, words).into(),
        RefundAnswer::NotSent(words) if !repeated => RefusedBy::NotSent.facts(refund, words).into(),
        RefundAnswer::Refused(_) | RefundAnswer::NotSent(_) | RefundAnswer::NoAnswer(_) => return false,
    };
    let was_counted = own.phase == RefundPhase::Resolved;
    draft.add(known.decide_all(facts, draft.context()));
    if was_counted && let Some(known) = draft.aggregate(id) {
        hold_late_end(draft, &known, refund);
    }
    true
}

/// A refund ended after a person had ended the review with an amount: whether that counted it as made, only a person knows.
fn hold_late_end(draft: &mut Draft<'_>, known: &Aggregate, refund: &str) {
    let refunds = known.transaction.facts.refunds();
    let Some(own) = refunds.iter().find(|own| *own.id == *refund) else { return };
    let currency = known.transaction.amount.currency;
    let end = match own.phase {
        RefundPhase::Refused { .. } => own.refusal(currency).unwrap_or_default(),
        RefundPhase::Done => format!("refund {} of {} was made", own.number, Money::new(own.minor, currency)),
        RefundPhase::Failed => {
            format!("refund {} of {} did not reach the customer", own.number, Money::new(own.minor, currency))
        }
        RefundPhase::Resolved => {
            format!("refund {} of {} was accepted by the provider", own.number, Money::new(own.minor, currency))
        }
        RefundPhase::Requested | RefundPhase::Sent(_) | RefundPhase::Accepted => return,
    };
    let status = format!("{end}; a person had resolved the transaction before").into();
    draft.add(known.establish(ProviderFact::ReviewHold(ReviewHold::Requested { status }), draft.context()));
}

/// Records that the call of this refund ended the process; false where its end is known, or that was recorded before.
pub fn crashed(draft: &mut Draft<'_>, id: TransactionId, refund: &str) -> bool {
    let Some(known) = draft.aggregate(id) else { return false };
    let sent = known.transaction.facts.open_refund().filter(|open| *open.id == *refund);
    let uncounted = |phase| matches!(phase, RefundPhase::Sent(RefundSending { crashed: false, .. }));
    if !sent.is_some_and(|open| uncounted(open.phase)) {
        return false;
    }
    draft.add(known.decide_all([PersonFact::RefundCrashed { id: refund.into() }], draft.context()));
    true
}

fn stated_id(answer: &RefundAnswer) -> Box<str> {
    match answer {
        RefundAnswer::Stated(update) => update.refund.as_ref().map(|stated| stated.id.clone()).unwrap_or_default(),
        RefundAnswer::Declined(_) | RefundAnswer::Refused(_) | RefundAnswer::NotSent(_) | RefundAnswer::NoAnswer(_) => {
            Box::default()
        }
    }
}

/// Judges refunds that have not ended by the answer to a query of the payment's status, which was applied: the provider's total
/// includes them, or shows, long after the last call, that the open one was not made.
pub fn queried(draft: &mut Draft<'_>, id: TransactionId, update: &Update, repeat_seconds: i64) {
    let Some(known) = draft.aggregate(id) else { return };
    let facts = &known.transaction.facts;
    let refunds = facts.refunds();
    let pending: Vec<&ManagerRefund<'_>> = refunds.iter().filter(|refund| refund.phase.is_pending()).collect();
    let sums = standing::refundable(known.transaction.amount, facts);
    let (Some(total), false, true) = (total(&known.transaction, update), pending.is_empty(), sums.payments < 2) else {
        return;
    };
    let called = pending.iter().all(|refund| refund.phase != RefundPhase::Requested);
    if called && total >= sums.refunded_minor {
        let counted = pending.iter().map(|refund| PersonFact::RefundInTotal { id: refund.id.into() });
        let (counted, at) = (counted.collect::<Vec<_>>(), draft.context());
        // A total that was stated and is no fact, as of a payment in a status that is not known, includes nothing.
        let mut after = facts.clone();
        counted.iter().for_each(|fact| after.record_person(at.seq, at.now, fact.clone()));
        if standing::refundable(known.transaction.amount, &after).refunded_minor >= sums.refunded_minor {
            draft.add(known.decide_all(counted, at));
        }
        return;
    }
    let Some(open) = pending.iter().find(|refund| refund.phase.is_open()) else { return };
    let RefundPhase::Sent(sending) = open.phase else { return };
    if is_long_ago(&sending, repeat_seconds, draft.now()) && total <= sums.refunded_minor.saturating_sub(open.minor) {
        let words = format!("the provider states {} refunded", Money::new(total, known.transaction.amount.currency));
        draft.add(known.decide_all(RefusedBy::Absent.facts(open.id, &words), draft.context()));
    }
}

/// So long after the first call, none that may still be made is under way.
fn is_long_ago(sending: &RefundSending, repeat_seconds: i64, now: UnixTime) -> bool {
    sending.at.plus(repeat_seconds.max(0)).plus(REFUND_ABSENT_SECONDS) <= now
}

/// Holds for a person what has no end although it was asked about, with this outcome: a refund that was sent, where the answer did
/// not end it or nobody can be asked; after [`REFUND_REPORT_SECONDS`] any.
pub fn hold_overdue(draft: &mut Draft<'_>, id: TransactionId, asked: QueryOutcome, repeat_seconds: i64) {
    let Some(known) = draft.aggregate(id) else { return };
    let now = draft.now();
    let is_overdue = |refund: &ManagerRefund<'_>| match refund.phase {
        RefundPhase::Sent(sending) if asked != QueryOutcome::NoAnswer => is_long_ago(&sending, repeat_seconds, now),
        RefundPhase::Sent(_) | RefundPhase::Accepted => refund.since.plus(REFUND_REPORT_SECONDS) <= now,
        RefundPhase::Requested
        | RefundPhase::Done
        | RefundPhase::Failed
        | RefundPhase::Resolved
        | RefundPhase::Refused { .. } => false,
    };
    let refunds = known.transaction.facts.refunds();
    if let Some(overdue) = refunds.iter().find(|refund| is_overdue(refund)) {
        let status = overdue.progress(known.transaction.amount.currency, false).into();
        let hold = ProviderFact::ReviewHold(ReviewHold::Requested { status });
        draft.add(known.establish(hold, draft.context()));
    }
}

/// Everything that was refunded of the payment, as the answer states it. That it states nothing of refunds proves nothing: the
/// module may not read them.
fn total(transaction: &Transaction, update: &Update) -> Option<i64> {
    let minor = |stated: &StatedAmount| match stated {
        StatedAmount::Exact(money) if money.currency == transaction.amount.currency => Some(money.minor),
        StatedAmount::Exact(_) | StatedAmount::Unreadable(_) => None,
    };
    match (update.status, &update.refund) {
        (_, Some(RefundStatement { reach: Reach::TotalSoFar, amount, .. })) => minor(amount),
        (ProviderStatus::Refunded, None) => update.amount.as_ref().and_then(minor),
        _ => None,
    }
}

/// The answer to the manager who requested it: `None` where the refund is done or under way.
pub fn refusal_of(transaction: &Transaction, id: &str) -> Option<Refusal> {
    let refunds = transaction.facts.refunds();
    let refund = refunds.iter().find(|refund| *refund.id == *id)?;
    if refund.phase == RefundPhase::Failed {
        let amount = Money::new(refund.minor, transaction.amount.currency);
        let message =
            format!("refund {} of {amount} did not reach the customer: the account has the money", refund.number);
        return Some(Refusal::new(RefusalCode::ProviderDeclined, message));
    }
    let RefundPhase::Refused { by, reason } = refund.phase else { return None };
    let message = refund.refusal(transaction.amount.currency).unwrap_or_default();
    let code = match by {
        RefusedBy::TradingServer if *reason == *ReasonCode::InsufficientBalance.name() => {
            RefusalCode::InsufficientBalance
        }
        RefusedBy::TradingServer => RefusalCode::PostingRefused,
        RefusedBy::Provider | RefusedBy::Absent => RefusalCode::ProviderDeclined,
        RefusedBy::NotSent => RefusalCode::ProviderUnavailable,
        RefusedBy::Cashier => RefusalCode::WrongStatus,
    };
    Some(Refusal::new(code, message))
}

/// Whether a manager may have the payment cancelled now.
///
/// # Errors
/// 400 for what is no provider's deposit, 409 for what is not unpaid, or whose create call has not ended.
pub fn check_cancel(transaction: &Transaction) -> Result<(), Refusal> {
    check_is_provider_deposit(transaction, "cancelled")?;
    let (id, status) = (transaction.id, transaction.status);
    if !transaction.is_unpaid() {
        let at = format!("{} {}", status.number(), status.name());
        return Err(wrong_status(format!("transaction {id} is at {at}: only an unpaid one is cancelled")));
    }
    if transaction.first_answer == FirstAnswer::Open {
        return Err(wrong_status(format!("transaction {id}: its create call has not ended, try again")));
    }
    Ok(())
}

/// It ended without a payment.
pub fn is_closed_unpaid(transaction: &Transaction) -> bool {
    matches!(transaction.status, TransactionStatus::Failed | TransactionStatus::Cancelled)
}
