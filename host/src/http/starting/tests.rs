//! A start as clients and monitors see it: 503 in the contract's form, liveness with the rows loaded so far, and real answers
//! on the same connections once the cashier is whole.

use super::*;
use crate::http::session::{SessionKey, SessionKeys};
use crate::http::testing::TestListener;
use crate::ports::{LoadProgress, StartPhase};
use crate::test_cashier::{TestCashier, TestClock};

const STARTING: &str = r#"{"error":"STORAGE_UNAVAILABLE","message":"the cashier is starting, try again shortly"}"#;

fn keys() -> Arc<SessionKeys> {
    Arc::new(SessionKeys::new(vec![SessionKey::new("k", &[7; 32]).unwrap()]).unwrap())
}

#[tokio::test]
async fn s8_every_customer_path_answers_503_with_retry_after_during_a_start_and_unknown_ones_as_ever() {
    let clock = Arc::new(TestClock::default());
    let listener = TestListener::open(customer_routes(Arc::clone(&clock) as _, &[]), clock).await;
    let table = [
        ("GET /cashier/methods?login=2000009", 503),
        ("GET /cashier/transactions?limit=5", 503),
        ("POST /cashier/deposit", 503),
        ("POST /cashier/withdrawal", 503),
        ("POST /cashier/webhook/stripe", 503),
        ("POST /cashier/webhook/stripe/1", 503),
        ("GET /cashier/deposit", 405),
        ("GET /cashier/nothing", 404),
        ("GET /", 404),
    ];
    let mut client = listener.connect().await;
    for (line, status) in table {
        let body = if line.starts_with("POST") { "{\"login\":2000009}" } else { "" };
        let length = body.len();
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
        let response = client.request(&request).await;
        let retry = response.header("retry-after");
        assert_eq!((response.status, retry), (status, (status == 503).then_some("1")), "{line}");
        assert_eq!(response.body == STARTING, status == 503, "{line}: {}", response.body);
    }
}

#[tokio::test]
async fn s8_a_large_webhook_during_a_start_is_read_whole_so_that_its_sender_sees_the_503() {
    let clock = Arc::new(TestClock::default());
    let listener = TestListener::open(customer_routes(Arc::clone(&clock) as _, &[]), clock).await;
    let mut client = listener.connect().await;
    let body = "x".repeat(webhook::NOTICE_LENGTH_MAX);
    for (length, status) in [(body.len(), 503), (body.len(), 503), (body.len() + 1, 413)] {
        let sent = if status == 503 { &*body } else { "" };
        let head = format!("POST /cashier/webhook/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        assert_eq!(client.request(&format!("{head}{sent}")).await.status, status, "on the same connection");
    }
}

#[tokio::test]
async fn s8_a_manager_gets_503_in_the_envelope_of_its_message_during_a_start() {
    let clock = Arc::new(TestClock::default());
    let listener = TestListener::open(manager_routes(Arc::clone(&clock) as _), clock).await;
    let refused = |ext_id: &str| format!(r#"{{"extID":{ext_id},"status":503,"data":{STARTING}}}"#);
    let table = [
        (
            "POST /manager",
            r#"{"command":"MngGetCashierTransaction","extID":"7","data":{"id":1}}"#,
            503,
            refused("\"7\""),
        ),
        ("POST /manager/", r#"{"command":"X"}"#, 503, refused("null")),
        (
            "POST /manager",
            r#"{"extID":7}"#,
            400,
            r#"{"extID":7,"status":400,"data":{"error":"INVALID_DATA","message":"command is required"}}"#.to_owned(),
        ),
    ];
    for (line, message, status, answer) in table {
        let response = listener.send(line, "", message).await;
        assert_eq!((response.status, &response.body), (status, &answer), "{message}");
        assert_eq!(response.header("retry-after"), (status == 503).then_some("1"), "{message}");
    }
    assert_eq!(listener.send("GET /manager", "", "").await.status, 405);
    assert_eq!(listener.send("POST /cashier/deposit", "", "").await.status, 404);
}

#[tokio::test]
async fn s8_healthz_lives_and_readyz_waits_with_the_rows_loaded_so_far() {
    let progress = Arc::new(StartProgress::default());
    let listener = TestListener::open(watch_routes(Arc::clone(&progress)), Arc::default()).await;
    let shown = async |page: &str| {
        let response = listener.send(&format!("GET /{page}"), "", "").await;
        (response.status, response.body)
    };
    let closed = "# HELP cashier_ledger_open Whether decisions can be made.\n# TYPE cashier_ledger_open gauge\ncashier_ledger_open 0\n";
    assert_eq!(shown("healthz").await, (200, "ok\nopening the databases\n".into()));
    assert_eq!(shown("readyz").await, (503, "not ready: the cashier is starting: opening the databases\n".into()));
    let (status, page) = shown("metrics").await;
    assert!(status == 200 && page.starts_with(&format!("{closed}# HELP cashier_connections_open ")), "{page}");
    let rows = Arc::new(LoadProgress::default());
    progress.enter(StartPhase::Loading(Arc::clone(&rows)));
    rows.begin(10_000_000);
    rows.advance(3_145_728).unwrap();
    assert_eq!(shown("healthz").await, (200, "ok\nloading, 3145728 of 10000000 rows\n".into()));
    let waits = "not ready: the cashier is starting: loading, 3145728 of 10000000 rows\n";
    assert_eq!(shown("readyz?verbose").await, (503, waits.into()));
    let (status, page) = shown("metrics").await;
    assert!(status == 200 && page.starts_with(closed), "{page}");
    for line in ["\ncashier_loaded_rows 3145728\n", "\ncashier_stored_rows 10000000\n"] {
        assert!(page.contains(line), "{page}");
    }
    assert_eq!(shown("cashier/methods").await.0, 404);
}

#[tokio::test]
async fn s8_a_connection_of_the_start_gets_real_answers_once_the_cashier_is_whole() {
    let env = TestCashier::published().await;
    let first = customer_routes(Arc::clone(&env.cashier.clock), &[]);
    let listener = TestListener::open(first, Arc::clone(&env.clock)).await;
    let (mut asked, mut silent, mut half) =
        (listener.connect().await, listener.connect().await, listener.connect().await);
    let request = "GET /cashier/methods?login=2000009 HTTP/1.1\r\nhost: x\r\n\r\n";
    let (head, rest) = request.split_at(20);
    tokio::io::AsyncWriteExt::write_all(&mut half.stream, head.as_bytes()).await.unwrap();
    assert_eq!(asked.request(request).await.body, STARTING);
    listener.routes.switch(crate::http::customer_routes(&env.cashier, &keys(), &[]));
    for (client, request) in [(&mut asked, request), (&mut silent, request), (&mut half, rest)] {
        let response = client.request(request).await;
        assert_eq!((response.status, response.error().as_str()), (403, "PERMISSION_DENIED"), "a session is required");
    }
}
