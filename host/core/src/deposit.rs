//! A customer's deposit request: its fields, its checks, and the transaction it opens.
//! The order of checks is published (API.md section 3); which config serves it is decided by `eligibility`.

use crate::account::AccountFacts;
use crate::conversion::{Conversion, ConversionError, ConversionTerms, StatedRate};
use crate::eligibility::Eligible;
use crate::ids::{ConfigId, CustomerId, Login};
use crate::money::Money;
use crate::refusal::{Refusal, RefusalCode};
use crate::status::{Source, TransactionType};
use crate::texts::Texts;
use crate::time::UnixTime;
use crate::transaction::{Fresh, Transaction};

/// A deposit request, well formed and within the published lengths.
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
    /// Empty, `https`, or plain `http` to this machine; `failure_url` too.
    pub success_url: Box<str>,
    pub failure_url: Box<str>,
    pub comment: Box<str>,
    /// A JSON object as text; `{}` when omitted.
    pub metadata_json: Box<str>,
    /// Why its texts may not be stored; an order that is under its key already is answered as before.
    pub refused_if_new: Option<Refusal>,
}

impl DepositRequest {
    pub fn texts(&self) -> Texts {
        Texts { comment: self.comment.clone(), metadata_json: self.metadata_json.clone() }
    }

    /// Bytes that it stores beside the transaction's row.
    pub fn stored_bytes(&self) -> u32 {
        let bytes = self.texts().len() + self.success_url.len() + self.failure_url.len();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// Whether an earlier transaction under the same key is the same order (API.md section 3, idempotency): equal type, login,
/// provider, method, currency and amount by value.
pub fn same_order(earlier: &Transaction, request: &DepositRequest) -> bool {
    earlier.kind == TransactionType::Deposit
        && earlier.source == Source::Provider
        && earlier.login == request.login
        && earlier.provider == request.provider
        && earlier.requested_method == request.method
        && earlier.amount == request.amount
}

/// The refusal of a key that is bound to another order.
pub fn key_conflict() -> Refusal {
    Refusal::new(RefusalCode::IdempotencyConflict, "idempotency_key was used for another order")
}

/// Whether the customer may deposit to the account at all, through whichever config.
pub fn check_customer(account: &AccountFacts) -> Result<(), Refusal> {
    if !account.customer.is_active() {
        return Err(Refusal::new(RefusalCode::PermissionDenied, "the customer is not active"));
    }
    if !account.customer.deposit_allowed {
        return Err(Refusal::new(RefusalCode::DepositNotAllowed, "deposits are not allowed for this customer"));
    }
    if !account.account_open() {
        return Err(Refusal::new(RefusalCode::AccountDisabled, "the account or its group is disabled"));
    }
    Ok(())
}

/// The rate that an order in another currency than the account's is converted at, frozen with it; none where they have one currency.
/// `stated`: what the trading server states, to be asked for once everything else is found to be right.
///
/// # Errors
/// 400 CURRENCY_CONVERSION_REQUIRED where no rate is stated that may be used; 400 AMOUNT_OUT_OF_RANGE where the account would get
/// nothing, or more than an amount may be.
pub fn frozen_conversion(
    amount: Money,
    account: &AccountFacts,
    stated: Option<&StatedRate>,
    terms: &ConversionTerms,
    now: UnixTime,
) -> Result<Option<Box<Conversion>>, Refusal> {
    let to = account.group.currency;
    if amount.currency == to {
        return Ok(None);
    }
    let current = stated.filter(|stated| stated.is_current(now, terms.rate_age_seconds));
    let Some(stated) = current else {
        return check_currency(amount, account).map(|()| None);
    };
    let frozen = Conversion::freeze(stated, terms.margin(&account.customer.brand), amount, to);
    frozen.map(|conversion| Some(Box::new(conversion))).map_err(|error| {
        let what = match error {
            ConversionError::Nothing => "is worth less than the smallest amount",
            ConversionError::TooLarge => "is worth more than the largest amount",
        };
        Refusal::new(RefusalCode::AmountOutOfRange, format!("amount: {amount} {what} of the account's currency, {to}"))
    })
}

/// Withdrawals and manual transactions are made in the account's own currency, as is a deposit where no rate is stated.
pub fn check_currency(amount: Money, account: &AccountFacts) -> Result<(), Refusal> {
    if amount.currency == account.group.currency {
        return Ok(());
    }
    let message = format!("the account is in {}, the amount in {}", account.group.currency, amount.currency);
    Err(Refusal::new(RefusalCode::CurrencyConversionRequired, message))
}

/// Checks the return URLs: plain `http` is allowed in sandbox only. That it names this machine was checked when the
/// request was read.
pub fn check_return_urls(request: &DepositRequest, sandbox: bool) -> Result<(), Refusal> {
    for (field, url) in [("success_url", &request.success_url), ("failure_url", &request.failure_url)] {
        let local = sandbox && url.starts_with("http://");
        if !url.is_empty() && !url.starts_with("https://") && !local {
            return Err(Refusal::invalid(format!("{field} must be an https URL")));
        }
    }
    Ok(())
}

/// The transaction that an eligible deposit opens: created, without facts.
/// An order in another currency than the account's credits nothing until it has its conversion. `expiry_seconds` comes from the module's descriptor; 0 means the order never expires.
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
        requested_method: request.method.clone(),
        idempotency_key: request.idempotency_key.clone(),
        has_texts: !request.texts().is_default(),
        stored_bytes: request.stored_bytes(),
        config_id: eligible.config_id(),
        sandbox: eligible.sandbox(),
        expires_time: if expiry_seconds > 0 { now.plus(expiry_seconds) } else { UnixTime::UNSET },
        ..Transaction::blank(fresh, request.login, request.amount, account)
    }
}
