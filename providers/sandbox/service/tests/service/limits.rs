//! Nothing here grows without end, and what is not loopback must be asked for.

use cashier_sandbox_service::{
    BODY_BYTES_MAX, Limits, REFUNDS_MAX, SandboxService, SandboxSettings, Secret, StartError,
};
use http::Method;
use serde_json::json;

use crate::world::{API_KEY, WEBHOOK_SECRET, World, bearer, id};

#[tokio::test]
async fn the_oldest_payment_and_key_give_way() {
    let world = World::with(|settings| settings.limits = Limits { payments: 2, keys: 2, ..Limits::default() }).await;
    let first = world.payment("order-1", &[]).await;
    let second = world.payment("order-2", &[]).await;
    world.payment("order-3", &[]).await;
    assert_eq!(world.get(&format!("/v1/payments/{}", id(&first))).await.status, 404);
    assert_eq!(world.status(&second).await, "pending");
    let anew = world.payment("order-1", &[]).await;
    assert_ne!(anew["id"], first["id"], "its key is forgotten too");
}

#[tokio::test]
async fn the_delivery_queue_and_log_are_bounded() {
    let world =
        World::with(|settings| settings.limits = Limits { deliveries: 3, delivery_queue: 1, ..Limits::default() })
            .await;
    world.clock.hold();
    let waiting = world.payment("order-1", &["auto", "webhook_late:5"]).await;
    world.clock.somebody_sleeps().await;
    let dropped = world.payment("order-2", &["auto"]).await;
    assert_eq!(world.settled_deliveries(&dropped).await[0]["state"], "dropped");
    for reference in ["order-3", "order-4", "order-5"] {
        let payment = world.payment(reference, &["auto"]).await;
        world.settled_deliveries(&payment).await;
    }
    let log = world.get("/_control/deliveries").await.json();
    assert_eq!(log["count"], 3);
    assert_eq!(log["deliveries"][0]["payment"], waiting["id"], "what waits is kept");
    world.clock.release();
    assert_eq!(world.settled_deliveries(&waiting).await[0]["state"], "delivered");
    assert_eq!(world.hook.event().await["data"]["id"], waiting["id"]);
}

#[tokio::test]
async fn a_body_has_an_end() {
    let world = World::new().await;
    let headers = [("authorization", &*bearer()), ("idempotency-key", "k")];
    let fits = world.send(Method::POST, "/v1/payments", &headers, " ".repeat(BODY_BYTES_MAX)).await;
    assert_eq!(fits.refusal(), (400, "invalid_request".into()));
    let chunked = format!(
        "POST /v1/payments HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        BODY_BYTES_MAX + 1,
        " ".repeat(BODY_BYTES_MAX + 1)
    );
    let answer = String::from_utf8(world.raw(&chunked).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\"too_large\""), "{answer}");
}

#[tokio::test]
async fn a_payment_has_so_many_refunds() {
    let world = World::new().await;
    let payment = world.payment("order-1", &["webhook_never"]).await;
    world.press(&payment, "pay").await;
    let path = format!("/v1/payments/{}/refunds", id(&payment));
    for n in 0..REFUNDS_MAX {
        let answer = world.post_keyed(&path, &format!("r{n}"), json!({ "amount": "0.01" })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let more = world.post_keyed(&path, "more", json!({ "amount": "0.01" })).await;
    assert_eq!(more.refusal(), (409, "not_allowed".into()));
    assert_eq!(world.get(&path).await.json()["refunded_total"], "0.50");
}

#[tokio::test]
async fn deep_and_broken_json_is_refused() {
    let world = World::new().await;
    let headers = [("authorization", &*bearer()), ("idempotency-key", "k")];
    for body in ["[".repeat(50_000), "{".into(), "\u{fffd}".into(), "null".into(), "[]".into(), String::new()] {
        let answer = world.send(Method::POST, "/v1/payments", &headers, body).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()));
    }
}

#[tokio::test]
async fn it_does_not_start_where_it_should_not() {
    let settings = || SandboxSettings::new(Secret::new(API_KEY), Secret::new(WEBHOOK_SECRET));
    let mut open = settings();
    open.listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(SandboxService::start(open.clone()).await, Err(StartError::NotLoopback(_))));
    open.allow_remote_listen = true;
    SandboxService::start(open).await.unwrap().stop().await;

    let blank = SandboxSettings::new(Secret::new(API_KEY), Secret::new(" \n"));
    assert!(matches!(SandboxService::start(blank).await, Err(StartError::BlankSecret("webhook secret"))));
    let blank = SandboxSettings::new(Secret::new(""), Secret::new(WEBHOOK_SECRET));
    assert!(matches!(SandboxService::start(blank).await, Err(StartError::BlankSecret("API key"))));

    let mut elsewhere = settings();
    elsewhere.public_url = Some("javascript:x".into());
    assert!(matches!(SandboxService::start(elsewhere.clone()).await, Err(StartError::PublicUrl)));
    elsewhere.public_url = Some("https://pay.example/sandbox/".into());
    let world = World::with(|settings| settings.public_url = elsewhere.public_url).await;
    assert_eq!(world.service.base_url(), "https://pay.example/sandbox");
}

#[tokio::test]
async fn webhooks_leave_the_machine_only_when_allowed() {
    let world = World::with(|settings| settings.allow_remote_notify = true).await;
    let mut order = world.order("order-1", &[]);
    order["notify_url"] = json!("http://shop.example/hook");
    assert_eq!(world.post_keyed("/v1/payments", "k", order).await.status, 201);
}
