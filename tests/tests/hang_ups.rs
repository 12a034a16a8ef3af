//! A client that goes away cancels nothing that was begun: at every wait of a deposit and of a webhook, by a closed
//! browser and by a crashed machine, the flow ends as if the client had stayed.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::time::Duration;

use cashier_core::status::OperationStatus;
use cashier_core::transaction::FirstAnswer;
use cashier_tests::clock::Pace;
use cashier_tests::customer::order;
use cashier_tests::pending::Pending;
use cashier_tests::raw::{Raw, post};
use cashier_tests::roster::LOGIN;
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, Mood as StripeMood, Said, signed};
use cashier_tests::trading::Mood;
use cashier_tests::waiting::eventually;
use cashier_tests::world::{Plan, World};
use cashier_tests::write_lock::WriteLock;
use serde_json::{Value, json};

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

/// How a client leaves.
const WAYS: [fn(Raw); 2] = [Raw::hang_up, Raw::vanish];

fn troubled() -> Plan {
    Plan { troubled_trading: true, pace: Pace::Times(1), ..Plan::default() }
}

/// A clock that stands still: the janitor never comes to finish what a flow left.
fn still() -> Plan {
    Plan { pace: Pace::Still, ..troubled() }
}

/// Writes a deposit and gives the open connection.
async fn begin(world: &World, asked: &Value) -> Raw {
    let mut client = Raw::connect(&world.customer_door()).await;
    let token = world.customer().token;
    let request = post("/cashier/deposit", &[("authorization", &token)], asked.to_string().as_bytes());
    assert!(client.write(&request).await);
    client
}

