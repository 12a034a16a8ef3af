//! Every way in which an answer can be wrong: it is none. A question is a fault that names what is wrong, the outcome of a posting is
//! unknown, and a posting is sent once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cashier_core::ids::{CustomerId, Login};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use serde_json::{Value, json};

use super::peer::{Scripted, ScriptedServer, reply};
use super::{
    IDENTITY, KEY, OTHER_SECRET, SECRET, account_answer, adapter, answering, durable, posting, server, settings, signed,
};
use crate::ports::PostStep;
use crate::test_cashier::{TestClock, TestEntropy};
use crate::trading::http::HttpTradingServer;
use crate::trading::remote::RemoteServer;

const UNKNOWN: PostStep = PostStep::Done(PostingOutcome::Unknown);

fn posted() -> String {
    json!({"result": "posted", "key": KEY, "order": 7001}).to_string()
}

fn signed_as(suffix: &'static str, seconds: i64, secret: &'static str) -> Scripted {
    Scripted::SignedAs { suffix, seconds, secret, body: posted() }
}

/// The posting is unknown and sent once, the look-up and the voiding are faults with this sentence.
async fn assert_no_answer(name: &str, answer: impl Fn() -> Scripted + Send + Sync + 'static, sentence: &str) {
    let server = answering(answer).await;
    let (adapter, _) = adapter(&server.url);
    assert_eq!(adapter.post(durable(posting(1))).await, UNKNOWN, "{name}");
    assert_eq!(server.calls(), ["identity", "post"], "{name}: a posting is sent once");
    let problem = adapter.health().unwrap_err().to_string();
    assert!(problem.contains(sentence), "{name}: {problem}");
    let voided = adapter.void(durable(posting(1)), ReasonCode::Withheld).await.unwrap_err().to_string();
    assert_eq!(server.calls(), ["identity", "post", "void"], "{name}: a voiding is sent once");
    let found = adapter.find(&posting(1)).await.unwrap_err().to_string();
    assert!(voided.contains(sentence) && found.contains(sentence), "{name}: {voided}; {found}");
    assert!(!problem.contains("7001") && !problem.contains(SECRET), "{name}: {problem}");
}

#[tokio::test]
async fn an_answer_that_is_not_signed_for_this_request_is_none() {
    assert_no_answer("unsigned", || Scripted::Raw(reply("200 OK", "", &posted())), "once each").await;
    assert_no_answer("a reflected id", || signed_as("", 0, SECRET), "with .answer behind it").await;
    assert_no_answer("another request's", || signed_as("0.answer", 0, SECRET), "with .answer behind it").await;
    assert_no_answer("another secret", || signed_as(".answer", 0, OTHER_SECRET), "by no secret of the settings").await;
    assert_no_answer("an old answer", || signed_as(".answer", -301, SECRET), "compare the clocks").await;
    assert_no_answer("an early answer", || signed_as(".answer", 301, SECRET), "compare the clocks").await;
}

