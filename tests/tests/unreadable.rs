//! Webhooks that are signed and cannot be read are kept, answered 200 and listed; their payment is queried instead.

use cashier_tests::deployment::DeploymentPlan;
use cashier_tests::http::HttpAnswer;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::signing;
use cashier_tests::stripe_stub::WEBHOOK_SECRET;
use cashier_tests::waiting::eventually;
use serde_json::json;

/// Sends these bytes, signed as Stripe signs.
async fn send(pending: &PendingDeposit, secret: &str, body: &[u8]) -> HttpAnswer {
    let signature = signing::timed_signature(secret, pending.deployment.clock.unix(), body);
    let path = format!("stripe/{}", pending.config);
    pending.deployment.webhook(&path, ("stripe-signature", &signature), body).await
}

async fn listed(pending: &PendingDeposit) -> String {
    let metrics = pending.deployment.watch("metrics").await.text();
    let line = metrics.lines().find(|line| line.starts_with("cashier_unreadable_notices "));
    line.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn m3_a_signed_event_whose_amount_is_no_amount_is_kept_and_its_payment_is_queried_and_credited() {
    if !signing::can_sign() {
        return;
    }
    let mut pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let now = pending.deployment.clock.unix();
    let stub = &pending.deployment.stripe;
    let id = stub.latest_id();
    stub.amend(&id, "status", json!("succeeded"));
    stub.amend(&id, "amount_received", json!(25_000));
    let odd = pending.event().intent_succeeded(now).to_string().replace("25000", "24999.9999999999995");
    assert!(odd.contains("24999.9999999999995"), "{odd}");

    let answer = send(&pending, WEBHOOK_SECRET, odd.as_bytes()).await.expect_ok();
    let event = &answer["event"];
    assert_eq!((&event["signature_status"], &event["processing_status"]), (&json!(1), &json!(2)), "{answer}");
    assert_eq!(event["failure_reason"], "UNREADABLE_NOTICE", "its sender learns the code alone");
    eventually("the payment to be credited by a query", async || {
        (pending.deployment.manager().transaction(pending.id).await["transaction"]["status"] == 3).then_some(())
    })
    .await;
    pending.credited_once().await;
    assert_eq!(listed(&pending).await, "cashier_unreadable_notices 1");
    let again = send(&pending, WEBHOOK_SECRET, odd.as_bytes()).await.expect_ok();
    assert_eq!(again["duplicate"], json!(true), "{again}");
    pending.deployment.restart().await;
    assert_eq!(listed(&pending).await, "cashier_unreadable_notices 1");
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m10_signed_bytes_that_are_no_event_are_kept_and_the_same_bytes_unsigned_are_rejected() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let deep = "[".repeat(100_000);
    for (number, body) in [&b"{"[..], b"", b"\xff\xfe\x00", b"a=b&c=d", deep.as_bytes()].into_iter().enumerate() {
        assert_eq!(send(&pending, "whsec_of_another", body).await.status, 401);
        let answer = send(&pending, WEBHOOK_SECRET, body).await.expect_ok();
        assert_eq!(answer["event"]["failure_reason"], "UNREADABLE_NOTICE", "{answer}");
        assert_eq!(listed(&pending).await, format!("cashier_unreadable_notices {}", number + 1));
    }
    pending.send_event("stripe", WEBHOOK_SECRET, &pending.event()).await.expect_ok();
    pending.credited_once().await;
}
