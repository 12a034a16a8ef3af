//! The checks of one config against one account, in their order: what no override lifts, the method, and what an allow lifts.

use super::context::{ConfigCandidate, EligibilityContext, ModuleFitness};
use super::findings::Findings;
use super::rule::{Check, Rule};
use crate::account::AccountMode;
use crate::money::Currency;
use crate::provider_config::ProviderConfig;

/// The checks that no override lifts, of an order in this currency. Returns the module's methods.
pub(super) fn hard_checks<'a>(
    context: &EligibilityContext<'_>,
    candidate: &ConfigCandidate<'a>,
    currency: Currency,
    found: &mut impl Findings,
) -> Result<&'a [Box<str>], Rule> {
    let (config, account) = (candidate.config, context.account);
    let brand = &account.customer.brand;
    let (brands, methods, currencies) = match candidate.module {
        ModuleFitness::NotLoaded { reason } => {
            found.hides(Rule::ModuleNotLoaded { reason: reason.into() })?;
            // What it serves is not known while it is not loaded.
            (None, &[][..], &[][..])
        }
        ModuleFitness::Loaded { brands, methods, currencies } => {
            found.passes(Check::Module, format_args!("module {} is loaded", config.provider));
            (brands, methods, currencies)
        }
    };
    if config.enabled {
        found.passes(Check::ConfigEnabled, format_args!("the config is enabled"));
    } else {
        found.hides(Rule::ConfigDisabled)?;
    }
    if config.brand.is_empty() || config.brand == *brand {
        found.passes(Check::Brand, format_args!("the config serves brand {brand:?}"));
    } else {
        found.hides(Rule::BrandMismatch { config: config.brand.clone(), customer: brand.clone() })?;
    }
    if brands.is_none_or(|served| served.contains(brand)) {
        found.passes(Check::ModuleBrand, format_args!("the module may serve brand {brand:?}"));
    } else {
        found.hides(Rule::BrandNotEnabled { brand: brand.clone() })?;
    }
    if account.customer.is_active() && account.customer.deposit_allowed {
        found.passes(Check::Customer, format_args!("the customer may deposit"));
    } else {
        found.hides(Rule::DepositNotAllowed)?;
    }
    if account.account_open() {
        found.passes(Check::Account, format_args!("the account and its group are enabled"));
    } else {
        found.hides(Rule::AccountDisabled)?;
    }
    let is_demo = account.group.account_mode == AccountMode::Demo;
    if config.sandbox && !is_demo && !context.sandbox_credit_allowed {
        found.hides(Rule::SandboxOnRealAccount)?;
    } else if !config.sandbox && is_demo && !context.live_on_demo_allowed {
        found.hides(Rule::LiveOnDemoAccount)?;
    } else {
        let mode = if config.sandbox { "a sandbox config may serve the account" } else { "the config is live" };
        found.passes(Check::Sandbox, format_args!("{mode}"));
    }
    if currencies.is_empty() || currencies.iter().any(|taken| **taken == *currency.code()) {
        found.passes(Check::ModuleCurrency, format_args!("the module can be paid in {currency}"));
    } else {
        found.hides(Rule::CurrencyNotTaken { currency, account: account.group.currency })?;
    }
    Ok(methods)
}

/// The request's method where the config and the module serve it; else the config's; else the module's first.
pub(super) fn method_served<'m>(
    config: &'m ProviderConfig,
    methods: &'m [Box<str>],
    requested: &'m str,
) -> Result<&'m str, Rule> {
    let default: &str = match methods.first() {
        Some(first) if config.method.is_empty() => first,
        Some(_) | None => &config.method,
    };
    let served = if config.method.is_empty() {
        methods.is_empty() || methods.iter().any(|known| **known == *requested)
    } else {
        *config.method == *requested
    };
    match requested {
        "" => Ok(default),
        _ if served => Ok(requested),
        _ => Err(Rule::MethodNotServed { requested: requested.into() }),
    }
}

/// Country and currency: the only checks that an allow lifts.
pub(super) fn filters(
    context: &EligibilityContext<'_>,
    config: &ProviderConfig,
    currency: Currency,
    lifted: bool,
    found: &mut impl Findings,
) -> Result<(), Rule> {
    let country = &context.account.customer.country;
    let account = context.account.group.currency;
    let meets = |wanted: &str, own: &str| wanted.is_empty() || wanted.eq_ignore_ascii_case(own);
    match (meets(&config.country, country), lifted) {
        (true, _) => found.passes(Check::Country, format_args!("country {country:?} is served")),
        (false, true) => found.passes(Check::Country, format_args!("country {country:?} is allowed by the override")),
        (false, false) => {
            found.hides(Rule::Country { config: config.country.clone(), customer: country.clone() })?;
        }
    }
    match (meets(&config.currency, currency.code()), lifted) {
        (true, _) => found.passes(Check::Currency, format_args!("currency {currency} is served")),
        (false, true) => found.passes(Check::Currency, format_args!("currency {currency} is allowed by the override")),
        (false, false) => found.hides(Rule::Currency { config: config.currency.clone(), currency, account })?,
    }
    Ok(())
}
