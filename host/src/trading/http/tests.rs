//! The adapter against a server that answers as each test wants it: what an answer means, and every way in which it can be wrong.

mod instances;
mod peer;
mod reach;
mod readiness;
mod trust;
mod wrong_answers;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cashier_core::account::AccountMode;
use cashier_core::ids::{CustomerId, Login, OperationId, Reference, ServerName, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{BalanceOperation, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};
use cashier_core::time::UnixTime;
use expect_test::expect;
use serde_json::{Value, json};

use self::peer::{Scripted, ScriptedServer, reply};
use super::transport::IN_FLIGHT_MAX;
use super::{HttpServerSettings, HttpTradingServer, SigningSecrets};
use crate::ports::{Durable, PostStep, Posting, Voiding};
use crate::test_cashier::{TestClock, TestEntropy};
use crate::trading::remote::RemoteServer;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap()
}

fn settings(url: &str) -> HttpServerSettings {
    HttpServerSettings {
        url: url.into(),
        secrets: SigningSecrets::parse(SECRET).unwrap(),
        ca_file: None,
        plain_http_allowed: false,
        instance: None,
        instance_file: None,
    }
}

fn adapter(url: &str) -> (HttpTradingServer, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    let opened = HttpTradingServer::open(settings(url), clock.clone(), Arc::new(TestEntropy::default()));
    (opened.unwrap(), clock)
}

const IDENTITY: &str = r#"{"result":"identity","name":"Example","instance":"i-1","protocol":1,"time":1779270000}"#;

/// A server that says who it is, and else what the script says.
async fn server(script: impl Fn(&str, &Value) -> Scripted + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::open(move |call, body| match call {
        "identity" => Scripted::Signed(IDENTITY.into()),
        call => {
            assert_eq!(body["instance"], "i-1", "every other call has the instance");
            script(call, body)
        }
    })
    .await
}

/// A server that answers every call alike.
async fn answering(answer: impl Fn() -> Scripted + Send + Sync + 'static) -> ScriptedServer {
    server(move |_, _| answer()).await
}

fn signed(answer: &Value) -> Scripted {
    Scripted::Signed(answer.to_string())
}

fn usd() -> Currency {
    Currency::from_code("USD").unwrap()
}

pub(super) fn posting(minor: i64) -> Posting {
    let is_out = minor < 0;
    Posting {
        operation: BalanceOperation {
            id: OperationId(31),
            transaction_id: TransactionId(15),
            ordinal: 1,
            login: Login(2_000_009),
            trade_order: 0,
            request_order: 0,
            cmd: if is_out { OperationCmd::BalanceOut } else { OperationCmd::BalanceIn },
            amount: Money::new(minor, usd()),
            reason: if is_out { OperationReason::Withdrawal } else { OperationReason::Deposit },
            status: OperationStatus::Planned,
            failure_reason: Box::default(),
            created_time: UnixTime(1_779_270_000),
            updated_time: UnixTime(1_779_270_000),
        },
        reference: Reference::read("d3k9x0p7m2q4r8s6t1vw").unwrap(),
        server: ServerName::default(),
        customer_id: CustomerId(5),
        only_on: Some(AccountMode::Real),
        comment: "cashier 15".into(),
    }
}

const KEY: &str = "d3k9x0p7m2q4r8s6t1vw:1";

fn durable(posting: Posting) -> Durable<Posting> {
    Durable::assertion(posting)
}

fn account_answer() -> Value {
    json!({"result": "account", "later": {"a": [1]},
        "account": {"login": 2_000_009, "customer_id": 5, "group": "real-usd", "enable": 1, "balance": "120.509", "leverage": 100},
        "customer": {"customer_id": 5, "country": "DE", "brand": "ion4", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 0},
        "group": {"group": "real-usd", "brand": "ion4", "currency": "USD", "account_mode": 1, "enable": true}})
}

#[tokio::test]
async fn an_account_is_read_whole_and_what_is_not_known_of_it_is_passed_over() {
    let server = answering(|| signed(&account_answer())).await;
    let facts = adapter(&server.url).0.account(Login(2_000_009)).await.unwrap().unwrap();
    assert_eq!(facts.account.balance, Money::new(12_050, usd()));
    assert_eq!((facts.group.account_mode, facts.account_open()), (AccountMode::Real, true));
    assert_eq!((facts.customer.deposit_allowed, facts.customer.withdrawal_allowed), (true, false));
    assert_eq!((&*facts.customer.country, &*facts.customer.brand, &*facts.group.group), ("DE", "ion4", "real-usd"));
    assert_eq!(server.calls(), ["identity", "account"]);
}

