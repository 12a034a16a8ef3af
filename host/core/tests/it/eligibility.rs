//! Every rule that hides a config, every override that lifts or adds one, and the trace of the checks.

mod choice;
mod explained;

use cashier_core::account::{AccountFacts, AccountMode};
use cashier_core::customer_override::{CustomerOverride, OverrideMode};
use cashier_core::eligibility::{
    ConfigCandidate, EligibilityContext, Eligible, ModuleFitness, Rule, Visibility, Wanted, choose, judge, judge_all,
    shown,
};
use cashier_core::ids::{ConfigId, CustomerId, OverrideId};
use cashier_core::money::{Limit, Money};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::{Refusal, RefusalCode};
use expect_test::{Expect, expect};

use crate::samples::*;

/// One judgement with the inputs that a test may change.
struct Case {
    account: AccountFacts,
    sandbox_credit_allowed: bool,
    live_on_demo_allowed: bool,
    config: ProviderConfig,
    loaded: Result<Vec<Box<str>>, &'static str>,
    brands: Option<Vec<Box<str>>>,
    currencies: Vec<Box<str>>,
    overrides: Vec<CustomerOverride>,
    amount: Option<Money>,
    method: &'static str,
}

fn case() -> Case {
    Case {
        account: account(),
        sandbox_credit_allowed: false,
        live_on_demo_allowed: false,
        config: config(1),
        loaded: Ok(vec!["card".into(), "sepa".into()]),
        brands: None,
        currencies: Vec::new(),
        overrides: Vec::new(),
        amount: None,
        method: "",
    }
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn context(&self) -> EligibilityContext<'_> {
        EligibilityContext {
            account: &self.account,
            sandbox_credit_allowed: self.sandbox_credit_allowed,
            live_on_demo_allowed: self.live_on_demo_allowed,
            now: NOW,
        }
    }

    fn judged(&self) -> cashier_core::eligibility::Judgement {
        let module = match &self.loaded {
            Ok(methods) => {
                ModuleFitness::Loaded { brands: self.brands.as_deref(), methods, currencies: &self.currencies }
            }
            Err(reason) => ModuleFitness::NotLoaded { reason },
        };
        let candidate = ConfigCandidate { config: &self.config, module };
        judge(&self.context(), &candidate, &self.overrides, self.amount, self.method)
    }

    fn visibility(&self) -> Result<Eligible, Rule> {
        match self.judged().visibility {
            Visibility::Shown(eligible) => Ok(eligible),
            Visibility::Hidden(rule) => Err(rule),
        }
    }

    fn name(&self) -> &'static str {
        self.visibility().map_or_else(|rule| rule.name(), |_| "shown")
    }
}

#[test]
fn each_rule_hides_the_config_alone() {
    let table: Vec<(&str, Case)> = vec![
        ("shown", case()),
        ("MODULE_NOT_LOADED", case().with(|c| c.loaded = Err("built for contract 2"))),
        ("CONFIG_DISABLED", case().with(|c| c.config.enabled = false)),
        ("BRAND_MISMATCH", case().with(|c| c.config.brand = "other".into())),
        ("shown", case().with(|c| c.config.brand = "".into())),
        ("BRAND_NOT_ENABLED_FOR_MODULE", case().with(|c| c.brands = Some(vec!["other".into()]))),
        ("BRAND_NOT_ENABLED_FOR_MODULE", case().with(|c| c.brands = Some(vec![]))),
        ("shown", case().with(|c| c.brands = Some(vec!["other".into(), "ion4".into()]))),
        ("DEPOSIT_NOT_ALLOWED", case().with(|c| c.account.customer.deposit_allowed = false)),
        ("DEPOSIT_NOT_ALLOWED", case().with(|c| c.account.customer.status = 1)),
        ("ACCOUNT_DISABLED", case().with(|c| c.account.account.enabled = false)),
        ("ACCOUNT_DISABLED", case().with(|c| c.account.group.enabled = false)),
        ("SANDBOX_ON_REAL_ACCOUNT", case().with(|c| c.config.sandbox = true)),
        (
            "shown",
            case().with(|c| {
                c.config.sandbox = true;
                c.account.group.account_mode = AccountMode::Demo;
            }),
        ),
        (
            "shown",
            case().with(|c| {
                c.config.sandbox = true;
                c.sandbox_credit_allowed = true;
            }),
        ),
        ("LIVE_ON_DEMO_ACCOUNT", case().with(|c| c.account.group.account_mode = AccountMode::Demo)),
        (
            "LIVE_ON_DEMO_ACCOUNT",
            case().with(|c| {
                c.account.group.account_mode = AccountMode::Demo;
                c.sandbox_credit_allowed = true;
            }),
        ),
        (
            "shown",
            case().with(|c| {
                c.account.group.account_mode = AccountMode::Demo;
                c.live_on_demo_allowed = true;
            }),
        ),
        (
            "SANDBOX_ON_REAL_ACCOUNT",
            case().with(|c| {
                c.config.sandbox = true;
                c.live_on_demo_allowed = true;
            }),
        ),
        ("CURRENCY_NOT_TAKEN", case().with(|c| c.currencies = vec!["EUR".into(), "BTC".into()])),
        ("shown", case().with(|c| c.currencies = vec!["EUR".into(), "USD".into()])),
        ("COUNTRY", case().with(|c| c.config.country = "FR".into())),
        (
            "COUNTRY",
            case().with(|c| {
                c.config.country = "DE".into();
                c.account.customer.country = "".into();
            }),
        ),
        ("shown", case().with(|c| c.config.country = "DE".into())),
        ("CURRENCY", case().with(|c| c.config.currency = "EUR".into())),
        ("shown", case().with(|c| c.config.currency = "USD".into())),
        ("shown", case().with(|c| c.method = "sepa")),
        ("METHOD_NOT_SERVED", case().with(|c| c.method = "crypto")),
        (
            "METHOD_NOT_SERVED",
            case().with(|c| {
                c.config.method = "card".into();
                c.method = "sepa";
            }),
        ),
        (
            "shown",
            case().with(|c| {
                c.loaded = Ok(vec![]);
                c.method = "anything";
            }),
        ),
        ("DENIED_BY_OVERRIDE", case().with(|c| c.overrides = vec![deny(1)])),
        (
            "AMOUNT_BELOW",
            case().with(|c| {
                c.config.min_amount = limit("25");
                c.amount = Some(usd(2_499));
            }),
        ),
        (
            "shown",
            case().with(|c| {
                c.config.min_amount = limit("25");
                c.config.max_amount = limit("25");
                c.amount = Some(usd(2_500));
            }),
        ),
        (
            "AMOUNT_ABOVE",
            case().with(|c| {
                c.config.max_amount = limit("25");
                c.amount = Some(usd(2_501));
            }),
        ),
        ("shown", case().with(|c| c.config.max_amount = limit("25"))),
    ];
    for (place, (expected, case)) in table.iter().enumerate() {
        assert_eq!(case.name(), *expected, "line {place}");
    }
}

