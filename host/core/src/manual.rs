//! Deposits and withdrawals that persons enter, process and reject, and the withdrawal request that its customer takes back:
//! who may decide what, and when. The same decisions serve a customer's withdrawal request, and a transaction that reconcile
//! recovered. It posts nothing: the operation follows from the facts.

mod account;

use crate::account::AccountFacts;
use crate::aggregate::{Aggregate, DecisionContext};
use crate::change::Change;
use crate::draft::Draft;
use crate::facts::PersonFact;
use crate::ids::{CustomerId, Login, ManagerId, Seq, TransactionId};
use crate::money::Money;
use crate::operation::{self, BalanceOperation};
use crate::reason::ReasonCode;
use crate::refusal::{Refusal, RefusalCode};
use crate::session::CustomerSession;
use crate::standing::Nature;
use crate::status::{Source, TransactionStatus, TransactionType};
use crate::texts::Texts;
use crate::transaction::{FirstAnswer, Fresh, KeySpace, Transaction};
use crate::withdrawal::MANUAL_PROVIDER;

pub use self::account::{check_account, check_mode};

/// A manual transaction as a manager enters it, well formed and within the published lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManualRequest {
    pub kind: TransactionType,
    pub login: Login,
    pub amount: Money,
    /// Given, it must be the account's.
    pub customer_id: Option<CustomerId>,
    pub method: Box<str>,
    /// The bank's or provider's id of the payment; empty where there is none.
    pub provider_payment_id: Box<str>,
    /// Empty is no key.
    pub idempotency_key: Box<str>,
    pub comment: Box<str>,
    /// A JSON object as text; `{}` when omitted.
    pub metadata_json: Box<str>,
    /// Whether it is processed at once.
    pub process_now: bool,
    /// Whether it is entered beside an open deposit that may be the same money.
    pub force: bool,
    /// Why its texts may not be stored; one that is under its key already is answered as before.
    pub refused_if_new: Option<Refusal>,
}

impl ManualRequest {
    pub fn texts(&self) -> Texts {
        Texts { comment: self.comment.clone(), metadata_json: self.metadata_json.clone() }
    }

    /// Bytes that it stores beside the transaction's row.
    pub fn stored_bytes(&self) -> u32 {
        u32::try_from(self.texts().len()).unwrap_or(u32::MAX)
    }
}

/// Whether an earlier transaction under the same key is the same request.
pub fn same_request(earlier: &Transaction, request: &ManualRequest) -> bool {
    earlier.kind == request.kind
        && earlier.source == Source::Manual
        && earlier.login == request.login
        && earlier.requested_method == request.method
        && earlier.provider_payment_id == request.provider_payment_id
        && earlier.amount == request.amount
}

/// Opens the transaction: it waits for a person, and nothing is owed until it is approved. `beside`: the open deposits that may
/// be the same money, each of which remembers it.
pub fn open(
    draft: &mut Draft<'_>,
    request: &ManualRequest,
    account: &AccountFacts,
    by: ManagerId,
    fresh: Fresh,
    beside: &[TransactionId],
) -> Aggregate {
    let mut transaction = Transaction {
        kind: request.kind,
        source: Source::Manual,
        provider: MANUAL_PROVIDER.into(),
        method: request.method.clone(),
        requested_method: request.method.clone(),
        provider_payment_id: request.provider_payment_id.clone(),
        idempotency_key: request.idempotency_key.clone(),
        key_space: KeySpace::Manager,
        has_texts: !request.texts().is_default(),
        stored_bytes: request.stored_bytes(),
        status: TransactionStatus::ManualReview,
        first_answer: FirstAnswer::Accepted,
        ..Transaction::blank(fresh, request.login, request.amount, account)
    };
    let at = draft.context();
    transaction.facts.record_person(at.seq, at.now, PersonFact::Entered { by });
    draft.store_texts(transaction.id, request.texts());
    draft.add([Change::Transaction(Box::new(transaction.clone()))]);
    for known in beside.iter().filter_map(|id| draft.aggregate(*id)).collect::<Vec<_>>() {
        draft.add(known.decide(PersonFact::EnteredBeside { deposit: transaction.id }, draft.context()));
    }
    Aggregate { transaction, operations: Vec::new() }
}

/// Approves: what was asked is owed from now on.
///
/// # Errors
/// 400 for a transaction of a provider; 409 where it was decided already or too often; 403 where two persons are needed and this one
/// entered it, or wrote one of its texts last.
pub fn process(
    known: &Aggregate,
    by: ManagerId,
    second_person: bool,
    at: DecisionContext,
) -> Result<Vec<Change>, Refusal> {
    check_undecided(known)?;
    if second_person {
        if known.transaction.entered_by() == Some(by) {
            return Err(needs_another("who entered it"));
        }
        check_texts_are_of_another(known, by, Seq(0))?;
    }
    let mut next = known.clone();
    next.transaction.approved_by = by;
    next.transaction.approved_time = at.now;
    next.transaction.facts.take_decision(at.seq, at.now, PersonFact::Approved)?;
    Ok(next.settled(known, at))
}

