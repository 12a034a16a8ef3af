//! Webhooks on their way: the signature, retries, the delivery log, redelivery, and disputes.

use std::time::Duration;

use serde_json::json;

use crate::world::{NOW, World, id};

#[tokio::test]
async fn paying_is_told_with_a_signature_that_can_be_recomputed() {
    let world = World::new().await;
    let payment = world.payment("order-1", &[]).await;
    let paid = world.press(&payment, "pay").await.json();
    assert_eq!(paid["status"], "confirmed");
    let heard = world.hook.next().await;
    assert!(heard.is_genuine());
    assert_eq!(heard.parts().0, NOW);
    let event = heard.json();
    assert_eq!(
        event,
        json!({ "id": event["id"], "type": "payment.confirmed", "created": NOW, "livemode": false, "data": paid })
    );
    assert_eq!(world.press(&payment, "pay").await.json(), paid, "a second press changes nothing");
    let log = world.settled_deliveries(&payment).await;
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0]["event"], &log[0]["state"]), (&event["id"], &json!("delivered")));
    assert_eq!(log[0]["attempts"], json!([{ "at": NOW, "status": 204, "error": "" }]));
}

#[tokio::test]
async fn what_is_not_taken_is_brought_again_and_then_given_up() {
    let world = World::with(|settings| settings.retry_delays = [1, 5].map(Duration::from_secs).to_vec()).await;
    world.hook.will_answer(&[500, 302]);
    let payment = world.payment("order-1", &[]).await;
    world.press(&payment, "pay").await;
    let events = [world.hook.event().await, world.hook.event().await, world.hook.event().await];
    assert!(events.iter().all(|event| event == &events[0]), "the same event each time");
    let log = world.settled_deliveries(&payment).await;
    let statuses: Vec<_> = log[0]["attempts"].as_array().unwrap().iter().map(|a| a["status"].clone()).collect();
    assert_eq!((statuses, &log[0]["state"]), (vec![json!(500), json!(302), json!(204)], &json!("delivered")));
    assert_eq!(world.clock.slept_ms(), [1_000, 5_000]);

    world.hook.will_answer(&[500, 500, 500]);
    let payment = world.payment("order-2", &[]).await;
    world.press(&payment, "pay").await;
    let log = world.settled_deliveries(&payment).await;
    assert_eq!((log[0]["attempts"].as_array().unwrap().len(), &log[0]["state"]), (3, &json!("failed")));
}

#[tokio::test]
async fn nobody_at_home_is_logged_as_such() {
    let world = World::with(|settings| settings.retry_delays.clear()).await;
    let mut order = world.order("order-1", &["auto:failed"]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    order["notify_url"] = json!(format!("http://{closed}/"));
    let payment = world.post_keyed("/v1/payments", "k", order).await.json();
    let log = world.settled_deliveries(&payment).await;
    assert_eq!(log[0]["attempts"], json!([{ "at": NOW, "status": 0, "error": "connect" }]));
    assert_eq!(log[0]["state"], "failed");
}

#[tokio::test]
async fn a_delivery_can_be_asked_for_again() {
    let world = World::new().await;
    let payment = world.payment("order-1", &["webhook_bad_signature", "webhook_amount:1"]).await;
    world.press(&payment, "pay").await;
    assert!(!world.hook.next().await.is_genuine());
    let log = world.settled_deliveries(&payment).await;
    let again =
        world.post(&format!("/_control/deliveries/{}/redeliver", log[0]["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(again.status, 202);
    assert_eq!(again.json()["event"], log[0]["event"]);
    let event = world.hook.event().await;
    assert_eq!((&event["id"], &event["data"]["amount"]), (&log[0]["event"], &json!("250.00")), "as it truly was");
    let unknown = world.post("/_control/deliveries/dl_0/redeliver", json!({})).await;
    assert_eq!(unknown.refusal(), (404, "not_found".into()));
}

#[tokio::test]
async fn a_dispute_comes_and_goes() {
    let world = World::new().await;
    let payment = world.payment("order-1", &[]).await;
    let path = format!("/_control/payments/{}/events", id(&payment));
    let early = world.post(&path, json!({ "type": "chargeback" })).await;
    assert_eq!(early.refusal(), (409, "not_allowed".into()));
    for (kind, status, dispute) in [
        ("confirmed", "confirmed", json!(null)),
        ("chargeback", "chargeback", json!("open")),
        ("payment.chargeback_reversed", "confirmed", json!("reversed")),
    ] {
        assert_eq!(world.post(&path, json!({ "type": kind })).await.json()["status"], status);
        let event = world.hook.event().await;
        assert_eq!(event["type"].as_str().unwrap().trim_start_matches("payment."), kind.trim_start_matches("payment."));
        assert_eq!((&event["data"]["status"], &event["dispute"]["status"]), (&json!(status), &dispute));
        assert_eq!(event["data"]["dispute"], event["dispute"]);
    }
}

#[tokio::test]
async fn late_news_tells_of_an_earlier_moment() {
    let world = World::new().await;
    let payment = world.payment("order-1", &["auto"]).await;
    assert_eq!(world.hook.event().await["data"]["status"], "confirmed");
    let path = format!("/_control/payments/{}/events", id(&payment));
    assert_eq!(world.post(&path, json!({ "type": "failed" })).await.json()["status"], "confirmed");
    let event = world.hook.event().await;
    assert_eq!((&event["type"], &event["data"]["status"]), (&json!("payment.failed"), &json!("failed")));
    assert_eq!(world.status(&payment).await, "confirmed");
}

#[tokio::test]
async fn a_reset_forgets_payments_deliveries_and_defaults() {
    let world = World::new().await;
    world.post("/_control/defaults", json!({ "switches": ["webhook_late:5"] })).await;
    world.clock.hold();
    let payment = world.payment("order-1", &["auto"]).await;
    world.clock.somebody_sleeps().await;
    assert_eq!(world.post("/_control/reset", json!({})).await.status, 200);
    world.clock.release();
    assert_eq!(world.get(&format!("/v1/payments/{}", id(&payment))).await.status, 404);
    assert_eq!(world.get("/_control/deliveries").await.json()["count"], 0);
    assert_eq!(world.get("/_control/defaults").await.json(), json!({ "switches": [] }));
    // The key is free again, and the late webhook of before never comes: the next one heard is the new payment's.
    let anew = world.payment("order-1", &["auto"]).await;
    assert_eq!(world.hook.event().await["data"]["id"], anew["id"]);
    assert!(world.hook.is_silent().await);
}

#[tokio::test]
async fn stopping_ends_what_is_under_way() {
    let world = World::new().await;
    world.clock.hold();
    world.payment("order-1", &["auto", "webhook_late:5"]).await;
    world.clock.somebody_sleeps().await;
    let addr = world.service.addr();
    crate::world::in_time(world.service.stop()).await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    assert!(world.hook.is_silent().await);
}