#[test]
fn no_override_lifts_a_hard_check() {
    type Change = fn(&mut Case);
    let hard: [(&str, Change); 9] = [
        ("MODULE_NOT_LOADED", |c| c.loaded = Err("missing")),
        ("CONFIG_DISABLED", |c| c.config.enabled = false),
        ("BRAND_MISMATCH", |c| c.config.brand = "other".into()),
        ("BRAND_NOT_ENABLED_FOR_MODULE", |c| c.brands = Some(vec![])),
        ("DEPOSIT_NOT_ALLOWED", |c| c.account.customer.deposit_allowed = false),
        ("ACCOUNT_DISABLED", |c| c.account.account.enabled = false),
        ("SANDBOX_ON_REAL_ACCOUNT", |c| c.config.sandbox = true),
        ("CURRENCY_NOT_TAKEN", |c| c.currencies = vec!["EUR".into()]),
        ("METHOD_NOT_SERVED", |c| c.method = "crypto"),
    ];
    for (expected, change) in hard {
        let exact = CustomerOverride { provider_config_id: ConfigId(1), ..allow(1) };
        let case = case().with(change).with(|c| c.overrides = vec![exact, allow(2)]);
        assert_eq!(case.name(), expected);
    }
}

#[test]
fn an_allow_lifts_country_and_currency_and_replaces_limits_that_are_set() {
    let hidden = || {
        case().with(|c| {
            c.config.country = "FR".into();
            c.config.currency = "EUR".into();
            c.config.min_amount = limit("10");
            c.config.max_amount = limit("100");
        })
    };
    assert_eq!(hidden().name(), "COUNTRY");
    let lifted = hidden().with(|c| c.overrides = vec![allow(3)]).visibility().unwrap();
    assert_eq!(lifted.limits(), (limit("10"), limit("100")));
    assert_eq!(lifted.matched_override(), Some((OverrideId(3), OverrideMode::Allow)));

    let raised = CustomerOverride { max_amount: limit("10000"), ..allow(3) };
    let case = hidden().with(|c| c.overrides = vec![raised]).with(|c| c.amount = Some(usd(1_000_000)));
    assert_eq!(case.visibility().unwrap().limits(), (limit("10"), limit("10000")));

    let narrowed = CustomerOverride { min_amount: limit("50"), ..allow(3) };
    let case = hidden().with(|c| c.overrides = vec![narrowed]).with(|c| c.amount = Some(usd(4_999)));
    assert_eq!(case.visibility().unwrap_err(), Rule::AmountBelow { min: limit("50"), max: limit("100") });
}

