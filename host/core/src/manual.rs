//! Deposits and withdrawals that persons enter, process and reject, and the withdrawal request that its customer takes back:
//! who may decide what, and when. The same decisions serve a customer's withdrawal request, and a transaction that reconcile
//! recovered. It posts nothing: the operation follows from the facts.

mod account;

use crate::account::AccountFacts;
use crate::aggregate::{Aggregate, DecisionContext};
use crate::change::Change;
use crate::draft::Draft;
use crate::duty;
use crate::facts::{Facts, PersonFact, ProviderFact, ReviewHold};
use crate::ids::{CustomerId, Login, ManagerId, TransactionId};
use crate::money::Money;
use crate::operation::{self, BalanceOperation};
use crate::refusal::{Refusal, RefusalCode};
use crate::session::CustomerSession;
use crate::standing::Nature;
use crate::status::{Source, TransactionStatus, TransactionType};
use crate::texts::Texts;
use crate::time::UnixTime;
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

/// Refuses what may be the same money as a transaction that is there, and marks the open deposits beside which it is entered all
/// the same. To be asked before [`open`], under the same lock.
///
/// # Errors
/// 409: a transaction of the brand carries the payment's id; a deposit of the customer over the same amount is expected to be
/// paid, or, forced or not, is owed.
pub fn check_money(
    draft: &mut Draft<'_>,
    request: &ManualRequest,
    account: &AccountFacts,
) -> Result<Vec<TransactionId>, Refusal> {
    let payment = &request.provider_payment_id;
    if let Some(known) = draft.by_payment_id(&account.customer.brand, payment) {
        let message = format!("provider_payment_id is known: it is of transaction {known}");
        return Err(Refusal::new(RefusalCode::Duplicate, message));
    }
    if request.kind != TransactionType::Deposit {
        return Ok(Vec::new());
    }
    let like = draft.deposits_like(account.customer.customer_id, request.amount, may_come);
    let own = like.into_iter().filter(|known| known.transaction.brand == account.customer.brand);
    let open: Vec<Aggregate> = own.filter(|known| is_expected(known, draft.now())).collect();
    if let Some(owing) = open.iter().find(|known| known.owes()) {
        let message = format!(
            "transaction {} of the customer is paid and not credited yet: MngRetryCashierCredit tries it again",
            owing.transaction.id
        );
        return Err(Refusal::new(RefusalCode::OpenDepositExists, message));
    }
    let open: Vec<TransactionId> = open.iter().map(|known| known.transaction.id).collect();
    match open.first() {
        Some(first) if !request.force => {
            let message = format!(
                "transaction {first} of the customer is an open deposit of {}: send force 1 to enter it beside that",
                request.amount
            );
            Err(Refusal::new(RefusalCode::OpenDepositExists, message))
        }
        Some(_) | None => Ok(open),
    }
}

/// Whether money of an order of this status may still come: a declined, cancelled or expired one may have been paid.
fn may_come(status: TransactionStatus) -> bool {
    !matches!(status, TransactionStatus::Credited | TransactionStatus::Refunded)
}

/// It is open, or its provider may still state that it is paid.
fn is_expected(known: &Aggregate, now: UnixTime) -> bool {
    let row = &known.transaction;
    !row.status.is_final() || duty::awaited_until(row).is_some_and(|end| end > now)
}

/// Refuses a manual deposit whose money came through a provider since it was entered: a deposit of the brand that carries the
/// payment's id, or beside which it was entered, is credited or owed.
fn check_not_credited(draft: &Draft<'_>, known: &Aggregate) -> Result<(), Refusal> {
    let row = &known.transaction;
    let credits = |other: &Aggregate| {
        let kind = other.transaction.kind;
        other.transaction.id != row.id && kind == TransactionType::Deposit && other.credits()
    };
    let carried = draft.by_carried_payment(&row.brand, &row.provider_payment_id, credits);
    let names = |other: &Aggregate| {
        let facts = &other.transaction.facts;
        let beside = |fact: &PersonFact| matches!(fact, PersonFact::EnteredBeside { deposit } if *deposit == row.id);
        facts.persons.iter().any(|known| beside(&known.fact)) || reused_of(facts).any(|owner| owner == row.id)
    };
    let beside = || {
        let like = draft.deposits_like(row.customer_id, row.amount, |status| !status.is_unpaid());
        like.into_iter().find(|other| names(other) && credits(other)).map(|other| other.transaction.id)
    };
    match carried.or_else(beside) {
        Some(other) => Err(decided(&format!("its money is credited as transaction {other}: reject it"))),
        None => Ok(()),
    }
}

