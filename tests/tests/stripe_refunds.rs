//! Refunds and cancellations through the whole server and Stripe's module: in full, declined by Stripe, accepted and failed later, with a
//! lost answer that the query finds, and orders that are closed or turn out to be paid.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use cashier_tests::clock::ClockSpeed;
use cashier_tests::deployment::DeploymentPlan;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::roster::LOGIN;
use cashier_tests::signing;
use cashier_tests::stripe_stub::{StubMode, WEBHOOK_SECRET};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};

const REFUND: &str = "MngRefundCashierTransaction";
const CANCEL: &str = "MngCancelCashierTransaction";

/// A deposit of 250 USD that Stripe reported as paid.
async fn credited() -> PendingDeposit {
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    pay(&pending);
    pending.send_event("stripe", WEBHOOK_SECRET, &pending.event()).await.expect_ok();
    pending.credited_once().await;
    pending
}

/// The intent is paid at Stripe.
fn pay(pending: &PendingDeposit) {
    pending.deployment.stripe.amend("pi_stub_1", "status", json!("succeeded"));
    pending.deployment.stripe.amend("pi_stub_1", "amount_received", json!(25_000));
}

/// Amounts of the operations that were posted, in order.
fn posted(seen: &Value) -> Vec<String> {
    let operations = seen["balance_operations"].as_array().cloned().unwrap_or_default();
    operations.iter().filter(|it| it["status"] == json!(1)).map(|it| it["amount"].to_string()).collect()
}

/// Waits until the transaction has this status and reason code, and these postings.
async fn is_at(pending: &PendingDeposit, status: u8, reason: &str, amounts: &[&str]) {
    eventually(&format!("status {status} {reason} with {amounts:?}"), async || {
        let seen = pending.seen().await;
        let row = &seen["transaction"];
        let has_reason = row["failure_reason"].as_str().is_some_and(|text| text.split(':').next() == Some(reason));
        (row["status"] == json!(status) && has_reason && posted(&seen) == amounts).then_some(())
    })
    .await;
}

/// Refunds that Stripe was asked for: key and amount.
fn asked(pending: &PendingDeposit) -> Vec<(String, String)> {
    let requests = pending.deployment.stripe.requests();
    let refunds = requests.into_iter().filter(|it| it.path == "/v1/refunds");
    refunds.map(|it| (it.idempotency_key, it.form["amount"].clone())).collect()
}

