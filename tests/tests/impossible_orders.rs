//! What can never work is refused before it exists: an order that its provider cannot be paid, a method for another
//! currency, a config whose credentials the provider refuses. Each with the real modules.
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "a test may fail loudly")]

use cashier_tests::clock::ClockSpeed;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::roster::{CUSTOMER, LOGIN, account, group, standard};
use cashier_tests::stripe_stub::StubMode;
use serde_json::{Value, json};

/// The customer's accounts in other currencies, by login.
const CURRENCIES: [&str; 6] = ["KWD", "JPY", "HUF", "MGA", "GBP", "BTC"];
const FIRST_LOGIN: u64 = 3_000_000;

fn login_in(currency: &str) -> u64 {
    let at = CURRENCIES.iter().position(|known| *known == currency).expect("a currency of this file");
    FIRST_LOGIN + at as u64
}

/// Stripe's hosted page and the sandbox, for every currency and amount.
async fn deployment() -> Deployment {
    let mut roster = standard();
    for currency in CURRENCIES {
        let name = format!("demo-{currency}");
        roster["groups"].as_array_mut().expect("groups").push(group(&name, "ion4", currency, 0));
        let entry = account(login_in(currency), CUSTOMER, &name);
        roster["accounts"].as_array_mut().expect("accounts").push(entry);
    }
    let plan = DeploymentPlan { roster, clock_speed: ClockSpeed::Stopped, ..DeploymentPlan::default() };
    let deployment = Deployment::of(plan).await;
    for mut config in [deployment.stripe_config(), deployment.sandbox_config()] {
        for (field, value) in [("currency", json!("")), ("min_amount", json!(0)), ("max_amount", json!(0))] {
            config[field] = value;
        }
        if config["provider"] == "stripe" {
            config["settings_json"] = json!(json!({"api_base": deployment.stripe.url()}).to_string());
        }
        deployment.manager().save_config(&config).await;
    }
    deployment
}

/// A keyed order in another currency, with both return URLs.
fn order_in(currency: &str, amount: &str) -> Value {
    let mut request = order("stripe", amount);
    let more = json!({"login": login_in(currency), "currency": currency, "idempotency_key": "k",
        "success_url": "https://broker.example/ok", "failure_url": "https://broker.example/no"});
    for (field, value) in more.as_object().expect("an object") {
        request[field] = value.clone();
    }
    request
}

async fn transactions(deployment: &Deployment) -> Value {
    deployment.customer().transactions("").await.expect_ok()["count"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn m7_an_amount_that_stripe_cannot_be_paid_is_400_naming_field_and_limit_without_a_row() {
    let deployment = deployment().await;
    let customer = deployment.customer();
    let table = [
        ("KWD", "1.255", "1.255 KWD cannot be paid with Stripe: it must be a multiple of 0.010 KWD"),
        ("MGA", "100.5", "100.50 MGA cannot be paid with Stripe: it must be a multiple of 1 MGA"),
        ("JPY", "49", "49 JPY cannot be paid with Stripe: it must be at least 50 JPY"),
        ("HUF", "174.99", "174.99 HUF cannot be paid with Stripe: it must be at least 175.00 HUF"),
        ("GBP", "0.29", "0.29 GBP cannot be paid with Stripe: it must be at least 0.30 GBP"),
        (
            "KWD",
            "999999999999.9",
            "999999999999.900 KWD cannot be paid with Stripe: it must be at most 999999999.999 KWD",
        ),
    ];
    for (currency, amount, message) in table {
        for _ in 0..2 {
            let answer = customer.deposit(&order_in(currency, amount)).await;
            assert_eq!(answer.refusal(), (400, "INVALID_DATA".into()), "{currency} {amount}: {}", answer.text());
            assert_eq!(answer.json()["message"], json!(format!("amount: {message}")));
            assert!(answer.header("retry-after").is_empty(), "a retry cures nothing");
        }
    }
    assert_eq!((transactions(&deployment).await, deployment.stripe.requests().len()), (json!(0), 0));
    // The same key, with an amount that works.
    let made = customer.deposit(&order_in("KWD", "1.25")).await.expect_ok();
    assert_eq!(made["transaction"]["id"], json!(1), "no number was used");
    assert_eq!(deployment.stripe.requests()[0].form["line_items[0][price_data][unit_amount]"], "1250");
}

#[tokio::test(flavor = "multi_thread")]
async fn m7_a_missing_return_url_is_400_before_the_order_exists() {
    let deployment = deployment().await;
    let mut request = order_in("GBP", "20");
    request["success_url"] = json!("");
    let answer = deployment.customer().deposit(&request).await;
    assert_eq!(answer.refusal(), (400, "INVALID_DATA".into()), "{}", answer.text());
    assert_eq!(answer.json()["message"], json!("success_url: is required: Stripe's page returns the customer to it"));
    assert_eq!((transactions(&deployment).await, deployment.stripe.requests().len()), (json!(0), 0));
    request["success_url"] = json!("https://broker.example/ok");
    request["failure_url"] = json!("");
    deployment.customer().deposit(&request).await.expect_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn m7_a_method_is_offered_only_for_currencies_that_its_module_takes() {
    let deployment = deployment().await;
    let customer = deployment.customer();
    let offered = async |login: u64| {
        let rows = customer.methods(login).await.expect_ok()["rows"].clone();
        let rows = rows.as_array().expect("rows").iter();
        rows.map(|row| row["provider"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(offered(login_in("KWD")).await, ["stripe", "sandbox"]);
    assert_eq!(offered(login_in("BTC")).await, ["sandbox"], "the sandbox takes every currency");
    let answer = customer.deposit(&order_in("BTC", "0.01")).await;
    assert_eq!(answer.refusal(), (400, "METHOD_NOT_AVAILABLE".into()), "{}", answer.text());
    assert_eq!(transactions(&deployment).await, json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn m12_refused_credentials_are_503_for_the_customer_and_degrade_the_module() {
    let deployment = deployment().await;
    let (customer, manager) = (deployment.customer(), deployment.manager());
    let health = async || {
        let modules = manager.run("MngGetCashierProviders", &json!({})).await;
        let rows = modules["runtime_providers"].as_array().expect("the modules").clone();
        rows.into_iter().find(|row| row["code"] == "stripe").expect("the module")["health"].clone()
    };
    assert_eq!(health().await, json!("ok"));
    let mut request = order_in("GBP", "20");
    request["login"] = json!(login_in("GBP"));
    deployment.stripe.set_mode(StubMode::QuotingKey);
    let answer = customer.deposit(&request).await;
    assert_eq!(answer.refusal(), (503, "PROVIDER_UNAVAILABLE".into()), "{}", answer.text());
    let row = answer.json()["transaction"].clone();
    assert_eq!((&row["status"], &row["failure_reason"]), (&json!(5), &json!("PROVIDER_UNAVAILABLE")), "{row}");
    assert_eq!(health().await, json!("degraded"));
    // The key is mended: the same request makes the payment.
    deployment.stripe.set_mode(StubMode::Answering);
    let made = customer.deposit(&request).await.expect_ok();
    assert_eq!((&made["transaction"]["id"], &made["next_action"]), (&json!(2), &json!("REDIRECT")), "{made}");
    assert_eq!(health().await, json!("ok"));
    assert_eq!(deployment.balance(LOGIN).await, "0.0 USD");
}
