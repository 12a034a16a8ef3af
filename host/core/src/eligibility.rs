//! Which configs a customer may deposit through, and the first rule that hides each of the others
//! (API.md section 4, override resolution; section 3, GET methods and deposit). It judges configs; `deposit` and the
//! session check the customer's right to deposit and the ownership of the login before it.
//!
//! A transaction is always made in the account's currency: an allow that lifts the currency filter lets a config for
//! another currency serve the account in the account's currency; nothing is converted.

mod context;
mod mismatch;
mod resolution;
mod rule;
mod unmatched;

use std::fmt;

use crate::account::AccountMode;
use crate::customer_override::{CustomerOverride, OverrideMode};
use crate::ids::{ConfigId, OverrideId};
use crate::money::{Limit, Money};
use crate::provider_config::ProviderConfig;
use crate::refusal::{Refusal, RefusalCode};

pub use self::context::{ConfigCandidate, EligibilityContext, ModuleFitness, Wanted};
pub use self::mismatch::{Known, KnownCustomer, config_mismatches, override_mismatches};
pub use self::rule::{Check, Rule};
pub use self::unmatched::{account_of, config_unmatched, override_unmatched};

/// Whether one config is shown, and the checks that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub config_id: ConfigId,
    pub visibility: Visibility,
    pub trace: Vec<TraceLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visibility {
    Shown(Eligible),
    Hidden(Rule),
}

/// One check with its result; the last line of a hidden config is the rule that hid it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLine {
    pub check: Check,
    pub passed: bool,
    pub sentence: String,
}

/// Proof that a config may serve a customer's deposit. Made by this module's judgement alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligible {
    config_id: ConfigId,
    /// The config's version at the judgement; a changed config makes this stale.
    version: u64,
    /// The method the deposit is recorded with.
    method: Box<str>,
    sandbox: bool,
    min_amount: Limit,
    max_amount: Limit,
    matched: Option<(OverrideId, OverrideMode)>,
}

