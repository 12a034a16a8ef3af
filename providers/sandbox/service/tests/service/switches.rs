//! Each switch of the table has the documented effect, and no other.

use serde_json::{Value, json};

use crate::fixture::{NOW, ServiceFixture, id, with_timeout};

async fn count(fixture: &ServiceFixture, reference: &str) -> Value {
    fixture.get(&format!("/v1/payments?reference={reference}")).await.json()["count"].clone()
}

#[tokio::test]
async fn create_decline_by_switch_and_by_amount() {
    let fixture = ServiceFixture::new().await;
    let declined = fixture.create("k", "order-1", &["create_decline", "auto"]).await;
    assert_eq!(declined.error(), (402, "declined".into()));
    let payment = fixture.get("/v1/payments?reference=order-1").await.json()["payments"][0].clone();
    assert_eq!(declined.json()["error"]["payment"], payment["id"]);
    assert_eq!((&payment["status"], &payment["failure_reason"]), (&json!("failed"), &json!("declined")));
    assert_eq!(fixture.create("k", "order-1", &["create_decline", "auto"]).await.text, declined.text);

    let mut order = fixture.order("order-2", &[]);
    order["amount"] = json!("402.00");
    assert_eq!(fixture.post_keyed("/v1/payments", "k2", order).await.error(), (402, "declined".into()));
    assert_eq!(fixture.get("/_control/deliveries").await.json()["count"], 0, "a declined create sends no webhook");
}

#[tokio::test]
async fn pay_decline_by_switch_and_by_amount() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &["pay_decline"]).await;
    assert_eq!(fixture.press(&payment, "pay").await.json()["status"], "failed");
    assert_eq!(fixture.receiver.event().await["type"], "payment.failed");
    let mut order = fixture.order("order-2", &[]);
    order["amount"] = json!("403");
    let payment = fixture.post_keyed("/v1/payments", "k", order).await.json();
    assert_eq!(fixture.press(&payment, "pay").await.json()["failure_reason"], "declined");
}

#[tokio::test]
async fn create_500_and_busy_fail_the_given_times_and_record_nothing() {
    let fixture = ServiceFixture::new().await;
    for (switch, status, code) in [("create_500:2", 500, "internal"), ("create_busy:2", 429, "busy")] {
        for _ in 0..2 {
            let answer = fixture.create(switch, code, &[switch]).await;
            assert_eq!(answer.error(), (status, code.into()));
            assert_eq!(answer.header("retry-after"), if status == 429 { "1" } else { "" });
            assert_eq!(count(&fixture, code).await, 0);
        }
        assert_eq!(fixture.create(switch, code, &[switch]).await.status, 201);
        assert_eq!(count(&fixture, code).await, 1);
    }
    for _ in 0..4 {
        assert_eq!(fixture.create("always", "always", &["create_500"]).await.status, 500);
    }
}

#[tokio::test]
async fn create_slow_is_recorded_at_once_and_continues_without_its_caller() {
    let fixture = ServiceFixture::new().await;
    fixture.clock.hold();
    let order = fixture.order("order-1", &["create_slow:750", "auto"]);
    let request = fixture.raw_create("k", &order);
    let addr = fixture.service.addr();
    let caller = tokio::spawn(async move { crate::fixture::raw(addr, &request).await });
    fixture.clock.wait_for_sleep().await;
    assert_eq!(fixture.clock.sleeps_ms(), [750]);
    assert_eq!(count(&fixture, "order-1").await, 1);
    assert!(!caller.is_finished());
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    fixture.clock.release();
    assert_eq!(fixture.receiver.event().await["type"], "payment.confirmed", "the payment continues without the caller");
    assert_eq!(fixture.create("k", "order-1", &["create_slow:750", "auto"]).await.header("idempotent-replay"), "true");
}

#[tokio::test]
async fn create_drop_records_without_an_answer_and_the_key_replays() {
    let fixture = ServiceFixture::new().await;
    let order = fixture.order("order-1", &["create_drop"]);
    assert_eq!(fixture.raw(&fixture.raw_create("k", &order)).await, b"");
    assert_eq!(count(&fixture, "order-1").await, 1);
    let again = fixture.create("k", "order-1", &["create_drop"]).await;
    assert_eq!((again.status, again.header("idempotent-replay")), (201, "true"));
    assert_eq!(count(&fixture, "order-1").await, 1);
}

#[tokio::test]
async fn create_lost_records_nothing_and_sends_no_answer() {
    let fixture = ServiceFixture::new().await;
    let order = fixture.order("order-1", &["create_lost:1"]);
    assert_eq!(fixture.raw(&fixture.raw_create("k", &order)).await, b"");
    assert_eq!(count(&fixture, "order-1").await, 0);
    assert_eq!(fixture.create("k", "order-1", &["create_lost:1"]).await.status, 201);
}

