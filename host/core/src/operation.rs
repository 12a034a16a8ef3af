//! Balance operations, which bring posted to owed. At most one operation of a transaction is unsettled at any time, a
//! refused one is final, and its key at the trading server is made of the transaction's reference (API.md section 5, money
//! moves once).

use std::fmt;

use crate::facts::{PersonFact, Recorded};
use crate::ids::{Login, OperationId, Reference, TransactionId};
use crate::money::Money;
use crate::reason::ReasonCode;
use crate::standing::{Nature, Posted, Standing};
use crate::status::{OperationCmd, OperationReason, OperationStatus, TransactionType};
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// A balance operation row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceOperation {
    pub id: OperationId,
    pub transaction_id: TransactionId,
    /// Its number within the transaction, from 1; 0 where it was made before operations had one. See [`OperationKey`].
    pub ordinal: u32,
    pub login: Login,
    /// The trading server's own order id; 0 until posted.
    pub trade_order: u64,
    /// The request that the trading server holds for it, where it posts in two phases: it moves nothing until it is approved. 0
    /// while none is recorded; once recorded it is never replaced.
    pub request_order: u64,
    pub cmd: OperationCmd,
    /// Negative for [`OperationCmd::BalanceOut`].
    pub amount: Money,
    pub reason: OperationReason,
    pub status: OperationStatus,
    pub failure_reason: Box<str>,
    pub created_time: UnixTime,
    pub updated_time: UnixTime,
}

impl BalanceOperation {
    pub fn is_unsettled(&self) -> bool {
        match self.status {
            OperationStatus::Planned | OperationStatus::Unknown => true,
            OperationStatus::Posted | OperationStatus::Refused => false,
        }
    }

    /// Its key is dead: nothing was posted under it and nothing will be, and neither the trading server nor a rule about
    /// the account refused it. Such an operation counts as if it had never been planned.
    pub fn is_withheld(&self) -> bool {
        self.status == OperationStatus::Refused
            && [ReasonCode::Withheld, ReasonCode::ConfirmedAbsent]
                .iter()
                .any(|code| *self.failure_reason == *code.name())
    }
}

/// The key of an operation at the trading server: `{reference}:{ordinal}`, which no restored database can hand out for
/// another payment. Operations made before ordinals keep their id in decimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationKey(Box<str>);

impl OperationKey {
    /// The key of an operation of the transaction with this reference.
    pub fn of(reference: &Reference, operation: &BalanceOperation) -> Self {
        match operation.ordinal {
            0 => Self(operation.id.to_string().into()),
            ordinal => Self(format!("{reference}:{ordinal}").into()),
        }
    }

    /// Reads a stored key; `None` when it cannot be one.
    pub fn read(text: &str) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let plausible = match text.split_once(':') {
            Some((reference, ordinal)) => Reference::read(reference).is_some() && digits(ordinal),
            None => digits(text),
        };
        plausible.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The reference and the ordinal; `None` for a key that is the operation's id.
    pub fn parts(&self) -> Option<(Reference, u32)> {
        let (reference, ordinal) = self.0.split_once(':')?;
        Some((Reference::read(reference)?, ordinal.parse().ok()?))
    }
}

impl fmt::Display for OperationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a posting that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostingFlaw {
    /// The trading server has executed another order under the same key.
    Twice { other: u64 },
    /// When it was read again, the account was of another owner or currency than was posted for.
    AccountChanged,
}

impl PostingFlaw {
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::Twice { .. } => ReasonCode::PostedTwice,
            Self::AccountChanged => ReasonCode::PostedToChangedAccount,
        }
    }
}

impl PostingOutcome {
    /// Posted, and nothing is wrong with it.
    pub const fn posted(trade_order: u64) -> Self {
        Self::Posted { trade_order, flaw: None }
    }
}

/// The outcome of an operation at the trading server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostingOutcome {
    Posted {
        trade_order: u64,
        /// What a person must look at, although it was posted.
        flaw: Option<PostingFlaw>,
    },
    Refused {
        reason: Box<str>,
    },
    /// The key is known with other values: nothing was posted for this operation.
    Conflict,
    /// Sent, and no answer came.
    Unknown,
}

/// What a posted operation has as `failure_reason` while a person must look at it.
const POSTED_UNDER_REVIEW: [ReasonCode; 3] =
    [ReasonCode::PostingImported, ReasonCode::PostedTwice, ReasonCode::PostedToChangedAccount];

impl BalanceOperation {
    /// Why the operation needs a person's review or the provider's explanation before anything else is posted.
    fn review(&self) -> Option<ReasonCode> {
        let refused_as = |code: ReasonCode| *self.failure_reason == *code.name();
        match self.status {
            OperationStatus::Posted => POSTED_UNDER_REVIEW.into_iter().find(|code| refused_as(*code)),
            OperationStatus::Refused if self.is_lost() => Some(ReasonCode::PostingLost),
            OperationStatus::Refused if refused_as(ReasonCode::OperationKeyReused) => {
                Some(ReasonCode::OperationKeyConflict)
            }
            OperationStatus::Planned | OperationStatus::Refused | OperationStatus::Unknown => None,
        }
    }

