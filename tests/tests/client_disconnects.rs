//! A client that goes away cancels nothing that was begun: at every wait of a deposit and of a webhook, by a closed
//! browser and by a crashed machine, the flow ends as if the client had stayed.
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
use cashier_tests::stripe_stub::{self, StripeEvent, StubMode, signed};
use cashier_tests::waiting::eventually;
use cashier_tests::write_lock::WriteLock;
use serde_json::{Value, json};

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

/// How a client leaves.
const WAYS: [fn(RawConnection); 2] = [RawConnection::close, RawConnection::reset];

fn faulty_server() -> DeploymentPlan {
    DeploymentPlan { faulty_trading: true, clock_speed: ClockSpeed::Times(1), ..DeploymentPlan::default() }
}

/// A clock that stands still: the janitor never comes to finish what a flow left.
fn still() -> DeploymentPlan {
    DeploymentPlan { clock_speed: ClockSpeed::Stopped, ..faulty_server() }
}

/// Writes a deposit and gives the open connection.
async fn begin(deployment: &Deployment, asked: &Value) -> RawConnection {
    let mut client = RawConnection::connect(&deployment.customer_url()).await;
    let token = deployment.customer().token;
    let request = post("/cashier/deposit", &[("authorization", &token)], asked.to_string().as_bytes());
    assert!(client.write(&request).await);
    client
}

/// The deposit under a key ends pending with what the provider gave for it, and the key repeats exactly that.
async fn stands(deployment: &Deployment, asked: &Value) {
    let row = eventually("the deposit", async || {
        let list = deployment.customer().transactions("").await.expect_ok();
        let rows = list["rows"].as_array()?.clone();
        rows.into_iter().find(|row| row["idempotency_key"] == asked["idempotency_key"] && row["status"] == json!(1))
    })
    .await;
    let again = deployment.customer().deposit(asked).await.expect_ok();
    assert_eq!(again["transaction"], row, "{again}");
    assert_eq!(again["next_action"], json!("INSTRUCTIONS"), "{again}");
    assert_eq!(again["instructions"]["payment_intent"], row["provider_payment_id"], "{again}");
}

