//! Whether an account may receive a posting, and whether it is still the one that it was meant for. The platform compares neither
//! owner nor currency, so that the cashier does, before and after. Pure.

use cashier_core::account::{Account, AccountMode, Group};
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason};

use crate::ports::Posting;

/// Why nothing is posted to the account now. A disabled account or group bars only a withdrawal, as at the embedded server: a paid
/// deposit is credited and a reversal debited all the same.
pub(super) fn objection(posting: &Posting, found: Option<(&Account, &Group)>) -> Option<ReasonCode> {
    let operation = &posting.operation;
    let sign_fits = match operation.cmd {
        OperationCmd::BalanceIn => operation.amount.minor > 0,
        OperationCmd::BalanceOut => operation.amount.minor < 0,
    };
    if !sign_fits {
        return Some(ReasonCode::InvalidAmount);
    }
    let Some((account, group)) = found else { return Some(ReasonCode::AccountNotFound) };
    if account.customer_id != posting.customer_id {
        return Some(ReasonCode::OwnerMismatch);
    }
    let currency = operation.amount.currency;
    if account.balance.currency != currency || group.currency != currency {
        return Some(ReasonCode::CurrencyMismatch);
    }
    if posting.only_on.is_some_and(|mode| mode != group.account_mode) {
        return Some(match group.account_mode {
            AccountMode::Real => ReasonCode::SandboxOnRealAccount,
            AccountMode::Demo => ReasonCode::LiveOnDemoAccount,
        });
    }
    let needs_open_account = match operation.reason {
        OperationReason::Withdrawal => true,
        OperationReason::Deposit | OperationReason::Reversal => false,
    };
    if needs_open_account && !(account.enabled && group.enabled) {
        return Some(ReasonCode::AccountDisabled);
    }
    let left = account.balance.minor.saturating_add(operation.amount.minor);
    (operation.cmd == OperationCmd::BalanceOut && left < 0).then_some(ReasonCode::InsufficientBalance)
}

/// Whether what was posted went to another customer, or in another currency, than it was meant for.
pub(super) fn is_another(posting: &Posting, found: Option<&Account>) -> bool {
    found.is_none_or(|account| {
        account.customer_id != posting.customer_id || account.balance.currency != posting.operation.amount.currency
    })
}
