//! A failed commit: requests that waited for it get 503, the cashier accepts nothing until it has loaded the database again,
//! recovers without an operator, and credits each payment once.
#![expect(clippy::indexing_slicing, reason = "a missing field is null and fails the comparison")]

use std::time::Duration;

use cashier_tests::clock::ClockSpeed;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::faulty_trading::TradingMode;
use cashier_tests::http::HttpAnswer;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::roster::LOGIN;
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, StripeEventFields, StubMode};
use cashier_tests::waiting::eventually;
use cashier_tests::write_lock::WriteLock;
use serde_json::{Value, json};

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

fn plan() -> DeploymentPlan {
    DeploymentPlan { faulty_trading: true, clock_speed: ClockSpeed::Times(1), ..DeploymentPlan::default() }
}

fn keyed(key: &str) -> Value {
    let mut request = order("stripe", "30");
    request["idempotency_key"] = json!(key);
    request
}

/// 503 with a Retry-After header.
#[track_caller]
fn is_unavailable(reply: &HttpAnswer) {
    assert_eq!(reply.refusal(), (503, "STORAGE_UNAVAILABLE".into()), "{}", reply.text());
    assert!(!reply.header("retry-after").is_empty(), "{:?}", reply.headers);
}

/// Alive, not ready, and refusing decisions and reads.
async fn is_closed(deployment: &Deployment) {
    assert_eq!(deployment.watch("healthz").await.status, 200, "the process is alive");
    let ready = deployment.watch("readyz").await;
    assert!(ready.status == 503 && ready.text().contains("a commit failed"), "{}", ready.text());
    assert!(deployment.watch("metrics").await.text().contains("cashier_ledger_open 0"));
    let customer = deployment.customer();
    is_unavailable(&customer.deposit(&keyed("while-closed")).await);
    is_unavailable(&customer.withdraw(&json!({"login": LOGIN, "amount": 1, "currency": "USD"})).await);
    is_unavailable(&customer.transactions("").await);
    let seen = deployment.manager().command("MngGetCashierTransaction", &json!({"id": 1})).await;
    assert_eq!((seen.status, &seen.json()["data"]["error"]), (503, &json!("STORAGE_UNAVAILABLE")), "{}", seen.text());
}

/// Ready again without an operator.
async fn recovers(deployment: &Deployment) {
    eventually("the cashier to be ready", async || (deployment.watch("readyz").await.status == 200).then_some(()))
        .await;
    assert!(deployment.watch("metrics").await.text().contains("cashier_ledger_open 1"));
    assert!(deployment.running().cashier().ledger.is_open());
}

