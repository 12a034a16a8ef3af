//! The order in which Stripe's events arrive shows neither in the status nor in money: each set of events about one payment
//! is sent through the module and the server in random orders with duplicates, and always ends the same.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail loudly")]

use cashier_core::operation;
use cashier_tests::customer::order;
use cashier_tests::deployment::Deployment;
use cashier_tests::roster::LOGIN;
use cashier_tests::stripe_stub;
use cashier_tests::waiting::{WAIT_MAX, eventually};
use futures_util::{StreamExt, stream};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

/// Orders tried for each set.
const ORDERS: u64 = 40;
/// Deposits whose events are sent at the same time.
const AT_ONCE: usize = 4;

/// One payment of 250 USD, and the ids that its events name.
struct Payment {
    id: u64,
    reference: String,
    /// None under the flow without Stripe's page.
    session: Option<String>,
    intent: String,
}

impl Payment {
    fn event(&self, kind: &str, object: Value) -> Value {
        json!({"object": "event", "type": kind, "livemode": false, "data": {"object": object}})
    }

    fn intent_event(&self, kind: &str, intent: &str, received: i64) -> Value {
        let object = json!({
            "id": intent, "object": "payment_intent", "amount": 25_000, "amount_received": received,
            "currency": "usd", "livemode": false, "metadata": {"transaction_id": self.reference},
        });
        self.event(kind, object)
    }

    fn session_event(&self, kind: &str, paid: &str, intent: Value) -> Option<Value> {
        let object = json!({
            "id": self.session.as_ref()?, "object": "checkout.session", "amount_total": 25_000, "currency": "usd",
            "livemode": false, "payment_status": paid, "payment_intent": intent,
            "client_reference_id": self.reference, "metadata": {"transaction_id": self.reference},
        });
        Some(self.event(kind, object))
    }

    /// The session first names no intent, as Stripe's newer versions do, and then the paid one.
    fn paid(&self) -> Vec<Value> {
        let completed = "checkout.session.completed";
        let sessions = [
            self.session_event(completed, "paid", Value::Null),
            self.session_event("checkout.session.async_payment_succeeded", "paid", json!(self.intent)),
        ];
        let intents = [
            self.intent_event("payment_intent.created", &self.intent, 0),
            self.intent_event("payment_intent.succeeded", &self.intent, 25_000),
        ];
        sessions.into_iter().flatten().chain(intents).collect()
    }

    /// Stripe names neither our reference nor the session in it.
    fn dispute(&self, kind: &str, id: &str, amount: i64, status: &str) -> Value {
        let object = json!({
            "id": format!("du_{}_{id}", self.intent), "object": "dispute", "amount": amount, "currency": "usd", "livemode": false, "status": status,
            "charge": format!("ch_{}", self.intent), "payment_intent": self.intent, "reason": "fraudulent",
        });
        self.event(&format!("charge.dispute.{kind}"), object)
    }

    fn refund(&self, kind: &str, id: &str, amount: i64, status: &str) -> Value {
        let object = json!({
            "id": format!("re_{}_{id}", self.intent), "object": "refund", "amount": amount, "currency": "usd",
            "status": status, "charge": format!("ch_{}", self.intent), "payment_intent": self.intent,
        });
        self.event(kind, object)
    }

    fn charge_refunded(&self, total: i64) -> Value {
        let object = json!({
            "id": format!("ch_{}", self.intent), "object": "charge", "amount": 25_000, "amount_refunded": total,
            "currency": "usd", "livemode": false, "payment_intent": self.intent,
            "metadata": {"transaction_id": self.reference},
        });
        self.event("charge.refunded", object)
    }

    /// Another payment for the same order, under another intent.
    fn again(&self) -> Self {
        let intent = format!("{}_again", self.intent);
        Self { id: self.id, reference: self.reference.clone(), session: None, intent }
    }

    fn paid_and(&self, more: impl IntoIterator<Item = Value>) -> Vec<Value> {
        let mut events = self.paid();
        events.extend(more);
        events
    }
}

/// A set of events, and what it comes to in every order: the status, the minor units posted and the reason's first word.
struct EventSet {
    name: &'static str,
    events: fn(&Payment) -> Vec<Value>,
    ends: (u8, i64, &'static str),
}

const fn set(name: &'static str, events: fn(&Payment) -> Vec<Value>, ends: (u8, i64, &'static str)) -> EventSet {
    EventSet { name, events, ends }
}