    /// It was posted, and the trading server does not have it any more.
    pub fn is_lost(&self) -> bool {
        self.status == OperationStatus::Refused && *self.failure_reason == *ReasonCode::PostingLost.name()
    }

    /// It was imported from the trading server, and the facts did not explain it yet.
    pub fn is_unexplained(&self) -> bool {
        self.status == OperationStatus::Posted && *self.failure_reason == *ReasonCode::PostingImported.name()
    }
}

/// How long the connection that carried a posting must have been closed before a person may state that it was never made,
/// where the trading server can neither find it by its key nor void it: longer than a posting stays in any queue.
pub const CONFIRMED_ABSENT_SECONDS_MIN: i64 = 60;

/// Whether a person may state that a posting without an answer was never made. `closed_seconds`: how long the connection
/// that carried it has been closed; `None` while it is open.
pub fn may_be_confirmed_absent(closed_seconds: Option<i64>) -> bool {
    closed_seconds.is_some_and(|closed| closed >= CONFIRMED_ABSENT_SECONDS_MIN)
}

/// The sum of a transaction's posted operations, which are in the order of their ids.
pub fn posted(transaction: &Transaction, operations: &[BalanceOperation]) -> Posted {
    let mut posted = Posted::default();
    for operation in operations.iter().filter(|known| !known.is_withheld()) {
        if let Some(code) = operation.review() {
            posted.review = posted.review.max(Some((transaction.refused_seq, code)));
        }
        match operation.status {
            OperationStatus::Posted => {
                posted.minor = posted.minor.saturating_add(operation.amount.minor);
                posted.refused = false;
            }
            OperationStatus::Refused => posted.refused = true,
            OperationStatus::Planned | OperationStatus::Unknown => {}
        }
    }
    posted
}

/// The operation that brings posted to owed, if one is due and may be planned.
pub fn plan(
    transaction: &Transaction,
    standing: &Standing,
    operations: &[BalanceOperation],
    id: OperationId,
    now: UnixTime,
) -> Option<BalanceOperation> {
    let minor = due_minor(transaction, standing, operations)?;
    let cmd = if minor.is_negative() { OperationCmd::BalanceOut } else { OperationCmd::BalanceIn };
    let reason = match (transaction.kind, cmd) {
        (TransactionType::Deposit, OperationCmd::BalanceIn) => OperationReason::Deposit,
        (TransactionType::Deposit, OperationCmd::BalanceOut) => OperationReason::Reversal,
        (TransactionType::Withdrawal, OperationCmd::BalanceOut) => OperationReason::Withdrawal,
        (TransactionType::Withdrawal, OperationCmd::BalanceIn) => OperationReason::Reversal,
    };
    let newest = operations.iter().map(|known| known.ordinal).max().unwrap_or_default();
    Some(BalanceOperation {
        id,
        transaction_id: transaction.id,
        ordinal: newest.saturating_add(1),
        login: transaction.login,
        trade_order: 0,
        request_order: 0,
        cmd,
        amount: Money::new(minor, transaction.account_currency),
        reason,
        status: OperationStatus::Planned,
        failure_reason: Box::default(),
        created_time: now,
        updated_time: now,
    })
}

/// The amount that brings posted to owed, where an operation for it may be planned now; never 0.
pub fn due_minor(transaction: &Transaction, standing: &Standing, operations: &[BalanceOperation]) -> Option<i64> {
    let unsettled = operations.iter().any(BalanceOperation::is_unsettled);
    if !standing.may_post || unsettled || waits_for_retry(transaction, operations) {
        return None;
    }
    Some(standing.owed_minor.saturating_sub(posted(transaction, operations).minor)).filter(|minor| *minor != 0)
}

/// Whether posting it would lead away from what is owed by now: facts or a person's decision came after it was planned.
pub fn leads_away(operation: &BalanceOperation, owed_minor: i64, posted_minor: i64) -> bool {
    let distance = |minor: i64| owed_minor.saturating_sub(minor).unsigned_abs();
    distance(posted_minor.saturating_add(operation.amount.minor)) > distance(posted_minor)
}

/// A refused operation is final: the next one needs a person who retries, approves, resolves or requests a refund after
/// it. A withheld one is not: it is planned again as soon as money may move.
fn waits_for_retry(transaction: &Transaction, operations: &[BalanceOperation]) -> bool {
    let newest = operations.iter().rfind(|known| !known.is_withheld());
    let last_refused = newest.is_some_and(|last| last.status == OperationStatus::Refused);
    let refused_at = transaction.refused_seq;
    let by_hand = transaction.nature() != Nature::ProviderDeposit;
    let decides = |known: &Recorded<PersonFact>| known.seq > refused_at && known.fact.decides_postings(by_hand);
    let retried = transaction.facts.persons.iter().any(decides);
    last_refused && !retried
}
