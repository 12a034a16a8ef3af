//! What a config or an override names that is not there: each with a sentence that begins with its field, for whoever saves
//! it. Whether it can match nothing for that is judged by the rules themselves, in `unmatched`.

use super::context::{EligibilityContext, ModuleFitness};
use crate::account::AccountFacts;
use crate::country;
use crate::customer_override::{CustomerOverride, OverrideMode};
use crate::edit::nearest;
use crate::ids::{ConfigId, CustomerId};
use crate::money::{Currency, Limit};
use crate::provider_config::ProviderConfig;
use crate::time::UnixTime;

/// What can be named, as the server knows it now. `None` is "cannot be said": then nothing is held against a row.
pub trait Known {
    /// The module of a provider, whatever becomes of the gateways of its configs.
    fn module(&self, provider: &str) -> Option<ModuleFitness<'_>>;
    /// Codes of the providers that have a module.
    fn providers(&self) -> Vec<&str>;
    /// One account of each kind that there is or that may be made: of each group, and of each brand of its customers.
    fn accounts(&self) -> Option<&[AccountFacts]>;
    /// What a deposit to such an account is judged under.
    fn context<'a>(&self, account: &'a AccountFacts) -> EligibilityContext<'a>;
    /// Overrides that allow configs of a provider.
    fn allows(&self, provider: &str) -> Vec<&CustomerOverride>;
    /// Whether a deposit in this currency to such an account may be converted.
    fn converts(&self, from: Currency, account: &AccountFacts) -> bool;
    fn customer(&self, id: CustomerId) -> Option<KnownCustomer>;
    fn config(&self, id: ConfigId) -> Option<&ProviderConfig>;
    fn configs_of(&self, provider: &str) -> Vec<&ProviderConfig>;
}

/// What is known of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownCustomer {
    Missing,
    OfBrand(Box<str>),
}

/// What a config names that is not there, or contradicts itself.
pub fn config_mismatches(config: &ProviderConfig, known: &dyn Known) -> Vec<String> {
    let mut found = Vec::new();
    let brand = &*config.brand;
    found.extend(provider(&config.provider, known));
    found.extend(Some(brand).filter(|brand| !brand.is_empty()).and_then(|brand| unknown_brand(brand, known)));
    if let Some(ModuleFitness::Loaded { brands, methods, currencies }) = known.module(&config.provider) {
        match brands {
            Some([]) => {
                found.push(format!("provider {}: plugins.toml lets its module serve no brand", config.provider))
            }
            Some(served) if !brand.is_empty() && !lists(served, brand) => {
                found.push(format!("brand {brand}: plugins.toml does not list it for module {}", config.provider));
            }
            Some(_) | None => {}
        }
        found.extend(method(&config.method, methods));
        let currency = &*config.currency;
        if !currency.is_empty() && !currencies.is_empty() && !lists(currencies, currency) {
            found.push(format!("currency {currency}: the module cannot be paid in it"));
        }
    }
    let code = &*config.country;
    if !code.is_empty() && !country::is_assigned(code) {
        let advice = country::meant(code).map(|meant| format!(": {meant} is meant")).unwrap_or_default();
        found.push(format!("country {code}: no such country in ISO 3166{advice}"));
    }
    found.extend(limits(config.min_amount, config.max_amount, ""));
    found
}

/// Limits of a config without a currency where deposits may be converted: one number is meant in each of their currencies.
pub fn limits_without_currency(config: &ProviderConfig, known: &dyn Known) -> Option<String> {
    let limits = [("min_amount", config.min_amount), ("max_amount", config.max_amount)];
    let (field, limit) = limits.into_iter().find(|(_, limit)| limit.is_set() && config.currency.is_empty())?;
    let taken: Vec<Currency> = match known.module(&config.provider) {
        Some(ModuleFitness::Loaded { currencies, .. }) if !currencies.is_empty() => {
            currencies.iter().filter_map(|code| Currency::from_code(code)).collect()
        }
        Some(ModuleFitness::Loaded { .. } | ModuleFitness::NotLoaded { .. }) | None => Currency::known().collect(),
    };
    let is_served = |account: &&AccountFacts| config.brand.is_empty() || config.brand == account.customer.brand;
    let is_converted_to = |account: &AccountFacts| {
        taken.iter().any(|from| *from != account.group.currency && known.converts(*from, account))
    };
    known.accounts().unwrap_or_default().iter().filter(is_served).any(is_converted_to).then(|| {
        format!(
            "{field} {}: without a currency it is meant in that of each deposit, and deposits in other currencies than the \
             account's may be converted: make a config for each currency",
            limit.to_wire()
        )
    })
}

