//! The hosted page: what it shows, where its buttons lead, and that nothing a merchant writes becomes markup.

use http::Method;
use serde_json::{Value, json};

use crate::world::World;

async fn with_return(world: &World, reference: &str, switches: &[&str]) -> Value {
    let mut order = world.order(reference, switches);
    order["success_url"] = json!("https://shop.example/ok?o=1&x=2");
    order["failure_url"] = json!("https://shop.example/no");
    world.post_keyed("/v1/payments", reference, order).await.json()
}

#[tokio::test]
async fn the_page_shows_the_payment_and_three_buttons() {
    let world = World::with(|settings| settings.merchant = "Broker & Sons".into()).await;
    let payment = with_return(&world, "order-1", &[]).await;
    let url = payment["payment_url"].as_str().unwrap();
    let page = world.send(Method::GET, url, &[("accept", "text/html")], "").await;
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
    assert_eq!(world.send(Method::GET, url, &[("accept", "application/json")], "").await.json(), payment);
}

#[tokio::test]
async fn buttons_lead_back_to_the_merchant() {
    let world = World::new().await;
    let table = [
        ("pay", "confirmed", "https://shop.example/ok?o=1&x=2"),
        ("decline", "failed", "https://shop.example/no"),
        ("cancel", "cancelled", "https://shop.example/no"),
    ];
    for (button, status, location) in table {
        let payment = with_return(&world, button, &[]).await;
        let path = format!("{}/{button}", payment["payment_url"].as_str().unwrap());
        for _twice in 0..2 {
            let answer = world.send(Method::POST, &path, &[("accept", "text/html,*/*")], "").await;
            assert_eq!((answer.status, answer.header("location")), (303, location));
        }
        assert_eq!(world.status(&payment).await, status);
        assert_eq!(world.hook.event().await["data"]["status"], status);
        assert_eq!(world.settled_deliveries(&payment).await.len(), 1, "told once");
    }
}

#[tokio::test]
async fn a_declined_payer_may_try_again() {
    let world = World::new().await;
    let payment = with_return(&world, "order-1", &[]).await;
    assert_eq!(world.press(&payment, "decline").await.json()["failure_reason"], "declined_by_payer");
    let page = world.send(Method::GET, payment["payment_url"].as_str().unwrap(), &[], "").await;
    assert!(page.text.contains("Try again") && page.text.contains("declined_by_payer"));
    let paid = world.press(&payment, "pay").await.json();
    assert_eq!((&paid["status"], &paid["failure_reason"]), (&json!("confirmed"), &json!("")));
    assert_eq!(world.press(&payment, "decline").await.refusal(), (409, "not_allowed".into()));
}

#[tokio::test]
async fn without_return_urls_the_page_shows_the_result() {
    let world = World::new().await;
    let payment = world.payment("order-1", &[]).await;
    let url = payment["payment_url"].as_str().unwrap();
    let answer = world.send(Method::POST, &format!("{url}/pay"), &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (303, url));
    let done = world.send(Method::GET, url, &[], "").await;
    assert!(done.text.contains("<dd>Paid</dd>") && !done.text.contains("<form"));
}

#[tokio::test]
async fn what_a_merchant_writes_stays_text() {
    const EVIL: &str = "\"'><script>alert(1)</script>&";
    let world = World::with(|settings| settings.merchant = EVIL.into()).await;
    let mut order = world.order("'\"><img/onerror=x>", &[]);
    order["method"] = json!("<b>\"'&");
    order["description"] = json!(EVIL);
    order["success_url"] = json!("https://shop.example/?a='x'&b=1");
    let payment = world.post_keyed("/v1/payments", "k", order).await.json();
    let url = payment["payment_url"].as_str().unwrap();
    let waiting = world.send(Method::GET, url, &[], "").await.text;
    world.press(&payment, "pay").await;
    let done = world.send(Method::GET, url, &[], "").await.text;
    for page in [&waiting, &done] {
        for markup in ["<script", "<img", "<b>"] {
            assert!(!page.contains(markup), "{markup} in {page}");
        }
        assert!(page.contains("&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;"));
    }
    assert!(done.contains("href=\"https://shop.example/?a=&#39;x&#39;&amp;b=1\""));

    let failed = world.payment("order-2", &[]).await;
    let path = format!("/_control/payments/{}/events", failed["id"].as_str().unwrap());
    world.post(&path, json!({ "type": "failed", "reason": EVIL })).await;
    let page = world.send(Method::GET, failed["payment_url"].as_str().unwrap(), &[], "").await.text;
    assert!(!page.contains("<script"));
}

#[tokio::test]
async fn a_page_that_is_not_there_says_so_in_the_askers_language() {
    let world = World::new().await;
    let html = world.send(Method::GET, "/pay/sp_%3Cscript%3E", &[], "").await;
    assert_eq!((html.status, html.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(!html.text.contains("<script"));
    let json = world.send(Method::POST, "/pay/sp_0/pay", &[("accept", "application/json")], "").await;
    assert_eq!(json.refusal(), (404, "not_found".into()));
    let payment = world.payment("order-1", &[]).await;
    assert_eq!(world.press(&payment, "steal").await.refusal(), (404, "not_found".into()));
    let get = world.send(Method::GET, &format!("{}/pay", payment["payment_url"].as_str().unwrap()), &[], "").await;
    assert_eq!(get.status, 405, "a link cannot pay");
    assert_eq!(world.status(&payment).await, "pending");
}
