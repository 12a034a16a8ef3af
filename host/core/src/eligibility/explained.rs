//! The question "why is this method shown, or not" with its answer: what a deposit would be refused with before any config is
//! judged, and every rule for each config.

use std::sync::Arc;

use super::MethodExplanation;
use super::rule::Rule;
use crate::account::AccountFacts;
use crate::conversion::{ConversionTerms, StatedRate};
use crate::deposit;
use crate::ids::Login;
use crate::money::{Currency, Money};
use crate::provider_config::ProviderConfig;
use crate::refusal::{Refusal, RefusalCode};
use crate::time::UnixTime;

/// What a manager asks about.
#[derive(Debug, Clone)]
pub struct MethodsQuestion {
    pub login: Login,
    /// Of the request that is explained, as its number's text; without a currency it is in the account's.
    pub amount: Option<Box<str>>,
    pub currency: Option<Currency>,
    /// Empty asks about every provider.
    pub provider: Box<str>,
    /// As the customer's request names it; empty leaves it to the config.
    pub method: Box<str>,
}

/// The account, what a deposit would be refused with before any config is judged, and each config.
#[derive(Debug, Clone)]
pub struct ExplainedMethods {
    pub account: AccountFacts,
    pub refusal: Option<Refusal>,
    pub rows: Vec<(Arc<ProviderConfig>, MethodExplanation)>,
}

impl MethodsQuestion {
    /// The currency that configs are judged in.
    pub fn currency(&self, account: &AccountFacts) -> Currency {
        self.currency.unwrap_or(account.group.currency)
    }

    /// The amount that limits are compared with, and what a deposit is refused with, whichever config serves it. `stated`: what the
    /// trading server states as the rate of the currency, where it is not the account's.
    ///
    /// # Errors
    /// 400 INVALID_DATA for an amount that its currency cannot have.
    pub fn judged(
        &self,
        account: &AccountFacts,
        stated: Option<&StatedRate>,
        terms: &ConversionTerms,
        now: UnixTime,
    ) -> Result<(Option<Money>, Option<Refusal>), Refusal> {
        let currency = self.currency(account);
        let parsed = self.amount.as_deref().map(|text| Money::parse_positive(text, currency)).transpose();
        let amount = parsed.map_err(|error| Refusal::invalid(format!("amount {error}")))?;
        // Without an amount, one unit of the currency.
        let example = Money::new(10_i64.pow(currency.exponent().into()), currency);
        let frozen = deposit::frozen_conversion(amount.unwrap_or(example), account, stated, terms, now).map(drop);
        let frozen = frozen.or_else(|refusal| match refusal.code {
            RefusalCode::AmountOutOfRange if amount.is_none() => Ok(()),
            _ => Err(refusal),
        });
        Ok((amount, deposit::check_customer(account).and(frozen).err()))
    }
}

impl MethodExplanation {
    /// Leaves out why a module is not working, for a reader who may not know about configs of other brands.
    pub fn conceal_module(&mut self) {
        for rule in &mut self.rules {
            if let Rule::ModuleNotLoaded { reason } = rule {
                *reason = "ask the operator".into();
                for line in self.trace.iter_mut().filter(|line| line.check == rule.check()) {
                    line.sentence = rule.to_string();
                }
            }
        }
    }
}
