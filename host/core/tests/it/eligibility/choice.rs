//! Many configs at once: the order in which customers see them, and the choice for a deposit.

use super::*;

#[test]
fn configs_are_sorted_by_sort_index_then_id() {
    let configs = [(4, 1), (3, 0), (2, 1), (1, 7)].map(|(id, sort_index)| ProviderConfig { sort_index, ..config(id) });
    let methods: Vec<Box<str>> = vec!["card".into()];
    let module = ModuleFitness::Loaded { brands: None, methods: &methods, currencies: &[] };
    let candidates = configs.each_ref().map(|config| ConfigCandidate { config, module });
    let context = EligibilityContext {
        account: &account(),
        sandbox_credit_allowed: false,
        live_on_demo_allowed: false,
        now: NOW,
    };
    let order: Vec<u64> = judge_all(&context, &candidates, &[], None).iter().map(|judged| judged.config_id.0).collect();
    assert_eq!(order, [3, 2, 4, 1]);
}

/// Chooses among three configs of two providers, after `change`.
fn chosen(
    change: impl FnOnce(&mut [ProviderConfig; 3]),
    wanted: &Wanted<'_>,
    overrides: &[CustomerOverride],
) -> Result<Eligible, Refusal> {
    let mut configs = [
        ProviderConfig { sort_index: 2, max_amount: limit("100"), ..config(1) },
        ProviderConfig { sort_index: 1, min_amount: limit("200"), max_amount: limit("500"), ..config(2) },
        ProviderConfig { provider: "paypal".into(), ..config(3) },
    ];
    change(&mut configs);
    let methods: Vec<Box<str>> = vec!["card".into(), "sepa".into()];
    let module = ModuleFitness::Loaded { brands: None, methods: &methods, currencies: &[] };
    let candidates = configs.each_ref().map(|config| ConfigCandidate { config, module });
    let context = EligibilityContext {
        account: &account(),
        sandbox_credit_allowed: false,
        live_on_demo_allowed: false,
        now: NOW,
    };
    choose(&context, &candidates, overrides, wanted)
}

fn wanted(minor: i64) -> Wanted<'static> {
    Wanted { provider: "stripe", method: "", provider_config_id: None, amount: usd(minor) }
}

#[test]
fn a_deposit_is_served_by_the_first_config_whose_limits_admit_the_amount() {
    let id = |minor| chosen(|_| {}, &wanted(minor), &[]).map(|eligible| eligible.config_id().0);
    assert_eq!(id(20_000), Ok(2));
    assert_eq!(id(10_000), Ok(1));
    let eligible = chosen(|_| {}, &wanted(10_000), &[]).unwrap();
    assert!(eligible.admits(usd(10_000)) && !eligible.admits(usd(10_001)));
    assert_eq!((eligible.version(), eligible.sandbox(), eligible.method()), (1, false, "card"));
}

#[test]
fn a_deposit_is_refused_with_the_limits_or_without_a_reason() {
    let out_of_range = |wanted: &Wanted<'_>| chosen(|_| {}, wanted, &[]).unwrap_err();
    let refusal = out_of_range(&wanted(15_000));
    assert_eq!(refusal.code, RefusalCode::AmountOutOfRange);
    expect!["amount must be from 200.0 to 500.0, or at most 100.0 (USD)"].assert_eq(&refusal.message);

    let of_config = Wanted { provider_config_id: Some(ConfigId(1)), ..wanted(20_000) };
    expect!["amount must be at most 100.0 (USD)"].assert_eq(&out_of_range(&of_config).message);

    let unavailable: Vec<Result<Eligible, Refusal>> = vec![
        chosen(|_| {}, &Wanted { provider: "adyen", ..wanted(10_000) }, &[]),
        chosen(|_| {}, &Wanted { method: "crypto", ..wanted(10_000) }, &[]),
        chosen(|_| {}, &Wanted { provider_config_id: Some(ConfigId(3)), ..wanted(10_000) }, &[]),
        chosen(|_| {}, &Wanted { provider_config_id: Some(ConfigId(99)), ..wanted(10_000) }, &[]),
        chosen(|_| {}, &wanted(10_000), &[deny(8)]),
        chosen(|configs| configs.iter_mut().for_each(|config| config.enabled = false), &wanted(10_000), &[]),
    ];
    for outcome in unavailable {
        let refusal = outcome.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::MethodNotAvailable);
        assert_eq!(refusal.message, "this payment method is not available for the account");
    }
}

#[test]
fn a_denied_config_is_skipped() {
    let row = CustomerOverride { provider_config_id: ConfigId(2), ..deny(8) };
    let eligible = chosen(|configs| configs[0].max_amount = Limit::NONE, &wanted(20_000), &[row]).unwrap();
    assert_eq!(eligible.config_id(), ConfigId(1));
}

#[test]
fn an_order_in_another_currency_is_judged_in_that_currency() {
    let euros = |minor| Money::new(minor, currency("EUR"));
    let wanted = |minor| Wanted { amount: euros(minor), ..wanted(0) };
    let id = |change: fn(&mut [ProviderConfig; 3]), minor| {
        chosen(change, &wanted(minor), &[]).map(|eligible| eligible.config_id().0)
    };
    // The account is in dollars; limits are compared with euros.
    assert_eq!(id(|_| {}, 20_000), Ok(2), "a config for any currency");
    let message = id(|_| {}, 60_000).unwrap_err().message;
    assert_eq!(message, "amount must be from 200.0 to 500.0, or at most 100.0 (EUR)");
    assert_eq!(id(|configs| configs[1].currency = "EUR".into(), 20_000), Ok(2));
    let of_dollars = id(|configs| configs.iter_mut().for_each(|config| config.currency = "USD".into()), 20_000);
    assert_eq!(of_dollars.unwrap_err().code, RefusalCode::MethodNotAvailable);
    let hidden = |change: fn(&mut Case)| {
        let case = case().with(|c| c.amount = Some(euros(20_000))).with(change);
        case.visibility().unwrap_err().to_string()
    };
    assert_eq!(
        hidden(|c| c.config.currency = "USD".into()),
        "the config is for currency \"USD\", the amount is in EUR"
    );
    assert_eq!(hidden(|c| c.currencies = vec!["USD".into()]), "the module cannot be paid in EUR");
}

#[test]
fn a_config_for_a_currency_that_converts_is_shown_beside_those_for_the_accounts() {
    let configs = [
        config(1),
        ProviderConfig { currency: "USD".into(), ..config(2) },
        ProviderConfig { currency: "EUR".into(), ..config(3) },
        ProviderConfig { currency: "GBP".into(), ..config(4) },
        ProviderConfig { currency: "EUR".into(), country: "FR".into(), ..config(5) },
    ];
    let methods: Vec<Box<str>> = vec!["card".into()];
    let listed = |currencies: &[Box<str>], converting: &str| {
        let module = ModuleFitness::Loaded { brands: None, methods: &methods, currencies };
        let candidates = configs.each_ref().map(|config| ConfigCandidate { config, module });
        let account = account();
        let context = EligibilityContext {
            account: &account,
            sandbox_credit_allowed: false,
            live_on_demo_allowed: false,
            now: NOW,
        };
        let shown = shown(&context, &candidates, &[], |from| from.code() == converting);
        shown.iter().map(|eligible| eligible.config_id().0).collect::<Vec<u64>>()
    };
    assert_eq!(listed(&[], ""), [1, 2]);
    assert_eq!(listed(&[], "EUR"), [1, 2, 3], "and not from another country");
    assert_eq!(listed(&["USD".into()], "EUR"), [1, 2], "the module cannot be paid in euros");
}