#[tokio::test]
async fn create_hang_records_and_never_answers() {
    let fixture = ServiceFixture::new().await;
    fixture.clock.hold();
    let order = fixture.order("order-1", &["create_hang"]);
    let request = fixture.raw_create("k", &order);
    let addr = fixture.service.addr();
    let caller = tokio::spawn(async move { crate::fixture::raw(addr, &request).await });
    fixture.clock.wait_for_sleep().await;
    assert_eq!(fixture.clock.sleeps_ms(), [120_000]);
    assert!(!caller.is_finished());
    let known = fixture.get("/v1/payments?reference=order-1").await.json()["payments"][0].clone();
    assert_eq!(fixture.create("k", "order-1", &["create_hang"]).await.json()["id"], known["id"]);
    fixture.clock.release();
    assert_eq!(with_timeout(caller).await.unwrap(), b"", "closed without a byte");
}

#[tokio::test]
async fn create_garbage_records_and_answers_a_body_that_is_not_json() {
    let fixture = ServiceFixture::new().await;
    let answer = fixture.create("k", "order-1", &["create_garbage"]).await;
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_str::<Value>(&answer.text).is_err());
    assert_eq!(fixture.create("k", "order-1", &["create_garbage"]).await.json()["reference"], "order-1");
}

#[tokio::test]
async fn query_500_cancel_refuse_and_refund_decline_fail_their_calls() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &["query_500", "cancel_refuse", "refund_decline", "auto"]).await;
    let path = format!("/v1/payments/{}", id(&payment));
    fixture.receiver.event().await;
    assert_eq!(fixture.get(&path).await.error(), (500, "internal".into()));
    assert_eq!(fixture.get("/v1/payments?reference=order-1").await.error(), (500, "internal".into()));
    let refund = fixture.post_keyed(&format!("{path}/refunds"), "r", json!({})).await;
    assert_eq!(refund.error(), (402, "declined".into()));
    let pending = fixture.payment("order-2", &["cancel_refuse"]).await;
    let cancel = fixture.post(&format!("/v1/payments/{}/cancel", id(&pending)), json!({})).await;
    assert_eq!(cancel.error(), (409, "not_allowed".into()));
    assert_eq!(fixture.status(&pending).await, "pending");
}

#[tokio::test]
async fn webhook_before_answer_arrives_before_the_create_answer() {
    let fixture = ServiceFixture::new().await;
    fixture.clock.hold();
    // The slow answer keeps the caller waiting while the test checks the webhook.
    let order = fixture.order("order-1", &["webhook_before_answer:confirmed", "create_slow:1"]);
    let request = fixture.raw_create("k", &order);
    let addr = fixture.service.addr();
    let caller = tokio::spawn(async move { crate::fixture::raw(addr, &request).await });
    let event = fixture.receiver.event().await;
    assert_eq!((&event["type"], &event["data"]["reference"]), (&json!("payment.confirmed"), &json!("order-1")));
    assert!(!caller.is_finished());
    caller.abort();
    let payment = fixture.payment("order-2", &["webhook_before_answer"]);
    fixture.clock.release();
    assert_eq!(payment.await["status"], "pending");
    assert!(!fixture.receiver.is_empty().await, "received before the answer");
    assert_eq!(fixture.receiver.event().await["type"], "payment.pending");
}

#[tokio::test]
async fn auto_applies_an_event_without_a_browser() {
    let fixture = ServiceFixture::new().await;
    for (switch, status) in [("auto", "confirmed"), ("auto:failed", "failed"), ("auto:cancelled", "cancelled")] {
        let payment = fixture.payment(switch, &[switch]).await;
        assert_eq!(payment["status"], "pending");
        assert_eq!(fixture.receiver.event().await["data"]["status"], status);
        assert_eq!(fixture.status(&payment).await, status);
    }
}

#[tokio::test]
async fn webhook_events_are_sent_in_the_order_written() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &["webhook_events:refunded+confirmed+pending+failed"]).await;
    assert_eq!(fixture.press(&payment, "pay").await.json()["status"], "refunded");
    let mut received = Vec::new();
    for _ in 0..4 {
        let event = fixture.receiver.event().await;
        received
            .push((event["type"].as_str().unwrap().to_owned(), event["data"]["status"].as_str().unwrap().to_owned()));
    }
    let expected = [
        ("payment.refunded", "refunded"),
        ("payment.confirmed", "confirmed"),
        ("payment.pending", "pending"),
        ("payment.failed", "failed"),
    ];
    assert_eq!(received, expected.map(|(kind, status)| (kind.to_owned(), status.to_owned())));
}

#[tokio::test]
async fn webhook_twice_delivers_the_same_event_twice() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &["webhook_twice", "auto"]).await;
    let (one, two) = (fixture.receiver.event().await, fixture.receiver.event().await);
    assert_eq!(one, two);
    assert_eq!(fixture.settled_deliveries(&payment).await.len(), 2);
}

