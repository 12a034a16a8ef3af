//! One idempotency key is one deposit, however the create call ends: declined, unreachable, timed out or garbled, the
//! customer gets the documented answer, and the cashier finds out the outcome without creating a second payment.
#![expect(clippy::indexing_slicing, reason = "a missing field is null and fails the comparison")]

use cashier_tests::clock::ClockSpeed;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::http::HttpAnswer;
use cashier_tests::roster::{LOGIN, REAL_LOGIN, SECOND_CUSTOMER, SECOND_LOGIN};
use cashier_tests::stripe_stub::StubMode;
use cashier_tests::waiting::eventually;
use futures_util::future::join_all;
use serde_json::{Value, json};

fn keyed(provider: &str, amount: &str, key: &str) -> Value {
    let mut request = order(provider, amount);
    request["idempotency_key"] = json!(key);
    request
}

async fn deployment() -> Deployment {
    let deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_under_one_key_make_one_provider_call_and_get_one_answer() {
    let deployment = deployment().await;
    let request = keyed("stripe", "50", "k");
    let customer = deployment.customer();
    deployment.stripe.set_mode(StubMode::Holding);
    let all = join_all((0..20).map(|_| customer.deposit(&request)));
    let release = async {
        eventually("the create call", async || (!deployment.stripe.requests().is_empty()).then_some(())).await;
        deployment.stripe.set_mode(StubMode::Answering);
    };
    let (answers, ()) = tokio::join!(all, release);
    let mut texts: Vec<String> = answers.iter().map(|answer| answer.expect_ok().to_string()).collect();
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:#?}");
    assert_eq!(deployment.stripe.requests().len(), 1);
    let again = customer.deposit(&request).await.expect_ok();
    assert_eq!(again.to_string(), texts[0], "a later request gets the same answer");
    assert_eq!(deployment.stripe.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_for_two_different_orders_is_a_conflict() {
    let deployment = deployment().await;
    let customer = deployment.customer();
    let first = customer.deposit(&keyed("stripe", "50", "k")).await.expect_ok();
    for same in ["50.0", "50.00"] {
        let again = customer.deposit(&keyed("stripe", same, "k")).await.expect_ok();
        assert_eq!(again["transaction"]["id"], first["transaction"]["id"], "{same} is the same amount");
    }
    let others: [(&str, Value); 5] = [
        ("amount", json!(51)),
        ("provider", json!("sandbox")),
        ("method", json!("card")),
        ("currency", json!("EUR")),
        ("login", json!(REAL_LOGIN)),
    ];
    for (field, value) in others {
        let mut request = keyed("stripe", "50", "k");
        request[field] = value;
        assert_eq!(customer.deposit(&request).await.refusal(), (409, "IDEMPOTENCY_CONFLICT".into()), "{field}");
    }
    // Keys are per customer; orders without a key are never the same.
    let mut second = keyed("stripe", "70", "k");
    second["login"] = json!(SECOND_LOGIN);
    deployment.customer_of(SECOND_CUSTOMER).deposit(&second).await.expect_ok();
    let blank = [customer.deposit(&order("stripe", "50")).await, customer.deposit(&keyed("stripe", "50", "")).await];
    assert_ne!(blank[0].expect_ok()["transaction"]["id"], blank[1].expect_ok()["transaction"]["id"]);
    assert_eq!(deployment.stripe.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_order_binds_no_key() {
    let deployment = deployment().await;
    let customer = deployment.customer();
    assert_eq!(customer.deposit(&keyed("stripe", "1", "k")).await.refusal(), (400, "AMOUNT_OUT_OF_RANGE".into()));
    customer.deposit(&keyed("stripe", "50", "k")).await.expect_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_is_502_with_its_transaction_and_the_answer_repeats() {
    let deployment = deployment().await;
    let customer = deployment.customer();
    deployment.stripe.set_mode(StubMode::Declining);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = customer.deposit(&keyed("stripe", "50", "k")).await;
        assert_eq!(answer.refusal(), (502, "PROVIDER_DECLINED".into()));
        let transaction = answer.json()["transaction"].clone();
        assert_eq!((&transaction["status"], transaction["amount"].to_string()), (&json!(5), "50.0".into()));
        answers.push(answer.text());
        deployment.stripe.set_mode(StubMode::Answering);
    }
    assert_eq!(answers[0], answers[1], "the same key repeats the first answer");
    assert_eq!(deployment.stripe.requests().len(), 1);
    assert_eq!(deployment.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_provider_is_503_and_releases_the_key() {
    let mut deployment = deployment().await;
    deployment.sandbox.stop().await;
    let customer = deployment.customer();
    let answer = customer.deposit(&keyed("sandbox", "50", "k")).await;
    assert_eq!(answer.refusal(), (503, "PROVIDER_UNAVAILABLE".into()), "{}", answer.text());
    assert!(!answer.header("retry-after").is_empty());
    let failed = customer.transactions("").await.expect_ok()["rows"][0].clone();
    assert_eq!(failed["status"], json!(5), "{failed}");
    // Nothing was sent, so the key is free for another order, also through another provider.
    let answer = customer.deposit(&keyed("stripe", "60", "k")).await.expect_ok();
    assert_ne!(answer["transaction"]["id"], failed["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_call_with_a_lost_answer_is_queried_and_paid_once() {
    // How the first create call fails; a repeated call under the same key gets the recorded payment.
    for switch in ["create_drop", "create_lost:1", "create_garbage", "create_500:1", "create_500:2"] {
        let deployment =
            Deployment::of(DeploymentPlan { clock_speed: ClockSpeed::Times(1), ..DeploymentPlan::default() }).await;
        deployment.manager().save_config(&deployment.sandbox_config()).await;
        deployment.sandbox.switch(&[switch]).await;
        let customer = deployment.customer();
        let request = keyed("sandbox", "50", "k");
        let answer = customer.deposit(&request).await.expect_ok();
        let brief = json!([answer["next_action"], answer["redirect_url"], answer["transaction"]["status"]]);
        assert_eq!(brief, json!(["WAIT", "", 1]), "{switch}: an unknown outcome is not a failure: {answer}");
        let id = answer["transaction"]["id"].clone();

        let page = eventually(&format!("{switch}: the page"), async || {
            deployment.clock.advance_seconds(30);
            let again = customer.deposit(&request).await.expect_ok();
            assert_eq!(again["transaction"]["id"], id, "{switch}: {again}");
            again["redirect_url"].as_str().filter(|page| !page.is_empty()).map(str::to_owned)
        })
        .await;
        assert_eq!(deployment.sandbox.press(&page, "pay").await.expect_ok()["status"], json!("confirmed"));
        eventually(&format!("{switch}: the credit"), async || {
            (deployment.balance(LOGIN).await == "50.0 USD").then_some(())
        })
        .await;
        let reference = deployment.sandbox.payment(&page).await["reference"].as_str().unwrap_or_default().to_owned();
        let payments = deployment.sandbox.payments_of(&reference).await;
        assert_eq!(payments["count"], json!(1), "{switch}: one payment at the provider: {payments}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_over_the_rate_limit_gets_429_with_retry_after() {
    let plan = DeploymentPlan {
        clock_speed: ClockSpeed::Stopped,
        settings: "deposits_per_minute = 3\n".into(),
        ..DeploymentPlan::default()
    };
    let deployment = Deployment::of(plan).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    let customer = deployment.customer();
    let answers: Vec<HttpAnswer> =
        [customer.deposit(&order("stripe", "20")).await, customer.deposit(&order("stripe", "20")).await].into();
    answers.iter().for_each(|answer| drop(answer.expect_ok()));
    customer.deposit(&order("stripe", "20")).await.expect_ok();
    let refused = customer.deposit(&order("stripe", "20")).await;
    assert_eq!(refused.refusal(), (429, "RET_ERR_FREQUENT".into()));
    assert!(!refused.header("retry-after").is_empty());
    let mut second = order("stripe", "20");
    second["login"] = json!(SECOND_LOGIN);
    deployment.customer_of(SECOND_CUSTOMER).deposit(&second).await.expect_ok();
    deployment.clock.advance_seconds(20);
    customer.deposit(&order("stripe", "20")).await.expect_ok();
}