/// Advances the clock past the janitor's pauses, in steps that let no call in flight time out.
async fn minutes_pass(deployment: &Deployment) {
    deployment.clock.advance_seconds(10);
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// The customer's transaction under a key, alone.
async fn under_key(deployment: &Deployment, key: &str) -> Option<Value> {
    let list = deployment.customer().transactions("").await.expect_ok();
    let mut rows = list["rows"].as_array()?.iter().filter(|row| row["idempotency_key"] == json!(key));
    let found = rows.next().cloned();
    assert_eq!(rows.next(), None, "one transaction under {key}: {list}");
    found
}

/// Delivers the payment of 30 USD under `reference` twice; it is credited once.
async fn is_paid_once(deployment: &Deployment, transaction: &Value, reference: &str) {
    let id = transaction["id"].as_u64().unwrap_or_default();
    let (event_id, intent) = (format!("evt_{id}"), transaction["provider_payment_id"].as_str().unwrap_or_default());
    let event =
        StripeEventFields { event_id: &event_id, reference, intent, amount: 3_000, currency: "usd", live: false };
    let now = deployment.clock.unix();
    let (body, (name, signature)) = stripe_stub::signed(SECRET, now, &event.intent_succeeded(now));
    for duplicate in [false, true] {
        let accepted = deployment.webhook("stripe", (name, &signature), &body).await.expect_ok();
        assert_eq!(
            (&accepted["transaction"]["id"], &accepted["duplicate"]),
            (&json!(id), &json!(duplicate)),
            "{accepted}"
        );
    }
    let credited = async || (deployment.customer().transaction(id).await["status"] == json!(3)).then_some(());
    eventually("the credit", credited).await;
    let seen = deployment.manager().transaction(id).await;
    let operations = seen["balance_operations"].as_array().map_or(0, Vec::len);
    assert_eq!((operations, &seen["balance_operations"][0]["amount"]), (1, &json!(30.0)), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_whose_first_commit_fails_gets_503_and_does_not_exist() {
    if !signing::can_sign() {
        return;
    }
    let deployment = Deployment::of(plan()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    let lock = WriteLock::take(deployment.folder());
    is_unavailable(&deployment.customer().deposit(&keyed("lost")).await);
    is_closed(&deployment).await;
    assert_eq!(deployment.stripe.requests().len(), 0, "no provider is called before the transaction is durable");

    lock.release();
    recovers(&deployment).await;
    assert_eq!(under_key(&deployment, "lost").await, None, "the transaction does not exist");
    // The same request again is a new deposit, and so is one under another key.
    let mut held = 0;
    for key in ["lost", "new"] {
        let answer = deployment.customer().deposit(&keyed(key)).await.expect_ok();
        let reference = deployment.stripe.latest_reference();
        is_paid_once(&deployment, &answer["transaction"], &reference).await;
        held += 30;
        assert_eq!(deployment.balance(LOGIN).await, format!("{held}.0 USD"));
    }
    assert_eq!(deployment.stripe.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_whose_last_commit_fails_is_completed_after_recovery_and_credited_once() {
    if !signing::can_sign() {
        return;
    }
    let deployment = Deployment::of(plan()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    deployment.stripe.set_mode(StubMode::Holding);
    let (customer, request) = (deployment.customer(), keyed("unfinished"));
    let (refused, lock) = tokio::join!(customer.deposit(&request), async {
        eventually("the create call", async || (!deployment.stripe.requests().is_empty()).then_some(())).await;
        let lock = WriteLock::take(deployment.folder());
        deployment.stripe.set_mode(StubMode::Answering);
        lock
    });
    is_unavailable(&refused);
    is_closed(&deployment).await;

    lock.release();
    recovers(&deployment).await;
    // The create call is due work: it is repeated under the same key and gets the same answer.
    let finished = async || {
        minutes_pass(&deployment).await;
        under_key(&deployment, "unfinished").await.filter(|row| row["provider_payment_id"] != json!(""))
    };
    let row = eventually("the deposit to be completed", finished).await;
    let calls = deployment.stripe.requests();
    assert!(calls.len() >= 2, "the call was repeated: {calls:?}");
    let same = |at: usize| (&calls[at].idempotency_key, &calls[at].form);
    assert!((1..calls.len()).all(|at| same(at) == same(0)), "byte for byte: {calls:?}");
    assert_eq!((&row["provider_payment_id"], &row["status"]), (&json!("pi_stub_1"), &json!(1)), "{row}");
    let again = deployment.customer().deposit(&request).await.expect_ok();
    assert_eq!(again["transaction"]["id"], row["id"], "{again}");
    is_paid_once(&deployment, &row, &deployment.stripe.latest_reference()).await;
    assert_eq!(deployment.balance(LOGIN).await, "30.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_commit_fails_gets_503_and_its_retry_credits_once() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(plan()).await;
    let lock = WriteLock::take(pending.deployment.folder());
    is_unavailable(&pending.send_event("stripe", SECRET, &pending.event()).await);
    is_closed(&pending.deployment).await;
    is_unavailable(&pending.send_event("stripe", SECRET, &pending.event()).await);
    assert_eq!(pending.deployment.faulty_server().postings().len(), 0, "nothing is posted before the event is durable");

    lock.release();
    recovers(&pending.deployment).await;
    assert_eq!(pending.not_credited().await["status"], json!(1), "the event was not recorded");
    let accepted = pending.send_event("stripe", SECRET, &pending.event()).await.expect_ok();
    assert_eq!((&accepted["transaction"]["status"], &accepted["duplicate"]), (&json!(2), &json!(false)), "{accepted}");
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posting_whose_outcome_fails_to_commit_is_retried_under_its_key_and_counts_once() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(plan()).await;
    let deployment = &pending.deployment;
    deployment.faulty_server().set_mode(TradingMode::Slow(Duration::from_secs(3600)));
    let event = pending.event();
    let (accepted, lock) = tokio::join!(pending.send_event("stripe", SECRET, &event), async {
        eventually("the posting", async || (!deployment.faulty_server().postings().is_empty()).then_some(())).await;
        let lock = WriteLock::take(deployment.folder());
        deployment.faulty_server().set_mode(TradingMode::Working);
        lock
    });
    let closed = async || (deployment.watch("readyz").await.status == 503).then_some(());
    eventually("the ledger to close", closed).await;
    is_closed(deployment).await;
    assert_eq!(deployment.balance(LOGIN).await, "250.0 USD", "the trading server has posted it");
    // The event is durable; whether its sender got 200 or retries, it counts once.
    assert!(accepted.status == 200 || accepted.status == 503, "{}", accepted.text());

    lock.release();
    recovers(deployment).await;
    let credited = async || {
        minutes_pass(deployment).await;
        (pending.seen().await["transaction"]["status"] == json!(3)).then_some(())
    };
    eventually("the credit to be recorded", credited).await;
    pending.credited_once().await;
    let postings = deployment.faulty_server().postings();
    assert!(postings.iter().all(|posting| posting.operation.id == postings[0].operation.id), "{postings:?}");
    let again = pending.send_event("stripe", SECRET, &event).await.expect_ok();
    assert_eq!(again["duplicate"], json!(true), "{again}");
    pending.credited_once().await;
}
