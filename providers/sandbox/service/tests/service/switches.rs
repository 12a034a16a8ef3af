//! Each switch of the table does what the table says, and nothing else.

use serde_json::{Value, json};

use crate::world::{NOW, World, id, in_time};

async fn count(world: &World, reference: &str) -> Value {
    world.get(&format!("/v1/payments?reference={reference}")).await.json()["count"].clone()
}

#[tokio::test]
async fn create_decline_by_switch_and_by_amount() {
    let world = World::new().await;
    let declined = world.create("k", "order-1", &["create_decline", "auto"]).await;
    assert_eq!(declined.refusal(), (402, "declined".into()));
    let payment = world.get("/v1/payments?reference=order-1").await.json()["payments"][0].clone();
    assert_eq!(declined.json()["error"]["payment"], payment["id"]);
    assert_eq!((&payment["status"], &payment["failure_reason"]), (&json!("failed"), &json!("declined")));
    assert_eq!(world.create("k", "order-1", &["create_decline", "auto"]).await.text, declined.text);

    let mut order = world.order("order-2", &[]);
    order["amount"] = json!("402.00");
    assert_eq!(world.post_keyed("/v1/payments", "k2", order).await.refusal(), (402, "declined".into()));
    assert_eq!(world.get("/_control/deliveries").await.json()["count"], 0, "no webhook for what was answered");
}

#[tokio::test]
async fn pay_decline_by_switch_and_by_amount() {
    let world = World::new().await;
    let payment = world.payment("order-1", &["pay_decline"]).await;
    assert_eq!(world.press(&payment, "pay").await.json()["status"], "failed");
    assert_eq!(world.hook.event().await["type"], "payment.failed");
    let mut order = world.order("order-2", &[]);
    order["amount"] = json!("403");
    let payment = world.post_keyed("/v1/payments", "k", order).await.json();
    assert_eq!(world.press(&payment, "pay").await.json()["failure_reason"], "declined");
}

#[tokio::test]
async fn create_500_and_busy_fail_so_often_and_record_nothing() {
    let world = World::new().await;
    for (switch, status, code) in [("create_500:2", 500, "internal"), ("create_busy:2", 429, "busy")] {
        for _ in 0..2 {
            let answer = world.create(switch, code, &[switch]).await;
            assert_eq!(answer.refusal(), (status, code.into()));
            assert_eq!(answer.header("retry-after"), if status == 429 { "1" } else { "" });
            assert_eq!(count(&world, code).await, 0);
        }
        assert_eq!(world.create(switch, code, &[switch]).await.status, 201);
        assert_eq!(count(&world, code).await, 1);
    }
    for _ in 0..4 {
        assert_eq!(world.create("always", "always", &["create_500"]).await.status, 500);
    }
}

#[tokio::test]
async fn create_slow_is_recorded_at_once_and_outlives_its_caller() {
    let world = World::new().await;
    world.clock.hold();
    let order = world.order("order-1", &["create_slow:750", "auto"]);
    let request = world.raw_create("k", &order);
    let addr = world.service.addr();
    let caller = tokio::spawn(async move { crate::world::raw(addr, &request).await });
    world.clock.somebody_sleeps().await;
    assert_eq!(world.clock.slept_ms(), [750]);
    assert_eq!(count(&world, "order-1").await, 1);
    assert!(!caller.is_finished());
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    world.clock.release();
    assert_eq!(world.hook.event().await["type"], "payment.confirmed", "it went on without the caller");
    assert_eq!(world.create("k", "order-1", &["create_slow:750", "auto"]).await.header("idempotent-replay"), "true");
}

#[tokio::test]
async fn create_drop_records_and_says_nothing_and_the_key_still_answers() {
    let world = World::new().await;
    let order = world.order("order-1", &["create_drop"]);
    assert_eq!(world.raw(&world.raw_create("k", &order)).await, b"");
    assert_eq!(count(&world, "order-1").await, 1);
    let again = world.create("k", "order-1", &["create_drop"]).await;
    assert_eq!((again.status, again.header("idempotent-replay")), (201, "true"));
    assert_eq!(count(&world, "order-1").await, 1);
}

#[tokio::test]
async fn create_lost_records_nothing_and_says_nothing() {
    let world = World::new().await;
    let order = world.order("order-1", &["create_lost:1"]);
    assert_eq!(world.raw(&world.raw_create("k", &order)).await, b"");
    assert_eq!(count(&world, "order-1").await, 0);
    assert_eq!(world.create("k", "order-1", &["create_lost:1"]).await.status, 201);
}

