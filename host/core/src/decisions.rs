//! What persons decide about a transaction whose money or status is unclear: a posting is tried again, a review is ended with an
//! exact amount. It says who may do what and when; what the decisions amount to is derived in `standing`.

use crate::aggregate::{Aggregate, DecisionContext};
use crate::change::Change;
use crate::facts::{PersonFact, ProviderFact};
use crate::ids::{ManagerId, OperationId};
use crate::money::Money;
use crate::operation::{BalanceOperation, PostingOutcome};
use crate::reason::ReasonCode;
use crate::refusal::{Refusal, RefusalCode};
use crate::standing::Nature;
use crate::status::{OperationStatus, Source, TransactionStatus};
use crate::texts::Texts;
use crate::time::UnixTime;
use crate::transaction::{FirstAnswer, Transaction};

/// What the trading server says of a posting without an answer, after a person stated that it was never made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// Its key is dead: this became of it.
    Voided { operation: OperationId, outcome: PostingOutcome },
    /// It cannot prove it. `closed_seconds`: how long the connection that carried it has been closed; `None` while it is open.
    NotShown { operation: OperationId, closed_seconds: Option<i64> },
}

/// Tries what is owed again: a posting that was refused, a reversal that waits, operations under review, money that a written
/// status stopped, or with `absence` a posting without an answer.
///
/// # Errors
/// 409 where nothing is owed, nothing of it waits for a person, or too many decisions were made.
pub fn retry(known: &Aggregate, absence: Option<&Absence>, at: DecisionContext) -> Result<Vec<Change>, Refusal> {
    let Aggregate { transaction, operations } = known;
    check_decided(transaction)?;
    if operations.iter().any(BalanceOperation::is_unsettled) {
        return match absence {
            Some(absence) => confirm_absent(known, absence, at),
            None => Err(nothing("its posting is under way, or got no answer yet")),
        };
    }
    let changes = known.decide(PersonFact::Retried, at);
    let plans = changes.iter().any(|change| matches!(change, Change::Operation(_)));
    let takes_back = |change: &Change| matches!(change, Change::Operation(known) if known.amount.minor < 0);
    let is_provider = transaction.nature() == Nature::ProviderDeposit;
    if is_provider && transaction.reason.code == ReasonCode::PostingImported && changes.iter().any(takes_back) {
        return Err(nothing("it would take back what was posted: end the review with an amount, or refuse it"));
    }
    let ends_review = changes.iter().any(|change| match change {
        Change::Transaction(row) => (row.status, row.reason.code) != (transaction.status, transaction.reason.code),
        _ => false,
    });
    if !plans && !ends_review {
        return Err(nothing("nothing is owed that waits for a retry"));
    }
    transaction.facts.check_decision(&PersonFact::Retried, at.now)?;
    Ok(changes)
}

/// Whether what is owed of it may be posted by a retry at all.
fn check_decided(transaction: &Transaction) -> Result<(), Refusal> {
    if transaction.facts.is_held() {
        return Err(nothing("its status was written by a person: write 1 or 2 to release it"));
    }
    let undecided = transaction.nature() != Nature::ProviderDeposit
        && !transaction.approved_time.is_set()
        && !transaction.is_rejected_manual();
    if undecided { Err(nothing("a manual transaction is processed or rejected")) } else { Ok(()) }
}

/// A review of a provider's deposit: a retry that is taken ends it, or posts although it is there.
pub fn is_under_review(known: &Aggregate) -> bool {
    let row = &known.transaction;
    row.nature() == Nature::ProviderDeposit && row.status == TransactionStatus::ManualReview
}

/// Whether a person may ask for another one's word that a posting without an answer was never made. What the trading server says of
/// it is asked once that is given.
///
/// # Errors
/// 409 where it may not be retried, or too many decisions were made.
pub fn check_absent(known: &Aggregate, now: UnixTime) -> Result<(), Refusal> {
    check_decided(&known.transaction)?;
    known.transaction.facts.check_decision(&PersonFact::Retried, now)
}

/// What a retry would post, of its changes; without any, the posting without an answer.
pub fn retried_amount(known: &Aggregate, changes: &[Change]) -> Option<Money> {
    let planned = changes.iter().find_map(|change| match change {
        Change::Operation(planned) if planned.is_unsettled() => Some(planned.amount),
        _ => None,
    });
    planned.or_else(|| known.operations.iter().find(|known| known.is_unsettled()).map(|known| known.amount))
}