#[tokio::test]
async fn webhook_late_delays_the_delivery() {
    let fixture = ServiceFixture::new().await;
    fixture.clock.hold();
    let payment = fixture.payment("order-1", &["webhook_late:750", "auto"]).await;
    fixture.clock.wait_for_sleep().await;
    assert_eq!(fixture.clock.sleeps_ms(), [750]);
    let log = fixture.get("/_control/deliveries").await.json();
    assert_eq!((&log["deliveries"][0]["state"], &log["deliveries"][0]["attempts"]), (&json!("waiting"), &json!([])));
    assert_eq!(fixture.status(&payment).await, "confirmed", "the payment changes before its webhook");
    assert!(fixture.receiver.is_empty().await);
    fixture.clock.release();
    assert_eq!(fixture.receiver.event().await["type"], "payment.confirmed");
}

#[tokio::test]
async fn webhook_never_is_withheld_until_redelivered() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &["webhook_never", "auto"]).await;
    let log = fixture.settled_deliveries(&payment).await;
    assert_eq!((&log[0]["state"], &log[0]["attempts"]), (&json!("withheld"), &json!([])));
    fixture.post(&format!("/_control/deliveries/{}/redeliver", log[0]["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(fixture.receiver.event().await["id"], log[0]["event"]);
    assert!(fixture.receiver.is_empty().await);
}

#[tokio::test]
async fn webhooks_state_wrong_values_under_a_valid_signature() {
    let fixture = ServiceFixture::new().await;
    let table = [
        ("webhook_amount", "amount", json!("251.00")),
        ("webhook_amount:1.5", "amount", json!("1.5")),
        ("webhook_currency", "currency", json!("USD")),
        ("webhook_currency:JPY", "currency", json!("JPY")),
        ("webhook_reference:order-9", "reference", json!("order-9")),
        ("webhook_livemode", "livemode", json!(true)),
    ];
    for (switch, field, stated) in table {
        let payment = fixture.payment(switch, &[switch, "auto"]).await;
        let mut event = fixture.receiver.event().await;
        assert_eq!(event["data"][field], stated, "{switch}");
        assert_eq!(event["livemode"], json!(switch == "webhook_livemode"));
        let actual = fixture.get(&format!("/v1/payments/{}", id(&payment))).await.json();
        event["data"][field] = actual[field].clone();
        assert_eq!(event["data"], actual, "{switch} changes nothing else");
    }
}

#[tokio::test]
async fn webhooks_with_a_wrong_missing_or_old_signature_and_a_broken_body() {
    let fixture = ServiceFixture::new().await;
    fixture.payment("bad", &["webhook_bad_signature", "auto"]).await;
    let bad = fixture.receiver.next().await;
    assert!(!bad.has_valid_signature());
    assert_eq!((bad.parts().1.len(), bad.parts().0), (64, NOW), "well formed nevertheless");

    fixture.payment("absent", &["webhook_no_signature", "auto"]).await;
    assert_eq!(fixture.receiver.next().await.signature, None);

    for (switch, age) in [("webhook_old", 3_600), ("webhook_old:301", 301)] {
        fixture.payment(switch, &[switch, "auto"]).await;
        let old = fixture.receiver.next().await;
        assert!(old.has_valid_signature());
        assert_eq!(old.parts().0, NOW - age);
    }

    fixture.payment("garbage", &["webhook_garbage", "auto"]).await;
    let garbage = fixture.receiver.next().await;
    assert!(garbage.has_valid_signature());
    assert!(serde_json::from_slice::<Value>(&garbage.body).is_err());
}

#[tokio::test]
async fn own_switches_override_metadata_switches_and_defaults() {
    let fixture = ServiceFixture::new().await;
    let set = fixture.post("/_control/defaults", json!({ "switches": ["webhook_amount:1", "auto:failed"] })).await;
    assert_eq!(set.json(), fixture.get("/_control/defaults").await.json());
    fixture.payment("by-default", &[]).await;
    let event = fixture.receiver.event().await;
    assert_eq!((&event["type"], &event["data"]["amount"]), (&json!("payment.failed"), &json!("1")));

    let mut order = fixture.order("order-2", &["webhook_amount:3"]);
    order["metadata"] = json!({ "sandbox_switches": "auto:confirmed, webhook_amount:2" });
    fixture.post_keyed("/v1/payments", "k", order).await;
    let event = fixture.receiver.event().await;
    assert_eq!((&event["type"], &event["data"]["amount"]), (&json!("payment.confirmed"), &json!("3")));

    let wrong = fixture.post("/_control/defaults", json!({ "switches": ["nonsense"] })).await;
    assert_eq!(wrong.error(), (400, "invalid_request".into()));
    let table = fixture.get("/_control/switches").await.json();
    assert_eq!(table["switches"].as_array().unwrap().len(), cashier_sandbox_service::switch::SWITCHES.len());
}
