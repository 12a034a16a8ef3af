//! What a server says of whether it takes postings: kept until it says otherwise or judges one, whatever else it answers.

use super::*;

const READY: &str = r#"{"result":"ready"}"#;
const NOT_READY: &str = r#"{"result":"not_ready","message":"nightly maintenance"}"#;

/// A server whose health is this, and whose answers to postings are these.
async fn stating(health: &Arc<Mutex<&'static str>>, posts: &Arc<Mutex<bool>>) -> ScriptedServer {
    let (health, posts) = (Arc::clone(health), Arc::clone(posts));
    server(move |call, _| match call {
        "health" => Scripted::Signed((*lock(&health)).into()),
        "post" if *lock(&posts) => signed(&json!({"result": "posted", "key": KEY, "order": 7})),
        "post" => Scripted::Raw(reply("503 Service Unavailable", "", r#"{"error":"not_ready"}"#)),
        _ => signed(&json!({"result": "none"})),
    })
    .await
}

fn is_ready(adapter: &HttpTradingServer) -> bool {
    let is_ready = adapter.states_ready().is_ok();
    assert_eq!((adapter.reaches().is_ok(), adapter.health().is_ok()), (is_ready, is_ready));
    is_ready
}

/// Waits for what a call beside this one finds out.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..5_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it was not asked");
}

#[tokio::test]
async fn not_ready_lasts_until_health_is_ready_or_a_posting_is_judged() {
    let (health, posts) = (Arc::new(Mutex::new(NOT_READY)), Arc::new(Mutex::new(true)));
    let server = stating(&health, &posts).await;
    let (adapter, _) = adapter(&server.url);
    let good_look_up = async || assert_eq!(adapter.account(Login(1)).await, Ok(None));
    adapter.answers().await.unwrap_err();
    good_look_up().await;
    assert!(!is_ready(&adapter));
    assert!(adapter.reaches().unwrap_err().to_string().contains("nightly maintenance"));
    *lock(&health) = READY;
    adapter.answers().await.unwrap();
    assert!(is_ready(&adapter));
    *lock(&health) = NOT_READY;
    adapter.answers().await.unwrap_err();
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::posted(7)));
    assert!(is_ready(&adapter), "it has just made one");
    // A posting that is answered so says the same.
    *lock(&posts) = false;
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::Unknown));
    good_look_up().await;
    assert!(!is_ready(&adapter));
}

#[tokio::test]
async fn whether_it_takes_postings_is_asked_beside_other_calls_and_once_a_second_while_it_does_not() {
    let (health, posts) = (Arc::new(Mutex::new(NOT_READY)), Arc::new(Mutex::new(true)));
    let server = stating(&health, &posts).await;
    let (adapter, clock) = adapter(&server.url);
    for _ in 0..11 {
        assert_eq!(adapter.account(Login(1)).await, Ok(None));
        assert!(adapter.states_ready().is_ok());
        clock.advance(Duration::from_secs(1));
    }
    let asked = || server.calls().iter().filter(|call| *call == "health").count();
    assert_eq!(asked(), 0);
    until(|| adapter.states_ready().is_err()).await;
    assert_eq!(asked(), 1);
    for _ in 0..50 {
        assert!(!is_ready(&adapter));
        tokio::task::yield_now().await;
    }
    assert_eq!(asked(), 1, "within a second it is believed");
    *lock(&health) = READY;
    clock.advance(Duration::from_millis(1_001));
    until(|| is_ready(&adapter)).await;
    assert_eq!(asked(), 2);
}
