//! Every store is bounded, and addresses other than loopback need an explicit setting.

use std::time::Duration;

use cashier_sandbox_service::{
    ATTEMPTS_MAX, BODY_BYTES_MAX, REFUNDS_MAX, SandboxService, SandboxSettings, SandboxStartError, ServiceLimits,
    ServiceSecret,
};
use http::Method;
use serde_json::json;

use crate::fixture::{API_KEY, ServiceFixture, WEBHOOK_SECRET, bearer, id};

#[tokio::test]
async fn the_oldest_payment_and_key_are_dropped_at_the_limit() {
    let fixture = ServiceFixture::with(|settings| {
        settings.limits = ServiceLimits { payments: 2, keys: 2, ..ServiceLimits::default() }
    })
    .await;
    let first = fixture.payment("order-1", &[]).await;
    let second = fixture.payment("order-2", &[]).await;
    fixture.payment("order-3", &[]).await;
    assert_eq!(fixture.get(&format!("/v1/payments/{}", id(&first))).await.status, 404);
    assert_eq!(fixture.status(&second).await, "pending");
    let again = fixture.payment("order-1", &[]).await;
    assert_ne!(again["id"], first["id"], "its key is dropped too");
}

#[tokio::test]
async fn the_delivery_queue_and_log_are_bounded() {
    let fixture = ServiceFixture::with(|settings| {
        settings.limits = ServiceLimits { deliveries: 3, delivery_queue: 1, ..ServiceLimits::default() }
    })
    .await;
    fixture.clock.hold();
    let waiting = fixture.payment("order-1", &["auto", "webhook_late:5"]).await;
    fixture.clock.wait_for_sleep().await;
    let dropped = fixture.payment("order-2", &["auto"]).await;
    assert_eq!(fixture.settled_deliveries(&dropped).await[0]["state"], "dropped");
    for reference in ["order-3", "order-4", "order-5"] {
        let payment = fixture.payment(reference, &["auto"]).await;
        fixture.settled_deliveries(&payment).await;
    }
    let log = fixture.get("/_control/deliveries").await.json();
    assert_eq!(log["count"], 3);
    assert_eq!(log["deliveries"][0]["payment"], waiting["id"], "a waiting delivery is kept");
    fixture.clock.release();
    assert_eq!(fixture.settled_deliveries(&waiting).await[0]["state"], "delivered");
    assert_eq!(fixture.receiver.event().await["data"]["id"], waiting["id"]);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let fixture = ServiceFixture::new().await;
    let headers = [("authorization", &*bearer()), ("idempotency-key", "k")];
    let fits = fixture.send(Method::POST, "/v1/payments", &headers, " ".repeat(BODY_BYTES_MAX)).await;
    assert_eq!(fits.error(), (400, "invalid_request".into()));
    let chunked = format!(
        "POST /v1/payments HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        BODY_BYTES_MAX + 1,
        " ".repeat(BODY_BYTES_MAX + 1)
    );
    let answer = String::from_utf8(fixture.raw(&chunked).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\"too_large\""), "{answer}");
}

#[tokio::test]
async fn a_refund_above_the_limit_is_refused() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &["webhook_never"]).await;
    fixture.press(&payment, "pay").await;
    let path = format!("/v1/payments/{}/refunds", id(&payment));
    for n in 0..REFUNDS_MAX {
        let answer = fixture.post_keyed(&path, &format!("r{n}"), json!({ "amount": "0.01" })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let more = fixture.post_keyed(&path, "more", json!({ "amount": "0.01" })).await;
    assert_eq!(more.error(), (409, "not_allowed".into()));
    assert_eq!(fixture.get(&path).await.json()["refunded_total"], "0.50");
}

#[tokio::test]
async fn deep_and_broken_json_is_refused() {
    let fixture = ServiceFixture::new().await;
    let headers = [("authorization", &*bearer()), ("idempotency-key", "k")];
    for body in ["[".repeat(50_000), "{".into(), "\u{fffd}".into(), "null".into(), "[]".into(), String::new()] {
        let answer = fixture.send(Method::POST, "/v1/payments", &headers, body).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()));
    }
}

#[tokio::test]
async fn a_remote_address_an_empty_secret_an_invalid_public_url_or_too_many_attempts_prevent_the_start() {
    let settings = || SandboxSettings::new(ServiceSecret::new(API_KEY), ServiceSecret::new(WEBHOOK_SECRET));
    let mut open = settings();
    open.listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(SandboxService::start(open.clone()).await, Err(SandboxStartError::NotLoopback(_))));
    open.allow_remote_listen = true;
    SandboxService::start(open).await.unwrap().stop().await;

    let empty = SandboxSettings::new(ServiceSecret::new(API_KEY), ServiceSecret::new(" \n"));
    assert!(matches!(SandboxService::start(empty).await, Err(SandboxStartError::EmptySecret("webhook secret"))));
    let empty = SandboxSettings::new(ServiceSecret::new(""), ServiceSecret::new(WEBHOOK_SECRET));
    assert!(matches!(SandboxService::start(empty).await, Err(SandboxStartError::EmptySecret("API key"))));

    let mut long = settings();
    long.retry_delays = vec![Duration::from_millis(1); ATTEMPTS_MAX];
    let refused = SandboxService::start(long.clone()).await.map(drop).unwrap_err().to_string();
    assert_eq!(refused, "17 attempts of a webhook are more than 16: give at most 15 delays");
    long.retry_delays.pop();
    SandboxService::start(long).await.unwrap().stop().await;

    let mut elsewhere = settings();
    elsewhere.public_url = Some("javascript:x".into());
    assert!(matches!(SandboxService::start(elsewhere.clone()).await, Err(SandboxStartError::PublicUrl)));
    elsewhere.public_url = Some("https://pay.example/sandbox/".into());
    let fixture = ServiceFixture::with(|settings| settings.public_url = elsewhere.public_url).await;
    assert_eq!(fixture.service.base_url(), "https://pay.example/sandbox");
}

#[tokio::test]
async fn a_remote_notify_url_is_accepted_when_allowed() {
    let fixture = ServiceFixture::with(|settings| settings.allow_remote_notify = true).await;
    let mut order = fixture.order("order-1", &[]);
    order["notify_url"] = json!("http://shop.example/hook");
    assert_eq!(fixture.post_keyed("/v1/payments", "k", order).await.status, 201);
}
