//! Whether the server is reached: it is where it answered by itself, whatever it answered. What one call was refused for, or one
//! account that cannot be read, stops no other.

use cashier_core::money::Currency;

use super::*;
use crate::trading::http::calling::OPTIONAL_IN_FLIGHT_MAX;

/// A server that answers postings as they must be, and look-ups of accounts with this.
async fn looked_up(answer: impl Fn() -> Scripted + Send + Sync + 'static) -> ScriptedServer {
    server(move |call, _| match call {
        "post" => signed(&json!({"result": "posted", "key": KEY, "order": 7})),
        _ => answer(),
    })
    .await
}

fn status(line: &'static str, code: &'static str) -> impl Fn() -> Scripted + Send + Sync + 'static {
    move || Scripted::Raw(reply(line, "", &json!({ "error": code }).to_string()))
}

async fn reaches_after(answer: impl Fn() -> Scripted + Send + Sync + 'static) -> bool {
    let server = looked_up(answer).await;
    let (adapter, _) = adapter(&server.url);
    assert!(adapter.account(Login(2_000_009)).await.is_err());
    assert!(adapter.health().is_err(), "health is how the last call ended");
    let reaches = adapter.reaches().is_ok();
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::posted(7)));
    assert!(adapter.reaches().is_ok() && adapter.health().is_ok(), "it answered since");
    reaches
}

#[tokio::test]
async fn what_the_server_itself_answers_is_an_answer() {
    let mut unknown_currency = account_answer();
    unknown_currency["group"]["currency"] = json!("XYZ");
    assert!(reaches_after(move || signed(&unknown_currency)).await);
    assert!(reaches_after(|| signed(&json!({"result": "gone"}))).await);
    for (line, code) in [
        ("400 Bad Request", "malformed"),
        ("404 Not Found", ""),
        ("413 Payload Too Large", "too_large"),
        ("429 Too Many Requests", "too_often"),
        // Where a key is pending, or an account's row cannot be read.
        ("500 Internal Server Error", "failed"),
    ] {
        assert!(reaches_after(status(line, code)).await, "{line}");
    }
}

#[tokio::test]
async fn no_reply_one_without_its_signature_and_another_instance_are_no_answer() {
    assert!(!reaches_after(|| Scripted::Last(String::new())).await, "closed");
    assert!(!reaches_after(|| Scripted::Raw(reply("200 OK", "", "{}"))).await, "unsigned");
    let forged = || Scripted::SignedAs {
        suffix: ".answer",
        seconds: 0,
        secret: OTHER_SECRET,
        body: "{\"result\":\"none\"}".into(),
    };
    assert!(!reaches_after(forged).await, "another secret");
    for (line, code) in [
        ("401 Unauthorized", "bad_signature"),
        ("403 Forbidden", ""),
        ("421 Misdirected Request", "wrong_instance"),
        // A proxy says the two others for a server that is down.
        ("502 Bad Gateway", ""),
        ("503 Service Unavailable", "not_ready"),
        ("504 Gateway Timeout", ""),
    ] {
        assert!(!reaches_after(status(line, code)).await, "{line}");
    }
}