#[test]
fn overrides_match_by_customer_brand_provider_method_config_and_time() {
    let table: Vec<(&str, CustomerOverride, &str)> = vec![
        ("DENIED_BY_OVERRIDE", deny(1), "card"),
        ("shown", CustomerOverride { customer_id: CustomerId(6), ..deny(1) }, "card"),
        ("shown", CustomerOverride { brand: "other".into(), ..deny(1) }, "card"),
        ("shown", CustomerOverride { brand: "".into(), ..deny(1) }, "card"),
        ("shown", CustomerOverride { provider: "paypal".into(), ..deny(1) }, "card"),
        ("shown", CustomerOverride { provider_config_id: ConfigId(2), ..deny(1) }, "card"),
        ("DENIED_BY_OVERRIDE", CustomerOverride { provider_config_id: ConfigId(1), ..deny(1) }, "card"),
        ("DENIED_BY_OVERRIDE", CustomerOverride { method: "card".into(), ..deny(1) }, "card"),
        ("DENIED_BY_OVERRIDE", CustomerOverride { method: "card".into(), ..deny(1) }, ""),
        ("shown", CustomerOverride { method: "card".into(), ..deny(1) }, "sepa"),
        ("shown", CustomerOverride { provider_config_id: ConfigId(1), method: "card".into(), ..deny(1) }, "sepa"),
        ("shown", CustomerOverride { enabled: false, ..deny(1) }, "card"),
        ("shown", CustomerOverride { expires_time: NOW.plus(-1), ..deny(1) }, "card"),
        ("shown", CustomerOverride { expires_time: NOW, ..deny(1) }, "card"),
        ("DENIED_BY_OVERRIDE", CustomerOverride { expires_time: NOW.plus(1), ..deny(1) }, "card"),
    ];
    for (place, (expected, row, method)) in table.into_iter().enumerate() {
        let case = case().with(|c| c.overrides = vec![row]).with(|c| c.method = method);
        assert_eq!(case.name(), expected, "line {place}");
    }
}

#[test]
fn the_most_specific_override_decides_then_deny_then_the_newest() {
    let of_config = |row: CustomerOverride| CustomerOverride { provider_config_id: ConfigId(1), ..row };
    let of_method = |row: CustomerOverride| CustomerOverride { method: "card".into(), ..row };
    let later = |row: CustomerOverride| CustomerOverride { created_time: NOW.plus(9), ..row };
    let table: Vec<(u64, Vec<CustomerOverride>)> = vec![
        (1, vec![of_config(allow(1)), of_method(deny(2)), deny(3)]),
        (2, vec![allow(1), of_method(deny(2)), later(allow(3))]),
        (2, vec![later(deny(1)), of_method(allow(2))]),
        (1, vec![deny(1), later(allow(2))]),
        (2, vec![allow(1), later(allow(2))]),
        (1, vec![later(allow(1)), allow(2)]),
        (2, vec![allow(1), allow(2)]),
        (1, vec![of_config(deny(1)), later(of_config(allow(2)))]),
    ];
    for (place, (decides, overrides)) in table.into_iter().enumerate() {
        for turned in [false, true] {
            let mut overrides = overrides.clone();
            if turned {
                overrides.reverse();
            }
            let mode = overrides.iter().find(|row| row.id.0 == decides).map(|row| row.mode).unwrap();
            let visibility = case().with(|c| c.overrides = overrides).with(|c| c.method = "card").visibility();
            match mode {
                OverrideMode::Deny => {
                    assert_eq!(visibility, Err(Rule::DeniedByOverride { override_id: OverrideId(decides) }), "{place}")
                }
                OverrideMode::Allow => assert_eq!(
                    visibility.unwrap().matched_override(),
                    Some((OverrideId(decides), OverrideMode::Allow)),
                    "{place}"
                ),
            }
        }
    }
}

#[test]
fn the_method_is_the_requests_else_the_configs_else_the_modules_first() {
    let table = [("sepa", "", "sepa"), ("", "sepa", "sepa"), ("", "", "card"), ("sepa", "sepa", "sepa")];
    for (requested, configured, recorded) in table {
        let eligible =
            case().with(|c| c.method = requested).with(|c| c.config.method = configured.into()).visibility().unwrap();
        assert_eq!(eligible.method(), recorded);
    }
    let unnamed = case().with(|c| c.loaded = Ok(vec![])).visibility().unwrap();
    assert_eq!(unnamed.method(), "");
}

#[test]
fn the_trace_lists_each_check_with_its_result() {
    check_trace(
        &case().with(|c| {
            c.config.country = "FR".into();
            c.overrides = vec![allow(3)];
            c.amount = Some(usd(2_500));
        }),
        expect![[r#"
            + module: module stripe is loaded
            + config_enabled: the config is enabled
            + brand: the config serves brand "ion4"
            + module_brand: the module may serve brand "ion4"
            + customer: the customer may deposit
            + account: the account and its group are enabled
            + sandbox: the config is live
            + module_currency: the module can be paid in USD
            + method: the deposit is recorded with method "card"
            + override: allowed by override 3
            + country: country "DE" is allowed by the override
            + currency: currency USD is served
            + amount: 25.0 USD is of any size"#]],
    );
    check_trace(
        &case().with(|c| c.config.brand = "other".into()),
        expect![[r#"
            + module: module stripe is loaded
            + config_enabled: the config is enabled
            - brand: the config serves brand "other", the customer is of "ion4""#]],
    );
}

fn check_trace(case: &Case, expected: Expect) {
    let lines: Vec<String> = case
        .judged()
        .trace
        .iter()
        .map(|line| format!("{} {}: {}", if line.passed { '+' } else { '-' }, line.check.name(), line.sentence))
        .collect();
    expected.assert_eq(&lines.join("\n"));
}