/// The posting of which a person may state that it was never made.
///
/// # Errors
/// 409 where no posting is without an answer.
pub fn unanswered(known: &Aggregate) -> Result<Option<OperationId>, Refusal> {
    match known.operations.iter().find(|known| known.is_unsettled()) {
        Some(operation) if operation.status == OperationStatus::Unknown => Ok(Some(operation.id)),
        Some(_) => Err(nothing("its posting is under way")),
        None => Ok(None),
    }
}

fn confirm_absent(known: &Aggregate, absence: &Absence, at: DecisionContext) -> Result<Vec<Change>, Refusal> {
    let by = known.transaction.approved_by;
    let changes = match absence {
        Absence::NotShown { operation, closed_seconds } => known.confirm_absent(*operation, *closed_seconds, by, at),
        Absence::Voided { operation, outcome } => {
            let mut retried = known.clone();
            retried.transaction.facts.record_person(at.seq, at.now, PersonFact::Retried);
            retried.end_posting(*operation, outcome, by, at)
        }
    };
    if changes.is_empty() {
        return Err(nothing("the connection that carried its posting is not closed for long enough"));
    }
    known.transaction.facts.check_decision(&PersonFact::Retried, at.now)?;
    Ok(changes)
}

/// How a person ends a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Exactly this is owed.
    Credit(Money),
    /// Nothing is owed: what was credited is taken back.
    Refuse,
}

/// Ends what is under review, or closes what the trading server refuses to credit; a status that a person wrote, and that the
/// provider contradicts, is released with it.
///
/// # Errors
/// 409 where nothing is under review, nor refused and to be closed, or too many decisions were made; 400 for more than the provider stated.
pub fn resolve(known: &Aggregate, resolution: Resolution, at: DecisionContext) -> Result<Vec<Change>, Refusal> {
    let transaction = &known.transaction;
    if transaction.nature() != Nature::ProviderDeposit {
        return Err(nothing("a manual transaction is processed or rejected"));
    }
    match (transaction.status, resolution) {
        (TransactionStatus::CreditFailed, Resolution::Refuse)
            if known.operations.iter().any(BalanceOperation::is_unsettled) =>
        {
            return Err(nothing("its posting is under way, or got no answer yet"));
        }
        (TransactionStatus::ManualReview, Resolution::Credit(_) | Resolution::Refuse)
        | (TransactionStatus::CreditFailed, Resolution::Refuse) => {}
        (TransactionStatus::CreditFailed, Resolution::Credit(_)) => {
            return Err(nothing(
                "nothing is under review: MngRetryCashierCredit posts it again, and action refuse closes it",
            ));
        }
        _ => return Err(nothing("nothing is under review")),
    }
    let minor = match resolution {
        Resolution::Credit(amount) => amount.minor,
        Resolution::Refuse => 0,
    };
    let is_stated = |fact: &ProviderFact| fact.is_confirmation() || matches!(fact, ProviderFact::ReviewHold(_));
    if minor > 0 && transaction.facts.is_held() && !transaction.facts.any(is_stated) {
        return Err(nothing(
            "a person alone wrote the review, and no payment is stated: enter one as a manual deposit",
        ));
    }
    let most = stated_minor(transaction);
    if minor > most {
        let most = Money::new(most, transaction.amount.currency);
        return Err(Refusal::new(RefusalCode::AmountOutOfRange, format!("amount: the provider stated at most {most}")));
    }
    let mut released = known.clone();
    let facts = &mut released.transaction.facts;
    if facts.is_held() {
        facts.take_decision(at.seq, at.now, PersonFact::Released)?;
    }
    facts.take_decision(at.seq, at.now, PersonFact::Resolved { minor })?;
    Ok(released.settled(known, at))
}

/// The most that the provider stated as paid for this order.
pub fn stated_minor(transaction: &Transaction) -> i64 {
    transaction.facts.stated_minor(transaction.amount.minor)
}

/// What a manager writes of a transaction; only what is given changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Correction {
    pub status: Option<TransactionStatus>,
    /// The manager's own words about the status; empty takes them back.
    pub failure_reason: Option<Box<str>>,
    pub texts: Option<WrittenTexts>,
}

/// Texts that a manager writes, both as they were and as they are to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenTexts {
    pub before: Texts,
    pub after: Texts,
    pub by: ManagerId,
}

