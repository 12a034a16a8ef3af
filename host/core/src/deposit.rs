//! A customer's deposit request: what was asked, who may ask it, and the transaction it opens.
//! The order of checks is published (API.md section 3); which config serves it is `eligibility`'s decision.

use crate::account::AccountFacts;
use crate::eligibility::Eligible;
use crate::ids::{ConfigId, CustomerId, Login};
use crate::money::Money;
use crate::refusal::{Refusal, RefusalCode};
use crate::status::{Source, TransactionType};
use crate::time::UnixTime;
use crate::transaction::{Fresh, Transaction};

/// Lengths of what a request may carry, in bytes (API.md section 3).
pub const CODE_LENGTH_MAX: usize = 64;
pub const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 128;
pub const COMMENT_LENGTH_MAX: usize = 512;
pub const URL_LENGTH_MAX: usize = 2048;
pub const METADATA_LENGTH_MAX: usize = 16 * 1024;

/// A deposit as asked, well formed and within the published lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositRequest {
    pub customer_id: CustomerId,
    pub login: Login,
    pub provider: Box<str>,
    /// Empty leaves the choice to the config.
    pub method: Box<str>,
    pub provider_config_id: Option<ConfigId>,
    pub amount: Money,
    /// Empty is no key.
    pub idempotency_key: Box<str>,
    pub success_url: Box<str>,
    pub failure_url: Box<str>,
    pub comment: Box<str>,
    /// A JSON object as text; `{}` when omitted.
    pub metadata_json: Box<str>,
}

/// Whether an earlier transaction under the same key is this very order (API.md section 3, idempotency): same type,
/// login, provider, method, currency and amount by value.
pub fn same_order(earlier: &Transaction, request: &DepositRequest) -> bool {
    earlier.kind == TransactionType::Deposit
        && earlier.source == Source::Provider
        && earlier.login == request.login
        && earlier.provider == request.provider
        && (earlier.asked_method == request.method)
        && earlier.amount == request.amount
}

/// The refusal of a key that already stands for another order.
pub fn key_conflict() -> Refusal {
    Refusal::new(RefusalCode::IdempotencyConflict, "idempotency_key was used for another order")
}

/// Judges customer, account and currency, in the published order. The ownership of the login comes before this.
pub fn check_account(request: &DepositRequest, account: &AccountFacts) -> Result<(), Refusal> {
    if !account.customer.is_active() {
        return Err(Refusal::new(RefusalCode::PermissionDenied, "the customer is not active"));
    }
    if !account.customer.deposit_allowed {
        return Err(Refusal::new(RefusalCode::DepositNotAllowed, "deposits are not allowed for this customer"));
    }
    if !account.account_open() {
        return Err(Refusal::new(RefusalCode::AccountDisabled, "the account or its group is disabled"));
    }
    check_currency(request.amount, account)
}

/// Deposits and withdrawals are made in the account's own currency.
pub fn check_currency(amount: Money, account: &AccountFacts) -> Result<(), Refusal> {
    if amount.currency == account.group.currency {
        return Ok(());
    }
    let message = format!("the account is in {}, the amount in {}", account.group.currency, amount.currency);
    Err(Refusal::new(RefusalCode::CurrencyConversionRequired, message))
}

/// Where the customer may be sent back to: `https` anywhere, plain `http` only to this machine in sandbox.
pub fn check_return_urls(request: &DepositRequest, sandbox: bool) -> Result<(), Refusal> {
    for (field, url) in [("success_url", &request.success_url), ("failure_url", &request.failure_url)] {
        let local = || sandbox && url.strip_prefix("http://").is_some_and(is_loopback);
        if !url.is_empty() && !url.starts_with("https://") && !local() {
            return Err(Refusal::invalid(format!("{field} must be an https URL")));
        }
    }
    Ok(())
}

/// Whether the host part of what follows a scheme is this machine.
fn is_loopback(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or("");
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    host == "localhost" || host == "::1" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// The transaction that an eligible deposit opens: created, nothing heard.
/// `expiry_seconds` comes from the module's descriptor; 0 means the order never expires.
pub fn open(
    request: &DepositRequest,
    account: &AccountFacts,
    eligible: &Eligible,
    expiry_seconds: i64,
    fresh: Fresh,
) -> Transaction {
    let now = fresh.now;
    Transaction {
        provider: request.provider.clone(),
        method: eligible.method().into(),
        asked_method: request.method.clone(),
        idempotency_key: request.idempotency_key.clone(),
        comment: request.comment.clone(),
        metadata_json: request.metadata_json.clone(),
        config_id: eligible.config_id(),
        sandbox: eligible.sandbox(),
        expires_time: if expiry_seconds > 0 { now.plus(expiry_seconds) } else { UnixTime::UNSET },
        ..Transaction::blank(fresh, request.login, request.amount, account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_leads_only_to_this_machine() {
        let local = ["127.0.0.1:8080/done", "localhost", "[::1]:9/x", "127.9.9.9?a=b"];
        let foreign = ["127.0.0.1.evil.example/", "localhost.evil.example", "user@localhost", "10.0.0.1", "[::2]/", ""];
        for rest in local {
            assert!(is_loopback(rest), "{rest}");
        }
        for rest in foreign {
            assert!(!is_loopback(rest), "{rest}");
        }
    }
}
