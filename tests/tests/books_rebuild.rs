//! The books that a start builds from the database equal the books of the process before: every row, index, counter and
//! due work of transactions in many states. Single histories are tests of the core; these go through the real strand.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail loudly")]

use cashier_core::books::{Activity, Books};
use cashier_core::change::Counters;
use cashier_core::ids::{ConfigId, CustomerId, EventId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::time::UnixTime;
use cashier_core::transaction::KeySpace;
use cashier_tests::clock::ClockSpeed;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::faulty_trading::TradingMode;
use cashier_tests::roster::{CUSTOMER, LOGIN, SECOND_CUSTOMER};
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, StripeEventFields, StubMode};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};

/// Ids of the events that Stripe sends here, and one that it never sends.
const EVENTS: [&str; 7] = ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_early", "evt_never"];

/// All answers of the books.
#[derive(Debug, PartialEq)]
struct BooksSnapshot {
    /// Each transaction with its operations, and the ids found by its keys, references and payment ids.
    rows: Vec<(String, Vec<Option<TransactionId>>)>,
    of_customers: Vec<Vec<TransactionId>>,
    known_events: Vec<Option<EventId>>,
    pending: Vec<ProviderEvent>,
    activity: Vec<Option<Activity>>,
    unsettled: Vec<TransactionId>,
    counters: Counters,
}

fn snapshot(books: &Books) -> BooksSnapshot {
    let counters = books.counters();
    let rows = (1..=counters.transaction).filter_map(|id| books.aggregate(TransactionId(id)));
    let rows = rows.map(|known| {
        let it = &known.transaction;
        let key = |space| books.by_key(it.customer_id, space, &it.idempotency_key);
        let mut found = vec![books.by_reference(&it.reference), key(KeySpace::Customer), key(KeySpace::Manager)];
        found.extend(it.refs.iter().map(|id| books.by_provider_ref(it.config_id, id)));
        found.extend(it.refs.iter().map(|id| books.by_carried(&it.brand, &id.value, |_| true)));
        (format!("{known:?}"), found)
    });
    BooksSnapshot {
        rows: rows.collect(),
        of_customers: [CUSTOMER, SECOND_CUSTOMER].map(|id| books.of_customer(CustomerId(id)).collect()).to_vec(),
        known_events: EVENTS.map(|id| books.known_event(ConfigId(1), id)).to_vec(),
        pending: books.pending_events_before(UnixTime(i64::MAX)).cloned().collect(),
        activity: [0, 1, 2].map(|id| books.config_activity(ConfigId(id))).to_vec(),
        unsettled: books.unsettled(),
        counters,
    }
}

fn seen(deployment: &Deployment) -> BooksSnapshot {
    deployment.running().cashier().ledger.peek(snapshot).unwrap()
}

/// A deposit under this key; returns Stripe's id of it and our reference.
async fn deposit(deployment: &Deployment, key: &str) -> (String, String) {
    let mut request = order("stripe", "20");
    request["idempotency_key"] = json!(key);
    let answer = deployment.customer().deposit(&request).await.expect_ok();
    let intent = answer["transaction"]["provider_payment_id"].as_str().unwrap().to_owned();
    (intent, deployment.stripe.latest_reference())
}

/// Delivers `payment_intent.succeeded`; returns the status of the transaction.
async fn deliver(
    deployment: &Deployment,
    event_id: &str,
    (intent, reference): &(String, String),
    amount: i64,
) -> Value {
    let event = StripeEventFields { event_id, reference, intent, amount, currency: "usd", live: false };
    let now = deployment.clock.unix();
    let (body, (name, signature)) = stripe_stub::signed(stripe_stub::WEBHOOK_SECRET, now, &event.intent_succeeded(now));
    deployment.webhook("stripe", (name, &signature), &body).await.expect_ok()["transaction"]["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_rebuilds_equal_books() {
    if !signing::can_sign() {
        return;
    }
    let mut deployment = Deployment::of(DeploymentPlan {
        faulty_trading: true,
        clock_speed: ClockSpeed::Stopped,
        ..DeploymentPlan::default()
    })
    .await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;

    let _pending = deposit(&deployment, "pending").await;
    let credited = deposit(&deployment, "credited").await;
    assert_eq!(deliver(&deployment, "evt_1", &credited, 2_000).await, json!(2));
    assert_eq!(deliver(&deployment, "evt_1", &credited, 2_000).await, json!(3), "the same event again");
    assert_eq!(deliver(&deployment, "evt_2", &credited, 2_000).await, json!(3), "another event about the same payment");
    let other = deposit(&deployment, "other amount").await;
    assert_eq!(deliver(&deployment, "evt_3", &other, 1_999).await, json!(9));
    deployment.stripe.set_mode(StubMode::Declining);
    assert_eq!(deployment.customer().deposit(&order("stripe", "20")).await.status, 502);
    deployment.stripe.set_mode(StubMode::Answering);
    deployment.clock.advance_seconds(3);
    let refused = deposit(&deployment, "refused").await;
    deployment.faulty_server().set_mode(TradingMode::Refusing("CLOSED"));
    assert_eq!(deliver(&deployment, "evt_4", &refused, 2_000).await, json!(4));
    deployment.faulty_server().set_mode(TradingMode::Down);
    let withdrawal = json!({"login": LOGIN, "amount": 1, "currency": "USD", "idempotency_key": "out"});
    assert_eq!(deployment.customer().withdraw(&withdrawal).await.status, 503, "the owner of the account is unknown");
    deployment.faulty_server().set_mode(TradingMode::Working);
    deployment.customer().withdraw(&withdrawal).await.expect_ok();
    let owed = deposit(&deployment, "owed").await;
    deployment.faulty_server().set_mode(TradingMode::Down);
    assert_eq!(deliver(&deployment, "evt_5", &owed, 2_000).await, json!(2));
    let unknown = ("pi_unknown".to_owned(), "dqxkr41wbtf05hbv6k2w".to_owned());
    assert_eq!(deliver(&deployment, "evt_early", &unknown, 2_000).await, Value::Null);
    assert_eq!(deployment.webhook("stripe", ("stripe-signature", "t=1,v1=00"), b"{}").await.status, 401);

    let left = seen(&deployment);
    assert_eq!((left.rows.len(), left.pending.len()), (7, 1), "{left:#?}");
    assert!(left.unsettled.len() >= 2 && left.known_events.iter().filter(|id| id.is_some()).count() == 6, "{left:#?}");
    for start in 1..=2 {
        deployment.restart().await;
        let built = seen(&deployment);
        for (before, after) in left.rows.iter().zip(&built.rows) {
            assert_eq!(before, after, "start {start}");
        }
        assert_eq!(left, built, "start {start}");
    }
    // New work continues, in the order of the counters.
    deployment.faulty_server().set_mode(TradingMode::Working);
    deposit(&deployment, "after").await;
    assert_eq!(seen(&deployment).rows.len(), left.rows.len() + 1);
    deployment.clock.advance_seconds(10);
    // One credit for each payment that was not refused.
    eventually("what is owed", async || (deployment.balance(LOGIN).await == "40.0 USD").then_some(())).await;
}
