//! Real module files whose calls do not return: the effect on their own gateways, and none on other modules. Loading and
//! panics are tested in `modules`.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::{ProviderConfig, ReplacedSecret, Secret};
use cashier_core::time::UnixTime;
use cashier_core::transaction::NextAction;
use cashier_host::ports::{Durable, Gateway, ModuleHealth, Modules, OrderCheck, QueryAnswer, Verdict};
use cashier_tests::plugin_host::{NOW, PluginHost, config, echo_notice, order, payment_query};
use serde_json::json;

const PROBE: &str = env!("CARGO_BIN_EXE_module_probe");

async fn create(gateway: &Arc<dyn Gateway>) -> CreateEnding {
    gateway.create(Durable::assertion(order(1))).await.answer.ending
}

/// A sleeping module, with 250 ms for each call.
fn sleeping(more_limits: &str) -> PluginHost {
    sleeping_within(250, more_limits)
}

/// The same with so much time for each call: much where calls must return on a busy machine.
fn sleeping_within(call_ms: u64, more_limits: &str) -> PluginHost {
    let text = format!(
        "[[module]]\nname = \"sleeps\"\nlimits = {{ call_ms = {call_ms}{more_limits} }}\n[[module]]\nname = \"echo\"\n"
    );
    PluginHost::open(PROBE, &text)
}

fn sleeps_in(entry: &str, sleep_ms: u64) -> ProviderConfig {
    let settings = json!({ "sleep_in": entry, "sleep_ms": sleep_ms });
    ProviderConfig { settings_json: settings.to_string().into(), ..config(1, "sleeps") }
}

/// Longer than any test runs.
const ENDLESS_MS: u64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_unavailable_after_three_calls_that_never_return_and_other_modules_are_unaffected() {
    let host = sleeping("");
    let (stuck, echo) = (host.gateway(&sleeps_in("create_payment", ENDLESS_MS)).await, config(2, "echo"));
    let echo = host.gateway(&echo).await;
    let late = CreateEnding::NeverSent { reason: "the module did not return from a call in time".into() };
    for health in [ModuleHealth::Degraded, ModuleHealth::Degraded, ModuleHealth::Unavailable] {
        assert_eq!(create(&stuck).await, late);
        assert_eq!(host.line("sleeps").health, health);
    }
    let gone = "the module is unavailable: too many of its calls never returned";
    assert_eq!(create(&stuck).await, CreateEnding::NeverSent { reason: gone.into() });
    assert_eq!(stuck.query(payment_query(1)).await.answer, QueryAnswer::NoAnswer(gone.to_owned()));
    assert_eq!(create(&echo).await, CreateEnding::Accepted(NextAction::Redirect));
    assert_eq!(host.line("echo").health, ModuleHealth::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn m7_a_check_that_never_returns_gives_no_answer_within_the_time_of_a_call() {
    let host = sleeping("");
    let stuck = host.gateway(&sleeps_in("create_payment", ENDLESS_MS)).await;
    let late = OrderCheck::NoAnswer("the module did not return from a call in time".into());
    assert_eq!(stuck.check_order(&order(1)).await, late);
    assert_eq!(host.line("sleeps").health, ModuleHealth::Degraded);
    let good = host.gateway(&config(2, "echo")).await;
    assert_eq!(good.check_order(&order(1)).await, OrderCheck::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_behind_a_stuck_one_are_served_by_the_next_thread() {
    let host = sleeping("");
    let gateway = host.gateway(&sleeps_in("query_status", ENDLESS_MS)).await;
    let (stuck, behind) = tokio::join!(gateway.query(payment_query(1)), async {
        tokio::time::sleep(Duration::from_millis(25)).await;
        create(&gateway).await
    });
    assert_eq!(stuck.answer, QueryAnswer::NoAnswer("the module did not return from a call in time".to_owned()));
    let overloaded = "the module is overloaded: too many calls wait for it";
    let answered = behind == CreateEnding::Accepted(NextAction::Wait);
    assert!(answered || behind == CreateEnding::NeverSent { reason: overloaded.into() }, "{behind:?}");
    is_served(async || create(&gateway).await == CreateEnding::Accepted(NextAction::Wait)).await;
}

/// One of twenty calls is served: on a busy machine the next thread may be late as well.
async fn is_served(mut call: impl AsyncFnMut() -> bool) {
    let mut served = false;
    for _ in 0..20 {
        served = served || call().await;
    }
    assert!(served, "no call was served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_late_calls_return_serves_again() {
    let host = sleeping("");
    let gateway = host.gateway(&sleeps_in("create_payment", 1_000)).await;
    let _late = tokio::join!(create(&gateway), create(&gateway), create(&gateway));
    while host.line("sleeps").health != ModuleHealth::Ok {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let notice = echo_notice("", &json!({}));
    is_served(async || matches!(gateway.verify(&notice, true).await.answer, Verdict::Verified { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configuring_that_does_not_return_times_out_and_is_not_retried_without_end() {
    let host = sleeping("");
    let config = sleeps_in("configure", ENDLESS_MS);
    for health in [ModuleHealth::Degraded, ModuleHealth::Degraded, ModuleHealth::Unavailable] {
        let error = host.plugins.validate(&config).await.unwrap_err();
        assert_eq!(error, "the module did not return from configuring in time");
        assert_eq!(host.line("sleeps").health, health);
    }
    let error = host.plugins.open_gateway(&config).await.err().unwrap();
    assert_eq!(error, "the module is unavailable: too many of its calls never returned");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_configs_of_one_module_opened_concurrently_all_get_a_gateway() {
    let host = sleeping_within(20_000, "");
    let configs: Vec<_> =
        (1..=20).map(|id| ProviderConfig { id: ConfigId(id), ..sleeps_in("configure", 20) }).collect();
    let opened = futures_util::future::join_all(configs.iter().map(|config| host.plugins.open_gateway(config))).await;
    for (config, opened) in configs.iter().zip(opened) {
        let gateway = opened.unwrap_or_else(|reason| panic!("config {}: {reason}", config.id));
        assert_eq!(create(&gateway).await, CreateEnding::Accepted(NextAction::Wait));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_drop_never_returns_costs_its_gateway_one_call_and_degrades_its_module() {
    let host = sleeping("");
    let replaced = vec![ReplacedSecret { secret: Secret::new("whsec_before"), until: UnixTime(NOW + 100) }];
    let config = ProviderConfig { replaced_webhook_secrets: replaced, ..sleeps_in("drop", ENDLESS_MS) };
    let gateway = host.gateway(&config).await;
    host.clock.advance_seconds(100);
    // The instance with the replaced secret is dropped, and the drop does not return.
    let notice = echo_notice("", &json!({}));
    let first = gateway.verify(&notice, true).await.answer;
    let busy = "the module is overloaded: too many calls wait for it".to_owned();
    assert_eq!(first, Verdict::NotWorking(busy));
    is_served(async || matches!(gateway.verify(&notice, true).await.answer, Verdict::Verified { .. })).await;
    assert_eq!(host.line("sleeps").health, ModuleHealth::Degraded);
}
