//! Saving checks what it names, from outside: settings that nobody reads, addresses that need leave, rows that can match
//! nothing, and what a saved config then is to its customers.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use cashier_tests::customer::order;
use cashier_tests::deployment::Deployment;
use cashier_tests::http::HttpAnswer;
use cashier_tests::roster::LOGIN;
use serde_json::{Value, json};

const SAVE: &str = "MngUpdateCashierProviderConfig";

#[track_caller]
fn refused(answer: &HttpAnswer) -> String {
    let answer = answer.json();
    assert_eq!((&answer["status"], &answer["data"]["error"]), (&json!(400), &json!("INVALID_DATA")), "{answer}");
    answer["data"]["message"].as_str().unwrap_or_default().to_owned()
}

/// The lines of `/readyz?verbose` about rows that can match nothing, and their number on `/metrics`.
async fn listed(deployment: &Deployment) -> (Vec<String>, String) {
    let verbose = deployment.watch("readyz?verbose").await.text();
    let lines = verbose.lines().filter(|line| line.contains("can match nothing")).map(str::to_owned).collect();
    let metrics = deployment.watch("metrics").await.text();
    let metric = metrics.lines().find_map(|line| line.strip_prefix("cashier_rows_without_match "));
    (lines, metric.unwrap_or("missing").to_owned())
}

