//! Which account a manual transaction may be entered for. Whether money may be taken from or added to it, the trading server judges
//! when it posts.

use super::ManualRequest;
use crate::account::{AccountFacts, AccountMode};
use crate::deposit;
use crate::reason::ReasonCode;
use crate::refusal::Refusal;
use crate::status::TransactionType;

/// Checks what only the account decides; that the session sees it was checked before. Whether the account may be debited or
/// credited, the trading server judges when it posts.
pub fn check_account(request: &ManualRequest, account: &AccountFacts) -> Result<(), Refusal> {
    let owner = account.customer.customer_id;
    if request.customer_id.is_some_and(|given| given != owner) {
        return Err(Refusal::invalid("customer_id is not the owner of the login"));
    }
    deposit::check_currency(request.amount, account)
}

/// Refuses a deposit that the posting would refuse: real money is credited to no demo account of a brand that the settings do not
/// allow it for. To be asked where nothing is under the request's key: what was entered before is answered as before.
///
/// # Errors
/// 400 naming the account.
pub fn check_mode(request: &ManualRequest, account: &AccountFacts, live_on_demo_allowed: bool) -> Result<(), Refusal> {
    let is_demo = account.group.account_mode == AccountMode::Demo;
    if request.kind != TransactionType::Deposit || !is_demo || live_on_demo_allowed {
        return Ok(());
    }
    let (login, code, brand) = (request.login, ReasonCode::LiveOnDemoAccount, &account.customer.brand);
    Err(Refusal::invalid(format!(
        "login {login} is a demo account, to which a manual deposit is not posted ({code}): use a real account, or have the \
         operator name the brand {brand} in allow_live_on_demo"
    )))
}
