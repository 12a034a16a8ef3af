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