fn with_settings(mut config: Value, settings: &Value) -> Value {
    config["settings_json"] = json!(settings.to_string());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_i13_a_setting_that_nobody_reads_and_an_address_without_leave_are_refused_with_the_cure() {
    let deployment = Deployment::new().await;
    let manager = deployment.manager();
    let stripe = |settings: Value| with_settings(deployment.stripe_config(), &settings);
    let misspelt = manager.command(SAVE, &stripe(json!({"api_bsae": "http://127.0.0.1:1"}))).await;
    assert_eq!(
        refused(&misspelt),
        "settings_json holds \"api_bsae\", which is no setting of the module: did you mean api_base?"
    );
    let away = manager.command(SAVE, &stripe(json!({"api_base": "http://127.0.0.1:1"}))).await;
    assert_eq!(
        refused(&away),
        "api_base: 127.0.0.1:1 is allowed over https only; allow_private = [\"127.0.0.1:1\"] in its [[module]] of plugins.toml permits it"
    );
    let notes = json!({"api_base": deployment.stripe.url(), "_ticket": "OPS-7", "reversal": "review"});
    manager.save_config(&stripe(notes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_i8_rows_that_can_match_nothing_are_saved_with_warnings_and_listed_until_they_can() {
    let mut deployment = Deployment::new().await;
    let manager = deployment.manager();
    let config = json!({"provider": "paypal", "brand": "nobrand", "enabled": 1});
    let saved = manager.run("MngAddCashierProviderConfig", &config).await;
    let expected = [
        "provider paypal: no module offers it",
        "brand nobrand: no group and no customer of the trading server has it",
    ];
    assert_eq!(saved["warnings"], json!(expected));
    let row = json!({"customer_id": 777, "brand": "ion4", "provider": "sandbox"});
    let save = "MngUpdateCashierCustomerProviderOverride";
    let missing = json!({"customer_id": 777, "brand": "ion4", "provider": "sandbox", "provider_config_id": 999});
    assert_eq!(refused(&manager.command(save, &missing).await), "provider_config_id 999: there is no such config");
    let saved = manager.run(save, &row).await;
    let unknown = "customer_id 777: the trading server has no such customer";
    let no_config = "provider sandbox: no config of it serves brand ion4 and this method";
    assert_eq!(saved["warnings"], json!([unknown, no_config]));
    let (lines, count) = listed(&deployment).await;
    let of_config = format!("config 1 can match nothing: {}", expected.join("; "));
    assert_eq!(lines, [of_config, format!("override 1 can match nothing: {unknown}; {no_config}")]);
    assert_eq!(count, "2");

    let clean = manager.run(SAVE, &deployment.sandbox_config()).await;
    assert_eq!(clean.get("warnings"), None, "{clean}");
    manager.run("MngDeleteCashierProviderConfig", &json!({"id": 1})).await;
    deployment.restart().await;
    let (lines, count) = listed(&deployment).await;
    assert_eq!((lines, &*count), (vec![format!("override 1 can match nothing: {unknown}")], "1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn i17_the_payment_mode_of_a_method_is_what_its_deposit_will_be() {
    let deployment = Deployment::new().await;
    let customer = deployment.customer();
    let settings = |flow: Option<&str>| {
        let mut settings = json!({"api_base": deployment.stripe.url()});
        if let Some(flow) = flow {
            settings["flow"] = json!(flow);
        }
        settings
    };
    let mut config = with_settings(deployment.stripe_config(), &settings(Some("payment_intents")));
    for (flow, sealed, mode) in [
        (Some("payment_intents"), None, "instructions"),
        (Some("checkout"), None, "redirect"),
        (None, None, "redirect"),
        (Some("checkout"), Some("payment_intents"), "instructions"),
    ] {
        config["settings_json"] = json!(settings(flow).to_string());
        config["config_json"] = json!(sealed.map(|flow| json!({"flow": flow}).to_string()).unwrap_or_default());
        config["id"] = json!(deployment.manager().save_config(&config).await);
        let methods = customer.methods(LOGIN).await.expect_ok();
        assert_eq!(methods["rows"][0]["payment_mode"], json!(mode), "{flow:?} {sealed:?}");
        let mut order = order("stripe", "50");
        order["success_url"] = json!("https://shop.example/ok");
        let made = customer.deposit(&order).await.expect_ok();
        assert_eq!(made["next_action"], json!(mode.to_uppercase()), "{made}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i16_a_live_config_is_not_offered_to_a_demo_account() {
    let mut deployment = Deployment::new().await;
    let mut config = deployment.stripe_config();
    (config["sandbox"], config["secret_key"]) = (json!(0), json!("sk_live_1"));
    deployment.manager().save_config(&config).await;
    assert_eq!(deployment.customer().methods(LOGIN).await.expect_ok()["count"], json!(0));
    let refusal = deployment.customer().deposit(&order("stripe", "50")).await.refusal();
    assert_eq!(refusal, (400, "METHOD_NOT_AVAILABLE".to_owned()));
    deployment.settings.push_str("allow_live_on_demo = [\"ion4\"]\n");
    deployment.restart().await;
    assert_eq!(deployment.customer().methods(LOGIN).await.expect_ok()["count"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_deleted_for_good_and_one_that_served_stays() {
    let mut deployment = Deployment::new().await;
    let delete = "MngDeleteCashierProviderConfig";
    let mut draft = deployment.sandbox_config();
    draft["enabled"] = json!(0);
    let (first, second) =
        (deployment.manager().save_config(&draft).await, deployment.manager().save_config(&draft).await);
    deployment.manager().run(delete, &json!({"id": second, "for_good": 1})).await;
    // What was written before is read from the disk.
    deployment.restart().await;
    let manager = deployment.manager();
    let third = manager.save_config(&deployment.sandbox_config()).await;
    manager.run(delete, &json!({"id": third})).await;
    let stays = manager.command(delete, &json!({"id": third, "for_good": 1})).await.json();
    assert_eq!((&stays["status"], &stays["data"]["error"]), (&json!(409), &json!("CONFIG_IN_USE")), "{stays}");
    manager.run(delete, &json!({"id": first, "for_good": 1})).await;
    let rows = manager.run("MngGetCashierProviderConfigsByFilter", &json!({})).await;
    assert_eq!((&rows["count"], &rows["rows"][0]["id"]), (&json!(1), &json!(3)), "no id is given twice");
}