/// An event about the refund that Stripe made last.
async fn refund_event(pending: &PendingDeposit, event_id: &str, kind: &str, status: &str) -> Value {
    let now = pending.deployment.clock.unix();
    let object = json!({
        "id": "re_stub_2", "object": "refund", "amount": 25_000, "currency": "usd", "livemode": false, "status": status,
        "payment_intent": "pi_stub_1", "metadata": {"refund_reference": format!("{}-refund-1", pending.reference)},
    });
    let event = json!({"id": event_id, "object": "event", "type": kind, "created": now, "livemode": false,
        "data": {"object": object}});
    pending.send("stripe", WEBHOOK_SECRET, &event).await.expect_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_refund_is_debited_made_once_and_its_event_and_its_repetition_add_nothing() {
    if !signing::can_sign() {
        return;
    }
    let pending = credited().await;
    let manager = pending.deployment.manager();
    let answer = manager.run(REFUND, &json!({"id": pending.id, "reason": "asked by phone"})).await;
    assert_eq!(answer["transaction"]["status"], json!(7), "{answer}");
    is_at(&pending, 7, "", &["250.0", "-250.0"]).await;
    for (id, kind) in [("evt_2", "refund.created"), ("evt_3", "refund.updated")] {
        refund_event(&pending, id, kind, "succeeded").await;
    }
    let again = manager.command(REFUND, &json!({"id": pending.id, "reason": "again"})).await;
    assert_eq!(again.refusal_in_envelope(), (409, "WRONG_STATUS".into()));
    is_at(&pending, 7, "", &["250.0", "-250.0"]).await;
    assert_eq!(asked(&pending), [(format!("{}-refund-1", pending.reference), "25000".to_owned())]);
    assert_eq!(pending.deployment.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_stripe_declines_returns_the_debit_and_may_be_asked_for_again() {
    if !signing::can_sign() {
        return;
    }
    let pending = credited().await;
    let manager = pending.deployment.manager();
    pending.deployment.stripe.set_mode(StubMode::RefusingRefunds);
    let request = json!({"id": pending.id, "amount": 100, "reason": "goodwill"});
    let declined = manager.command(REFUND, &request).await;
    assert_eq!(declined.refusal_in_envelope(), (502, "PROVIDER_DECLINED".into()), "{}", declined.text());
    is_at(&pending, 3, "REFUND_REFUSED", &["250.0", "-100.0", "100.0"]).await;
    assert_eq!(pending.deployment.balance(LOGIN).await, "250.0 USD", "the debit is returned");
    pending.deployment.stripe.set_mode(StubMode::Answering);
    manager.run(REFUND, &request).await;
    is_at(&pending, 3, "PARTLY_REFUNDED", &["250.0", "-100.0", "100.0", "-100.0"]).await;
    let key = |number: u8| (format!("{}-refund-{number}", pending.reference), "10000".to_owned());
    assert_eq!(asked(&pending), [key(1), key(2)], "each under a key of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_accepted_and_fails_by_a_later_webhook_waits_for_a_person_and_debits_no_more() {
    if !signing::can_sign() {
        return;
    }
    let pending = credited().await;
    let manager = pending.deployment.manager();
    pending.deployment.stripe.set_mode(StubMode::PendingRefunds);
    manager.run(REFUND, &json!({"id": pending.id, "reason": "goodwill"})).await;
    is_at(&pending, 3, "REFUND_PENDING", &["250.0", "-250.0"]).await;
    let other = manager.command(REFUND, &json!({"id": pending.id, "amount": 1, "reason": "more"})).await;
    assert_eq!(other.refusal_in_envelope(), (400, "INVALID_DATA".into()), "nothing is left: {}", other.text());
    refund_event(&pending, "evt_2", "refund.failed", "failed").await;
    // The money is back at the merchant: so is the debit, and a person decides whether the customer is owed it another way.
    let returned = ["250.0", "-250.0", "250.0"];
    is_at(&pending, 9, "REFUND_FAILED", &returned).await;
    refund_event(&pending, "evt_3", "refund.failed", "failed").await;
    refund_event(&pending, "evt_4", "refund.updated", "failed").await;
    is_at(&pending, 9, "REFUND_FAILED", &returned).await;
    assert_eq!(pending.deployment.balance(LOGIN).await, "250.0 USD");
    assert_eq!(asked(&pending).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_answer_is_lost_is_found_by_the_query_and_made_once() {
    if !signing::can_sign() {
        return;
    }
    let plan = DeploymentPlan { clock_speed: ClockSpeed::Stopped, ..DeploymentPlan::default() };
    let pending = PendingDeposit::of(plan).await;
    pay(&pending);
    pending.send_event("stripe", WEBHOOK_SECRET, &pending.event()).await.expect_ok();
    pending.credited_once().await;
    pending.deployment.stripe.set_mode(StubMode::LosingRefunds);
    let manager = pending.deployment.manager();
    let lost = manager.command(REFUND, &json!({"id": pending.id, "amount": 100, "reason": "goodwill"})).await;

    assert!(lost.expect_ok().to_string().contains("REFUND_PENDING: refund 1 of 100.0 USD was sent"), "{}", lost.text());
    // Its calls keep failing: what Stripe states about the payment is what finds it.
    eventually("the query finds it", async || {
        pending.deployment.clock.advance_seconds(3_600);
        let seen = pending.seen().await;
        (seen["transaction"]["failure_reason"] == json!("PARTLY_REFUNDED")).then_some(())
    })
    .await;
    assert!(pending.deployment.stripe.queried().iter().any(|id| id == "pi_stub_1"));
    is_at(&pending, 3, "PARTLY_REFUNDED", &["250.0", "-100.0"]).await;
    let keys: std::collections::BTreeSet<String> = asked(&pending).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), [format!("{}-refund-1", pending.reference)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_order_is_cancelled_at_stripe_and_one_that_is_paid_there_is_credited_instead() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let cancel = json!({"id": pending.id, "reason": "asked by phone"});
    let answer = pending.deployment.manager().run(CANCEL, &cancel).await;
    assert_eq!(answer["transaction"]["status"], json!(6), "{answer}");
    assert_eq!(pending.not_credited().await["status"], json!(6));

    // Paid, and its webhook never came.
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    pay(&pending);
    let manager = pending.deployment.manager();
    let found = manager.command(CANCEL, &json!({"id": pending.id, "reason": "asked by phone"})).await;

    assert_eq!(found.refusal_in_envelope(), (409, "WRONG_STATUS".into()), "{}", found.text());
    is_at(&pending, 3, "", &["250.0"]).await;
    // The webhook comes after all.
    pending.send_event("stripe", WEBHOOK_SECRET, &pending.event()).await.expect_ok();
    pending.credited_once().await;
}
