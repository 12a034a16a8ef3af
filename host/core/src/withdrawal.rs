//! A customer's withdrawal request: a transaction for a person to approve. It debits nothing by itself.

use crate::account::AccountFacts;
use crate::deposit;
use crate::ids::{CustomerId, Login};
use crate::money::Money;
use crate::refusal::{Refusal, RefusalCode};
use crate::status::{Source, TransactionStatus, TransactionType};
use crate::texts::Texts;
use crate::transaction::{FirstAnswer, Fresh, Transaction};

/// The provider of transactions that a person processes.
pub const MANUAL_PROVIDER: &str = "manual";

/// A withdrawal request, well formed and within the published lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawalRequest {
    pub customer_id: CustomerId,
    pub login: Login,
    pub method: Box<str>,
    pub amount: Money,
    /// Empty is no key.
    pub idempotency_key: Box<str>,
    pub comment: Box<str>,
    /// A JSON object as text; `{}` when omitted.
    pub metadata_json: Box<str>,
    /// Why its texts may not be stored; an order that is under its key already is answered as before.
    pub refused_if_new: Option<Refusal>,
}

impl WithdrawalRequest {
    pub fn texts(&self) -> Texts {
        Texts { comment: self.comment.clone(), metadata_json: self.metadata_json.clone() }
    }

    /// Bytes that it stores beside the transaction's row.
    pub fn stored_bytes(&self) -> u32 {
        u32::try_from(self.texts().len()).unwrap_or(u32::MAX)
    }
}

/// Whether an earlier transaction the same key is the same order.
pub fn same_order(earlier: &Transaction, request: &WithdrawalRequest) -> bool {
    earlier.kind == TransactionType::Withdrawal
        && earlier.login == request.login
        && &*earlier.provider == MANUAL_PROVIDER
        && earlier.requested_method == request.method
        && earlier.amount == request.amount
}

/// Checks customer, account and currency. The caller has checked the ownership of the login.
pub fn check_account(request: &WithdrawalRequest, account: &AccountFacts) -> Result<(), Refusal> {
    if !account.customer.is_active() {
        return Err(Refusal::new(RefusalCode::PermissionDenied, "the customer is not active"));
    }
    if !account.customer.withdrawal_allowed {
        return Err(Refusal::new(RefusalCode::WithdrawalNotAllowed, "withdrawals are not allowed for this customer"));
    }
    deposit::check_currency(request.amount, account)
}

/// The transaction that waits for a person: `manual_review`, nothing owed until approved.
pub fn open(request: &WithdrawalRequest, account: &AccountFacts, fresh: Fresh) -> Transaction {
    Transaction {
        kind: TransactionType::Withdrawal,
        source: Source::Manual,
        provider: MANUAL_PROVIDER.into(),
        method: request.method.clone(),
        requested_method: request.method.clone(),
        idempotency_key: request.idempotency_key.clone(),
        has_texts: !request.texts().is_default(),
        stored_bytes: request.stored_bytes(),
        status: TransactionStatus::ManualReview,
        first_answer: FirstAnswer::Accepted,
        ..Transaction::blank(fresh, request.login, request.amount, account)
    }
}