#[tokio::test]
async fn an_unknown_login_or_customer_is_none_and_every_other_question_is_read() {
    let server = server(|call, body| match call {
        "account" | "customer" => signed(&json!({"result": "none"})),
        "groups" => signed(&json!({"result": "groups", "groups": [account_answer()["group"]]})),
        "rate" => signed(&json!({"result": "rate", "from": body["from"], "to": body["to"], "rate": "1.0842", "time": 5, "source": "desk"})),
        other => panic!("{other}"),
    })
    .await;
    let (adapter, _) = adapter(&server.url);
    assert_eq!(adapter.account(Login(1)).await, Ok(None));
    assert_eq!(adapter.customer(CustomerId(1)).await, Ok(None));
    assert_eq!(adapter.groups().await.unwrap().len(), 1);
    let rate = adapter.rate(Currency::from_code("EUR").unwrap(), usd()).await.unwrap().unwrap();
    assert_eq!((rate.rate.to_wire().as_str(), rate.time, &*rate.source), ("1.0842", UnixTime(5), "desk"));
    // Who it is, is asked once.
    assert_eq!(server.calls(), ["identity", "account", "customer", "groups", "rate"]);
    assert!(adapter.keyed_by_operation() && adapter.changes().is_none() && adapter.health().is_ok());
}

#[tokio::test]
async fn a_price_of_a_server_whose_clock_is_ahead_was_made_now() {
    let now = 1_779_270_000;
    for (stated, taken) in [(now + 300, now), (now + 301, now + 301), (now - 1, now - 1)] {
        let rate =
            json!({"result": "rate", "from": "EUR", "to": "USD", "rate": "1.0842", "time": stated, "source": "desk"});
        let server = answering(move || signed(&rate)).await;
        let (adapter, clock) = adapter(&server.url);
        assert_eq!(crate::ports::Clock::wall(&*clock), UnixTime(now));
        let rate = adapter.rate(Currency::from_code("EUR").unwrap(), usd()).await.unwrap().unwrap();
        assert_eq!(rate.time, UnixTime(taken), "{stated}");
    }
}