#[tokio::test]
async fn an_answer_at_the_edge_of_the_tolerance_and_one_of_two_secrets_is_taken() {
    for seconds in [-300, 300] {
        let server = answering(move || signed_as(".answer", seconds, SECRET)).await;
        let (adapter, _) = adapter(&server.url);
        assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::posted(7001)), "{seconds}");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_none() {
    let table = [
        ("no JSON", "posted".to_owned(), "not a JSON object"),
        ("a list", "[]".to_owned(), "not a JSON object"),
        ("no result", "{}".to_owned(), "has no result"),
        ("unknown is no answer", json!({"result": "unknown", "key": KEY}).to_string(), "no result unknown"),
        ("no order", json!({"result": "posted", "key": KEY}).to_string(), "order is missing"),
        ("order 0", json!({"result": "posted", "key": KEY, "order": 0}).to_string(), "order must be"),
        ("an order in a string", json!({"result": "posted", "key": KEY, "order": "7"}).to_string(), "order must be"),
        ("no key", json!({"result": "posted", "order": 7}).to_string(), "key is missing"),
        (
            "another key",
            json!({"result": "posted", "key": "d3k9x0p7m2q4r8s6t1vw:2", "order": 7}).to_string(),
            "another key",
        ),
        ("a refusal without a reason", json!({"result": "refused", "key": KEY}).to_string(), "reason is missing"),
        (
            "a code of ours",
            json!({"result": "refused", "key": KEY, "reason": "POSTING_LOST"}).to_string(),
            "no reason of a trading server",
        ),
        (
            "a sentence as a reason",
            json!({"result": "refused", "key": KEY, "reason": "no money"}).to_string(),
            "reason must be",
        ),
        ("a member twice", format!(r#"{{"result":"posted","key":"{KEY}","order":7,"order":8}}"#), "a member twice"),
    ];
    for (name, body, sentence) in table {
        assert_no_answer(name, move || Scripted::Signed(body.clone()), sentence).await;
    }
}

#[tokio::test]
async fn a_posting_that_is_answered_none_is_unknown_and_a_voiding_is_a_fault() {
    let server = answering(|| signed(&json!({"result": "none", "key": KEY}))).await;
    let (adapter, _) = adapter(&server.url);
    assert_eq!(adapter.post(durable(posting(1))).await, UNKNOWN);
    assert!(adapter.void(durable(posting(1)), ReasonCode::Withheld).await.is_err());
}

#[tokio::test]
async fn an_error_of_the_call_is_no_refusal() {
    let error = |status: &'static str, code: &'static str| {
        move || Scripted::Raw(reply(status, "", &json!({"error": code, "message": "words\u{1b}[2J"}).to_string()))
    };
    for (status, code, sentence) in [
        ("400 Bad Request", "malformed", "did not understand"),
        ("401 Unauthorized", "bad_signature", "compare the secrets"),
        ("401 Unauthorized", "old_timestamp", "compare the clocks"),
        ("403 Forbidden", "", "compare the secrets"),
        ("421 Misdirected Request", "wrong_instance", "another database of postings"),
        ("429 Too Many Requests", "too_often", "called too often"),
        ("500 Internal Server Error", "failed", "it failed (status 500 failed: words"),
        ("503 Service Unavailable", "not_ready", "it failed (status 503"),
        ("202 Accepted", "", "it failed (status 202"),
    ] {
        assert_no_answer(status, error(status, code), sentence).await;
    }
    // The same body as an answer, signed or not, is none with another status.
    let not_ok = || Scripted::Raw(reply("500 Internal Server Error", "", &posted()));
    assert_no_answer("a result with status 500", not_ok, "it failed (status 500)").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = answering(|| Scripted::Signed(posted())).await;
    let location = format!("location: {}\r\n", elsewhere.url);
    assert_no_answer("307", move || Scripted::Raw(reply("307 Temporary Redirect", &location, "")), "not followed")
        .await;
    assert_eq!(elsewhere.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_that_is_cut_off_or_too_large_is_none() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"result\":";
    assert_no_answer("cut off in the body", || Scripted::Last(head.into()), "cut off").await;
    assert_no_answer("cut off in the head", || Scripted::Last("HTTP/1.1 200 OK\r\nwebh".into()), "").await;
    assert_no_answer("closed without an answer", || Scripted::Last(String::new()), "").await;
    assert_no_answer("no HTTP", || Scripted::Last("posted\r\n\r\n".into()), "").await;
    let large = "x".repeat(4 * 1024 * 1024 + 1);
    assert_no_answer("too large", move || Scripted::Last(reply("200 OK", "", &large)), "larger than 4194304 bytes")
        .await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_no_answer() {
    let server =
        server(|call, _| if call == "account" { signed(&json!({"result": "none"})) } else { Scripted::Silence }).await;
    let (adapter, _) = adapter(&server.url);
    assert_eq!(adapter.account(Login(1)).await, Ok(None));
    // From here on time jumps to the next end of a wait.
    tokio::time::pause();
    assert_eq!(adapter.post(durable(posting(1))).await, UNKNOWN);
    assert!(adapter.find(&posting(1)).await.unwrap_err().to_string().contains("timed out: no answer within 5 s"));
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_is_not_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let (adapter, _) = adapter(&url);
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::NotSent);
    assert!(adapter.find(&posting(1)).await.is_err());
}

#[tokio::test]
async fn a_question_is_repeated_twice_where_the_server_failed_and_never_where_it_answered() {
    let failing = answering(|| Scripted::Raw(reply("500 Internal Server Error", "", ""))).await;
    assert!(adapter(&failing.url).0.find(&posting(1)).await.is_err());
    assert_eq!(failing.calls(), ["identity", "find", "find", "find"]);
    let forged = answering(|| signed_as(".answer", 0, OTHER_SECRET)).await;
    assert!(adapter(&forged.url).0.find(&posting(1)).await.is_err());
    assert_eq!(forged.calls(), ["identity", "find"]);
}

#[tokio::test]
async fn a_server_of_another_protocol_or_without_an_instance_is_sent_nothing_else() {
    for (identity, sentence) in [
        (IDENTITY.replace("\"protocol\":1", "\"protocol\":2"), "protocol 2"),
        (IDENTITY.replace("i-1", ""), "states no instance"),
        (IDENTITY.replace("i-1", "a b"), "instance must be"),
    ] {
        let server = ScriptedServer::open(move |_, _| Scripted::Signed(identity.clone())).await;
        let (adapter, _) = adapter(&server.url);
        assert_eq!(adapter.post(durable(posting(1))).await, PostStep::NotSent, "{sentence}");
        assert!(adapter.health().unwrap_err().to_string().contains(sentence), "{sentence}");
        assert_eq!(server.calls(), ["identity"]);
    }
}

#[tokio::test]
async fn a_server_of_another_instance_than_the_settings_name_is_sent_nothing_but_who_it_is() {
    let other = Arc::new(AtomicBool::new(true));
    let is_other = Arc::clone(&other);
    let server = ScriptedServer::open(move |call, body: &Value| match (call, is_other.load(Ordering::SeqCst)) {
        ("identity", true) => Scripted::Signed(IDENTITY.into()),
        ("identity", false) => Scripted::Signed(IDENTITY.replace("i-1", "pinned")),
        _ => {
            assert_eq!(body["instance"], "pinned");
            Scripted::Raw(reply("421 Misdirected Request", "", r#"{"error":"wrong_instance"}"#))
        }
    })
    .await;
    let pinned = super::HttpServerSettings { instance: Some("pinned".into()), ..settings(&server.url) };
    let clock = Arc::new(TestClock::default());
    let adapter = HttpTradingServer::open(pinned, clock.clone(), Arc::new(TestEntropy::default())).unwrap();
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::NotSent);
    let problem = adapter.health().unwrap_err().to_string();
    assert!(problem.contains("than the settings say (instance i-1, `instance` there is pinned)"), "{problem}");
    other.store(false, Ordering::SeqCst);
    assert_eq!(adapter.post(durable(posting(1))).await, UNKNOWN);
    clock.advance(Duration::from_secs(60));
    assert!(adapter.account(Login(1)).await.is_err());
    assert_eq!(server.calls(), ["identity", "identity", "post", "identity", "account"]);
}

#[tokio::test]
async fn facts_that_are_about_something_else_or_do_not_belong_together_are_none() {
    let with = |pointer: &str, value: Value| {
        let mut answer = account_answer();
        *answer.pointer_mut(pointer).unwrap() = value;
        answer
    };
    for (answer, sentence) in [
        (with("/account/login", json!(2)), "another login"),
        (with("/account/customer_id", json!(6)), "do not belong together"),
        (with("/account/group", json!("demo-usd")), "do not belong together"),
        (with("/account/balance", json!(120.5)), "account balance must be"),
        (with("/group/currency", json!("XYZ")), "group currency must be"),
        (with("/group/account_mode", json!(2)), "group account_mode must be"),
        (with("/customer/status", json!("0")), "customer status must be"),
        (with("/customer", json!(null)), "customer is missing"),
        (json!({"result": "accounts"}), "result must be account"),
    ] {
        let server = answering(move || signed(&answer)).await;
        let problem = adapter(&server.url).0.account(Login(2_000_009)).await.unwrap_err().to_string();
        assert!(problem.contains(sentence), "{sentence}: {problem}");
    }
    let customer = account_answer()["customer"].clone();
    let server = answering(move || signed(&json!({"result": "customer", "customer": customer}))).await;
    assert!(adapter(&server.url).0.customer(CustomerId(6)).await.unwrap_err().to_string().contains("another customer"));
}

#[tokio::test]
async fn a_page_of_postings_that_leads_no_further_is_none() {
    let page = |lines: Value, next: &str| json!({"result": "postings", "postings": lines, "next": next, "more": true, "posted_count": 1});
    for answer in [page(json!([]), "2"), page(json!([{}]), "1"), page(json!([{}]), "")] {
        let server = answering(move || signed(&answer)).await;
        let problem = adapter(&server.url).0.postings("1".into(), 10).await.unwrap_err().to_string();
        assert!(problem.contains("leads no further"), "{problem}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_listed_as_such_and_hides_neither_the_others_nor_the_count() {
    let line = |result: &str| {
        json!({"result": result, "posting": {"key": KEY, "transaction_id": 15, "operation_id": 31, "login": 7, "customer_id": 5,
            "currency": "USD", "amount": "1.0", "cmd": 6, "purpose": "deposit", "created_time": 9}})
    };
    let mut fine = line("posted");
    fine["order"] = json!(7001);
    let with = |name: &str, value: Value| {
        let mut other = fine.clone();
        other["posting"][name] = value;
        other
    };
    let long = "k".repeat(1000);
    let table = [
        // Made by hand.
        (
            with("key", json!("test")),
            None,
            true,
            "key test, trade order 7001: posting key must be the key of an operation",
        ),
        (with("key", json!(long)), None, true, &*format!("key {}, trade order 7001: posting key must be", &long[..64])),
        (with("key", json!("a\nb")), None, true, "key a?b, trade order 7001: posting key must be"),
        (with("currency", json!("XYZ")), Some(KEY), true, "trade order 7001: posting currency must be a currency code"),
        // Of a newer cashier.
        (
            with("purpose", json!("fee")),
            Some(KEY),
            true,
            "trade order 7001: posting purpose must be deposit, withdrawal",
        ),
        (with("amount", json!("1.001")), Some(KEY), true, "its amount"),
        (line("posted"), Some(KEY), true, "it has no order"),
        (line("refused"), Some(KEY), false, "it has no reason"),
        (line("pending"), Some(KEY), false, "result must be posted or refused"),
        (json!({"result": "posted", "order": 7}), None, true, "without a key, trade order 7: posting is missing"),
        (json!({"result": "posted", "posting": []}), None, true, "without a key: posting must be an object"),
        (json!({}), None, false, "without a key: result is required"),
        (json!("posted"), None, false, "without a key: must be an object"),
    ];
    for (row, key, is_posted, sentence) in table {
        let answer =
            json!({"result": "postings", "postings": [fine, row, fine], "next": "9", "more": true, "posted_count": 3});
        let server = answering(move || signed(&answer)).await;
        let (adapter, _) = adapter(&server.url);
        let page = adapter.postings("1".into(), 10).await.unwrap();
        assert_eq!((page.postings.len(), page.unread.len(), &*page.next), (2, 1, "9"), "{sentence}");
        let unread = &page.unread[0];
        assert_eq!((unread.key.as_ref().map(|key| key.as_str()), unread.is_posted), (key, is_posted), "{sentence}");
        assert!(unread.what.contains(sentence) && unread.what.len() < 250, "{sentence}: {}", unread.what);
        assert_eq!(adapter.posted_count().await, Ok(Some(3)), "{sentence}");
    }
}
