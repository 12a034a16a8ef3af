//! What browsers, balancers and providers' dashboards send beside the published requests, and what an answer says of itself.

use super::*;
use crate::http::starting;

const ORIGINS: [&str; 2] = ["https://shop.example", "http://localhost:3000"];

/// The customer listener for pages of [`ORIGINS`].
async fn with_origins(api: &CustomerApi) -> TestListener {
    let routes = crate::http::customer_routes(&api.env.cashier, &api.keys, &ORIGINS.map(Box::from));
    TestListener::open(routes, Arc::clone(&api.env.clock)).await
}

#[tokio::test]
async fn n4_head_gets_the_head_of_get_on_the_customer_paths() {
    let api = CustomerApi::open().await;
    for path in ["/cashier/methods?login=2000009", "/cashier/transactions"] {
        let token = api.token(Role::Customer, 5, None);
        let get = api.send(&format!("GET {path}"), "").await;
        let mut client = api.listener.connect().await;
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: x\r\n{token}\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let rest = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, rest.as_bytes()).await.unwrap();
        tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut received).await.unwrap();
        let received = String::from_utf8(received).unwrap();
        let (head, next) = received.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{received}");
        assert!(head.contains(&format!("content-length: {}", get.body.len())), "{received}");
        assert!(next.starts_with("HTTP/1.1 403"), "the head has no body: {received}");
        assert_eq!(api.listener.connect().await.head(path).await.status, 403, "a session is required as for GET");
    }
}