const SETS: [EventSet; 18] = [
    set("paid", |it| it.paid(), (3, 25_000, "")),
    set(
        "failed, then paid",
        |it| {
            let failed = it.session_event("checkout.session.async_payment_failed", "unpaid", json!(it.intent));
            let declined = it.intent_event("payment_intent.payment_failed", &it.intent, 0);
            it.paid_and(failed.into_iter().chain([declined]))
        },
        (3, 25_000, ""),
    ),
    set(
        "disputed, won",
        |it| {
            it.paid_and([
                it.dispute("created", "1", 25_000, "needs_response"),
                it.dispute("funds_withdrawn", "1", 25_000, "needs_response"),
                it.dispute("closed", "1", 25_000, "won"),
                it.dispute("funds_reinstated", "1", 25_000, "won"),
            ])
        },
        (3, 25_000, ""),
    ),
    set(
        "disputed, lost",
        |it| {
            it.paid_and([
                it.dispute("created", "1", 25_000, "needs_response"),
                it.dispute("updated", "1", 25_000, "under_review"),
                it.dispute("funds_withdrawn", "1", 25_000, "needs_response"),
                it.dispute("closed", "1", 25_000, "lost"),
            ])
        },
        (8, 0, "CHARGEBACK"),
    ),
    set(
        "m5: lost, and nothing else",
        |it| it.paid_and([it.dispute("closed", "1", 25_000, "lost")]),
        (8, 0, "CHARGEBACK"),
    ),
    set(
        "m5: an inquiry that became a dispute",
        |it| {
            it.paid_and([
                it.dispute("created", "1", 10_000, "warning_needs_response"),
                it.dispute("funds_withdrawn", "1", 10_000, "needs_response"),
            ])
        },
        (8, 15_000, "CHARGEBACK"),
    ),
    set(
        "an inquiry that ended",
        |it| {
            it.paid_and([
                it.dispute("created", "1", 25_000, "warning_needs_response"),
                it.dispute("closed", "1", 25_000, "warning_closed"),
            ])
        },
        (3, 25_000, ""),
    ),
    set(
        "refunded in full",
        |it| {
            it.paid_and([
                it.refund("refund.created", "1", 25_000, "pending"),
                it.refund("refund.updated", "1", 25_000, "succeeded"),
                it.charge_refunded(25_000),
            ])
        },
        (7, 0, ""),
    ),
    set(
        "two part refunds",
        |it| {
            it.paid_and([
                it.refund("refund.created", "1", 4_000, "succeeded"),
                it.charge_refunded(4_000),
                it.refund("refund.created", "2", 6_000, "succeeded"),
                it.charge_refunded(10_000),
                it.refund("charge.refund.updated", "2", 6_000, "succeeded"),
            ])
        },
        (3, 15_000, "PARTLY_REFUNDED"),
    ),
    set(
        "m6: two part refunds without the charge's total",
        |it| {
            it.paid_and([
                it.refund("refund.created", "1", 4_000, "succeeded"),
                it.refund("charge.refund.updated", "2", 6_000, "succeeded"),
            ])
        },
        (3, 15_000, "PARTLY_REFUNDED"),
    ),
    set(
        "m31: a part refund that failed",
        |it| {
            it.paid_and([
                it.refund("refund.created", "1", 4_000, "succeeded"),
                it.charge_refunded(4_000),
                it.refund("refund.failed", "1", 4_000, "failed"),
            ])
        },
        (9, 25_000, "REFUND_FAILED"),
    ),
    set(
        "m4: a dispute larger than the payment",
        |it| it.paid_and([it.dispute("created", "1", 26_000, "needs_response")]),
        (9, 0, "BEYOND_CONFIRMED"),
    ),
    set(
        "a part refund, and a dispute won",
        |it| {
            it.paid_and([
                it.refund("refund.created", "1", 4_000, "succeeded"),
                it.dispute("created", "1", 25_000, "needs_response"),
                it.dispute("closed", "1", 25_000, "won"),
            ])
        },
        (3, 21_000, "PARTLY_REFUNDED"),
    ),
    set(
        "two disputes, one won",
        |it| {
            it.paid_and([
                it.dispute("created", "1", 20_000, "needs_response"),
                it.dispute("created", "2", 5_000, "needs_response"),
                it.dispute("closed", "1", 20_000, "won"),
            ])
        },
        (8, 20_000, "CHARGEBACK"),
    ),
    set(
        "twenty attempts, then paid and partly refunded",
        |it| {
            let attempts = (0..20).map(|_| it.intent_event("payment_intent.payment_failed", &it.intent, 0));
            it.paid_and(attempts.chain([it.refund("refund.created", "1", 4_000, "succeeded")]))
        },
        (3, 21_000, "PARTLY_REFUNDED"),
    ),
    set(
        "m21: twenty intents, the last paid and refunded",
        |it| {
            let attempts = (0..20).flat_map(|at| {
                let other = format!("pi_{}_{at}", it.id);
                ["payment_intent.payment_failed", "payment_intent.canceled"]
                    .map(|kind| it.intent_event(kind, &other, 0))
            });
            it.paid_and(attempts.chain([it.refund("refund.created", "1", 25_000, "succeeded")]))
        },
        (7, 0, ""),
    ),
    set(
        "paid twice, the second refunded",
        |it| {
            let again = it.again();
            it.paid_and([
                again.intent_event("payment_intent.succeeded", &again.intent, 25_000),
                again.refund("refund.created", "1", 25_000, "succeeded"),
                again.charge_refunded(25_000),
            ])
        },
        (9, 25_000, "SECOND_PAYMENT"),
    ),
    set(
        "paid twice, both refunded",
        |it| {
            let again = it.again();
            it.paid_and([
                again.intent_event("payment_intent.succeeded", &again.intent, 25_000),
                again.charge_refunded(25_000),
                it.charge_refunded(25_000),
            ])
        },
        (9, 0, "SECOND_PAYMENT"),
    ),
];