fn keyed(key: &str) -> Value {
    let mut asked = order("stripe", "30");
    asked["idempotency_key"] = json!(key);
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_goes_on_when_its_client_leaves_while_the_account_is_looked_up() {
    let deployment = Deployment::of(faulty_server()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    for (at, leave) in WAYS.into_iter().enumerate() {
        let asked = keyed(&format!("lookup-{at}"));
        deployment.faulty_server().set_mode(TradingMode::Unresponsive);
        let client = begin(&deployment, &asked).await;
        eventually("the lookup", async || (deployment.faulty_server().waiting() > at).then_some(())).await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        deployment.faulty_server().set_mode(TradingMode::Working);
        stands(&deployment, &asked).await;
    }
    assert_eq!(deployment.stripe.requests().len(), WAYS.len(), "each was created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_goes_on_when_its_client_leaves_while_the_provider_is_called() {
    let deployment = Deployment::of(faulty_server()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    for (at, leave) in WAYS.into_iter().enumerate() {
        let asked = keyed(&format!("call-{at}"));
        deployment.stripe.set_mode(StubMode::Holding);
        let client = begin(&deployment, &asked).await;
        eventually("the create call", async || (deployment.stripe.requests().len() > at).then_some(())).await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        deployment.stripe.set_mode(StubMode::Answering);
        stands(&deployment, &asked).await;
    }
    assert_eq!(deployment.stripe.requests().len(), WAYS.len(), "each was created once");
}

/// A deposit waits for the disk twice: once it is opened, and once the provider has answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_goes_on_when_its_client_leaves_while_the_disk_is_awaited() {
    let deployment = Deployment::of(still()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    let decided = async |id: u64, answered: bool| {
        eventually("the decision", async || {
            let transaction = deployment.decided(id)?.transaction;
            ((transaction.first_answer != FirstAnswer::Open) == answered).then_some(())
        })
        .await;
    };
    for (id, (leave, after_the_call)) in (1_u64..).zip(WAYS.into_iter().flat_map(|way| [(way, false), (way, true)])) {
        let asked = keyed(&format!("disk-{id}"));
        let calls = deployment.stripe.requests().len();
        if after_the_call {
            deployment.stripe.set_mode(StubMode::Holding);
        }
        let mut lock = (!after_the_call).then(|| WriteLock::take(deployment.folder()));
        let client = begin(&deployment, &asked).await;
        if after_the_call {
            eventually("the create call", async || (deployment.stripe.requests().len() > calls).then_some(())).await;
            lock = Some(WriteLock::take(deployment.folder()));
            deployment.stripe.set_mode(StubMode::Answering);
        }
        // It is decided and cannot be on disk: that is what the flow waits for.
        decided(id, after_the_call).await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(deployment.stripe.requests().len() > calls, after_the_call, "what is not on disk is not sent");
        lock.into_iter().for_each(WriteLock::release);
        stands(&deployment, &asked).await;
    }
    assert_eq!(deployment.stripe.requests().len(), 4, "each was created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_whose_clients_leave_at_any_moment_all_stand() {
    let deployment = Deployment::of(faulty_server()).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    let mut all = Vec::new();
    for at in 0..60_u64 {
        let asked = keyed(&format!("any-{at}"));
        let client = begin(&deployment, &asked).await;
        // From at once to after the answer.
        tokio::time::sleep(Duration::from_micros(at * 150)).await;
        client.close();
        all.push(asked);
    }
    for asked in &all {
        stands(&deployment, asked).await;
    }
    assert_eq!(deployment.stripe.requests().len(), all.len(), "each was created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_goes_on_when_its_sender_leaves_while_the_trading_server_is_slow() {
    if !signing::can_sign() {
        return;
    }
    for leave in WAYS {
        let pending = PendingDeposit::of(faulty_server()).await;
        pending.deployment.faulty_server().set_mode(TradingMode::Slow(Duration::from_secs(3600)));
        let client = send(&pending, &pending.event()).await;
        eventually("the posting", async || (!pending.deployment.faulty_server().postings().is_empty()).then_some(()))
            .await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        pending.deployment.faulty_server().set_mode(TradingMode::Working);
        eventually("the credit", async || (pending.seen().await["transaction"]["status"] == json!(3)).then_some(()))
            .await;
        pending.credited_once().await;
    }
}

/// A webhook waits for the disk twice: once it is heard, and once the trading server has posted.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_goes_on_when_its_sender_leaves_while_the_disk_is_awaited() {
    if !signing::can_sign() {
        return;
    }
    for (leave, after_the_posting) in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        let pending = PendingDeposit::of(still()).await;
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
        // It is decided and cannot be on disk: that is what the flow waits for.
        let planned = if after_the_posting { OperationStatus::Posted } else { OperationStatus::Planned };
        eventually("the decision", async || {
            let operations = deployment.decided(pending.id)?.operations;
            operations.first().is_some_and(|operation| operation.status == planned).then_some(())
        })
        .await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(
            deployment.faulty_server().postings().is_empty(),
            !after_the_posting,
            "what is not on disk is not posted"
        );
        lock.into_iter().for_each(WriteLock::release);
        eventually("the credit", async || (pending.seen().await["transaction"]["status"] == json!(3)).then_some(()))
            .await;
        pending.credited_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_whose_senders_leave_at_any_moment_are_all_heard() {
    if !signing::can_sign() {
        return;
    }
    const WEBHOOKS: u64 = 40;
    let mut pending = PendingDeposit::of(faulty_server()).await;
    // The first deposit's own webhook, and one for each of a row of deposits.
    let mut said = vec![(pending.reference.clone(), "pi_stub_1".to_owned(), 25_000)];
    for number in 2..=WEBHOOKS {
        pending.deployment.customer().deposit(&order("stripe", "10")).await.expect_ok();
        said.push((pending.deployment.stripe.latest_reference(), format!("pi_stub_{number}"), 1_000));
    }
    for (at, (reference, intent, amount)) in (0_u64..).zip(&said) {
        let event_id = format!("evt_{at}");
        let said =
            StripeEvent { event_id: &event_id, reference, intent, amount: *amount, currency: "usd", live: false };
        let client = send(&pending, &said).await;
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

async fn send(pending: &PendingDeposit, said: &StripeEvent<'_>) -> RawConnection {
    let now = pending.deployment.clock.unix();
    let (body, (name, signature)) = signed(SECRET, now, &said.intent_succeeded(now));
    let mut client = RawConnection::connect(&pending.deployment.customer_url()).await;
    assert!(client.write(&post("/cashier/webhook/stripe", &[(name, &signature)], &body)).await);
    client
}