#[tokio::test]
async fn a_posting_is_sent_with_everything_that_the_server_judges() {
    let seen = Arc::<Mutex<Vec<Value>>>::default();
    let noted = Arc::clone(&seen);
    let server = server(move |_, body| {
        lock(&noted).push(body.clone());
        signed(&json!({"result": "posted", "key": KEY, "order": 7001}))
    })
    .await;
    let (adapter, _) = adapter(&server.url);
    assert_eq!(adapter.post(durable(posting(25_000))).await, PostStep::Done(PostingOutcome::posted(7001)));
    let withdrawal = Posting { only_on: None, ..posting(-5) };
    assert_eq!(adapter.find(&withdrawal).await, Ok(Some(PostingOutcome::posted(7001))));
    let voided = adapter.void(durable(posting(25_000)), ReasonCode::Withheld).await;
    assert_eq!(voided, Ok(Voiding::Settled(PostingOutcome::posted(7001))));
    let seen: Vec<String> = lock(&seen).iter().map(Value::to_string).collect();
    expect![[r#"
        {"call":"post","instance":"i-1","posting":{"amount":"250.0","cmd":6,"comment":"cashier 15","created_time":1779270000,"currency":"USD","customer_id":5,"key":"d3k9x0p7m2q4r8s6t1vw:1","login":2000009,"only_on":1,"operation_id":31,"purpose":"deposit","transaction_id":15}}
        {"call":"find","instance":"i-1","posting":{"amount":"-0.05","cmd":8,"comment":"cashier 15","created_time":1779270000,"currency":"USD","customer_id":5,"key":"d3k9x0p7m2q4r8s6t1vw:1","login":2000009,"operation_id":31,"purpose":"withdrawal","transaction_id":15}}
        {"call":"void","instance":"i-1","posting":{"amount":"250.0","cmd":6,"comment":"cashier 15","created_time":1779270000,"currency":"USD","customer_id":5,"key":"d3k9x0p7m2q4r8s6t1vw:1","login":2000009,"only_on":1,"operation_id":31,"purpose":"deposit","transaction_id":15},"reason":"WITHHELD"}"#]]
    .assert_eq(&seen.join("\n"));
}

#[tokio::test]
async fn a_refusal_a_conflict_and_a_key_that_was_never_received_are_what_the_server_says() {
    let table = [
        (
            json!({"result": "refused", "key": KEY, "reason": "OWNER_MISMATCH", "message": "it is customer 9's"}),
            "OWNER_MISMATCH",
            "OWNER_MISMATCH",
        ),
        // Of a post it is no voiding of ours.
        (json!({"result": "refused", "key": KEY, "reason": "WITHHELD"}), "WITHHELD", "X_WITHHELD"),
        (json!({"result": "refused", "key": KEY, "reason": "X_MARGIN_CALL"}), "X_MARGIN_CALL", "X_MARGIN_CALL"),
    ];
    for (answer, reason, of_post) in table {
        let server = answering(move || signed(&answer)).await;
        let (adapter, _) = adapter(&server.url);
        let refused = PostingOutcome::Refused { reason: reason.into() };
        let of_post = PostingOutcome::Refused { reason: of_post.into() };
        assert_eq!(adapter.post(durable(posting(1))).await, PostStep::Done(of_post));
        assert_eq!(adapter.find(&posting(1)).await, Ok(Some(refused.clone())));
        assert_eq!(adapter.void(durable(posting(1)), ReasonCode::Withheld).await, Ok(Voiding::Settled(refused)));
    }
    let conflict = answering(|| signed(&json!({"result": "conflict", "key": KEY}))).await;
    assert_eq!(adapter(&conflict.url).0.find(&posting(1)).await, Ok(Some(PostingOutcome::Conflict)));
    let none = answering(|| signed(&json!({"result": "none", "key": KEY}))).await;
    assert_eq!(adapter(&none.url).0.find(&posting(1)).await, Ok(None));
}

#[tokio::test]
async fn postings_are_read_page_by_page_with_their_exact_values() {
    let server = server(|_, body| {
        let posting = |key: &str, amount: &str, cmd: u64| {
            json!({"key": key, "transaction_id": 15, "operation_id": 31, "login": 7, "customer_id": 5, "currency": "USD",
                "amount": amount, "cmd": cmd, "purpose": "deposit", "only_on": 0, "comment": "c", "created_time": 9})
        };
        assert_eq!(body["limit"], 500, "at most so many are asked for");
        let (line, next, more) = match body["after"].as_str().unwrap() {
            "" => (json!({"result": "posted", "order": 1, "posting": posting(KEY, "9007199254740.93", 6)}), "1", true),
            _ => (json!({"result": "refused", "reason": "WITHHELD", "posting": posting("7", "-0.10", 8)}), "2", false),
        };
        signed(&json!({"result": "postings", "postings": [line], "next": next, "more": more, "posted_count": 1}))
    })
    .await;
    let (adapter, _) = adapter(&server.url);
    let first = adapter.postings("".into(), 100_000).await.unwrap();
    assert_eq!(
        (&*first.next, first.postings[0].amount.minor, first.postings[0].is_posted()),
        ("1", 900_719_925_474_093, true)
    );
    let last = adapter.postings(first.next, 100_000).await.unwrap();
    assert_eq!((&*last.next, last.postings[0].amount.minor, last.postings[0].is_posted()), ("", -10, false));
    assert_eq!(last.postings[0].key.as_str(), "7");
}

#[tokio::test]
async fn a_server_that_asks_not_to_be_called_is_left_alone_for_as_long() {
    let server =
        answering(|| Scripted::Raw(reply("429 Too Many Requests", "retry-after: 20\r\n", r#"{"error":"too_often"}"#)))
            .await;
    let (adapter, clock) = adapter(&server.url);
    let unknown = PostStep::Done(PostingOutcome::Unknown);
    assert_eq!(adapter.post(durable(posting(1))).await, unknown);
    assert_eq!(adapter.post(durable(posting(1))).await, PostStep::NotSent);
    assert!(adapter.find(&posting(1)).await.unwrap_err().to_string().contains("not to be called for another 21 s"));
    assert_eq!(server.calls(), ["identity", "post"]);
    clock.advance(Duration::from_secs(20));
    assert_eq!(adapter.post(durable(posting(1))).await, unknown);
    assert_eq!(server.calls(), ["identity", "post", "post"]);
}

#[tokio::test]
async fn health_is_how_the_last_call_ended_and_is_asked_for_where_none_did_for_a_while() {
    let server = server(|call, _| match call {
        "health" => signed(&json!({"result": "not_ready", "message": "nightly maintenance"})),
        _ => signed(&json!({"result": "none"})),
    })
    .await;
    let (adapter, clock) = adapter(&server.url);
    assert_eq!(adapter.account(Login(1)).await, Ok(None));
    assert!(adapter.health().is_ok());
    clock.advance(Duration::from_secs(11));
    assert!(adapter.health().is_ok(), "what was known last");
    let problem = async {
        loop {
            if let Err(fault) = adapter.health() {
                return fault.to_string();
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(problem.await.contains("it takes no postings now: nightly maintenance"));
    assert_eq!(adapter.account(Login(1)).await, Ok(None));
    assert!(adapter.health().is_err(), "an account says nothing of postings");
}

#[tokio::test]
async fn calls_beyond_the_bound_wait_for_their_turn() {
    let server = server(|call, _| match call {
        "account" => signed(&json!({"result": "none"})),
        _ => Scripted::Silence,
    })
    .await;
    let (adapter, _) = adapter(&server.url);
    assert_eq!(adapter.account(Login(1)).await, Ok(None));
    let calls: Vec<_> = (0..IN_FLIGHT_MAX + 5).map(|_| tokio::spawn(adapter.find(&posting(1)))).collect();
    // Two calls were answered.
    while server.calls().len() < 2 + IN_FLIGHT_MAX {
        tokio::task::yield_now().await;
    }
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.calls().len(), 2 + IN_FLIGHT_MAX);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}
