//! No secret reaches an explanation: planted in the credentials of a config, in the query, the headers and the body of webhooks, verified
//! and not, and in what the provider answers, it appears in no entry, no sentence and no detail.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use cashier_tests::customer::order;
use cashier_tests::deployment::Deployment;
use cashier_tests::signing;
use cashier_tests::stripe_stub::{StripeEventFields, StubMode, signed};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};

const EXPLAIN: &str = "MngExplainCashierTransaction";
const SECRET_KEY: &str = "sk_test_CANARYkey1f02";
const WEBHOOK_SECRET: &str = "whsec_CANARYhook77c1";

/// The explanation of a transaction, and its entries as `kind: title`.
async fn explained(deployment: &Deployment, id: &Value) -> (Value, Vec<String>) {
    let answer = deployment.manager().run(EXPLAIN, &json!({"id": id})).await;
    let line = |entry: &Value| {
        let part = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", part("kind"), part("title"))
    };
    let lines = answer["entries"].as_array().map(|all| all.iter().map(line).collect()).unwrap_or_default();
    (answer, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_config_a_webhook_or_a_provider_s_answer_reaches_an_explanation() {
    if !signing::can_sign() {
        return;
    }
    let deployment = Deployment::new().await;
    let mut config = deployment.stripe_config();
    (config["secret_key"], config["webhook_secret"]) = (json!(SECRET_KEY), json!(WEBHOOK_SECRET));
    deployment.manager().save_config(&config).await;

    // The provider quotes the key in its error.
    deployment.stripe.set_mode(StubMode::QuotingKey);
    let mut refused = order("stripe", "250");
    refused["idempotency_key"] = json!("first");
    let refused = deployment.customer().deposit(&refused).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    let (answer, lines) = explained(&deployment, &refused.json()["transaction"]["id"]).await;
    assert!(
        lines.iter().any(|line| line.starts_with("provider_call: create call to ") && line.contains("answered 401"))
    );
    assert!(!answer.to_string().contains("CANARY"), "{answer}");

    // A payment whose webhook carries secrets in every part of the request.
    deployment.stripe.set_mode(StubMode::Answering);
    let mut paid = order("stripe", "250");
    paid["idempotency_key"] = json!("second");
    let paid = deployment.customer().deposit(&paid).await.expect_ok();
    let (id, reference) = (&paid["transaction"]["id"], deployment.stripe.latest_reference());
    let intent = deployment.stripe.latest_id();
    let (event_id, currency) = ("evt_1", "usd");
    let event =
        StripeEventFields { event_id, reference: &reference, intent: &intent, amount: 25_000, currency, live: false };
    let mut event = event.intent_succeeded(deployment.clock.unix());
    event["data"]["object"]["client_secret"] = json!("pi_secret_CANARYbody55");
    event["data"]["object"]["description"] = json!(SECRET_KEY);
    for secret in ["whsec_forged", WEBHOOK_SECRET] {
        let (body, (name, signature)) = signed(secret, deployment.clock.unix(), &event);
        let headers = [
            (name, &*signature),
            ("content-type", "application/json"),
            ("authorization", "Bearer CANARYbearer9a"),
            ("x-api-key", "CANARYheader31"),
            ("cookie", "sid=CANARYcookie08"),
        ];
        let url = format!("{}/cashier/webhook/stripe?token=CANARYquery6d&id={intent}", deployment.customer_url());
        let status = deployment.http.post(&url, &headers, body).await.status;
        assert_eq!(status, if secret == WEBHOOK_SECRET { 200 } else { 401 });
    }
    let found = eventually("both webhooks are stored", async || {
        let (answer, lines) = explained(&deployment, id).await;
        let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
        let is_whole = has("event: NOT VERIFIED") && has("event: verified event confirmed") && has("operation: ");
        is_whole.then_some(answer)
    })
    .await;
    assert_eq!((&found["transaction"]["status"], &found["unverified_events"]), (&json!(3), &json!(1)), "{found}");
    assert!(!found.to_string().contains("CANARY"), "{found}");
}
