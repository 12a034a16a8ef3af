//! Every rule that hides a config, found by the judgement that a deposit is chosen by.

use cashier_core::eligibility::{MethodExplanation, explain};

use super::*;

fn explained(case: &Case) -> MethodExplanation {
    let module = match &case.loaded {
        Ok(methods) => ModuleFitness::Loaded { brands: case.brands.as_deref(), methods, currencies: &case.currencies },
        Err(reason) => ModuleFitness::NotLoaded { reason },
    };
    let candidate = ConfigCandidate { config: &case.config, module };
    explain(&case.context(), &[candidate], &case.overrides, currency("USD"), case.amount, case.method).remove(0)
}

fn names(case: &Case) -> Vec<&'static str> {
    explained(case).rules.iter().map(Rule::name).collect()
}

#[test]
fn every_rule_is_found_in_the_order_of_the_checks() {
    let all = case().with(|c| {
        c.config.enabled = false;
        c.config.brand = "other".into();
        c.brands = Some(vec!["other".into()]);
        c.account.customer.deposit_allowed = false;
        c.account.group.enabled = false;
        c.config.sandbox = true;
        c.currencies = vec!["EUR".into()];
        c.method = "crypto";
        c.overrides = vec![deny(1)];
        c.config.country = "FR".into();
        c.config.currency = "EUR".into();
        c.config.min_amount = limit("25");
        c.amount = Some(usd(100));
    });
    let expected = "CONFIG_DISABLED BRAND_MISMATCH BRAND_NOT_ENABLED_FOR_MODULE DEPOSIT_NOT_ALLOWED ACCOUNT_DISABLED \
                    SANDBOX_ON_REAL_ACCOUNT CURRENCY_NOT_TAKEN METHOD_NOT_SERVED DENIED_BY_OVERRIDE COUNTRY CURRENCY \
                    AMOUNT_BELOW";
    assert_eq!(names(&all).join(" "), expected);
    assert_eq!(explained(&all).trace.len(), 13, "one line for each check");
    let terms = explained(&all).terms;
    assert_eq!((terms.min_amount, terms.max_amount), (limit("25"), Limit::NONE));

    let unloaded = all.with(|c| c.loaded = Err("built for contract 2")).with(|c| c.config.enabled = true);
    assert_eq!(names(&unloaded).first(), Some(&"MODULE_NOT_LOADED"));
    let unknown = ["BRAND_NOT_ENABLED_FOR_MODULE", "CURRENCY_NOT_TAKEN", "METHOD_NOT_SERVED"];
    assert!(names(&unloaded).iter().all(|name| !unknown.contains(name)), "what the module serves is not known");
}

/// The explanation and the choice of a deposit must never disagree.
#[test]
fn the_first_rule_found_is_the_one_that_a_judgement_ends_with() {
    type Change = fn(&mut Case);
    let changes: [Change; 9] = [
        |c| c.loaded = Err("missing"),
        |c| c.config.enabled = false,
        |c| c.config.brand = "other".into(),
        |c| c.account.customer.status = 1,
        |c| c.config.sandbox = true,
        |c| c.method = "crypto",
        |c| c.overrides.push(deny(1)),
        |c| c.config.country = "FR".into(),
        |c| c.amount = Some(usd(1)),
    ];
    for chosen in 0..1_u32 << changes.len() {
        let mut case = case().with(|c| c.config.min_amount = limit("25"));
        for (_, change) in changes.iter().enumerate().filter(|(place, _)| chosen & (1 << place) != 0) {
            change(&mut case);
        }
        let found = explained(&case);
        assert_eq!(found.rules.first().cloned(), case.visibility().err(), "{chosen:b}");
        assert_eq!(found.is_shown(), case.name() == "shown");
        let until = found.trace.iter().position(|line| !line.passed).map_or(found.trace.len(), |place| place + 1);
        assert_eq!(found.trace[..until], case.judged().trace[..], "{chosen:b}");
    }
}

#[test]
fn an_override_that_lifts_the_filters_explains_why_it_is_shown() {
    let shown = case().with(|c| c.config.country = "FR".into()).with(|c| c.overrides = vec![allow(3)]);
    let found = explained(&shown);
    assert!(found.is_shown());
    assert_eq!(found.terms.matched, Some((OverrideId(3), OverrideMode::Allow)));
    assert!(found.trace.iter().any(|line| line.sentence == "country \"DE\" is allowed by the override"));
}

#[test]
fn the_reason_of_a_module_can_be_concealed() {
    let mut found = explained(&case().with(|c| c.loaded = Err("CANARY: config 9 of brand other")));
    found.conceal_module();
    assert!(!format!("{found:?}").contains("CANARY"), "{found:?}");
    assert_eq!(found.rules.first().map(Rule::name), Some("MODULE_NOT_LOADED"));
}
