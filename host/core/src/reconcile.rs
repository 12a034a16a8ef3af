//! Taking over what the trading server has: postings that the books do not know become posted operations, and operations
//! that it does not have become refused ones. Both wait for the provider's explanation or a person; neither is ever a new
//! credit. Which rows differ is determined by the host.

use crate::account::AccountFacts;
use crate::aggregate::{Aggregate, DecisionContext};
use crate::change::Change;
use crate::ids::{CustomerId, Login, OperationId, TransactionId};
use crate::money::Money;
use crate::operation::{BalanceOperation, OperationKey, PostingOutcome, posted};
use crate::reason::ReasonCode;
use crate::status::{OperationCmd, OperationReason, OperationStatus, Source, TransactionType};
use crate::texts::Texts;
use crate::time::UnixTime;
use crate::transaction::{Fresh, Transaction};

/// A posting as the trading server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPosting {
    pub key: OperationKey,
    pub operation_id: OperationId,
    pub transaction_id: TransactionId,
    pub customer_id: CustomerId,
    pub login: Login,
    pub cmd: OperationCmd,
    pub reason: OperationReason,
    pub amount: Money,
    pub created_time: UnixTime,
    pub outcome: PostingOutcome,
}

impl FoundPosting {
    /// The number in its key; 0 where the key is the operation's id.
    pub fn ordinal(&self) -> u32 {
        self.key.parts().map_or(0, |(_, ordinal)| ordinal)
    }

    pub fn is_posted(&self) -> bool {
        matches!(self.outcome, PostingOutcome::Posted { .. })
    }

    /// Whether an operation moves the same money.
    pub fn is_same(&self, operation: &BalanceOperation) -> bool {
        (self.login, self.cmd, self.amount) == (operation.login, operation.cmd, operation.amount)
    }

    fn operation(&self, of: TransactionId, now: UnixTime) -> BalanceOperation {
        let (status, trade_order, failure) = match &self.outcome {
            PostingOutcome::Posted { trade_order, flaw: _ } => {
                (OperationStatus::Posted, *trade_order, ReasonCode::PostingImported.name())
            }
            PostingOutcome::Refused { reason } => (OperationStatus::Refused, 0, &**reason),
            PostingOutcome::Conflict => (OperationStatus::Refused, 0, ReasonCode::OperationKeyReused.name()),
            PostingOutcome::Unknown => (OperationStatus::Unknown, 0, ""),
        };
        BalanceOperation {
            id: self.operation_id,
            transaction_id: of,
            ordinal: self.ordinal(),
            login: self.login,
            trade_order,
            request_order: 0,
            cmd: self.cmd,
            amount: self.amount,
            reason: self.reason,
            status,
            failure_reason: failure.into(),
            created_time: self.created_time,
            updated_time: now,
        }
    }
}

impl Aggregate {
    /// The operation under a key.
    pub fn keyed(&self, key: &OperationKey) -> Option<&BalanceOperation> {
        let reference = &self.transaction.reference;
        self.operations.iter().find(|operation| OperationKey::of(reference, operation) == *key)
    }

    /// Takes over postings of this transaction, in the order of their ids, and marks operations as lost. An operation that
    /// was planned with the posting's values ends as the posting did; every other posting waits until it is explained.
    pub fn reconcile(&self, found: &[FoundPosting], lost: &[OperationId], at: DecisionContext) -> Vec<Change> {
        let mut next = self.clone();
        for operation in next.operations.iter_mut().filter(|operation| lost.contains(&operation.id)) {
            operation.status = OperationStatus::Refused;
            operation.trade_order = 0;
            operation.failure_reason = ReasonCode::PostingLost.name().into();
            operation.updated_time = at.now;
        }
        let before = posted(&self.transaction, &next.operations).minor;
        for posting in found {
            let reference = &next.transaction.reference;
            let known = next.operations.iter_mut().find(|known| OperationKey::of(reference, known) == posting.key);
            let imported = posting.operation(self.transaction.id, at.now);
            match known {
                Some(known) => {
                    let expected = known.is_unsettled() && posting.is_same(known);
                    *known = BalanceOperation { id: known.id, created_time: known.created_time, ..imported };
                    if expected && posting.is_posted() {
                        known.failure_reason = Box::default();
                    }
                }
                None => next.operations.push(imported),
            }
        }
        if self.transaction.is_recovered() {
            let imported = posted(&self.transaction, &next.operations).minor.saturating_sub(before);
            next.transaction.add_imported(imported);
        }
        if next.operations != self.operations {
            next.transaction.refused_seq = at.seq;
        }
        next.settled(self, at)
    }
}

impl Transaction {
    /// Made by [`recovered`]: one that a person makes names `manual` as its provider.
    fn is_recovered(&self) -> bool {
        self.source == Source::Manual && self.provider.is_empty()
    }

    /// A recovered transaction is of what was imported into it; what was lost since is posted again only if a person says so.
    fn add_imported(&mut self, minor: i64) {
        let before = match self.kind {
            TransactionType::Deposit => self.amount.minor,
            TransactionType::Withdrawal => self.amount.minor.saturating_neg(),
        };
        let sum = before.saturating_add(minor);
        self.amount = Money::new(sum.saturating_abs(), self.account_currency);
        self.kind = match sum {
            0 => self.kind,
            ..0 => TransactionType::Withdrawal,
            1.. => TransactionType::Deposit,
        };
    }
}

/// The comment of a [`recovered`] transaction, to be stored with it.
pub fn recovered_texts() -> Texts {
    Texts { comment: "recovered from a posting by cashier db reconcile".into(), ..Texts::default() }
}

/// A transaction in place of one that the books lost, for a person to see: it gets the postings and nothing else is known. It
/// is a manual one of what they come to, so that no provider is asked about it and nothing is planned for it: approving it
/// states that they were right. `first` is one of them.
pub fn recovered(fresh: Fresh, first: &FoundPosting, account: &AccountFacts) -> Transaction {
    let kind = match first.reason {
        OperationReason::Deposit | OperationReason::Reversal => TransactionType::Deposit,
        OperationReason::Withdrawal => TransactionType::Withdrawal,
    };
    Transaction {
        kind,
        source: Source::Manual,
        customer_id: first.customer_id,
        account_currency: first.amount.currency,
        has_texts: true,
        ..Transaction::blank(fresh, first.login, Money::new(0, first.amount.currency), account)
    }
}