impl WrittenTexts {
    /// What is remembered of it, of a transaction that persons process: its texts say where the money goes or came from. A
    /// provider's deposit is decided about by what its provider states.
    fn facts(&self, nature: Nature) -> Vec<PersonFact> {
        let by = self.by;
        match nature {
            Nature::ProviderDeposit => Vec::new(),
            Nature::ManualDeposit | Nature::ManualWithdrawal => {
                let comment = self.before.comment != self.after.comment;
                let metadata = self.before.metadata_json != self.after.metadata_json;
                let written = [
                    comment.then_some(PersonFact::CommentWritten { by }),
                    metadata.then_some(PersonFact::MetadataWritten { by }),
                ];
                written.into_iter().flatten().collect()
            }
        }
    }
}

/// Writes a status, a reason or texts by hand. No money moves: a written status stops it until a person permits it again.
///
/// # Errors
/// 409 where 1 or 2 would release what is not held, or too many decisions were made; 409 for texts of an order that may still
/// be sent to its provider again.
pub fn correct(known: &Aggregate, correction: &Correction, at: DecisionContext) -> Result<Vec<Change>, Refusal> {
    let mut next = known.clone();
    let row = &mut next.transaction;
    match correction.status {
        Some(TransactionStatus::PendingPayment | TransactionStatus::ProviderConfirmed) if row.facts.is_held() => {
            row.facts.take_decision(at.seq, at.now, PersonFact::Released)?;
        }
        // A client that sends a row back whole writes no status.
        Some(status) if status == row.status => {}
        Some(TransactionStatus::PendingPayment | TransactionStatus::ProviderConfirmed) => {
            return Err(nothing("no written status is there to be released: 1 and 2 follow from what is known"));
        }
        Some(status) => row.facts.take_decision(at.seq, at.now, PersonFact::Held(status))?,
        None => {}
    }
    if let Some(words) = &correction.failure_reason
        && row.facts.written_reason().unwrap_or_default() != &**words
        && *row.reason.to_string() != **words
    {
        row.facts.take_decision(at.seq, at.now, PersonFact::Explained { words: words.clone() })?;
    }
    if let Some(written) = &correction.texts {
        if may_be_sent_again(row) {
            return Err(nothing(
                "the order may be sent to its provider again as it is: its texts do not change until it ended",
            ));
        }
        let facts = written.facts(row.nature());
        // Both texts of one command are taken together.
        facts.iter().try_for_each(|fact| row.facts.check_decision(fact, at.now))?;
        facts.into_iter().for_each(|fact| row.facts.record_person(at.seq, at.now, fact));
        row.has_texts = !written.after.is_default();
        let length = |texts: &Texts| u32::try_from(texts.len()).unwrap_or(u32::MAX);
        let other = row.stored_bytes.saturating_sub(length(&written.before));
        row.stored_bytes = other.saturating_add(length(&written.after));
    }
    Ok(next.settled(known, at))
}

/// The create call has not ended, and nothing says how the payment did: the call may be repeated byte for byte.
fn may_be_sent_again(row: &Transaction) -> bool {
    let open = matches!(row.first_answer, FirstAnswer::Open | FirstAnswer::Unknown);
    row.source == Source::Provider && open && !row.facts.any(ProviderFact::is_decision)
}

/// The refusal of a decision after which the trading server refused the posting; `None` where it did not. `before`: the
/// transaction that was decided about.
pub fn refused_posting(before: &Aggregate, after: &Aggregate) -> Option<Refusal> {
    let newest = after.operations.iter().rfind(|known| !known.is_withheld())?;
    let was_refused = |known: &BalanceOperation| known.id == newest.id && !known.is_unsettled();
    if newest.status != OperationStatus::Refused || before.operations.iter().any(was_refused) {
        return None;
    }
    let code = match ReasonCode::from_name(&newest.failure_reason) {
        Some(ReasonCode::InsufficientBalance) => RefusalCode::InsufficientBalance,
        _ => RefusalCode::PostingRefused,
    };
    let meaning = ReasonCode::from_name(&newest.failure_reason).map_or("", ReasonCode::meaning);
    let message = format!("the trading server refused the posting: {} {meaning}", newest.failure_reason);
    Some(Refusal::new(code, message.trim_end()))
}

fn nothing(why: &str) -> Refusal {
    Refusal::new(RefusalCode::Duplicate, why)
}
