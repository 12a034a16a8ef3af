//! The merchant API: create, look up, cancel, refund, and idempotency keys.

use http::Method;
use serde_json::{Value, json};

use crate::fixture::{NOW, ServiceFixture, bearer, id};

#[tokio::test]
async fn a_created_payment_is_found_by_id_and_reference() {
    let fixture = ServiceFixture::new().await;
    let mut order = fixture.order("order-15", &[]);
    order["metadata"] = json!({ "cart": "ü" });
    let created = fixture.post_keyed("/v1/payments", "k", order).await;
    assert_eq!(created.status, 201);
    let payment = created.json();
    assert_eq!(
        payment,
        json!({
            "id": id(&payment), "status": "pending", "amount": "250.00", "currency": "EUR", "reference": "order-15",
            "method": "card", "description": "", "payment_url": format!("{}/pay/{}", fixture.service.base_url(), id(&payment)),
            "success_url": "", "failure_url": "", "metadata": { "cart": "ü" }, "failure_reason": "",
            "refunded_total": "0.00", "refunds": [], "dispute": null, "livemode": false, "created": NOW, "updated": NOW,
        })
    );
    assert!(id(&payment).starts_with("sp_") && id(&payment).len() == 35);

    assert_eq!(fixture.get(&format!("/v1/payments/{}", id(&payment))).await.json(), payment);
    fixture.payment("other", &[]).await;
    assert_eq!(
        fixture.get("/v1/payments?reference=order-15").await.json(),
        json!({ "payments": [payment], "count": 1 })
    );
    assert_eq!(fixture.get("/v1/payments?reference=unknown").await.json(), json!({ "payments": [], "count": 0 }));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids() {
    let (one, two) = (ServiceFixture::new().await, ServiceFixture::new().await);
    assert_eq!(one.payment("a", &[]).await["id"], two.payment("a", &[]).await["id"]);
}

#[tokio::test]
async fn a_duplicate_create_returns_the_first_payment_and_another_body_conflicts() {
    let fixture = ServiceFixture::new().await;
    let first = fixture.create("k", "order-1", &[]).await;
    fixture.press(&first.json(), "pay").await;

    let again = fixture.create("k", "order-1", &[]).await;
    assert_eq!((again.status, &again.text), (201, &first.text), "the first answer, whatever happened since");
    assert_eq!((first.header("idempotent-replay"), again.header("idempotent-replay")), ("", "true"));

    let spaced = serde_json::to_string_pretty(&fixture.order("order-1", &[])).unwrap();
    let headers = [("authorization", &*bearer()), ("idempotency-key", "k")];
    assert_eq!(fixture.send(Method::POST, "/v1/payments", &headers, spaced).await.text, first.text);

    let other = fixture.create("k", "order-2", &[]).await;
    assert_eq!(other.error(), (409, "idempotency_conflict".into()));
    let elsewhere = fixture.post_keyed(&format!("/v1/payments/{}/refunds", id(&first.json())), "k", json!({})).await;
    assert_eq!(elsewhere.error(), (409, "idempotency_conflict".into()));

    // The same body for another payment is another request.
    let second = fixture.payment("order-9", &["auto"]).await;
    let refund = |payment: &Value| format!("/v1/payments/{}/refunds", id(payment));
    assert_eq!(fixture.post_keyed(&refund(&first.json()), "r", json!({})).await.status, 201);
    let conflict = fixture.post_keyed(&refund(&second), "r", json!({})).await;
    assert_eq!(conflict.error(), (409, "idempotency_conflict".into()));
    assert_eq!(fixture.get("/v1/payments?reference=order-1").await.json()["count"], 1);
}

#[tokio::test]
async fn an_invalid_field_is_refused_by_name() {
    let fixture = ServiceFixture::new().await;
    let table: &[(&str, Value, &str)] = &[
        ("reference", json!(""), "`reference`"),
        ("reference", json!("a b"), "`reference`"),
        ("amount", json!("0.00"), "`amount`"),
        ("amount", json!("-1"), "amount"),
        ("amount", json!("1e2"), "amount"),
        ("amount", json!(250), "invalid type"),
        ("amount", json!("1.123456789"), "amount"),
        ("currency", json!("eur"), "`currency`"),
        ("method", json!("x".repeat(33)), "`method`"),
        ("description", json!("a\u{0}b"), "`description`"),
        ("notify_url", json!("http://10.0.0.1/"), "`notify_url`"),
        ("notify_url", json!("https://127.0.0.1/"), "`notify_url`"),
        ("success_url", json!("javascript:alert(1)"), "`success_url`"),
        ("failure_url", json!("/done"), "`failure_url`"),
        ("metadata", json!({ "sandbox_switches": "webhook_thrice" }), "webhook_thrice"),
        ("metadata", json!({ "k": "v".repeat(501) }), "`metadata`"),
        ("switches", json!(["create_slow"]), "create_slow"),
        ("switches", json!(vec!["webhook_twice"; 33]), "switches"),
        ("amuont", json!("1"), "amuont"),
    ];
    for (field, value, named) in table {
        let mut order = fixture.order("order-1", &[]);
        order[*field] = value.clone();
        let answer = fixture.post_keyed("/v1/payments", "k", order).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()), "{field}");
        assert!(answer.text.contains(named), "{field}: {}", answer.text);
    }
    let without_key = fixture.post("/v1/payments", fixture.order("order-1", &[])).await;
    assert_eq!(without_key.error(), (400, "invalid_request".into()));
    assert_eq!(fixture.get("/v1/payments?reference=order-1").await.json()["count"], 0);
}

