//! The decision whether a posting may move a balance. Pure; the caller has looked for an earlier posting under its key.

use cashier_core::account::{Account, AccountMode};
use cashier_core::money::Money;
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason};

use super::roster::Holdings;
use crate::ports::Posting;

/// Why a posting is refused. The code alone is the operation's failure reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostingRefusal {
    AccountNotFound,
    /// The account belongs to another customer.
    OwnerMismatch,
    /// The account has another currency.
    CurrencyMismatch,
    AccountDisabled,
    /// Sandbox money, and the account's group is a real one.
    SandboxOnRealAccount,
    /// Real money, and the account's group is a demo one.
    LiveOnDemoAccount,
    /// The balance would fall below zero.
    InsufficientBalance,
    /// Zero, a sign that contradicts the command, or a balance beyond 64 bits.
    InvalidAmount,
}

impl PostingRefusal {
    pub const fn code(self) -> &'static str {
        match self {
            Self::AccountNotFound => "ACCOUNT_NOT_FOUND",
            Self::OwnerMismatch => "OWNER_MISMATCH",
            Self::CurrencyMismatch => "CURRENCY_MISMATCH",
            Self::AccountDisabled => "ACCOUNT_DISABLED",
            Self::SandboxOnRealAccount => ReasonCode::SandboxOnRealAccount.name(),
            Self::LiveOnDemoAccount => ReasonCode::LiveOnDemoAccount.name(),
            Self::InsufficientBalance => "INSUFFICIENT_BALANCE",
            Self::InvalidAmount => "INVALID_AMOUNT",
        }
    }
}

/// The account after the posting, or why the posting is refused.
///
/// A disabled account or group bars only a withdrawal. A paid deposit is credited and a reversal is debited even when the
/// account was disabled in between, because eligibility is judged at creation (API.md section 5, last line); a withdrawal
/// pays out, and disabling an account is how a broker stops that.
pub fn judge(holdings: &Holdings, posting: &Posting) -> Result<Account, PostingRefusal> {
    let operation = &posting.operation;
    let sign_fits = match operation.cmd {
        OperationCmd::BalanceIn => operation.amount.minor > 0,
        OperationCmd::BalanceOut => operation.amount.minor < 0,
    };
    if !sign_fits {
        return Err(PostingRefusal::InvalidAmount);
    }
    let account = holdings.accounts.get(&operation.login).ok_or(PostingRefusal::AccountNotFound)?;
    let group = holdings.groups.get(&account.group).ok_or(PostingRefusal::AccountNotFound)?;
    if account.customer_id != posting.customer_id {
        return Err(PostingRefusal::OwnerMismatch);
    }
    if account.balance.currency != operation.amount.currency {
        return Err(PostingRefusal::CurrencyMismatch);
    }
    if posting.only_on.is_some_and(|mode| mode != group.account_mode) {
        return Err(match group.account_mode {
            AccountMode::Real => PostingRefusal::SandboxOnRealAccount,
            AccountMode::Demo => PostingRefusal::LiveOnDemoAccount,
        });
    }
    let needs_open_account = match operation.reason {
        OperationReason::Withdrawal => true,
        OperationReason::Deposit | OperationReason::Reversal => false,
    };
    if needs_open_account && !(account.enabled && group.enabled) {
        return Err(PostingRefusal::AccountDisabled);
    }
    let minor = account.balance.minor.checked_add(operation.amount.minor).ok_or(PostingRefusal::InvalidAmount)?;
    if operation.cmd == OperationCmd::BalanceOut && minor < 0 {
        return Err(PostingRefusal::InsufficientBalance);
    }
    Ok(Account { balance: Money::new(minor, account.balance.currency), ..Account::clone(account) })
}
