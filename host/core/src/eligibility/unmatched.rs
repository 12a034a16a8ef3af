//! Rows that can match nothing, each with its reasons: an enabled config that serves no account of any kind that there is, and
//! an override that applies to no config of its customer. They are judged by the rules that a deposit is judged by, so that a
//! row is never listed while it serves; the reasons are what the row names and the rule that the best account met last.

use std::slice;

use super::mismatch::{Known, KnownCustomer, config_mismatches, override_mismatches};
use super::{
    ConfigCandidate, EligibilityContext, Eligible, FirstRule, ModuleFitness, Rule, evaluate, method_served, resolution,
};
use crate::account::{Account, AccountFacts, AccountMode, Customer, Group};
use crate::customer_override::{CustomerOverride, OverrideMode};
use crate::ids::{CustomerId, Login, ServerName};
use crate::money::{Currency, Limit, Money};
use crate::provider_config::ProviderConfig;

/// Why a config serves no account. Empty where it serves one.
pub fn config_unmatched(config: &ProviderConfig, known: &dyn Known) -> Vec<String> {
    let Err(rule) = serves(config, known) else { return Vec::new() };
    let mut why = config_mismatches(config, known);
    let is_named =
        matches!(rule, Some(Rule::ModuleNotLoaded { .. } | Rule::BrandMismatch { .. } | Rule::BrandNotEnabled { .. }));
    if why.is_empty() || !is_named {
        why.extend(sentence(config, rule.as_ref()).filter(|reason| !why.contains(reason)));
    }
    why
}

/// Why an override, which is not over, applies to no config. Empty where it applies to one.
pub fn override_unmatched(row: &CustomerOverride, known: &dyn Known) -> Vec<String> {
    if applies(row, known) {
        return Vec::new();
    }
    let why = override_mismatches(row, known, row.created_time);
    if !why.is_empty() {
        return why;
    }
    vec![format!("provider {}: no config of it that the override means can serve the customer", row.provider)]
}

/// The rule that hid the config from the account that came furthest; none where there is no account.
fn serves(config: &ProviderConfig, known: &dyn Known) -> Result<(), Option<Rule>> {
    let module = known
        .module(&config.provider)
        .unwrap_or(ModuleFitness::NotLoaded { reason: "no module of this provider is listed in plugins.toml" });
    let candidate = ConfigCandidate { config, module };
    let stated;
    let accounts = match known.accounts() {
        Some(accounts) => accounts,
        None => {
            stated = fitting(config, module).map_or_else(Vec::new, |account| vec![account]);
            &stated
        }
    };
    let allows = known.allows(&config.provider);
    let mut furthest: Option<Rule> = None;
    for account in accounts {
        // A customer may come from anywhere, and be let in at any time.
        let mut account = account.clone();
        account.customer.country = config.country.clone();
        let mut judge = |account: &AccountFacts, overrides: &[CustomerOverride]| {
            let context = known.context(account);
            let judge_in = |currency| evaluate(&context, &candidate, overrides, currency, None, "", &mut FirstRule);
            let own = candidate.own_currency().filter(|own| known.converts(*own, account));
            let judged = judge_in(account.group.currency);
            match judged.or_else(|rule| own.and_then(|own| judge_in(own).ok()).ok_or(rule)) {
                Ok(eligible) => admits_any(&eligible),
                Err(rule) => {
                    let further = furthest.as_ref().is_none_or(|known| known.check() < rule.check());
                    furthest = if further { Some(rule) } else { furthest.take() };
                    false
                }
            }
        };
        if judge(&account, &[]) {
            return Ok(());
        }
        for row in allows.iter().filter(|row| row.brand == account.customer.brand) {
            account.customer.customer_id = row.customer_id;
            if judge(&account, slice::from_ref(*row)) {
                return Ok(());
            }
        }
    }
    Err(furthest)
}