#[tokio::test]
async fn a_missing_key_or_an_unknown_path_is_refused() {
    let fixture = ServiceFixture::new().await;
    for path in ["/v1/payments?reference=a", "/_control/deliveries", "/v1/nothing"] {
        for key in ["", "Bearer sk_wrong", "Bearer ", "Basic sk_canary_7Qm2", "Bearer sk_canary_7Qm2x"] {
            let answer = fixture.send(Method::GET, path, &[("authorization", key)], "").await;
            assert_eq!(answer.error(), (401, "unauthorized".into()), "{path} {key}");
        }
    }
    let reset = fixture.send(Method::POST, "/_control/reset", &[], "").await;
    assert_eq!(reset.error(), (401, "unauthorized".into()));
    assert_eq!(fixture.get("/v1/payments/sp_0").await.error(), (404, "not_found".into()));
    assert_eq!(fixture.get("/v1/nothing").await.error(), (404, "not_found".into()));
    assert_eq!(fixture.get("/v1/payments").await.error(), (400, "invalid_request".into()));
    assert_eq!(fixture.get("/v1/payments?reference=a&x=1").await.error(), (400, "invalid_request".into()));
    let delete = fixture.send(Method::DELETE, "/v1/payments/sp_0", &[("authorization", &bearer())], "").await;
    assert_eq!(delete.error(), (405, "method_not_allowed".into()));
    assert_eq!(fixture.send(Method::GET, "/healthz", &[], "").await.json(), json!({ "status": "ok" }));
}

#[tokio::test]
async fn a_payment_is_cancelled_once() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &[]).await;
    let path = format!("/v1/payments/{}/cancel", id(&payment));
    assert_eq!(fixture.post(&path, json!({})).await.json()["status"], "cancelled");
    assert_eq!(fixture.receiver.event().await["type"], "payment.cancelled");
    assert_eq!(fixture.post(&path, json!({})).await.status, 200);
    assert_eq!(fixture.press(&payment, "pay").await.error(), (409, "not_allowed".into()));
    assert_eq!(fixture.settled_deliveries(&payment).await.len(), 1, "the repetition sends no webhook");

    let paid = fixture.payment("order-2", &[]).await;
    fixture.press(&paid, "pay").await;
    let late = fixture.post(&format!("/v1/payments/{}/cancel", id(&paid)), json!({})).await;
    assert_eq!(late.error(), (409, "not_allowed".into()));
}

#[tokio::test]
async fn refunds_add_up_and_stop_at_the_amount() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &[]).await;
    let path = format!("/v1/payments/{}/refunds", id(&payment));
    assert_eq!(fixture.post_keyed(&path, "r0", json!({})).await.error(), (409, "not_allowed".into()));
    fixture.press(&payment, "pay").await;
    assert_eq!(fixture.receiver.event().await["type"], "payment.confirmed");

    let part = fixture.post_keyed(&path, "r1", json!({ "amount": "100", "reason": "half" })).await;
    assert_eq!(part.status, 201);
    let refund = part.json()["refund"].clone();
    assert_eq!(
        refund,
        json!({ "id": refund["id"], "payment": payment["id"], "amount": "100", "currency": "EUR", "reason": "half", "created": NOW })
    );
    assert_eq!(fixture.post_keyed(&path, "r1", json!({ "amount": "100", "reason": "half" })).await.text, part.text);
    let event = fixture.receiver.event().await;
    assert_eq!((&event["type"], &event["refund"]), (&json!("payment.refunded"), &refund));
    assert_eq!((&event["data"]["status"], &event["data"]["refunded_total"]), (&json!("confirmed"), &json!("100.00")));

    let much = fixture.post_keyed(&path, "r2", json!({ "amount": "150.01" })).await;
    assert_eq!(much.error(), (409, "not_allowed".into()));
    let rest = fixture.post_keyed(&path, "r3", json!({})).await.json();
    assert_eq!((&rest["refund"]["amount"], &rest["refunded_total"]), (&json!("150.00"), &json!("250.00")));
    assert_eq!(rest["status"], "refunded");
    assert_eq!(fixture.get(&path).await.json()["refunds"].as_array().unwrap().len(), 2);
}