/// Judges every candidate in the order of the customer's list: `sort_index`, then id. Overrides of other customers are
/// ignored.
pub fn judge_all(
    context: &EligibilityContext<'_>,
    candidates: &[ConfigCandidate<'_>],
    overrides: &[CustomerOverride],
    amount: Option<Money>,
) -> Vec<Judgement> {
    sorted(candidates).into_iter().map(|candidate| judge(context, candidate, overrides, amount, "")).collect()
}

/// The configs that a customer is shown, in the order of [`judge_all`], without a trace.
pub fn shown(
    context: &EligibilityContext<'_>,
    candidates: &[ConfigCandidate<'_>],
    overrides: &[CustomerOverride],
) -> Vec<Eligible> {
    let serves = |candidate| evaluate(context, candidate, overrides, None, "", &mut |_, _| {}).ok();
    sorted(candidates).into_iter().filter_map(serves).collect()
}

/// Judges one config. Without an amount its limits hide nothing; an empty `requested_method` leaves the method to the config.
pub fn judge(
    context: &EligibilityContext<'_>,
    candidate: &ConfigCandidate<'_>,
    overrides: &[CustomerOverride],
    amount: Option<Money>,
    requested_method: &str,
) -> Judgement {
    let mut trace = Vec::new();
    let mut note = |check: Check, sentence: fmt::Arguments<'_>| {
        trace.push(TraceLine { check, passed: true, sentence: sentence.to_string() });
    };
    let visibility = match evaluate(context, candidate, overrides, amount, requested_method, &mut note) {
        Ok(eligible) => Visibility::Shown(eligible),
        Err(rule) => {
            trace.push(TraceLine { check: rule.check(), passed: false, sentence: rule.to_string() });
            Visibility::Hidden(rule)
        }
    };
    Judgement { config_id: candidate.config.id, visibility, trace }
}

/// Chooses the config that serves a deposit: of the requested provider (and config, and method), the first by
/// `sort_index`, id whose limits admit the amount.
///
/// # Errors
/// 400 AMOUNT_OUT_OF_RANGE naming the limits when the amount alone is refused; else 400 METHOD_NOT_AVAILABLE, which reveals
/// nothing about configs, modules or overrides to the customer.
pub fn choose(
    context: &EligibilityContext<'_>,
    candidates: &[ConfigCandidate<'_>],
    overrides: &[CustomerOverride],
    wanted: &Wanted<'_>,
) -> Result<Eligible, Refusal> {
    let mut ranges: Vec<String> = Vec::new();
    for candidate in sorted(candidates) {
        let requested = *candidate.config.provider == *wanted.provider
            && wanted.provider_config_id.is_none_or(|id| id == candidate.config.id);
        if !requested {
            continue;
        }
        match evaluate(context, candidate, overrides, Some(wanted.amount), wanted.method, &mut |_, _| {}) {
            Ok(eligible) => return Ok(eligible),
            Err(Rule::AmountBelow { min, max } | Rule::AmountAbove { min, max }) => {
                let range = rule::range_text(min, max);
                if !ranges.contains(&range) {
                    ranges.push(range);
                }
            }
            Err(_) => {}
        }
    }
    if ranges.is_empty() {
        return Err(Refusal::new(
            RefusalCode::MethodNotAvailable,
            "this payment method is not available for the account",
        ));
    }
    let currency = context.account.group.currency;
    let message = format!("amount must be {} ({currency})", ranges.join(", or "));
    Err(Refusal::new(RefusalCode::AmountOutOfRange, message))
}

impl Eligible {
    pub fn config_id(&self) -> ConfigId {
        self.config_id
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    pub fn sandbox(&self) -> bool {
        self.sandbox
    }

    /// The limits in force, the override's where it replaces them.
    pub fn limits(&self) -> (Limit, Limit) {
        (self.min_amount, self.max_amount)
    }

    pub fn matched_override(&self) -> Option<(OverrideId, OverrideMode)> {
        self.matched
    }

    /// Whether the limits in force admit an amount; a judgement without an amount does not check them.
    pub fn admits(&self, amount: Money) -> bool {
        rule::amount_rule(self.min_amount, self.max_amount, amount).is_none()
    }
}

fn sorted<'c, 'a>(candidates: &'c [ConfigCandidate<'a>]) -> Vec<&'c ConfigCandidate<'a>> {
    let mut ordered: Vec<&ConfigCandidate<'a>> = candidates.iter().collect();
    ordered.sort_by_key(|candidate| (candidate.config.sort_index, candidate.config.id));
    ordered
}

/// The checks in their order: hard ones, the method, the override, the filters it may lift, the amount.
fn evaluate(
    context: &EligibilityContext<'_>,
    candidate: &ConfigCandidate<'_>,
    overrides: &[CustomerOverride],
    amount: Option<Money>,
    requested_method: &str,
    note: &mut impl FnMut(Check, fmt::Arguments<'_>),
) -> Result<Eligible, Rule> {
    let config = candidate.config;
    let methods = hard_checks(context, candidate, note)?;
    let method = method_served(config, methods, requested_method)?;
    note(Check::Method, format_args!("the deposit is recorded with method {method:?}"));

    let matched = resolution::decisive(overrides, context, config, method);
    let allowed = match matched {
        None => {
            note(Check::Override, format_args!("no override of the customer matches"));
            None
        }
        Some(found) => match found.mode {
            OverrideMode::Deny => return Err(Rule::DeniedByOverride { override_id: found.id }),
            OverrideMode::Allow => {
                note(Check::Override, format_args!("allowed by override {}", found.id));
                Some(found)
            }
        },
    };
    filters(context, config, allowed.is_some(), note)?;

    let replaced = |own: Limit, by: Option<Limit>| by.filter(|limit| limit.is_set()).unwrap_or(own);
    let min_amount = replaced(config.min_amount, allowed.map(|found| found.min_amount));
    let max_amount = replaced(config.max_amount, allowed.map(|found| found.max_amount));
    if let Some(amount) = amount {
        if let Some(rule) = rule::amount_rule(min_amount, max_amount, amount) {
            return Err(rule);
        }
        note(Check::Amount, format_args!("{amount} is {}", rule::range_text(min_amount, max_amount)));
    }
    Ok(Eligible {
        config_id: config.id,
        version: config.version,
        method: method.into(),
        sandbox: config.sandbox,
        min_amount,
        max_amount,
        matched: matched.map(|found| (found.id, found.mode)),
    })
}

/// The checks that no override lifts. Returns the module's methods.
fn hard_checks<'a>(
    context: &EligibilityContext<'_>,
    candidate: &ConfigCandidate<'a>,
    note: &mut impl FnMut(Check, fmt::Arguments<'_>),
) -> Result<&'a [Box<str>], Rule> {
    let (config, account) = (candidate.config, context.account);
    let brand = &account.customer.brand;
    let (brands, methods, currencies) = match candidate.module {
        ModuleFitness::NotLoaded { reason } => return Err(Rule::ModuleNotLoaded { reason: reason.into() }),
        ModuleFitness::Loaded { brands, methods, currencies } => (brands, methods, currencies),
    };
    note(Check::Module, format_args!("module {} is loaded", config.provider));
    if !config.enabled {
        return Err(Rule::ConfigDisabled);
    }
    note(Check::ConfigEnabled, format_args!("the config is enabled"));
    if !config.brand.is_empty() && config.brand != *brand {
        return Err(Rule::BrandMismatch { config: config.brand.clone(), customer: brand.clone() });
    }
    note(Check::Brand, format_args!("the config serves brand {brand:?}"));
    if brands.is_some_and(|served| !served.contains(brand)) {
        return Err(Rule::BrandNotEnabled { brand: brand.clone() });
    }
    note(Check::ModuleBrand, format_args!("the module may serve brand {brand:?}"));
    if !account.customer.is_active() || !account.customer.deposit_allowed {
        return Err(Rule::DepositNotAllowed);
    }
    note(Check::Customer, format_args!("the customer may deposit"));
    if !account.account_open() {
        return Err(Rule::AccountDisabled);
    }
    note(Check::Account, format_args!("the account and its group are enabled"));
    if config.sandbox && account.group.account_mode != AccountMode::Demo && !context.sandbox_credit_allowed {
        return Err(Rule::SandboxOnRealAccount);
    }
    if !config.sandbox && account.group.account_mode == AccountMode::Demo && !context.live_on_demo_allowed {
        return Err(Rule::LiveOnDemoAccount);
    }
    let mode = if config.sandbox { "a sandbox config may serve the account" } else { "the config is live" };
    note(Check::Sandbox, format_args!("{mode}"));
    let currency = account.group.currency;
    if !currencies.is_empty() && !currencies.iter().any(|taken| **taken == *currency.code()) {
        return Err(Rule::CurrencyNotTaken { account: currency });
    }
    note(Check::ModuleCurrency, format_args!("the module can be paid in {currency}"));
    Ok(methods)
}

/// The request's method where the config and the module serve it; else the config's; else the module's first.
fn method_served<'m>(config: &'m ProviderConfig, methods: &'m [Box<str>], requested: &'m str) -> Result<&'m str, Rule> {
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
fn filters(
    context: &EligibilityContext<'_>,
    config: &ProviderConfig,
    lifted: bool,
    note: &mut impl FnMut(Check, fmt::Arguments<'_>),
) -> Result<(), Rule> {
    let country = &context.account.customer.country;
    let currency = context.account.group.currency;
    let meets = |wanted: &str, own: &str| wanted.is_empty() || wanted.eq_ignore_ascii_case(own);
    match (meets(&config.country, country), lifted) {
        (true, _) => note(Check::Country, format_args!("country {country:?} is served")),
        (false, true) => note(Check::Country, format_args!("country {country:?} is allowed by the override")),
        (false, false) => {
            return Err(Rule::Country { config: config.country.clone(), customer: country.clone() });
        }
    }
    match (meets(&config.currency, currency.code()), lifted) {
        (true, _) => note(Check::Currency, format_args!("currency {currency} is served")),
        (false, true) => note(Check::Currency, format_args!("currency {currency} is allowed by the override")),
        (false, false) => return Err(Rule::Currency { config: config.currency.clone(), account: currency }),
    }
    Ok(())
}