fn applies(row: &CustomerOverride, known: &dyn Known) -> bool {
    let brand = match known.customer(row.customer_id) {
        Some(KnownCustomer::Missing) => return false,
        Some(KnownCustomer::OfBrand(brand)) => brand,
        None => row.brand.clone(),
    };
    let Some(ModuleFitness::Loaded { methods, .. }) = known.module(&row.provider) else { return false };
    known.configs_of(&row.provider).into_iter().any(|config| {
        let module = ModuleFitness::Loaded { brands: None, methods, currencies: &[] };
        let Some(mut account) = fitting(config, module) else { return false };
        (account.customer.brand, account.customer.customer_id) = (brand.clone(), row.customer_id);
        // An override that begins later is not held against the present.
        let context = EligibilityContext { now: row.created_time, ..known.context(&account) };
        let is_of_brand = config.brand.is_empty() || config.brand == brand;
        let replaced = |own: Limit, by: Limit| if by.is_set() { by } else { own };
        let (min, max) = (replaced(config.min_amount, row.min_amount), replaced(config.max_amount, row.max_amount));
        let has_use = row.mode == OverrideMode::Deny || !(max.is_set() && max < min);
        let decides = |method: &str| resolution::decisive(slice::from_ref(row), &context, config, method).is_some();
        is_of_brand && has_use && method_served(config, methods, &row.method).is_ok_and(decides)
    })
}

/// Whether there is an amount that the limits in force admit.
fn admits_any(eligible: &Eligible) -> bool {
    let (min, max) = eligible.limits();
    !(max.is_set() && max < min)
}

/// An account that the config is made for, where the trading server does not say which there are.
fn fitting(config: &ProviderConfig, module: ModuleFitness<'_>) -> Option<AccountFacts> {
    let (brands, currencies) = match module {
        ModuleFitness::Loaded { brands, currencies, .. } => (brands.unwrap_or_default(), currencies),
        ModuleFitness::NotLoaded { .. } => (&[][..], &[][..]),
    };
    let brand = if config.brand.is_empty() { brands.first() } else { Some(&config.brand) };
    let codes = [&*config.currency].into_iter().chain(currencies.iter().map(|code| &**code)).chain(["USD"]);
    let currency = codes.into_iter().find_map(Currency::from_code)?;
    let account_mode = if config.sandbox { AccountMode::Demo } else { AccountMode::Real };
    let group = Group {
        group: Box::default(),
        brand: brand.cloned().unwrap_or_default(),
        currency,
        account_mode,
        enabled: true,
    };
    Some(account_of(&group.brand.clone(), group))
}

/// An open account of a group, of an active customer of a brand.
pub fn account_of(brand: &str, group: Group) -> AccountFacts {
    let customer = Customer {
        customer_id: CustomerId(0),
        country: Box::default(),
        brand: brand.into(),
        status: 0,
        deposit_allowed: true,
        withdrawal_allowed: true,
    };
    let account = Account {
        login: Login(0),
        customer_id: CustomerId(0),
        group: group.group.clone(),
        enabled: true,
        balance: Money::new(0, group.currency),
    };
    AccountFacts { customer, account, group, server: ServerName::default(), age_seconds: 0 }
}

/// What kept the account that came furthest, from the config's side.
fn sentence(config: &ProviderConfig, rule: Option<&Rule>) -> Option<String> {
    let Some(rule) = rule else { return Some("the trading server has no group".into()) };
    Some(match rule {
        Rule::SandboxOnRealAccount => {
            "sandbox 1: the accounts it could serve are real ones, and allow_sandbox_credit does not name their brand"
                .into()
        }
        Rule::LiveOnDemoAccount => {
            "sandbox 0: the accounts it could serve are demo accounts, and allow_live_on_demo does not name their brand"
                .into()
        }
        Rule::AccountDisabled => "brand: the groups of the accounts it could serve are disabled".into(),
        Rule::CurrencyNotTaken { .. } => {
            format!("provider {}: its module cannot be paid in the currency of any such account", config.provider)
        }
        Rule::Currency { .. } => format!("currency {}: no such account has it", config.currency),
        other => other.to_string(),
    })
}
