//! The hosted page: its content, the redirects of its buttons, and the escaping of merchant texts.

use http::Method;
use serde_json::{Value, json};

use crate::fixture::ServiceFixture;

async fn with_return(fixture: &ServiceFixture, reference: &str, switches: &[&str]) -> Value {
    let mut order = fixture.order(reference, switches);
    order["success_url"] = json!("https://shop.example/ok?o=1&x=2");
    order["failure_url"] = json!("https://shop.example/no");
    fixture.post_keyed("/v1/payments", reference, order).await.json()
}

#[tokio::test]
async fn the_page_shows_the_payment_and_three_buttons() {
    let fixture = ServiceFixture::with(|settings| settings.merchant = "Broker & Sons".into()).await;
    let payment = with_return(&fixture, "order-1", &[]).await;
    let url = payment["payment_url"].as_str().unwrap();
    let page = fixture.send(Method::GET, url, &[("accept", "text/html")], "").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    for shown in ["250.00 EUR", "Broker &amp; Sons", "order-1"] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    for action in ["pay", "decline", "cancel"] {
        assert!(page.text.contains(&format!("<form method=\"post\" action=\"{url}/{action}\">")));
    }
    let outside: Vec<_> =
        ["src=", "<link", "@import", "url(", "<script"].into_iter().filter(|m| page.text.contains(m)).collect();
    assert_eq!(outside, [""; 0], "self-contained");
    assert_eq!(fixture.send(Method::GET, url, &[("accept", "application/json")], "").await.json(), payment);
}

#[tokio::test]
async fn buttons_redirect_to_the_merchant() {
    let fixture = ServiceFixture::new().await;
    let table = [
        ("pay", "confirmed", "https://shop.example/ok?o=1&x=2"),
        ("decline", "failed", "https://shop.example/no"),
        ("cancel", "cancelled", "https://shop.example/no"),
    ];
    for (button, status, location) in table {
        let payment = with_return(&fixture, button, &[]).await;
        let path = format!("{}/{button}", payment["payment_url"].as_str().unwrap());
        for _twice in 0..2 {
            let answer = fixture.send(Method::POST, &path, &[("accept", "text/html,*/*")], "").await;
            assert_eq!((answer.status, answer.header("location")), (303, location));
        }
        assert_eq!(fixture.status(&payment).await, status);
        assert_eq!(fixture.receiver.event().await["data"]["status"], status);
        assert_eq!(fixture.settled_deliveries(&payment).await.len(), 1, "one webhook");
    }
}

#[tokio::test]
async fn a_declined_payer_may_try_again() {
    let fixture = ServiceFixture::new().await;
    let payment = with_return(&fixture, "order-1", &[]).await;
    assert_eq!(fixture.press(&payment, "decline").await.json()["failure_reason"], "declined_by_payer");
    let page = fixture.send(Method::GET, payment["payment_url"].as_str().unwrap(), &[], "").await;
    assert!(page.text.contains("Try again") && page.text.contains("declined_by_payer"));
    let paid = fixture.press(&payment, "pay").await.json();
    assert_eq!((&paid["status"], &paid["failure_reason"]), (&json!("confirmed"), &json!("")));
    assert_eq!(fixture.press(&payment, "decline").await.error(), (409, "not_allowed".into()));
}

#[tokio::test]
async fn without_return_urls_the_page_shows_the_result() {
    let fixture = ServiceFixture::new().await;
    let payment = fixture.payment("order-1", &[]).await;
    let url = payment["payment_url"].as_str().unwrap();
    let answer = fixture.send(Method::POST, &format!("{url}/pay"), &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (303, url));
    let done = fixture.send(Method::GET, url, &[], "").await;
    assert!(done.text.contains("<dd>Paid</dd>") && !done.text.contains("<form"));
}

#[tokio::test]
async fn merchant_texts_are_escaped() {
    const EVIL: &str = "\"'><script>alert(1)</script>&";
    let fixture = ServiceFixture::with(|settings| settings.merchant = EVIL.into()).await;
    let mut order = fixture.order("'\"><img/onerror=x>", &[]);
    order["method"] = json!("<b>\"'&");
    order["description"] = json!(EVIL);
    order["success_url"] = json!("https://shop.example/?a='x'&b=1");
    let payment = fixture.post_keyed("/v1/payments", "k", order).await.json();
    let url = payment["payment_url"].as_str().unwrap();
    let waiting = fixture.send(Method::GET, url, &[], "").await.text;
    fixture.press(&payment, "pay").await;
    let done = fixture.send(Method::GET, url, &[], "").await.text;
    for page in [&waiting, &done] {
        for markup in ["<script", "<img", "<b>"] {
            assert!(!page.contains(markup), "{markup} in {page}");
        }
        assert!(page.contains("&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;"));
    }
    assert!(done.contains("href=\"https://shop.example/?a=&#39;x&#39;&amp;b=1\""));

    let failed = fixture.payment("order-2", &[]).await;
    let path = format!("/_control/payments/{}/events", failed["id"].as_str().unwrap());
    fixture.post(&path, json!({ "type": "failed", "reason": EVIL })).await;
    let page = fixture.send(Method::GET, failed["payment_url"].as_str().unwrap(), &[], "").await.text;
    assert!(!page.contains("<script"));
}

#[tokio::test]
async fn an_unknown_page_answers_404_in_the_accepted_format() {
    let fixture = ServiceFixture::new().await;
    let html = fixture.send(Method::GET, "/pay/sp_%3Cscript%3E", &[], "").await;
    assert_eq!((html.status, html.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(!html.text.contains("<script"));
    let json = fixture.send(Method::POST, "/pay/sp_0/pay", &[("accept", "application/json")], "").await;
    assert_eq!(json.error(), (404, "not_found".into()));
    let payment = fixture.payment("order-1", &[]).await;
    assert_eq!(fixture.press(&payment, "steal").await.error(), (404, "not_found".into()));
    let get = fixture.send(Method::GET, &format!("{}/pay", payment["payment_url"].as_str().unwrap()), &[], "").await;
    assert_eq!(get.status, 405, "a GET cannot pay");
    assert_eq!(fixture.status(&payment).await, "pending");
}