/// Whether another attempt to post it may be permitted by this manager where two persons are needed: not by who wrote a text of
/// it after it was approved, which nobody else approved.
///
/// # Errors
/// 403 for that manager.
pub fn check_second_person(known: &Aggregate, by: ManagerId) -> Result<(), Refusal> {
    let approvals = known.transaction.facts.persons.iter().filter(|known| known.fact == PersonFact::Approved);
    match approvals.map(|known| known.seq).max() {
        Some(approved) if !known.transaction.is_rejected_manual() => check_texts_are_of_another(known, by, approved),
        Some(_) | None => Ok(()),
    }
}

fn check_texts_are_of_another(known: &Aggregate, by: ManagerId, after: Seq) -> Result<(), Refusal> {
    match known.transaction.text_is_of(by, after) {
        true => Err(needs_another("who wrote its comment or metadata as they are")),
        false => Ok(()),
    }
}

fn needs_another(who: &str) -> Refusal {
    let message = format!(
        "{who} may not process it: second_person names manual, so another manager must; \
         where nobody else may, reject it and enter it again for another manager to process"
    );
    Refusal::new(RefusalCode::PermissionDenied, message)
}

/// Rejects: nothing is owed.
///
/// # Errors
/// As [`process`], but anyone may reject.
pub fn reject(known: &Aggregate, reason: &str, at: DecisionContext) -> Result<Vec<Change>, Refusal> {
    check_undecided(known)?;
    let mut next = known.clone();
    next.transaction.reject_reason = reason.into();
    next.transaction.facts.take_decision(at.seq, at.now, PersonFact::Rejected)?;
    Ok(next.settled(known, at))
}

/// The customer takes the own withdrawal request back while it waits, also again after a refused posting.
///
/// # Errors
/// 404 where it is no withdrawal of this customer; 409 where a manager entered it, or it does not wait.
pub fn cancel(
    known: Option<Aggregate>,
    session: &CustomerSession,
    at: DecisionContext,
) -> Result<(Aggregate, Vec<Change>), Refusal> {
    let is_own = |row: &Transaction| {
        row.kind == TransactionType::Withdrawal
            && row.customer_id == session.customer_id()
            && session.brand().is_none_or(|brand| *brand == *row.brand)
    };
    let known = known.filter(|known| is_own(&known.transaction));
    let known = known.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such withdrawal"))?;
    check_undecided(&known)?;
    let row = &known.transaction;
    if row.key_space != KeySpace::Customer {
        return Err(decided("a manager entered it: ask the broker"));
    }
    // A posting that was lost, imported or is another's may have been made, and paid out: a person finds out.
    let posted = operation::posted(row, &known.operations);
    let waits = matches!(row.reason.code, ReasonCode::None | ReasonCode::CreditRefused);
    if !waits || posted.minor != 0 || posted.review.is_some() {
        return Err(decided("whether it was processed is being checked: ask the broker"));
    }
    let changes = known.decide(PersonFact::CancelledByCustomer, at);
    Ok((known, changes))
}

/// A manual transaction that waits for a person: not decided yet, or its posting was refused.
fn check_undecided(known: &Aggregate) -> Result<(), Refusal> {
    let Aggregate { transaction, operations } = known;
    if transaction.nature() == Nature::ProviderDeposit {
        return Err(Refusal::invalid("the transaction is a provider's, not a manual one"));
    }
    if transaction.facts.is_held() {
        return Err(decided("its status was written by a person"));
    }
    let is_due = || operation::due_minor(transaction, &known.standing(), operations).is_some();
    match transaction.status {
        TransactionStatus::ManualReview if operations.iter().any(BalanceOperation::is_unsettled) || is_due() => {
            Err(decided("it is being processed"))
        }
        TransactionStatus::ManualReview => Ok(()),
        TransactionStatus::Cancelled => Err(decided("it was rejected or cancelled")),
        TransactionStatus::Created
        | TransactionStatus::PendingPayment
        | TransactionStatus::ProviderConfirmed
        | TransactionStatus::Credited
        | TransactionStatus::CreditFailed
        | TransactionStatus::Failed
        | TransactionStatus::Refunded
        | TransactionStatus::Chargeback => Err(decided("it was processed")),
    }
}

fn decided(how: &str) -> Refusal {
    Refusal::new(RefusalCode::Duplicate, how)
}
