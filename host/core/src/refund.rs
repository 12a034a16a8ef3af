//! Refunds and cancellations that a manager requests: who may have one, when the provider is called, what its answer means
//! (docs/life-of-a-transaction.md, refunds by a manager). It sends nothing; `flows/refund` and `flows/cancel` do.

mod call;
mod ending;

pub use self::call::{CallGround, RefundCall, RefundStep, awaits_first_call, step};
pub use self::ending::{RefundAnswer, answered, crashed, hold_overdue, queried};
use crate::aggregate::Aggregate;
use crate::approval::{Approval, RefundLimits};
use crate::draft::Draft;
use crate::facts::{Facts, MismatchKind, PersonFact, ProviderFact, RefundPhase, RefusedBy, ReviewHold};
use crate::ids::Seq;
use crate::money::Money;
use crate::operation::{self, BalanceOperation};
use crate::reason::ReasonCode;
use crate::refusal::{Refusal, RefusalCode};
use crate::standing;
use crate::status::{Source, TransactionStatus, TransactionType};
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
    let then = transaction.facts.until(Seq(requested.0.saturating_sub(1)));
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
