//! Which configs a customer may deposit through, and the first rule that hides each of the others
//! (API.md section 4, override resolution; section 3, GET methods and deposit). It judges configs; `deposit` and the
//! session check the customer's right to deposit and the ownership of the login before it.
//!
//! A config is judged in the currency of the order, which is the account's where no amount names another: its own currency, the
//! module's and the limits are compared with that one. An allow that lifts the currency filter lets a config for another currency
//! serve the order in the order's; whether an order in another currency than the account's is converted is decided by `deposit`.

mod checks;
mod context;
mod explained;
mod findings;
mod mismatch;
mod resolution;
mod rule;
mod unmatched;

use crate::customer_override::{CustomerOverride, OverrideMode};
use crate::ids::{ConfigId, OverrideId};
use crate::money::{Currency, Limit, Money};
use crate::refusal::{Refusal, RefusalCode};

use self::checks::{filters, hard_checks, method_served};
use self::findings::{EveryRule, Findings, FirstRule, TraceToFirst};

pub use self::context::{ConfigCandidate, EligibilityContext, ModuleFitness, Wanted};
pub use self::explained::{ExplainedMethods, MethodsQuestion};
pub use self::findings::TraceLine;
pub use self::mismatch::{Known, KnownCustomer, config_mismatches, limits_without_currency, override_mismatches};
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

/// Why one config is shown, or everything that hides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodExplanation {
    pub config_id: ConfigId,
    /// Every rule that hides it, in the order of the checks; the first is the one that a judgement ends with. None where it
    /// is shown.
    pub rules: Vec<Rule>,
    /// Every check with its result.
    pub trace: Vec<TraceLine>,
    pub terms: MethodTerms,
}

/// What is in force for a config, also where it is hidden; it proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodTerms {
    /// The method that a deposit would be recorded with.
    pub method: Box<str>,
    /// The override's where it replaces the config's.
    pub min_amount: Limit,
    pub max_amount: Limit,
    pub matched: Option<(OverrideId, OverrideMode)>,
}

impl MethodExplanation {
    pub fn is_shown(&self) -> bool {
        self.rules.is_empty()
    }
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

/// The configs that a customer is shown, in the order of [`judge_all`], without a trace: those that serve the account's currency, and
/// those for a currency of their own that converts.
pub fn shown(
    context: &EligibilityContext<'_>,
    candidates: &[ConfigCandidate<'_>],
    overrides: &[CustomerOverride],
    converts: impl Fn(Currency) -> bool,
) -> Vec<Eligible> {
    let serves = |candidate: &ConfigCandidate<'_>| {
        let serves_in = |currency| evaluate(context, candidate, overrides, currency, None, "", &mut FirstRule);
        let own = || candidate.own_currency().filter(|own| converts(*own));
        serves_in(context.account.group.currency).ok().or_else(|| own().and_then(|own| serves_in(own).ok()))
    };
    sorted(candidates).into_iter().filter_map(serves).collect()
}

/// Judges one config, in the currency of the amount. Without an amount its limits hide nothing; an empty `requested_method` leaves the method to the config.
pub fn judge(
    context: &EligibilityContext<'_>,
    candidate: &ConfigCandidate<'_>,
    overrides: &[CustomerOverride],
    amount: Option<Money>,
    requested_method: &str,
) -> Judgement {
    let mut trace = TraceToFirst::default();
    let currency = amount.map_or(context.account.group.currency, |amount| amount.currency);
    let visibility = match evaluate(context, candidate, overrides, currency, amount, requested_method, &mut trace) {
        Ok(eligible) => Visibility::Shown(eligible),
        Err(rule) => Visibility::Hidden(rule),
    };
    Judgement { config_id: candidate.config.id, visibility, trace: trace.0 }
}

/// Explains every candidate in the order of [`judge_all`]: the same checks, which go on after a rule that hides the config, so
/// that a person who changes one thing knows what else is in the way. An amount is of this currency.
pub fn explain(
    context: &EligibilityContext<'_>,
    candidates: &[ConfigCandidate<'_>],
    overrides: &[CustomerOverride],
    currency: Currency,
    amount: Option<Money>,
    requested_method: &str,
) -> Vec<MethodExplanation> {
    let explained = |candidate: &ConfigCandidate<'_>| {
        let mut every = EveryRule::default();
        let judged = evaluate(context, candidate, overrides, currency, amount, requested_method, &mut every);
        let terms = judged.map_or_else(
            |_| MethodTerms::default(),
            |Eligible { method, min_amount, max_amount, matched, .. }| MethodTerms {
                method,
                min_amount,
                max_amount,
                matched,
            },
        );
        MethodExplanation { config_id: candidate.config.id, rules: every.rules, trace: every.trace, terms }
    };
    sorted(candidates).into_iter().map(explained).collect()
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
        let (currency, amount) = (wanted.amount.currency, Some(wanted.amount));
        match evaluate(context, candidate, overrides, currency, amount, wanted.method, &mut FirstRule) {
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
    let currency = wanted.amount.currency;
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

/// The checks in their order, of an order in this currency: hard ones, the method, the override, the filters it may lift, the amount.
fn evaluate(
    context: &EligibilityContext<'_>,
    candidate: &ConfigCandidate<'_>,
    overrides: &[CustomerOverride],
    currency: Currency,
    amount: Option<Money>,
    requested_method: &str,
    found: &mut impl Findings,
) -> Result<Eligible, Rule> {
    let config = candidate.config;
    let methods = hard_checks(context, candidate, currency, found)?;
    let method = match method_served(config, methods, requested_method) {
        Ok(method) => {
            found.passes(Check::Method, format_args!("the deposit is recorded with method {method:?}"));
            method
        }
        Err(rule) => {
            found.hides(rule)?;
            requested_method
        }
    };

    let matched = resolution::decisive(overrides, context, config, method);
    let allowed = match matched {
        None => {
            found.passes(Check::Override, format_args!("no override of the customer matches"));
            None
        }
        Some(row) => match row.mode {
            OverrideMode::Deny => {
                found.hides(Rule::DeniedByOverride { override_id: row.id })?;
                None
            }
            OverrideMode::Allow => {
                found.passes(Check::Override, format_args!("allowed by override {}", row.id));
                Some(row)
            }
        },
    };
    filters(context, config, currency, allowed.is_some(), found)?;

    let replaced = |own: Limit, by: Option<Limit>| by.filter(|limit| limit.is_set()).unwrap_or(own);
    let min_amount = replaced(config.min_amount, allowed.map(|row| row.min_amount));
    let max_amount = replaced(config.max_amount, allowed.map(|row| row.max_amount));
    if let Some(amount) = amount {
        match rule::amount_rule(min_amount, max_amount, amount) {
            Some(rule) => found.hides(rule)?,
            None => {
                found.passes(Check::Amount, format_args!("{amount} is {}", rule::range_text(min_amount, max_amount)));
            }
        }
    }
    Ok(Eligible {
        config_id: config.id,
        version: config.version,
        method: method.into(),
        sandbox: config.sandbox,
        min_amount,
        max_amount,
        matched: matched.map(|row| (row.id, row.mode)),
    })
}