/// What an override names that is not there, or contradicts itself.
pub fn override_mismatches(row: &CustomerOverride, known: &dyn Known, now: UnixTime) -> Vec<String> {
    let mut found = Vec::new();
    if row.expires_time.is_set() && now >= row.expires_time {
        found.push(format!("expires_time {}: it is over", row.expires_time));
    }
    let customer = known.customer(row.customer_id);
    match &customer {
        Some(KnownCustomer::Missing) => {
            found.push(format!("customer_id {}: the trading server has no such customer", row.customer_id));
        }
        Some(KnownCustomer::OfBrand(brand)) if *brand != row.brand => {
            found.push(format!("brand {}: the customer is of another brand", row.brand));
        }
        Some(KnownCustomer::OfBrand(_)) | None => {}
    }
    if !matches!(customer, Some(KnownCustomer::OfBrand(_))) {
        found.extend(unknown_brand(&row.brand, known));
    }
    found.extend(provider(&row.provider, known));
    if let Some(ModuleFitness::Loaded { methods, .. }) = known.module(&row.provider) {
        found.extend(method(&row.method, methods));
    }
    found.extend(limits(row.min_amount, row.max_amount, ""));
    found.extend(named_configs(row, known));
    found
}

/// The config that the override names, or those that it means by provider, brand and method.
fn named_configs(row: &CustomerOverride, known: &dyn Known) -> Vec<String> {
    let (id, brand, method) = (row.provider_config_id, &row.brand, &*row.method);
    let serves_brand = |config: &ProviderConfig| config.brand.is_empty() || config.brand == *brand;
    let serves_method =
        |config: &ProviderConfig| method.is_empty() || config.method.is_empty() || *config.method == *method;
    if id == ConfigId(0) {
        let of_provider = known.configs_of(&row.provider);
        let serves = of_provider.iter().any(|config| serves_brand(config) && serves_method(config));
        let sentence = || format!("provider {}: no config of it serves brand {brand} and this method", row.provider);
        return if serves { Vec::new() } else { vec![sentence()] };
    }
    let Some(config) = known.config(id) else {
        return vec![format!("provider_config_id {id}: there is no such config")];
    };
    let mut found = Vec::new();
    if config.provider != row.provider {
        found.push(format!("provider {}: config {id} is of another provider", row.provider));
    }
    if !serves_brand(config) {
        found.push(format!("brand {brand}: config {id} is of another brand"));
    }
    if !serves_method(config) {
        found.push(format!("method {method}: config {id} is for another method"));
    }
    if row.mode == OverrideMode::Allow {
        let replaced = |own: Limit, by: Limit| if by.is_set() { by } else { own };
        let (min, max) = (replaced(config.min_amount, row.min_amount), replaced(config.max_amount, row.max_amount));
        found.extend(limits(min, max, &format!(" with those of config {id}")));
    }
    found
}

fn provider(code: &str, known: &dyn Known) -> Option<String> {
    match known.module(code) {
        Some(ModuleFitness::Loaded { .. }) => None,
        Some(ModuleFitness::NotLoaded { reason }) => {
            Some(format!("provider {code}: its module is not loaded: {reason}"))
        }
        None => {
            let advice = nearest(code, known.providers()).map(|near| format!(": did you mean {near}?"));
            Some(format!("provider {code}: no module offers it{}", advice.unwrap_or_default()))
        }
    }
}

fn unknown_brand(brand: &str, known: &dyn Known) -> Option<String> {
    let is_unknown = known.accounts().is_some_and(|all| all.iter().all(|one| *one.customer.brand != *brand));
    is_unknown.then(|| format!("brand {brand}: no group and no customer of the trading server has it"))
}

fn method(method: &str, served: &[Box<str>]) -> Option<String> {
    if method.is_empty() || served.is_empty() || lists(served, method) {
        return None;
    }
    Some(format!("method {method}: the module has {}", served.join(", ")))
}

fn limits(min: Limit, max: Limit, with: &str) -> Option<String> {
    let is_empty = max.is_set() && max < min;
    is_empty.then(|| format!("max_amount {}: it is below min_amount {}{with}", max.to_wire(), min.to_wire()))
}

fn lists(known: &[Box<str>], wanted: &str) -> bool {
    known.iter().any(|known| **known == *wanted)
}