/// Numbers from a seed: the same in every run.
struct Shuffler(u64);

impl Shuffler {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// The events in a random order, each once or twice.
    fn shuffled(&mut self, events: &[Value]) -> Vec<Value> {
        let mut order: Vec<Value> = events.to_vec();
        for event in events {
            if self.below(3) == 0 {
                order.push(event.clone());
            }
        }
        for last in (1..order.len()).rev() {
            let other = self.below(last + 1);
            order.swap(last, other);
        }
        order
    }
}

/// As `Stripe-Signature`; thousands are made, so the program of an independent implementation is not started for each.
fn signature(at: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(stripe_stub::WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

async fn pay(deployment: &Deployment, config: u64) -> Payment {
    let mut wanted = order("stripe", "250");
    wanted["provider_config_id"] = json!(config);
    wanted["success_url"] = json!("https://broker.example/done");
    wanted["failure_url"] = json!("https://broker.example/back");
    let answer = deployment.customer().deposit(&wanted).await.expect_ok();
    let id = answer["transaction"]["id"].as_u64().expect("an id");
    let transaction = deployment.decided(id).expect("the books are open").transaction;
    let id_of = |kind: &str| transaction.refs.of_kind(kind).map(ToString::to_string);
    Payment {
        id,
        reference: transaction.reference.to_string(),
        session: id_of("checkout_session"),
        intent: id_of("payment_intent").unwrap_or_else(|| format!("pi_{id}")),
    }
}

/// Status, minor units posted, the reason's code.
fn standing(deployment: &Deployment, id: u64) -> (u8, i64, String) {
    let aggregate = deployment.decided(id).expect("the books are open");
    let code = aggregate.transaction.reason.code;
    let settled = aggregate.operations.iter().all(|operation| !operation.is_unsettled());
    let posted =
        if settled { operation::posted(&aggregate.transaction, &aggregate.operations).minor } else { i64::MIN };
    let name = code.name().to_owned();
    (aggregate.transaction.status.number(), posted, name)
}

/// Sends the events in the order of `seed` and returns what they came to, with the order for the message of a failure.
async fn ends(deployment: &Deployment, set: &EventSet, config: u64, seed: u64) -> ((u8, i64, String), String) {
    let payment = pay(deployment, config).await;
    let mut events = (set.events)(&payment);
    for (at, event) in events.iter_mut().enumerate() {
        event["id"] = json!(format!("evt_{}_{at}", payment.id));
    }
    let order = Shuffler(seed).shuffled(&events);
    for event in &order {
        let body = event.to_string().into_bytes();
        let signature = signature(deployment.clock.unix(), &body);
        let answer = eventually("the webhook to be accepted", async || {
            let answer = deployment.webhook("stripe", ("stripe-signature", &signature), &body).await;
            (answer.status != 503).then_some(answer)
        });
        let answer = answer.await;
        assert_eq!(answer.status, 200, "{}: {}", set.name, answer.text());
    }
    let expected = (set.ends.0, set.ends.1, set.ends.2.to_owned());
    // Postings that were not made within the webhook's own time.
    let began = std::time::Instant::now();
    while standing(deployment, payment.id) != expected && began.elapsed() < WAIT_MAX {
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let names = order.iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned());
    (standing(deployment, payment.id), names.collect::<Vec<_>>().join(", "))
}

#[tokio::test(flavor = "multi_thread")]
async fn m31_each_set_of_stripe_events_ends_the_same_in_forty_random_orders() {
    let deployment = Deployment::new().await;
    let with_page = {
        let mut config = deployment.stripe_config();
        config["settings_json"] = json!(json!({"api_base": deployment.stripe.url()}).to_string());
        deployment.manager().save_config(&config).await
    };
    let without_page = deployment.manager().save_config(&deployment.stripe_config()).await;
    let runs = SETS.iter().flat_map(|set| (0..ORDERS).map(move |seed| (set, seed)));
    let deployment = &deployment;
    let results: Vec<_> = stream::iter(runs)
        .map(|(set, seed)| async move {
            let config = if seed % 2 == 0 { with_page } else { without_page };
            (set, seed, ends(deployment, set, config, seed).await)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut failures = Vec::new();
    for (set, seed, (found, order)) in results {
        if found != (set.ends.0, set.ends.1, set.ends.2.to_owned()) {
            failures.push(format!("{} (seed {seed}): {found:?} is not {:?} after {order}", set.name, set.ends));
        }
    }
    assert!(failures.is_empty(), "{} of the orders differ:\n{}", failures.len(), failures.join("\n"));
    let orders = i64::try_from(ORDERS).unwrap();
    let posted: i64 = SETS.iter().map(|set| set.ends.1 * orders).sum();
    let balance = deployment.balance(LOGIN).await;
    assert_eq!(balance, format!("{}.{} USD", posted / 100, posted % 100), "the balance is the sum of what was posted");
}