#[tokio::test]
async fn create_hang_records_and_never_answers() {
    let world = World::new().await;
    world.clock.hold();
    let order = world.order("order-1", &["create_hang"]);
    let request = world.raw_create("k", &order);
    let addr = world.service.addr();
    let caller = tokio::spawn(async move { crate::world::raw(addr, &request).await });
    world.clock.somebody_sleeps().await;
    assert_eq!(world.clock.slept_ms(), [120_000]);
    assert!(!caller.is_finished());
    let known = world.get("/v1/payments?reference=order-1").await.json()["payments"][0].clone();
    assert_eq!(world.create("k", "order-1", &["create_hang"]).await.json()["id"], known["id"]);
    world.clock.release();
    assert_eq!(in_time(caller).await.unwrap(), b"", "given back without a byte");
}

#[tokio::test]
async fn create_garbage_records_and_answers_what_is_no_json() {
    let world = World::new().await;
    let answer = world.create("k", "order-1", &["create_garbage"]).await;
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_str::<Value>(&answer.text).is_err());
    assert_eq!(world.create("k", "order-1", &["create_garbage"]).await.json()["reference"], "order-1");
}

#[tokio::test]
async fn queries_cancels_and_refunds_can_be_refused() {
    let world = World::new().await;
    let payment = world.payment("order-1", &["query_500", "cancel_refuse", "refund_decline", "auto"]).await;
    let path = format!("/v1/payments/{}", id(&payment));
    world.hook.event().await;
    assert_eq!(world.get(&path).await.refusal(), (500, "internal".into()));
    assert_eq!(world.get("/v1/payments?reference=order-1").await.refusal(), (500, "internal".into()));
    let refund = world.post_keyed(&format!("{path}/refunds"), "r", json!({})).await;
    assert_eq!(refund.refusal(), (402, "declined".into()));
    let pending = world.payment("order-2", &["cancel_refuse"]).await;
    let cancel = world.post(&format!("/v1/payments/{}/cancel", id(&pending)), json!({})).await;
    assert_eq!(cancel.refusal(), (409, "not_allowed".into()));
    assert_eq!(world.status(&pending).await, "pending");
}

#[tokio::test]
async fn webhook_before_answer_arrives_while_the_caller_still_waits() {
    let world = World::new().await;
    world.clock.hold();
    // The slow answer keeps the caller waiting for as long as the test looks at the webhook.
    let order = world.order("order-1", &["webhook_before_answer:confirmed", "create_slow:1"]);
    let request = world.raw_create("k", &order);
    let addr = world.service.addr();
    let caller = tokio::spawn(async move { crate::world::raw(addr, &request).await });
    let event = world.hook.event().await;
    assert_eq!((&event["type"], &event["data"]["reference"]), (&json!("payment.confirmed"), &json!("order-1")));
    assert!(!caller.is_finished());
    caller.abort();
    let payment = world.payment("order-2", &["webhook_before_answer"]);
    world.clock.release();
    assert_eq!(payment.await["status"], "pending");
    assert!(!world.hook.is_silent().await, "heard by the time of the answer");
    assert_eq!(world.hook.event().await["type"], "payment.pending");
}

#[tokio::test]
async fn auto_needs_no_browser() {
    let world = World::new().await;
    for (switch, status) in [("auto", "confirmed"), ("auto:failed", "failed"), ("auto:cancelled", "cancelled")] {
        let payment = world.payment(switch, &[switch]).await;
        assert_eq!(payment["status"], "pending");
        assert_eq!(world.hook.event().await["data"]["status"], status);
        assert_eq!(world.status(&payment).await, status);
    }
}

#[tokio::test]
async fn webhook_events_are_sent_in_the_order_written() {
    let world = World::new().await;
    let payment = world.payment("order-1", &["webhook_events:refunded+confirmed+pending+failed"]).await;
    assert_eq!(world.press(&payment, "pay").await.json()["status"], "refunded");
    let mut heard = Vec::new();
    for _ in 0..4 {
        let event = world.hook.event().await;
        heard.push((event["type"].as_str().unwrap().to_owned(), event["data"]["status"].as_str().unwrap().to_owned()));
    }
    let expected = [
        ("payment.refunded", "refunded"),
        ("payment.confirmed", "confirmed"),
        ("payment.pending", "pending"),
        ("payment.failed", "failed"),
    ];
    assert_eq!(heard, expected.map(|(kind, status)| (kind.to_owned(), status.to_owned())));
}

#[tokio::test]
async fn webhook_twice_repeats_the_event() {
    let world = World::new().await;
    let payment = world.payment("order-1", &["webhook_twice", "auto"]).await;
    let (one, two) = (world.hook.event().await, world.hook.event().await);
    assert_eq!(one, two);
    assert_eq!(world.settled_deliveries(&payment).await.len(), 2);
}