#[tokio::test]
async fn n4_a_provider_that_looks_first_gets_200_whatever_the_address_names() {
    let api = CustomerApi::open().await;
    let mut bodies = Vec::new();
    for path in ["stripe", "stripe/1", "stripe/1/", "stripe/99", "unknown", "unknown/abc/"] {
        let path = format!("/cashier/webhook/{path}");
        let get = api.listener.send(&format!("GET {path}"), "", "").await;
        assert_eq!((get.status, get.header("content-type")), (200, Some("application/json")), "{path}");
        bodies.push(get.body);
        let head = api.listener.connect().await.head(&path).await;
        assert_eq!((head.status, head.header("content-length")), (200, Some("13")), "{path}");
    }
    bodies.dedup();
    assert_eq!(bodies, [r#"{"data":"OK"}"#], "known and unknown look the same");
    assert_eq!(api.listener.send("GET /cashier/webhook/", "", "").await.status, 404);
}

#[tokio::test]
async fn n4_a_notice_is_applied_at_a_path_with_a_slash_behind_it() {
    let api = CustomerApi::open().await;
    api.deposit("k", "250.0").await;
    let notice = |event_id: &str| api.env.provider.notice_body(vec![update(event_id, ProviderStatus::Confirmed)]);
    for (path, event) in [("stripe/1/", "evt_1"), ("stripe/", "evt_2")] {
        let line = format!("POST /cashier/webhook/{path}");
        let response = api.listener.send(&line, "x-signature: config 1\r\n", &notice(event)).await;
        assert_eq!(response.status, 200, "{path}: {}", response.body);
    }
    for path in ["stripe//", "stripe/1//", "stripe/1/2/", "/"] {
        let line = format!("POST /cashier/webhook/{path}");
        let response = api.listener.send(&line, "x-signature: config 1\r\n", &notice("evt_3")).await;
        assert!([401, 404].contains(&response.status), "{path}: {}", response.body);
    }
    assert_eq!(api.listener.send("POST /cashier/deposit/", "", "").await.status, 404, "other paths stay exact");
}

#[tokio::test]
async fn n4_pages_of_listed_origins_may_call_the_customer_paths() {
    let api = CustomerApi::open().await;
    let listener = with_origins(&api).await;
    let preflight = async |origin: &str, method: &str, headers: &str| {
        let lines = format!(
            "origin: {origin}\r\naccess-control-request-method: {method}\r\naccess-control-request-headers: {headers}\r\n"
        );
        listener.send("OPTIONS /cashier/deposit", &lines, "").await
    };
    for origin in ORIGINS {
        let allowed = preflight(origin, "POST", "authorization,content-type,idempotency-key").await;
        assert_eq!(allowed.status, 200, "{}", allowed.body);
        assert_eq!(allowed.header("access-control-allow-origin"), Some(origin));
        let methods = allowed.header("access-control-allow-methods").unwrap_or_default();
        assert!(methods.contains("POST") && methods.contains("GET"), "{methods}");
        assert_eq!(allowed.header("access-control-max-age"), Some("600"));
        assert_eq!(allowed.header("access-control-allow-credentials"), None, "tokens are no cookies");
    }
    for (origin, method, headers) in [
        ("https://evil.example", "POST", "authorization"),
        ("https://shop.example.evil.example", "POST", "authorization"),
        ("http://shop.example", "POST", "authorization"),
        ("null", "POST", "authorization"),
        ("https://shop.example", "DELETE", "authorization"),
        ("https://shop.example", "POST", "x-secret"),
    ] {
        let refused = preflight(origin, method, headers).await;
        assert_eq!(
            (refused.status, refused.error().as_str()),
            (403, "PERMISSION_DENIED"),
            "{origin} {method} {headers}"
        );
        assert_eq!(refused.header("access-control-allow-origin"), None, "{origin} {method} {headers}");
    }
    let origin = "origin: https://shop.example\r\n";
    let token = api.token(Role::Customer, 5, None);
    let table = [
        ("GET /cashier/methods?login=2000009", format!("{token}{origin}"), 200),
        ("GET /cashier/methods?login=2000009", origin.to_owned(), 403),
        ("POST /cashier/deposit", format!("{token}{origin}"), 400),
        ("GET /cashier/nothing", origin.to_owned(), 404),
    ];
    for (line, headers, status) in table {
        let response = listener.send(line, &headers, "").await;
        assert_eq!(response.status, status, "{line}: {}", response.body);
        assert_eq!(response.header("access-control-allow-origin"), Some("https://shop.example"), "{line}");
        let exposed = response.header("access-control-expose-headers").unwrap_or_default();
        assert!(exposed.contains("x-request-id") && exposed.contains("retry-after"), "{exposed}");
    }
    // Whoever is not listed is answered as without an origin, and a browser shows the answer to no page: this server's own
    // pages, apps and programs are no pages of other origins.
    for origin in ["https://evil.example", "https://pay.example", "null", "capacitor://localhost", "file://", "-"] {
        let lines = format!("{token}origin: {origin}\r\n");
        let answered = listener.send("GET /cashier/transactions", &lines, "").await;
        assert_eq!((answered.status, answered.header("access-control-allow-origin")), (200, None), "{origin}");
        let lines = format!("origin: {origin}\r\n");
        assert_eq!(listener.send("OPTIONS /cashier/deposit", &lines, "").await.status, 405, "no preflight: {origin}");
    }
    assert_eq!(listener.send("GET /cashier/transactions", &token, "").await.status, 200);
    assert_eq!(listener.send("OPTIONS /cashier/deposit", "", "").await.status, 405);
}

#[tokio::test]
async fn n4_listed_origins_change_nothing_for_webhooks() {
    let api = CustomerApi::open().await;
    let listener = with_origins(&api).await;
    api.deposit("k", "250.0").await;
    let signed = "x-signature: config 1\r\n";
    for (n, origin) in ["https://psp.example", "null", "https://shop.example", "-"].into_iter().enumerate() {
        let notice = api.env.provider.notice_body(vec![update(&format!("evt_{n}"), ProviderStatus::Confirmed)]);
        let lines = format!("{signed}origin: {origin}\r\n");
        for path in ["stripe/1", "stripe/1/", "stripe"] {
            let answered = listener.send(&format!("POST /cashier/webhook/{path}"), &lines, &notice).await;
            assert_eq!(answered.status, 200, "{origin} {path}: {}", answered.body);
            assert_eq!(answered.header("access-control-allow-origin"), None, "{origin} {path}");
        }
        let lines = format!("origin: {origin}\r\n");
        let forged = listener.send("POST /cashier/webhook/stripe/1", &lines, "{}").await;
        assert_eq!((forged.status, forged.error().as_str()), (401, "INVALID_SIGNATURE"), "{origin}");
        assert_eq!(listener.send("GET /cashier/webhook/stripe", &lines, "").await.status, 200, "{origin}");
        let asks = format!("{lines}access-control-request-method: POST\r\n");
        assert_eq!(listener.send("OPTIONS /cashier/webhook/stripe", &asks, "").await.status, 405, "{origin}");
    }
    assert_eq!(api.env.cashier.counted_notices().0, 4, "forged ones are counted whatever their origin");
    let routes = starting::customer_routes(Arc::clone(&api.env.cashier.clock), &ORIGINS.map(Box::from));
    let starting = TestListener::open(routes, Arc::clone(&api.env.clock)).await;
    let waiting = starting.send("POST /cashier/webhook/stripe/1", "origin: https://psp.example\r\n", "{}").await;
    assert_eq!(waiting.status, 503, "to be sent again");
}

#[tokio::test]
async fn n4_no_origin_may_call_where_none_is_listed_and_a_start_answers_pages_too() {
    let api = CustomerApi::open().await;
    let lines = "origin: https://shop.example\r\naccess-control-request-method: POST\r\n";
    let refused = api.listener.send("OPTIONS /cashier/deposit", lines, "").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (405, None));
    let token = api.token(Role::Customer, 5, None);
    let answered = api.listener.send("GET /cashier/transactions", &format!("{token}{lines}"), "").await;
    assert_eq!((answered.status, answered.header("access-control-allow-origin")), (200, None));
    let routes = starting::customer_routes(Arc::clone(&api.env.cashier.clock), &ORIGINS.map(Box::from));
    let listener = TestListener::open(routes, Arc::clone(&api.env.clock)).await;
    assert_eq!(listener.send("OPTIONS /cashier/deposit", lines, "").await.status, 200);
    let waiting = listener.send("POST /cashier/deposit", "origin: https://shop.example\r\n", "{}").await;
    assert_eq!(waiting.status, 503);
    assert_eq!(waiting.header("access-control-allow-origin"), Some("https://shop.example"));
}

#[tokio::test]
async fn b6_only_an_answer_to_a_session_says_how_long_it_took() {
    let api = CustomerApi::open().await;
    let (customer, manager) = (api.token(Role::Customer, 5, None), api.token(Role::Manager, 5, None));
    api.deposit("k", "250.0").await;
    let confirmed = api.env.provider.notice_body(vec![update("evt_1", ProviderStatus::Confirmed)]);
    let signed = "x-signature: config 1\r\n";
    let table = [
        ("GET /cashier/transactions", &*customer, "", 200, true),
        ("GET /cashier/methods?login=2000009", &customer, "", 200, true),
        ("POST /cashier/deposit", &customer, "{", 400, true),
        ("GET /cashier/methods?login=1", &customer, "", 404, true),
        ("GET /cashier/transactions", "", "", 403, false),
        ("GET /cashier/transactions", &manager, "", 403, false),
        ("GET /cashier/nothing", &customer, "", 404, false),
        ("PUT /cashier/deposit", &customer, "", 405, false),
        ("POST /cashier/webhook/unknown", "", "{}", 401, false),
        ("POST /cashier/webhook/stripe", "", "{}", 401, false),
        ("POST /cashier/webhook/stripe/1", &customer, "{}", 401, false),
        ("GET /cashier/webhook/stripe", "", "", 200, false),
        ("POST /cashier/webhook/stripe/1", signed, &confirmed, 200, false),
    ];
    for (line, headers, body, status, timed) in table {
        let response = api.listener.send(line, headers, body).await;
        assert!(status == response.status || (status, response.status) == (404, 403), "{line}: {}", response.body);
        let timed = timed && response.status != 403;
        for name in ["x-own-latency-us", "server-timing"] {
            assert_eq!(response.header(name).is_some(), timed, "{line} {name}");
        }
    }
}
