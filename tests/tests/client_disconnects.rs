//! A client that disconnects cancels nothing: at every wait of a deposit and of a webhook, by a closed connection and by a
//! reset one, the flow ends as if the client had stayed.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::time::Duration;

use cashier_core::status::OperationStatus;
use cashier_core::transaction::FirstAnswer;
use cashier_tests::clock::ClockSpeed;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::faulty_trading::TradingMode;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::raw_http::{RawConnection, post};
use cashier_tests::roster::LOGIN;
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, StripeEventFields, StubMode, signed};
use cashier_tests::waiting::eventually;
use cashier_tests::write_lock::WriteLock;
use serde_json::{Value, json};

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

/// How a client disconnects.
const DISCONNECTS: [fn(RawConnection); 2] = [RawConnection::close, RawConnection::reset];

fn plan() -> DeploymentPlan {
    DeploymentPlan { faulty_trading: true, clock_speed: ClockSpeed::Times(1), ..DeploymentPlan::default() }
}

/// A stopped clock: the janitor never completes what a flow left.
fn stopped_clock() -> DeploymentPlan {
    DeploymentPlan { clock_speed: ClockSpeed::Stopped, ..plan() }
}

/// Writes a deposit request and returns the open connection.
async fn begin(deployment: &Deployment, request: &Value) -> RawConnection {
    let mut client = RawConnection::connect(&deployment.customer_url()).await;
    let token = deployment.customer().token;
    let request = post("/cashier/deposit", &[("authorization", &token)], request.to_string().as_bytes());
    assert!(client.write(&request).await);
    client
}

/// The deposit becomes pending with the provider's payment id, and a repeated request returns exactly that.
async fn is_pending(deployment: &Deployment, request: &Value) {
    let row = eventually("the deposit", async || {
        let list = deployment.customer().transactions("").await.expect_ok();
        let rows = list["rows"].as_array()?.clone();
        rows.into_iter().find(|row| row["idempotency_key"] == request["idempotency_key"] && row["status"] == json!(1))
    })
    .await;
    let again = deployment.customer().deposit(request).await.expect_ok();
    assert_eq!(again["transaction"], row, "{again}");
    assert_eq!(again["next_action"], json!("INSTRUCTIONS"), "{again}");
    assert_eq!(again["instructions"]["payment_intent"], row["provider_payment_id"], "{again}");
}

