//! Webhook delivery: the signature, retries, the delivery log, redelivery, and disputes.

use std::time::Duration;

use serde_json::json;

use crate::fixture::{NOW, ServiceFixture, id};

#[tokio::test]
async fn pressing_pay_sends_one_webhook_with_a_valid_signature() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &[]).await;
    let paid = fixture.press(&payment, "pay").await.json();
    assert_eq!(paid["status"], "confirmed");
    let webhook = fixture.receiver.next().await;
    assert!(webhook.has_valid_signature());
    assert_eq!(webhook.parts().0, NOW);
    let event = webhook.json();
    assert_eq!(
        event,
        json!({ "id": event["id"], "type": "payment.confirmed", "created": NOW, "livemode": false, "data": paid })
    );
    assert_eq!(fixture.press(&payment, "pay").await.json(), paid, "a second press changes nothing");
    let log = fixture.settled_deliveries(&payment).await;
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0]["event"], &log[0]["state"]), (&event["id"], &json!("delivered")));
    assert_eq!(log[0]["attempts"], json!([{ "at": NOW, "status": 204, "error": "" }]));
}

#[tokio::test]
async fn a_failed_delivery_is_retried_until_the_attempts_are_used_up() {
    let fixture =
        ServiceFixture::with(|settings| settings.retry_delays = [1, 5].map(Duration::from_secs).to_vec()).await;
    fixture.receiver.will_answer(&[500, 302]);
    let payment = fixture.payment("order-1", &[]).await;
    fixture.press(&payment, "pay").await;
    let events = [fixture.receiver.event().await, fixture.receiver.event().await, fixture.receiver.event().await];
    assert!(events.iter().all(|event| event == &events[0]), "the same event each time");
    let log = fixture.settled_deliveries(&payment).await;
    let statuses: Vec<_> = log[0]["attempts"].as_array().unwrap().iter().map(|a| a["status"].clone()).collect();
    assert_eq!((statuses, &log[0]["state"]), (vec![json!(500), json!(302), json!(204)], &json!("delivered")));
    assert_eq!(fixture.clock.sleeps_ms(), [1_000, 5_000]);

    fixture.receiver.will_answer(&[500, 500, 500]);
    let payment = fixture.payment("order-2", &[]).await;
    fixture.press(&payment, "pay").await;
    let log = fixture.settled_deliveries(&payment).await;
    assert_eq!((log[0]["attempts"].as_array().unwrap().len(), &log[0]["state"]), (3, &json!("failed")));
}

#[tokio::test]
async fn a_refused_connection_is_logged_as_connect() {
    let fixture = ServiceFixture::with(|settings| settings.retry_delays.clear()).await;
    let mut order = fixture.order("order-1", &["auto:failed"]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    order["notify_url"] = json!(format!("http://{closed}/"));
    let payment = fixture.post_keyed("/v1/payments", "k", order).await.json();
    let log = fixture.settled_deliveries(&payment).await;
    assert_eq!(log[0]["attempts"], json!([{ "at": NOW, "status": 0, "error": "connect" }]));
    assert_eq!(log[0]["state"], "failed");
}

#[tokio::test]
async fn a_redelivery_sends_the_event_without_switches() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &["webhook_bad_signature", "webhook_amount:1"]).await;
    fixture.press(&payment, "pay").await;
    assert!(!fixture.receiver.next().await.has_valid_signature());
    let log = fixture.settled_deliveries(&payment).await;
    let again =
        fixture.post(&format!("/_control/deliveries/{}/redeliver", log[0]["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(again.status, 202);
    assert_eq!(again.json()["event"], log[0]["event"]);
    let event = fixture.receiver.event().await;
    assert_eq!(
        (&event["id"], &event["data"]["amount"]),
        (&log[0]["event"], &json!("250.00")),
        "the event without switches"
    );
    let unknown = fixture.post("/_control/deliveries/dl_0/redeliver", json!({})).await;
    assert_eq!(unknown.error(), (404, "not_found".into()));
}

#[tokio::test]
async fn a_dispute_is_opened_and_reversed() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &[]).await;
    let path = format!("/_control/payments/{}/events", id(&payment));
    let early = fixture.post(&path, json!({ "type": "chargeback" })).await;
    assert_eq!(early.error(), (409, "not_allowed".into()));
    for (kind, status, dispute) in [
        ("confirmed", "confirmed", json!(null)),
        ("chargeback", "chargeback", json!("open")),
        ("payment.chargeback_reversed", "confirmed", json!("reversed")),
    ] {
        assert_eq!(fixture.post(&path, json!({ "type": kind })).await.json()["status"], status);
        let event = fixture.receiver.event().await;
        assert_eq!(event["type"].as_str().unwrap().trim_start_matches("payment."), kind.trim_start_matches("payment."));
        assert_eq!((&event["data"]["status"], &event["dispute"]["status"]), (&json!(status), &dispute));
        assert_eq!(event["data"]["dispute"], event["dispute"]);
    }
}

#[tokio::test]
async fn a_late_event_reports_the_earlier_status_and_changes_nothing() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &["auto"]).await;
    assert_eq!(fixture.receiver.event().await["data"]["status"], "confirmed");
    let path = format!("/_control/payments/{}/events", id(&payment));
    assert_eq!(fixture.post(&path, json!({ "type": "failed" })).await.json()["status"], "confirmed");
    let event = fixture.receiver.event().await;
    assert_eq!((&event["type"], &event["data"]["status"]), (&json!("payment.failed"), &json!("failed")));
    assert_eq!(fixture.status(&payment).await, "confirmed");
}

#[tokio::test]
async fn a_reset_deletes_payments_deliveries_and_defaults() {
    let fixture = ServiceFixture::new().await;
    fixture.post("/_control/defaults", json!({ "switches": ["webhook_late:5"] })).await;
    fixture.clock.hold();
    let payment = fixture.payment("order-1", &["auto"]).await;
    fixture.clock.wait_for_sleep().await;
    assert_eq!(fixture.post("/_control/reset", json!({})).await.status, 200);
    fixture.clock.release();
    assert_eq!(fixture.get(&format!("/v1/payments/{}", id(&payment))).await.status, 404);
    assert_eq!(fixture.get("/_control/deliveries").await.json()["count"], 0);
    assert_eq!(fixture.get("/_control/defaults").await.json(), json!({ "switches": [] }));
    // The key is free again, and the delayed webhook is cancelled: the next one received is the new payment's.
    let second = fixture.payment("order-1", &["auto"]).await;
    assert_eq!(fixture.receiver.event().await["data"]["id"], second["id"]);
    assert!(fixture.receiver.is_empty().await);
}

#[tokio::test]
async fn a_stop_cancels_delayed_webhooks() {
    let fixture = ServiceFixture::new().await;
    fixture.clock.hold();
    fixture.payment("order-1", &["auto", "webhook_late:5"]).await;
    fixture.clock.wait_for_sleep().await;
    let addr = fixture.service.addr();
    crate::fixture::with_timeout(fixture.service.stop()).await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    assert!(fixture.receiver.is_empty().await);
}
