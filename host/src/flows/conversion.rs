//! The rates of deposits in another currency than their account's, as the trading server of the account states them. Whether one may
//! be used, and what becomes of the amount, is the core's decision.

use cashier_core::account::AccountFacts;
use cashier_core::conversion::{Conversion, StatedRate};
use cashier_core::deposit;
use cashier_core::money::{Currency, Money};
use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future;

use super::Cashier;

/// Other currencies whose rates are asked for to list the methods of one account: configs are made for a handful.
const LISTED_CURRENCIES_MAX: usize = 16;

/// What an account's trading server states as the rate of a currency; nothing is asked about the account's own.
///
/// # Errors
/// 503 where it does not answer.
pub(super) async fn stated(
    cashier: &Cashier,
    from: Currency,
    account: &AccountFacts,
) -> Result<Option<StatedRate>, Refusal> {
    let to = account.group.currency;
    if from == to {
        return Ok(None);
    }
    cashier.trading.rate(&account.server, from, to).await.map_err(|fault| {
        tracing::warn!(%fault, %from, %to, "rate was not stated by the trading server");
        Refusal::new(RefusalCode::StorageUnavailable, "the trading server does not answer, try again")
    })
}

/// Freezes the rate of an order in another currency than the account's, before anything is begun. `refusal`: what the order is
/// refused with otherwise. That no method serves it is the answer only where its currency could be converted.
///
/// # Errors
/// 400 where no rate may be used, or the amount is too small or too large for the account; 503 where the trading server does not answer.
pub(super) async fn frozen(
    cashier: &Cashier,
    amount: Money,
    account: &AccountFacts,
    refusal: Option<&Refusal>,
) -> Result<Option<Box<Conversion>>, Refusal> {
    if refusal.is_some_and(|refusal| refusal.code != RefusalCode::MethodNotAvailable) {
        return Ok(None);
    }
    let stated = stated(cashier, amount.currency, account).await?;
    deposit::frozen_conversion(amount, account, stated.as_ref(), &cashier.rules.conversion, cashier.clock.now())
}

/// Those of some currencies that a deposit to the account is converted from now. Without an answer none is: the methods for the
/// account's own currency are listed all the same.
pub(super) async fn converted_from(
    cashier: &Cashier,
    account: &AccountFacts,
    currencies: impl IntoIterator<Item = Currency>,
) -> Vec<Currency> {
    let mut others: Vec<Currency> = currencies.into_iter().filter(|own| *own != account.group.currency).collect();
    others.sort_unstable();
    others.dedup();
    others.truncate(LISTED_CURRENCIES_MAX);
    // All at once: the list waits for no more than one answer.
    let stated = future::join_all(others.iter().map(|from| stated(cashier, *from, account))).await;
    let (now, age_max) = (cashier.clock.now(), cashier.rules.conversion.rate_age_seconds);
    let is_current = |stated: &Result<Option<StatedRate>, Refusal>| {
        stated.as_ref().is_ok_and(|stated| stated.as_ref().is_some_and(|stated| stated.is_current(now, age_max)))
    };
    others.into_iter().zip(&stated).filter(|(_, stated)| is_current(stated)).map(|(from, _)| from).collect()
}