fn keyed(key: &str) -> Value {
    let mut request = order("stripe", "30");
    request["idempotency_key"] = json!(key);
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_completes_when_its_client_disconnects_during_the_account_query() {
    let deployment = Deployment::of(plan()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    for (at, disconnect) in DISCONNECTS.into_iter().enumerate() {
        let request = keyed(&format!("account-{at}"));
        deployment.faulty_server().set_mode(TradingMode::Unresponsive);
        let client = begin(&deployment, &request).await;
        eventually("the account query", async || (deployment.faulty_server().waiting() > at).then_some(())).await;
        disconnect(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        deployment.faulty_server().set_mode(TradingMode::Working);
        is_pending(&deployment, &request).await;
    }
    assert_eq!(deployment.stripe.requests().len(), DISCONNECTS.len(), "each was created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_completes_when_its_client_disconnects_during_the_create_call() {
    let deployment = Deployment::of(plan()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    for (at, disconnect) in DISCONNECTS.into_iter().enumerate() {
        let request = keyed(&format!("call-{at}"));
        deployment.stripe.set_mode(StubMode::Holding);
        let client = begin(&deployment, &request).await;
        eventually("the create call", async || (deployment.stripe.requests().len() > at).then_some(())).await;
        disconnect(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        deployment.stripe.set_mode(StubMode::Answering);
        is_pending(&deployment, &request).await;
    }
    assert_eq!(deployment.stripe.requests().len(), DISCONNECTS.len(), "each was created once");
}

/// A deposit waits for a commit twice: after it is opened, and after the provider has answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_completes_when_its_client_disconnects_during_a_commit() {
    let deployment = Deployment::of(stopped_clock()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    let decided = async |id: u64, answered: bool| {
        eventually("the decision", async || {
            let transaction = deployment.decided(id)?.transaction;
            ((transaction.first_answer != FirstAnswer::Open) == answered).then_some(())
        })
        .await;
    };
    for (id, (disconnect, after_the_call)) in
        (1_u64..).zip(DISCONNECTS.into_iter().flat_map(|way| [(way, false), (way, true)]))
    {
        let request = keyed(&format!("disk-{id}"));
        let calls = deployment.stripe.requests().len();
        if after_the_call {
            deployment.stripe.set_mode(StubMode::Holding);
        }
        let mut lock = (!after_the_call).then(|| WriteLock::take(deployment.folder()));
        let client = begin(&deployment, &request).await;
        if after_the_call {
            eventually("the create call", async || (deployment.stripe.requests().len() > calls).then_some(())).await;
            lock = Some(WriteLock::take(deployment.folder()));
            deployment.stripe.set_mode(StubMode::Answering);
        }
        // It is decided and not durable: the flow waits for that.
        decided(id, after_the_call).await;
        disconnect(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(deployment.stripe.requests().len() > calls, after_the_call, "nothing is sent before it is durable");
        lock.into_iter().for_each(WriteLock::release);
        is_pending(&deployment, &request).await;
    }
    assert_eq!(deployment.stripe.requests().len(), 4, "each was created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_complete_when_their_clients_disconnect_at_any_time() {
    let deployment = Deployment::of(plan()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    let mut all = Vec::new();
    for at in 0..60_u64 {
        let request = keyed(&format!("any-{at}"));
        let client = begin(&deployment, &request).await;
        // From immediately to after the answer.
        tokio::time::sleep(Duration::from_micros(at * 150)).await;
        client.close();
        all.push(request);
    }
    for request in &all {
        is_pending(&deployment, request).await;
    }
    assert_eq!(deployment.stripe.requests().len(), all.len(), "each was created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_credited_when_its_sender_disconnects_during_the_posting() {
    if !signing::can_sign() {
        return;
    }
    for disconnect in DISCONNECTS {
        let pending = PendingDeposit::of(plan()).await;
        pending.deployment.faulty_server().set_mode(TradingMode::Slow(Duration::from_secs(3600)));
        let client = send(&pending, &pending.event()).await;
        eventually("the posting", async || (!pending.deployment.faulty_server().postings().is_empty()).then_some(()))
            .await;
        disconnect(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        pending.deployment.faulty_server().set_mode(TradingMode::Working);
        eventually("the credit", async || (pending.seen().await["transaction"]["status"] == json!(3)).then_some(()))
            .await;
        pending.credited_once().await;
    }
}

/// A webhook waits for a commit twice: after it is recorded, and after the trading server has posted.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_credited_when_its_sender_disconnects_during_a_commit() {
    if !signing::can_sign() {
        return;
    }
    for (disconnect, after_the_posting) in DISCONNECTS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        let pending = PendingDeposit::of(stopped_clock()).await;
        let deployment = &pending.deployment;
        let mut lock = None;
        if after_the_posting {
            deployment.faulty_server().set_mode(TradingMode::Slow(Duration::from_secs(3600)));
        } else {
            lock = Some(WriteLock::take(deployment.folder()));
        }
        let client = send(&pending, &pending.event()).await;
        if after_the_posting {
            eventually("the posting", async || (!deployment.faulty_server().postings().is_empty()).then_some(())).await;
            lock = Some(WriteLock::take(deployment.folder()));
            deployment.faulty_server().set_mode(TradingMode::Working);
        }
        // It is decided and not durable: the flow waits for that.
        let planned = if after_the_posting { OperationStatus::Posted } else { OperationStatus::Planned };
        eventually("the decision", async || {
            let operations = deployment.decided(pending.id)?.operations;
            operations.first().is_some_and(|operation| operation.status == planned).then_some(())
        })
        .await;
        disconnect(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(
            deployment.faulty_server().postings().is_empty(),
            !after_the_posting,
            "nothing is posted before it is durable"
        );
        lock.into_iter().for_each(WriteLock::release);
        eventually("the credit", async || (pending.seen().await["transaction"]["status"] == json!(3)).then_some(()))
            .await;
        pending.credited_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_credited_when_their_senders_disconnect_at_any_time() {
    if !signing::can_sign() {
        return;
    }
    const WEBHOOKS: u64 = 40;
    let mut pending = PendingDeposit::of(plan()).await;
    // One webhook for the first deposit and for each further one.
    let mut payments = vec![(pending.reference.clone(), "pi_stub_1".to_owned(), 25_000)];
    for number in 2..=WEBHOOKS {
        pending.deployment.customer().deposit(&order("stripe", "10")).await.expect_ok();
        payments.push((pending.deployment.stripe.latest_reference(), format!("pi_stub_{number}"), 1_000));
    }
    for (at, (reference, intent, amount)) in (0_u64..).zip(&payments) {
        let event_id = format!("evt_{at}");
        let event =
            StripeEventFields { event_id: &event_id, reference, intent, amount: *amount, currency: "usd", live: false };
        let client = send(&pending, &event).await;
        tokio::time::sleep(Duration::from_micros(at * 100)).await;
        client.close();
    }
    eventually("all credits", async || (pending.deployment.balance(LOGIN).await == "640.0 USD").then_some(())).await;
    pending.deployment.restart().await;
    let credited =
        pending.deployment.customer().transactions("where[0][0]=status&where[0][1]==&where[0][2]=3").await.expect_ok();
    assert_eq!(credited["count"], json!(WEBHOOKS), "{credited}");
    assert_eq!(credited["rows"][0]["status"], json!(3));
    assert!(credited["rows"].as_array().unwrap().len() as u64 == WEBHOOKS);
}

async fn send(pending: &PendingDeposit, event: &StripeEventFields<'_>) -> RawConnection {
    let now = pending.deployment.clock.unix();
    let (body, (name, signature)) = signed(SECRET, now, &event.intent_succeeded(now));
    let mut client = RawConnection::connect(&pending.deployment.customer_url()).await;
    assert!(client.write(&post("/cashier/webhook/stripe", &[(name, &signature)], &body)).await);
    client
}