/// Refuses to make money postable that is, or may be, credited as another transaction: of a manual deposit and the order beside
/// which it was entered, or whose payment it carries, one is credited. To be asked by every command that makes money postable,
/// under the lock of the decision.
///
/// # Errors
/// 409 naming the other transaction and the way on.
pub fn check_once(draft: &Draft<'_>, known: &Aggregate) -> Result<(), Refusal> {
    match known.transaction.nature() {
        Nature::ManualDeposit => check_not_credited(draft, known),
        Nature::ProviderDeposit => check_not_entered(draft, known),
        Nature::ManualWithdrawal => Ok(()),
    }
}

/// Refuses to credit an order whose payment a person entered by hand.
fn check_not_entered(draft: &Draft<'_>, known: &Aggregate) -> Result<(), Refusal> {
    let row = &known.transaction;
    let named: Vec<TransactionId> = reused_of(&row.facts).collect();
    let beside = row.facts.persons.iter().filter_map(|known| match &known.fact {
        PersonFact::EnteredBeside { deposit } => Some(*deposit),
        _ => None,
    });
    let ids =
        || row.refs.iter().map(|id| &*id.value).chain(row.facts.provider.iter().filter_map(|fact| payment(&fact.fact)));
    let carried = ids().filter(|id| !id.is_empty()).filter_map(|id| draft.manual_deposit_of(&row.brand, id));
    let mut owners: Vec<TransactionId> = named.iter().copied().chain(beside).chain(carried).collect();
    owners.sort_unstable();
    owners.dedup();
    for owner in owners.into_iter().filter_map(|id| draft.aggregate(id)) {
        let (entered, number) = (&owner.transaction, owner.transaction.id);
        if entered.nature() != Nature::ManualDeposit || entered.is_rejected_manual() {
            continue;
        }
        let id = &entered.provider_payment_id;
        if !id.is_empty() && ids().any(|own| own == &**id) {
            let way = "refuse the review, or reject that one while it waits";
            return Err(decided(&format!("manual transaction {number} carries its payment: {way}")));
        }
        let is_settled = !owner.operations.iter().any(BalanceOperation::is_unsettled) && !owner.owes();
        if !entered.approved_time.is_set() || !is_settled {
            return Err(decided(&format!("manual transaction {number} may be the same money: decide it first")));
        }
        if !named.contains(&number) {
            return Err(decided(&format!(
                "manual transaction {number} was entered beside it and is credited: refuse the review, or enter this payment by \
                 hand if it is other money"
            )));
        }
    }
    Ok(())
}

/// The id of the payment that a fact credits, or would but for a review.
fn payment(fact: &ProviderFact) -> Option<&str> {
    match fact {
        ProviderFact::Confirmed { payment, .. } => Some(payment),
        ProviderFact::ReviewHold(hold) => Some(hold.payment()),
        _ => None,
    }
}

/// The transactions that the reviews of a payment name as the ones that it is credited as.
fn reused_of(facts: &Facts) -> impl Iterator<Item = TransactionId> {
    facts.provider.iter().filter_map(|known| match &known.fact {
        ProviderFact::ReviewHold(ReviewHold::PaymentReused { owner, .. }) => owner.parse().ok().map(TransactionId),
        _ => None,
    })
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
/// 400 for a transaction of a provider; 409 where it was decided already; 403 where two persons are needed and this one
/// entered it.
pub fn process(
    known: &Aggregate,
    by: ManagerId,
    second_person: bool,
    at: DecisionContext,
) -> Result<Vec<Change>, Refusal> {
    check_undecided(known)?;
    if second_person && known.transaction.entered_by() == Some(by) {
        let message = "who entered it may not process it: second_person names manual";
        return Err(Refusal::new(RefusalCode::PermissionDenied, message));
    }
    let mut next = known.clone();
    next.transaction.approved_by = by;
    next.transaction.approved_time = at.now;
    next.transaction.facts.record_person(at.seq, at.now, PersonFact::Approved);
    Ok(next.settled(known, at))
}

/// Rejects: nothing is owed.
///
/// # Errors
/// As [`process`], but anyone may reject.
pub fn reject(known: &Aggregate, reason: &str, at: DecisionContext) -> Result<Vec<Change>, Refusal> {
    check_undecided(known)?;
    let mut next = known.clone();
    next.transaction.reject_reason = reason.into();
    next.transaction.facts.record_person(at.seq, at.now, PersonFact::Rejected);
    Ok(next.settled(known, at))
}

/// The customer takes the own withdrawal request back.
///
/// # Errors
/// 404 where it is no withdrawal of this customer; 409 where a manager entered or decided it.
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
    if row.key_space != KeySpace::Customer || row.approved_time.is_set() || !known.operations.is_empty() {
        return Err(decided("it is being processed"));
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