/// The deposit under a key ends pending with what the provider gave for it, and the key repeats exactly that.
async fn stands(world: &World, asked: &Value) {
    let row = eventually("the deposit", async || {
        let list = world.customer().transactions("").await.fine();
        let rows = list["rows"].as_array()?.clone();
        rows.into_iter().find(|row| row["idempotency_key"] == asked["idempotency_key"] && row["status"] == json!(1))
    })
    .await;
    let again = world.customer().deposit(asked).await.fine();
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
    let world = World::of(troubled()).await;
    world.manager().save_config(&world.stripe_config()).await;
    for (at, leave) in WAYS.into_iter().enumerate() {
        let asked = keyed(&format!("lookup-{at}"));
        world.troubled().mood(Mood::Deaf);
        let client = begin(&world, &asked).await;
        eventually("the lookup", async || (world.troubled().waiting() > at).then_some(())).await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        world.troubled().mood(Mood::Well);
        stands(&world, &asked).await;
    }
    assert_eq!(world.stripe.asked().len(), WAYS.len(), "each was created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_goes_on_when_its_client_leaves_while_the_provider_is_called() {
    let world = World::of(troubled()).await;
    world.manager().save_config(&world.stripe_config()).await;
    for (at, leave) in WAYS.into_iter().enumerate() {
        let asked = keyed(&format!("call-{at}"));
        world.stripe.mood(StripeMood::Holding);
        let client = begin(&world, &asked).await;
        eventually("the create call", async || (world.stripe.asked().len() > at).then_some(())).await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        world.stripe.mood(StripeMood::Answering);
        stands(&world, &asked).await;
    }
    assert_eq!(world.stripe.asked().len(), WAYS.len(), "each was created once");
}

/// A deposit waits for the disk twice: once it is opened, and once the provider has answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_goes_on_when_its_client_leaves_while_the_disk_is_awaited() {
    let world = World::of(still()).await;
    world.manager().save_config(&world.stripe_config()).await;
    let decided = async |id: u64, answered: bool| {
        eventually("the decision", async || {
            let transaction = world.decided(id)?.transaction;
            ((transaction.first_answer != FirstAnswer::Open) == answered).then_some(())
        })
        .await;
    };
    for (id, (leave, after_the_call)) in (1_u64..).zip(WAYS.into_iter().flat_map(|way| [(way, false), (way, true)])) {
        let asked = keyed(&format!("disk-{id}"));
        let calls = world.stripe.asked().len();
        if after_the_call {
            world.stripe.mood(StripeMood::Holding);
        }
        let mut lock = (!after_the_call).then(|| WriteLock::take(world.folder()));
        let client = begin(&world, &asked).await;
        if after_the_call {
            eventually("the create call", async || (world.stripe.asked().len() > calls).then_some(())).await;
            lock = Some(WriteLock::take(world.folder()));
            world.stripe.mood(StripeMood::Answering);
        }
        // It is decided and cannot be on disk: that is what the flow waits for.
        decided(id, after_the_call).await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(world.stripe.asked().len() > calls, after_the_call, "what is not on disk is not sent");
        lock.into_iter().for_each(WriteLock::release);
        stands(&world, &asked).await;
    }
    assert_eq!(world.stripe.asked().len(), 4, "each was created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_whose_clients_leave_at_any_moment_all_stand() {
    let world = World::of(troubled()).await;
    world.manager().save_config(&world.stripe_config()).await;
    let mut all = Vec::new();
    for at in 0..60_u64 {
        let asked = keyed(&format!("any-{at}"));
        let client = begin(&world, &asked).await;
        // From at once to after the answer.
        tokio::time::sleep(Duration::from_micros(at * 150)).await;
        client.hang_up();
        all.push(asked);
    }
    for asked in &all {
        stands(&world, asked).await;
    }
    assert_eq!(world.stripe.asked().len(), all.len(), "each was created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_goes_on_when_its_sender_leaves_while_the_trading_server_is_slow() {
    if !signing::can_sign() {
        return;
    }
    for leave in WAYS {
        let pending = Pending::of(troubled()).await;
        pending.world.troubled().mood(Mood::Slow(Duration::from_secs(3600)));
        let client = send(&pending, &pending.said()).await;
        eventually("the posting", async || (!pending.world.troubled().asked().is_empty()).then_some(())).await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        pending.world.troubled().mood(Mood::Well);
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
        let pending = Pending::of(still()).await;
        let world = &pending.world;
        let mut lock = None;
        if after_the_posting {
            world.troubled().mood(Mood::Slow(Duration::from_secs(3600)));
        } else {
            lock = Some(WriteLock::take(world.folder()));
        }
        let client = send(&pending, &pending.said()).await;
        if after_the_posting {
            eventually("the posting", async || (!world.troubled().asked().is_empty()).then_some(())).await;
            lock = Some(WriteLock::take(world.folder()));
            world.troubled().mood(Mood::Well);
        }
        // It is decided and cannot be on disk: that is what the flow waits for.
        let planned = if after_the_posting { OperationStatus::Posted } else { OperationStatus::Planned };
        eventually("the decision", async || {
            let operations = world.decided(pending.id)?.operations;
            operations.first().is_some_and(|operation| operation.status == planned).then_some(())
        })
        .await;
        leave(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(world.troubled().asked().is_empty(), !after_the_posting, "what is not on disk is not posted");
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
    let mut pending = Pending::of(troubled()).await;
    // The first deposit's own webhook, and one for each of a row of deposits.
    let mut said = vec![(pending.reference.clone(), "pi_stub_1".to_owned(), 25_000)];
    for number in 2..=WEBHOOKS {
        pending.world.customer().deposit(&order("stripe", "10")).await.fine();
        said.push((pending.world.stripe.latest_reference(), format!("pi_stub_{number}"), 1_000));
    }
    for (at, (reference, intent, amount)) in (0_u64..).zip(&said) {
        let event_id = format!("evt_{at}");
        let said = Said { event_id: &event_id, reference, intent, amount: *amount, currency: "usd", live: false };
        let client = send(&pending, &said).await;
        tokio::time::sleep(Duration::from_micros(at * 100)).await;
        client.hang_up();
    }
    eventually("all credits", async || (pending.world.balance(LOGIN).await == "640.0 USD").then_some(())).await;
    pending.world.restart().await;
    let credited = pending.world.customer().transactions("where[0][0]=status&where[0][1]==&where[0][2]=3").await.fine();
    assert_eq!(credited["count"], json!(WEBHOOKS), "{credited}");
    assert_eq!(credited["rows"][0]["status"], json!(3));
    assert!(credited["rows"].as_array().unwrap().len() as u64 == WEBHOOKS);
}

async fn send(pending: &Pending, said: &Said<'_>) -> Raw {
    let now = pending.world.clock.unix();
    let (body, (name, signature)) = signed(SECRET, now, &said.intent_succeeded(now));
    let mut client = Raw::connect(&pending.world.customer_door()).await;
    assert!(client.write(&post("/cashier/webhook/stripe", &[(name, &signature)], &body)).await);
    client
}