#[tokio::test]
async fn webhook_late_waits() {
    let world = World::new().await;
    world.clock.hold();
    let payment = world.payment("order-1", &["webhook_late:750", "auto"]).await;
    world.clock.somebody_sleeps().await;
    assert_eq!(world.clock.slept_ms(), [750]);
    let log = world.get("/_control/deliveries").await.json();
    assert_eq!((&log["deliveries"][0]["state"], &log["deliveries"][0]["attempts"]), (&json!("waiting"), &json!([])));
    assert_eq!(world.status(&payment).await, "confirmed", "the payment is ahead of its webhook");
    assert!(world.hook.is_silent().await);
    world.clock.release();
    assert_eq!(world.hook.event().await["type"], "payment.confirmed");
}

#[tokio::test]
async fn webhook_never_is_withheld_until_asked_for() {
    let world = World::new().await;
    let payment = world.payment("order-1", &["webhook_never", "auto"]).await;
    let log = world.settled_deliveries(&payment).await;
    assert_eq!((&log[0]["state"], &log[0]["attempts"]), (&json!("withheld"), &json!([])));
    world.post(&format!("/_control/deliveries/{}/redeliver", log[0]["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(world.hook.event().await["id"], log[0]["event"]);
    assert!(world.hook.is_silent().await);
}

#[tokio::test]
async fn webhooks_lie_under_a_true_signature() {
    let world = World::new().await;
    let table = [
        ("webhook_amount", "amount", json!("251.00")),
        ("webhook_amount:1.5", "amount", json!("1.5")),
        ("webhook_currency", "currency", json!("USD")),
        ("webhook_currency:JPY", "currency", json!("JPY")),
        ("webhook_reference:order-9", "reference", json!("order-9")),
        ("webhook_livemode", "livemode", json!(true)),
    ];
    for (switch, field, told) in table {
        let payment = world.payment(switch, &[switch, "auto"]).await;
        let mut event = world.hook.event().await;
        assert_eq!(event["data"][field], told, "{switch}");
        assert_eq!(event["livemode"], json!(switch == "webhook_livemode"));
        let truth = world.get(&format!("/v1/payments/{}", id(&payment))).await.json();
        event["data"][field] = truth[field].clone();
        assert_eq!(event["data"], truth, "{switch} changes nothing else");
    }
}

#[tokio::test]
async fn webhooks_with_something_wrong_about_the_signature() {
    let world = World::new().await;
    world.payment("bad", &["webhook_bad_signature", "auto"]).await;
    let bad = world.hook.next().await;
    assert!(!bad.is_genuine());
    assert_eq!((bad.parts().1.len(), bad.parts().0), (64, NOW), "well formed all the same");

    world.payment("absent", &["webhook_no_signature", "auto"]).await;
    assert_eq!(world.hook.next().await.signature, None);

    for (switch, age) in [("webhook_old", 3_600), ("webhook_old:301", 301)] {
        world.payment(switch, &[switch, "auto"]).await;
        let old = world.hook.next().await;
        assert!(old.is_genuine());
        assert_eq!(old.parts().0, NOW - age);
    }

    world.payment("garbage", &["webhook_garbage", "auto"]).await;
    let garbage = world.hook.next().await;
    assert!(garbage.is_genuine());
    assert!(serde_json::from_slice::<Value>(&garbage.body).is_err());
}

#[tokio::test]
async fn switches_come_from_three_places_and_the_payments_own_win() {
    let world = World::new().await;
    let set = world.post("/_control/defaults", json!({ "switches": ["webhook_amount:1", "auto:failed"] })).await;
    assert_eq!(set.json(), world.get("/_control/defaults").await.json());
    world.payment("by-default", &[]).await;
    let event = world.hook.event().await;
    assert_eq!((&event["type"], &event["data"]["amount"]), (&json!("payment.failed"), &json!("1")));

    let mut order = world.order("order-2", &["webhook_amount:3"]);
    order["metadata"] = json!({ "sandbox_switches": "auto:confirmed, webhook_amount:2" });
    world.post_keyed("/v1/payments", "k", order).await;
    let event = world.hook.event().await;
    assert_eq!((&event["type"], &event["data"]["amount"]), (&json!("payment.confirmed"), &json!("3")));

    let wrong = world.post("/_control/defaults", json!({ "switches": ["nonsense"] })).await;
    assert_eq!(wrong.refusal(), (400, "invalid_request".into()));
    let table = world.get("/_control/switches").await.json();
    assert_eq!(table["switches"].as_array().unwrap().len(), cashier_sandbox_service::switch::SWITCHES.len());
}
