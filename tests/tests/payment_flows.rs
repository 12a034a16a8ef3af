//! A deposit is credited to the account exactly once: through the sandbox's page and its own webhooks, through Stripe with
//! webhooks signed by openssl, and across a restart between deposit and webhook.
#![expect(clippy::indexing_slicing, reason = "a missing field is null and fails the comparison")]

use cashier_tests::customer::order;
use cashier_tests::deployment::Deployment;
use cashier_tests::roster::LOGIN;
use cashier_tests::stripe_stub::{self, StripeEventFields};
use cashier_tests::waiting::eventually;
use cashier_tests::{sandbox, signing};
use serde_json::{Value, json};

/// Waits until the transaction has a status, as the customer sees it.
async fn reaches(deployment: &Deployment, id: u64, status: u64) -> Value {
    let customer = deployment.customer();
    eventually(&format!("transaction {id} at status {status}"), async || {
        Some(customer.transaction(id).await).filter(|row| row["status"] == json!(status))
    })
    .await
}

fn id_of(answer: &Value) -> u64 {
    answer["transaction"]["id"].as_u64().unwrap_or_default()
}

fn page_of(answer: &Value) -> String {
    answer["redirect_url"].as_str().unwrap_or_default().to_owned()
}

/// The one posting of a credited deposit, as the manager sees it.
async fn credited_once(deployment: &Deployment, id: u64, amount: &str) {
    let seen = deployment.manager().transaction(id).await;
    assert_eq!(seen["transaction"]["status"], json!(3), "{seen}");
    let operations = seen["balance_operations"].as_array().cloned().unwrap_or_default();
    let brief: Vec<String> = operations
        .iter()
        .map(|it| format!("{} {} {} {}", it["cmd"], it["amount"], it["status"], it["reason"]))
        .collect();
    assert_eq!(brief, [format!("6 {amount} 1 100")], "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_deposit_is_paid_on_its_page_and_credited_exactly_once() {
    let deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    let customer = deployment.customer();

    let methods = customer.methods(LOGIN).await.expect_ok();
    assert_eq!((&methods["count"], &methods["rows"][0]["provider"]), (&json!(1), &json!("sandbox")), "{methods}");

    let answer = customer.deposit(&order("sandbox", "250")).await.expect_ok();
    assert_eq!((&answer["next_action"], &answer["transaction"]["status"]), (&json!("REDIRECT"), &json!(1)), "{answer}");
    let (id, page) = (id_of(&answer), page_of(&answer));
    assert_eq!(deployment.balance(LOGIN).await, "0.0 USD", "nothing is credited before it is paid");

    assert_eq!(deployment.sandbox.press(&page, "pay").await.expect_ok()["status"], json!("confirmed"));
    let row = reaches(&deployment, id, 3).await;
    assert_eq!(row["provider_payment_id"], json!(sandbox::id_of(&page)), "{row}");
    assert_eq!(deployment.balance(LOGIN).await, "250.0 USD");

    // The service delivers the same event again: the answer is 200 and nothing is posted.
    let deliveries = deployment.sandbox.deliveries(&page).await;
    let delivery = deliveries["deliveries"][0]["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(deployment.sandbox.redeliver(&delivery).await.status, 202);
    eventually("the second delivery", async || {
        let log = deployment.sandbox.deliveries(&page).await;
        let states: Vec<Value> = log["deliveries"].as_array()?.iter().map(|it| it["state"].clone()).collect();
        (states == [json!("delivered"), json!("delivered")]).then_some(())
    })
    .await;
    credited_once(&deployment, id, "250.0").await;
    assert_eq!(deployment.balance(LOGIN).await, "250.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_deposit_is_credited_by_a_webhook_that_openssl_signed() {
    if !signing::can_sign() {
        return;
    }
    let deployment = Deployment::new().await;
    let config = deployment.manager().save_config(&deployment.stripe_config()).await;
    let answer = deployment.customer().deposit(&order("stripe", "250")).await.expect_ok();
    assert_eq!(answer["next_action"], json!("INSTRUCTIONS"), "{answer}");
    let (id, request) = (id_of(&answer), deployment.stripe.requests());
    assert_eq!(request.len(), 1, "{request:?}");
    assert_eq!((&*request[0].path, &*request[0].form["amount"]), ("/v1/payment_intents", "25000"));
    assert_eq!(request[0].authorization, format!("Bearer {}", stripe_stub::SECRET_KEY));
    let reference = deployment.stripe.latest_reference();
    assert!(reference.len() <= 20 && reference != id.to_string(), "our reference is not the bare id: {reference}");

    let event = StripeEventFields {
        event_id: "evt_1",
        reference: &reference,
        intent: "pi_stub_1",
        amount: 25_000,
        currency: "usd",
        live: false,
    };
    let now = deployment.clock.unix();
    let (body, (name, signature)) = stripe_stub::signed(stripe_stub::WEBHOOK_SECRET, now, &event.intent_succeeded(now));

    // One byte of the body changed: 401, and nothing is posted.
    for at in [0, body.len() / 2, body.len() - 1] {
        let mut forged = body.clone();
        forged[at] ^= 1;
        let refused = deployment.webhook(&format!("stripe/{config}"), (name, &signature), &forged).await;
        assert_eq!(refused.refusal(), (401, "INVALID_SIGNATURE".into()), "byte {at}");
    }
    let forged = signature.replace("v1=", "v1=0").chars().take(signature.len()).collect::<String>();
    let refused = deployment.webhook(&format!("stripe/{config}"), (name, &forged), &body).await;
    assert_eq!(refused.refusal(), (401, "INVALID_SIGNATURE".into()), "a changed signature");
    assert_eq!(deployment.customer().transaction(id).await["status"], json!(1));
    assert_eq!(deployment.balance(LOGIN).await, "0.0 USD");

    let accepted = deployment.webhook(&format!("stripe/{config}"), (name, &signature), &body).await.expect_ok();
    assert_eq!((&accepted["data"], &accepted["duplicate"]), (&json!("OK"), &json!(false)), "{accepted}");
    assert_eq!(
        accepted["transaction"],
        json!({"id": id, "status": 2, "provider_payment_id": "pi_stub_1"}),
        "{accepted}"
    );
    credited_once(&deployment, id, "250.0").await;
    assert_eq!(deployment.balance(LOGIN).await, "250.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_checkout_page_is_credited_by_a_webhook_without_a_config_id_in_its_path() {
    if !signing::can_sign() {
        return;
    }
    let deployment = Deployment::new().await;
    let mut config = deployment.stripe_config();
    config["settings_json"] = json!(json!({"api_base": deployment.stripe.url(), "flow": "checkout"}).to_string());
    deployment.manager().save_config(&config).await;
    let mut request = order("stripe", "99.95");
    request["success_url"] = json!("https://broker.example/ok");
    let answer = deployment.customer().deposit(&request).await.expect_ok();
    assert_eq!(answer["next_action"], json!("REDIRECT"), "{answer}");
    assert_eq!(page_of(&answer), format!("{}/c/pay/cs_stub_1", deployment.stripe.url()));

    let reference = deployment.stripe.latest_reference();
    let event = StripeEventFields {
        event_id: "evt_1",
        reference: &reference,
        intent: "pi_7",
        amount: 9_995,
        currency: "usd",
        live: false,
    };
    let now = deployment.clock.unix();
    let (body, (name, signature)) =
        stripe_stub::signed(stripe_stub::WEBHOOK_SECRET, now, &event.session_completed("cs_stub_1", now));
    let accepted = deployment.webhook("stripe", (name, &signature), &body).await.expect_ok();
    assert_eq!(accepted["transaction"]["status"], json!(2), "{accepted}");
    // Stripe also sends an event about the intent: the same payment, so no second credit.
    let (body, (name, signature)) = stripe_stub::signed(
        stripe_stub::WEBHOOK_SECRET,
        now,
        &StripeEventFields { event_id: "evt_2", ..event }.intent_succeeded(now),
    );
    let accepted = deployment.webhook("stripe", (name, &signature), &body).await.expect_ok();
    assert_eq!((&accepted["duplicate"], &accepted["transaction"]["status"]), (&json!(false), &json!(3)), "{accepted}");
    credited_once(&deployment, id_of(&answer), "99.95").await;
    assert_eq!(deployment.balance(LOGIN).await, "99.95 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_between_deposit_and_webhook_changes_nothing() {
    let mut deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    let mut request = order("sandbox", "40.5");
    request["idempotency_key"] = json!("restart-1");
    let answer = deployment.customer().deposit(&request).await.expect_ok();
    let (id, page) = (id_of(&answer), page_of(&answer));
    let seen_before = deployment.customer().transaction(id).await;

    deployment.stop().await;
    // The customer pays while the cashier is stopped: the first delivery of the webhook fails.
    assert_eq!(deployment.sandbox.press(&page, "pay").await.expect_ok()["status"], json!("confirmed"));
    deployment.start_again().await;

    assert_eq!(deployment.customer().transaction(id).await["created_time"], seen_before["created_time"]);
    deployment.clock.advance_seconds(2);
    reaches(&deployment, id, 3).await;
    assert_eq!(deployment.balance(LOGIN).await, "40.5 USD");

    // The same key is the same deposit, and what is paid is not sent to the page again.
    let again = deployment.customer().deposit(&request).await.expect_ok();
    assert_eq!((id_of(&again), &again["redirect_url"], &again["next_action"]), (id, &json!(""), &json!("NONE")));
    assert_eq!(again["transaction"]["status"], json!(3));
    let next = deployment.customer().deposit(&order("sandbox", "12")).await.expect_ok();
    assert_eq!(id_of(&next), id + 1, "ids continue after the restart");

    deployment.restart().await;
    credited_once(&deployment, id, "40.5").await;
    assert_eq!(deployment.balance(LOGIN).await, "40.5 USD", "a second restart posts nothing again");
}