#[tokio::test]
async fn a_call_that_is_not_answered_in_time_and_a_server_that_is_not_ready_are_no_answer() {
    let server = server(|call, _| match call {
        "health" => signed(&json!({"result": "not_ready", "message": "nightly maintenance"})),
        "account" => signed(&json!({"result": "none"})),
        _ => Scripted::Silence,
    })
    .await;
    let (adapter, clock) = adapter(&server.url);
    assert_eq!(adapter.account(Login(1)).await, Ok(None));
    tokio::time::pause();
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::Unknown));
    assert!(adapter.reaches().unwrap_err().to_string().contains("timed out"));
    tokio::time::resume();
    assert_eq!(adapter.account(Login(1)).await, Ok(None));
    assert!(adapter.reaches().is_ok());
    clock.advance(Duration::from_secs(11));
    let not_ready = async {
        loop {
            if let Err(fault) = adapter.reaches() {
                return fault.to_string();
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(not_ready.await.contains("nightly maintenance"));
}

#[tokio::test]
async fn a_call_that_the_pause_refuses_says_nothing_of_the_server() {
    let server =
        answering(|| Scripted::Raw(reply("429 Too Many Requests", "retry-after: 20\r\n", r#"{"error":"too_often"}"#)))
            .await;
    let (adapter, _) = adapter(&server.url);
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::Unknown));
    for _ in 0..5 {
        assert_eq!(adapter.post(durable(posting(1))).await, PostStep::NotSent);
        assert!(adapter.reaches().is_ok());
        assert!(adapter.health().unwrap_err().to_string().contains("called too often"));
    }
    assert_eq!(server.calls(), ["identity", "post"]);
}

#[tokio::test]
async fn prices_that_fail_say_nothing_of_the_server_and_hold_up_no_posting() {
    let server = server(|call, _| match call {
        "rate" => Scripted::Raw(reply("503 Service Unavailable", "retry-after: 20\r\n", r#"{"error":"not_ready"}"#)),
        "post" => signed(&json!({"result": "posted", "key": KEY, "order": 7})),
        _ => signed(&json!({"result": "none"})),
    })
    .await;
    let (adapter, clock) = adapter(&server.url);
    assert_eq!(adapter.account(Login(1)).await, Ok(None));
    let euros = || adapter.rate(Currency::from_code("EUR").unwrap(), usd());
    assert!(euros().await.unwrap_err().to_string().contains("status 503"));
    assert!(adapter.reaches().is_ok() && adapter.health().is_ok());
    // Prices alone are not asked for.
    assert!(euros().await.unwrap_err().to_string().contains("not to be called for another 21 s"));
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::posted(7)));
    assert_eq!(server.calls(), ["identity", "account", "rate", "post"]);
    clock.advance(Duration::from_secs(20));
    assert!(euros().await.unwrap_err().to_string().contains("status 503"));
}

#[tokio::test]
async fn prices_that_hang_leave_the_turns_to_postings() {
    let server = server(|call, _| match call {
        "rate" => Scripted::Silence,
        "post" => signed(&json!({"result": "posted", "key": KEY, "order": 7})),
        _ => signed(&json!({"result": "none"})),
    })
    .await;
    let (adapter, _) = adapter(&server.url);
    assert_eq!(adapter.account(Login(1)).await, Ok(None));
    let euros = || adapter.rate(Currency::from_code("EUR").unwrap(), usd());
    let calls: Vec<_> = (0..IN_FLIGHT_MAX + 5).map(|_| tokio::spawn(euros())).collect();
    let asked = || server.calls().iter().filter(|call| *call == "rate").count();
    while asked() < OPTIONAL_IN_FLIGHT_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(PostingOutcome::posted(7)));
    assert_eq!(asked(), OPTIONAL_IN_FLIGHT_MAX, "further ones wait for their turn");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_group_that_cannot_be_read_is_passed_over_and_its_accounts_are_refused_by_its_currency() {
    let with = |currency: &str| {
        let mut group = account_answer()["group"].clone();
        group["currency"] = json!(currency);
        group["group"] = json!(format!("real-{currency}"));
        group
    };
    let groups = json!({"result": "groups", "groups": [with("USD"), with("XYZ"), with("EUR"), {"group": 7}]});
    let mut account = account_answer();
    (account["group"], account["account"]["group"]) = (with("XYZ"), json!("real-XYZ"));
    let server = server(move |call, _| signed(if call == "groups" { &groups } else { &account })).await;
    let (adapter, _) = adapter(&server.url);
    let groups = adapter.groups().await.unwrap();
    assert_eq!(groups.iter().map(|group| &*group.group).collect::<Vec<_>>(), ["real-USD", "real-EUR"]);
    assert!(adapter.reaches().is_ok() && adapter.health().is_ok());
    let problem = adapter.account(Login(2_000_009)).await.unwrap_err().to_string();
    assert!(problem.contains("group currency must be a currency code"), "{problem}");
    assert!(adapter.reaches().is_ok());
    let none = answering(move || signed(&json!({"result": "groups", "groups": [with("XYZ")]}))).await;
    let problem = super::adapter(&none.url).0.groups().await.unwrap_err().to_string();
    assert!(problem.contains("no group can be read: group real-XYZ: currency must be"), "{problem}");
}

#[tokio::test]
async fn groups_that_are_passed_over_are_warned_of_once() {
    let (adapter, _) = adapter("http://127.0.0.1:1/");
    let warned: Vec<bool> = [vec![], vec!["a"], vec!["a"], vec!["a", "b"], vec![], vec!["a"]]
        .into_iter()
        .map(|problems| adapter.0.note_unread_groups(&problems.into_iter().map(str::to_owned).collect::<Vec<_>>()))
        .collect();
    assert_eq!(warned, [false, true, false, true, false, true]);
}
