//! Odd but authentic events of Stripe, and a key that Stripe refuses, through the whole server: what can be read counts, the
//! rest is kept with its reason, and a wrong key declines no payment.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::roster::LOGIN;
use cashier_tests::signing;
use cashier_tests::stripe_stub::{StripeEventFields, StubMode, WEBHOOK_SECRET};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};

/// Sends a body as it is, signed.
async fn send_bytes(pending: &PendingDeposit, body: &[u8]) -> Value {
    let signature = signing::timed_signature(WEBHOOK_SECRET, pending.deployment.clock.unix(), body);
    pending.deployment.webhook("stripe", ("stripe-signature", &signature), body).await.expect_ok()
}

/// The body of `payment_intent.succeeded` with one text replaced by bytes.
fn body_with(pending: &PendingDeposit, text: &str, bytes: &[u8]) -> Vec<u8> {
    let event = pending.event().intent_succeeded(pending.deployment.clock.unix()).to_string();
    let (head, tail) = event.split_once(text).expect("the text is in the event");
    [head.as_bytes(), bytes, tail.as_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn m2_an_odd_field_that_is_not_needed_leaves_the_payment_credited() {
    if !signing::can_sign() {
        return;
    }
    let deep = ["\"metadata\":{\"deep\":", &"[".repeat(1000), &"]".repeat(1000), ","].concat();
    let members: [&[u8]; 5] = [
        br#""metadata":{"name":"caf\ud83d","#,
        b"\"metadata\":{\"name\":\"caf\xe9\",",
        br#""metadata":{"number":1e400,"other":2549.9999999999995,"#,
        br#""metadata":{"name":"a","name":"b","#,
        deep.as_bytes(),
    ];
    for member in members {
        let pending = PendingDeposit::of(DeploymentPlan::default()).await;
        send_bytes(&pending, &body_with(&pending, "\"metadata\":{", member)).await;
        pending.credited_once().await;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let body = pending.event().intent_succeeded(pending.deployment.clock.unix()).to_string();
    send_bytes(&pending, &[b"\xef\xbb\xbf", body.as_bytes(), b"\n\0"].concat()).await;
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m3_an_amount_that_cannot_be_read_is_kept_and_the_payment_is_queried() {
    if !signing::can_sign() {
        return;
    }
    for amount in [b"\"amount_received\":24999.999999999995".as_slice(), b"\"amount_received\":1e400"] {
        let pending = PendingDeposit::of(DeploymentPlan::default()).await;
        pending.deployment.stripe.amend("pi_stub_1", "status", json!("succeeded"));
        pending.deployment.stripe.amend("pi_stub_1", "amount_received", json!(25_000));
        let answer = send_bytes(&pending, &body_with(&pending, "\"amount_received\":25000", amount)).await;
        let event = &answer["event"];
        assert_eq!((&event["signature_status"], &event["processing_status"]), (&json!(1), &json!(2)), "{answer}");
        assert_eq!(event["event_id"], json!("evt_1"), "{answer}");
        eventually("the payment to be queried", async || {
            pending.deployment.stripe.queried().contains(&"pi_stub_1".to_owned()).then_some(())
        })
        .await;
        eventually("the credit", async || (pending.deployment.balance(LOGIN).await == "250.0 USD").then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_whose_notices_were_lost_is_found_by_the_query_and_is_one_with_its_notice() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let deployment = &pending.deployment;
    let dispute = json!({
        "id": "du_1", "object": "dispute", "amount": 10_000, "charge": "ch_stub_1", "currency": "usd", "livemode": false,
        "payment_intent": "pi_stub_1", "reason": "fraudulent", "status": "lost",
    });
    deployment.stripe.amend("pi_stub_1", "status", json!("succeeded"));
    deployment.stripe.amend("pi_stub_1", "amount_received", json!(25_000));
    deployment.stripe.dispute("pi_stub_1", &dispute);
    // What the webhook states cannot be read, so the payment is queried.
    send_bytes(&pending, &body_with(&pending, "\"amount_received\":25000", b"\"amount_received\":1e400")).await;
    let rest = async || (deployment.balance(LOGIN).await == "150.0 USD").then_some(());
    eventually("what the dispute left", rest).await;
    assert_eq!(deployment.stripe.queried(), ["pi_stub_1", "disputes"]);

    let closed = json!({
        "id": "evt_2", "object": "event", "type": "charge.dispute.closed", "created": deployment.clock.unix(),
        "livemode": false, "data": {"object": dispute},
    });
    let answer = send_bytes(&pending, closed.to_string().as_bytes()).await;
    assert_eq!((&answer["event"]["processing_status"], &answer["transaction"]["status"]), (&json!(1), &json!(8)));
    assert_eq!(deployment.balance(LOGIN).await, "150.0 USD", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn m8_a_session_without_an_intent_and_the_intent_are_one_payment() {
    if !signing::can_sign() {
        return;
    }
    for intent_first in [false, true] {
        let pending = PendingDeposit::of(DeploymentPlan::default()).await;
        let now = pending.deployment.clock.unix();
        let mut session = pending.event().session_completed("cs_1", now);
        session["data"]["object"]["payment_intent"] = Value::Null;
        let intent = StripeEventFields { event_id: "evt_2", ..pending.event() }.intent_succeeded(now);
        let events = if intent_first { [intent, session] } else { [session, intent] };
        for event in events {
            pending.send("stripe", WEBHOOK_SECRET, &event).await.expect_ok();
        }
        pending.credited_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m11_an_event_of_the_other_mode_is_ignored_with_its_reason() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let live = StripeEventFields { live: true, ..pending.event() };
    let answer = pending.send_event("stripe", WEBHOOK_SECRET, &live).await.expect_ok();
    assert_eq!(answer["event"]["event_id"], json!("evt_1"), "{answer}");
    // m33: a type without a meaning has its own id as well.
    let unknown = json!({"id": "evt_2", "object": "event", "type": "customer.updated", "livemode": false,
        "data": {"object": {"id": "cus_1"}}});
    let answer = pending.send("stripe", WEBHOOK_SECRET, &unknown).await.expect_ok();
    assert_eq!(answer["event"]["event_id"], json!("evt_2"), "{answer}");
    assert_eq!(pending.not_credited().await["status"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn m32_an_event_whose_object_states_the_other_mode_is_reviewed() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let mut event = pending.event().intent_succeeded(pending.deployment.clock.unix());
    event["data"]["object"]["livemode"] = json!(true);
    pending.send("stripe", WEBHOOK_SECRET, &event).await.expect_ok();
    let transaction = pending.not_credited().await;
    assert_eq!(transaction["status"], json!(9), "{transaction}");
    assert!(
        transaction["failure_reason"].as_str().is_some_and(|text| text.starts_with("MODE_MISMATCH")),
        "{transaction}"
    );
}

async fn health(deployment: &Deployment) -> Value {
    let catalog = deployment.manager().run("MngGetCashierProviders", &json!({})).await;
    let modules = catalog["runtime_providers"].as_array().expect("a list");
    modules.iter().find(|module| module["code"] == json!("stripe")).expect("stripe")["health"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn m12_a_key_that_the_provider_refuses_is_no_decline() {
    let deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    let mut wanted = order("stripe", "250");
    wanted["idempotency_key"] = json!("one deposit");

    deployment.stripe.set_mode(StubMode::QuotingKey);
    let refused = deployment.customer().deposit(&wanted).await;
    assert_eq!(refused.refusal(), (503, "PROVIDER_UNAVAILABLE".to_owned()), "{}", refused.text());
    assert_eq!(health(&deployment).await, json!("degraded"));

    // The key is free again, and the next payment that the provider takes ends the alarm.
    deployment.stripe.set_mode(StubMode::Answering);
    deployment.customer().deposit(&wanted).await.expect_ok();
    assert_eq!(health(&deployment).await, json!("ok"));

    // A decline is one, and says nothing about the credentials.
    deployment.stripe.set_mode(StubMode::Declining);
    let declined = deployment.customer().deposit(&order("stripe", "250")).await;
    assert_eq!(declined.refusal(), (502, "PROVIDER_DECLINED".to_owned()), "{}", declined.text());
    assert_eq!(health(&deployment).await, json!("ok"));
}
