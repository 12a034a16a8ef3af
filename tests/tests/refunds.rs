//! Refunds through the real modules: the sandbox service refunds and its webhook is the same refund, Stripe is called under
//! our own key, and a process that is killed while Stripe is answering refunds once.

use cashier_tests::cashier_process::CashierProcess;
use cashier_tests::customer::order;
use cashier_tests::deployment::Deployment;
use cashier_tests::manager::ManagerClient;
use cashier_tests::roster::{self, LOGIN};
use cashier_tests::stripe_stub::{self, StripeEventFields, StripeStub, StubMode};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};

const REFUND: &str = "MngRefundCashierTransaction";

/// Amounts of the operations that were posted.
fn posted(seen: &Value) -> Vec<String> {
    let operations = seen["balance_operations"].as_array().cloned().unwrap_or_default();
    operations.iter().filter(|it| it["status"] == json!(1)).map(|it| it["amount"].to_string()).collect()
}

async fn is_posted(manager: &ManagerClient, id: u64, amounts: &[&str]) {
    eventually(&format!("transaction {id} has posted {amounts:?}"), async || {
        let seen = manager.transaction(id).await;
        (posted(&seen) == amounts).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_refunds_in_part_and_in_full_and_its_webhooks_are_the_same_refunds() {
    let deployment = Deployment::new().await;
    let manager = deployment.manager();
    manager.save_config(&deployment.sandbox_config()).await;
    let answer = deployment.customer().deposit(&order("sandbox", "250")).await.expect_ok();
    let (id, page) =
        (answer["transaction"]["id"].as_u64().unwrap(), answer["redirect_url"].as_str().unwrap().to_owned());
    deployment.sandbox.press(&page, "pay").await.expect_ok();
    is_posted(&manager, id, &["250.0"]).await;

    let part = manager.command(REFUND, &json!({"id": id, "amount": 100, "reason": "goodwill"})).await.expect_ok();
    assert_eq!(part["data"]["transaction"]["failure_reason"], json!("PARTLY_REFUNDED"), "{part}");
    let rest = manager.command(REFUND, &json!({"id": id, "reason": "the rest"})).await.expect_ok();
    assert_eq!(rest["data"]["transaction"]["status"], json!(7), "{rest}");
    // The webhooks about the payment and both refunds were applied, and nothing more was posted.
    eventually("three webhooks are delivered", async || {
        let log = deployment.sandbox.deliveries(&page).await;
        let delivered = log["deliveries"].as_array()?.iter().filter(|it| it["state"] == json!("delivered")).count();
        (delivered == 3).then_some(())
    })
    .await;
    let seen = manager.transaction(id).await;
    assert_eq!(
        (posted(&seen), &seen["transaction"]["status"]),
        (vec!["250.0".into(), "-100.0".into(), "-150.0".into()], &json!(7))
    );
    assert_eq!(deployment.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_sandbox_payment_is_cancelled_at_the_service() {
    let deployment = Deployment::new().await;
    let manager = deployment.manager();
    manager.save_config(&deployment.sandbox_config()).await;
    let answer = deployment.customer().deposit(&order("sandbox", "250")).await.expect_ok();
    let id = answer["transaction"]["id"].as_u64().unwrap();
    let cancel = json!({"id": id, "reason": "asked by phone"});
    let cancelled = manager.command("MngCancelCashierTransaction", &cancel).await.expect_ok();
    assert_eq!(cancelled["data"]["transaction"]["status"], json!(6), "{cancelled}");
    assert_eq!(manager.command("MngCancelCashierTransaction", &cancel).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_while_stripe_answers_refunds_once() {
    let folder = tempfile::tempdir().unwrap();
    let stripe = StripeStub::start(false).await;
    let mut process = CashierProcess::prepare(folder.path(), &[stripe.url()], &roster::standard()).await;
    let addresses = process.start().await;
    let (customer, manager) = process.clients(addresses);
    let settings = json!({"api_base": stripe.url(), "flow": "payment_intents"}).to_string();
    let config = json!({"provider": "stripe", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
        "secret_key": stripe_stub::SECRET_KEY, "webhook_secret": stripe_stub::WEBHOOK_SECRET, "settings_json": settings});
    let config = manager.save_config(&config).await;
    let answer = customer.deposit(&order("stripe", "250")).await.expect_ok();
    let id = answer["transaction"]["id"].as_u64().unwrap();
    let reference = stripe.latest_reference();
    let paid = StripeEventFields {
        event_id: "evt_1",
        reference: &reference,
        intent: "pi_stub_1",
        amount: 25_000,
        currency: "usd",
        live: false,
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap();
    let (body, (name, signature)) = stripe_stub::signed(stripe_stub::WEBHOOK_SECRET, now, &paid.intent_succeeded(now));
    let url = format!("{}/cashier/webhook/stripe/{config}", customer.url);
    let headers = [(name, &*signature), ("content-type", "application/json")];
    assert_eq!(customer.http.post(&url, &headers, body).await.status, 200);
    is_posted(&manager, id, &["250.0"]).await;

    stripe.set_mode(StubMode::Holding);
    let asked = manager.clone();
    let asking =
        tokio::spawn(
            async move { asked.command(REFUND, &json!({"id": id, "amount": 100, "reason": "goodwill"})).await },
        );
    let refunds = || {
        let all = stripe.requests();
        all.into_iter().filter(|it| it.path == "/v1/refunds").map(|it| it.idempotency_key).collect::<Vec<_>>()
    };
    eventually("Stripe has the refund", async || (refunds().len() == 1).then_some(())).await;
    process.kill().await;
    asking.abort();
    stripe.set_mode(StubMode::Answering);
    process.start().await;
    is_posted(&manager, id, &["250.0", "-100.0"]).await;
    eventually("the refund is known", async || {
        let seen = manager.transaction(id).await;
        (seen["transaction"]["failure_reason"] == json!("PARTLY_REFUNDED")).then_some(())
    })
    .await;
    let own = format!("{reference}-refund-1");
    assert!(refunds().len() >= 2 && refunds().iter().all(|key| *key == own), "under one key: {:?}", refunds());
    assert_eq!(posted(&manager.transaction(id).await), ["250.0", "-100.0"]);
}
