//! Exchanges with a scripted provider: what is sent, how often, and what outcome the cashier derives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::transaction::NextAction;
use futures_util::FutureExt;

use self::rig::{Rig, never_sent, reply, unknown};
use super::*;
use crate::ports::{QueryAnswer, Verdict};

mod logged;
mod rig;

const WAITING: CreateEnding = CreateEnding::Accepted(NextAction::Wait);

#[tokio::test]
async fn a_create_ends_as_unknown_exactly_when_money_may_have_moved() {
    let token = || reply(200, "t1");
    let never = |reason: &str| CreateEnding::NeverSent { reason: reason.into() };
    let no = |reason: &str| CreateEnding::Declined { reason: reason.into() };
    let table = [
        ("pays", vec![token(), reply(200, "wait")], WAITING),
        ("pays", vec![token(), reply(402, "")], no("no: the provider's reason")),
        ("pays", vec![token(), reply(400, "")], no("no: the provider's reason")),
        ("pays", vec![token(), reply(500, "")], CreateEnding::Unknown),
        ("pays", vec![token(), reply(200, "gibberish")], CreateEnding::Unknown),
        ("pays", vec![token(), reply(401, "")], CreateEnding::Unknown),
        ("pays", vec![token(), unknown()], CreateEnding::Unknown),
        ("pays", vec![token(), never_sent()], never("the request was not sent: connection refused")),
        ("pays", vec![never_sent()], never("the request was not sent: connection refused")),
        ("pays", vec![unknown()], never("the provider did not answer: the connection broke")),
        ("local", vec![], never("currency: not this one")),
        ("decides", vec![], no("too_small: below the provider's minimum")),
    ];
    for (method, answers, expected) in table {
        let shown = format!("{answers:?}");
        let rig = Rig::new(GatewayLimits::default(), answers).await;
        assert_eq!(rig.create(method).await.ending, expected, "{shown}");
    }
}

#[tokio::test]
async fn m12_a_refusal_after_a_request_that_may_have_made_the_payment_is_no_refusal_of_it() {
    let paid = || reply(200, "paid");
    let refused = |kind: fn(Box<str>) -> CreateEnding| kind("no: the provider's reason".into());
    let never = |reason| CreateEnding::NeverSent { reason };
    let declined = |reason| CreateEnding::Declined { reason };
    let table = [
        (vec![paid(), reply(200, "wait")], WAITING),
        (vec![paid(), reply(401, "")], CreateEnding::Unknown),
        (vec![paid(), reply(403, "")], CreateEnding::Unknown),
        (vec![paid(), reply(404, "")], CreateEnding::Unknown),
        (vec![paid(), reply(400, "")], CreateEnding::Unknown),
        (vec![paid(), reply(402, "")], refused(declined)),
        (vec![reply(401, "")], refused(never)),
        (vec![reply(404, "")], refused(declined)),
    ];
    for (answers, expected) in table {
        let shown = format!("{answers:?}");
        let rig = Rig::new(GatewayLimits::default(), answers).await;
        assert_eq!(rig.create("pays_then_looks").await.ending, expected, "{shown}");
    }
}

#[tokio::test]
async fn a_lost_reply_to_a_request_that_may_create_a_payment_is_unknown_even_if_the_module_marks_it_safe() {
    let never = CreateEnding::NeverSent { reason: "the provider did not answer: the connection broke".into() };
    let table = [
        ("keyed", CreateEnding::Unknown),
        ("referenced", CreateEnding::Unknown),
        ("bodily", CreateEnding::Unknown),
        ("posts", CreateEnding::Unknown),
        ("oauth", never.clone()),
        ("looks_up", never),
    ];
    for (method, expected) in table {
        let rig = Rig::new(GatewayLimits::default(), vec![unknown()]).await;
        assert_eq!(rig.create(method).await.ending, expected, "{method}");
        assert_eq!(rig.sent().len(), 1, "{method}");
    }
}

#[tokio::test]
async fn a_request_that_may_create_a_payment_is_never_answered_from_the_cache() {
    let rig = Rig::new(GatewayLimits::default(), vec![reply(200, "wait"), reply(200, "wait")]).await;
    for _ in 0..2 {
        assert_eq!(rig.create("bodily").await.ending, WAITING);
        assert_eq!(rig.sent(), ["POST /body"]);
    }
}

#[tokio::test]
async fn a_cached_reply_is_fetched_once_used_until_it_expires_and_fetched_again_when_it_is_stale() {
    let ok = || reply(200, "wait");
    let answers = vec![reply(200, "t1"), ok(), ok(), reply(401, ""), reply(200, "t2"), ok(), reply(200, "t3"), ok()];
    let rig = Rig::new(GatewayLimits::default(), answers).await;
    let pay = |token: &str| format!("POST /pay Bearer {token} n1");
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent(), ["GET /token".to_owned(), pay("t1")]);
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent(), [pay("t1")]);
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent(), [pay("t1"), "GET /token".to_owned(), pay("t2")]);
    rig.clock.0.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent(), ["GET /token".to_owned(), pay("t3")]);
}

#[tokio::test]
async fn concurrent_exchanges_share_one_fetch_of_a_token() {
    let answers = [vec![reply(200, "t1")], (0..16).map(|_| reply(200, "wait")).collect()].concat();
    let rig = Rig::new(GatewayLimits::default(), answers).await;
    let all = futures_util::future::join_all((0..16).map(|_| rig.create("pays"))).await;
    assert!(all.iter().all(|answer| answer.ending == WAITING));
    let sent = rig.sent();
    assert_eq!((sent.len(), sent.iter().filter(|line| *line == "GET /token").count()), (17, 1));
}

#[tokio::test]
async fn a_failed_token_reply_is_not_cached() {
    let rig =
        Rig::new(GatewayLimits::default(), vec![reply(503, "x"), reply(500, ""), reply(200, "t"), reply(200, "wait")]);
    let rig = rig.await;
    assert_eq!(rig.create("pays").await.ending, CreateEnding::Unknown);
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent().iter().filter(|line| *line == "GET /token").count(), 2);
}

#[tokio::test]
async fn names_beyond_the_limit_are_fetched_every_time_and_not_cached() {
    let limits = GatewayLimits { steps_max: 3, ..GatewayLimits::default() };
    let rig = Rig::new(limits, (0..3).map(|_| reply(200, "")).collect()).await;
    for number in 0..16 {
        assert!(rig.driver.cache.fetch_lock(&format!("taken {number}")).is_some());
    }
    let ending = rig.create("many_names").await.ending;
    assert_eq!(ending, CreateEnding::NeverSent { reason: "the module wants to send more than 3 requests".into() });
    assert_eq!(rig.sent().len(), 3);
}

#[tokio::test]
async fn a_module_that_sends_too_many_requests_is_stopped() {
    let limits = GatewayLimits { steps_max: 4, ..GatewayLimits::default() };
    let rig = Rig::new(limits, (0..9).map(|_| reply(200, "")).collect()).await;
    let ending = rig.create("loops").await.ending;
    assert_eq!(ending, CreateEnding::NeverSent { reason: "the module wants to send more than 4 requests".into() });
    assert_eq!(rig.sent(), ["GET /0", "GET /1", "GET /2", "GET /3"]);
}

#[tokio::test]
async fn an_exchange_has_one_deadline_for_all_its_requests() {
    let limits = GatewayLimits { exchange: Duration::from_millis(15), ..GatewayLimits::default() };
    let rig = Rig::new(limits, vec![reply(200, "t1"), reply(200, "t1"), reply(200, "t1")]).await;
    let answer = rig.create("loops").await;
    let reason = "the exchange with the provider timed out".into();
    assert_eq!(answer.ending, CreateEnding::NeverSent { reason });
    assert_eq!((rig.sent().len(), answer.provider_time), (2, Duration::from_millis(20)));
}

#[tokio::test]
async fn a_webhook_is_verified_offline_without_requests_and_online_with_safe_ones_only() {
    let verified = Verdict::Verified {
        updates: Vec::new(),
        event_id: Box::default(),
        ignored: Box::default(),
        acknowledgement: None,
    };
    let offline = Verdict::NeedsNetwork;
    let moves = Verdict::NotWorking(
        "the module wants to send a request that may move money where only safe ones are allowed".to_owned(),
    );
    let not_working = Verdict::NotWorking("the provider did not answer: the connection broke".to_owned());
    let table = [
        ("plain", AllowedRequests::None, vec![], verified.clone(), 0),
        ("ask", AllowedRequests::None, vec![], offline, 0),
        ("ask", AllowedRequests::SafeOnly, vec![reply(200, "")], verified, 1),
        ("ask", AllowedRequests::SafeOnly, vec![unknown()], not_working, 1),
        ("capture", AllowedRequests::SafeOnly, vec![], moves, 0),
    ];
    for (body, allowed, answers, expected, requests) in table {
        let rig = Rig::new(GatewayLimits::default(), answers).await;
        assert_eq!(rig.verify(body, allowed).await, expected, "{body} {allowed:?}");
        assert_eq!(rig.sent().len(), requests, "{body} {allowed:?}");
    }
}

#[tokio::test]
async fn a_payment_without_a_provider_id_cannot_be_queried() {
    let refused = QueryAnswer::NoAnswer("no: the provider's reason".to_owned());
    let table = [("no_id", vec![], QueryAnswer::Unsupported, 0), ("p_1", vec![reply(400, "")], refused, 1)];
    for (method, answers, expected, requests) in table {
        let rig = Rig::new(GatewayLimits::default(), answers).await;
        assert_eq!((rig.query(method).await, rig.sent().len()), (expected, requests), "{method}");
    }
}

#[tokio::test]
async fn an_unreachable_provider_gets_one_probe_a_second_until_it_replies() {
    let failures = (0..5).map(|_| never_sent());
    let back = [reply(200, "t1"), reply(200, "wait"), reply(200, "wait")];
    let rig = Rig::new(GatewayLimits::default(), failures.chain(back).collect()).await;
    for _ in 0..5 {
        assert!(matches!(rig.create("pays").await.ending, CreateEnding::NeverSent { .. }));
    }
    assert!(rig.driver.circuit_is_open());
    rig.sent();
    let refused =
        CreateEnding::NeverSent { reason: "circuit breaker open: the last requests to the provider failed".into() };
    assert_eq!((rig.create("pays").await.ending, rig.sent().len()), (refused, 0));
    rig.clock.0.fetch_add(1_000, Ordering::SeqCst);
    // An admitted exchange sends all its requests.
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert!(!rig.driver.circuit_is_open());
    assert_eq!(rig.create("pays").await.ending, WAITING);
}

#[tokio::test]
async fn a_request_that_the_host_refuses_does_not_count_against_the_provider() {
    let refusal = || Err(SendError::Refused("evil.test:443 is not among the hosts of this provider".to_owned()));
    let rig = Rig::new(GatewayLimits::default(), (0..9).map(|_| refusal()).collect()).await;
    for _ in 0..9 {
        assert!(matches!(rig.create("pays").await.ending, CreateEnding::NeverSent { .. }));
    }
    assert!(!rig.driver.circuit_is_open());
}

#[tokio::test]
async fn exchanges_beyond_the_limits_are_refused_before_anything_is_sent() {
    let limits = GatewayLimits { concurrency_max: 1, waiting_max: 1, ..GatewayLimits::default() };
    let rig = Rig::new(limits, vec![reply(200, "t1"), reply(200, "wait"), reply(200, "wait")]).await;
    let held = Arc::clone(&rig.driver.network_permits).acquire_owned().await.unwrap();
    let overloaded = CreateEnding::NeverSent { reason: "too many exchanges with the provider are in progress".into() };
    let waits = rig.create("pays");
    tokio::pin!(waits);
    while rig.driver.waiting.load(Ordering::SeqCst) == 0 {
        assert!((&mut waits).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.create("pays").await.ending, overloaded);
    assert!(rig.sent().is_empty());
    drop(held);
    assert_eq!(waits.await.ending, WAITING);
}

#[tokio::test]
async fn an_exchange_that_waited_too_long_for_the_network_sends_nothing() {
    let limits = GatewayLimits { concurrency_max: 1, ..GatewayLimits::default() };
    let overloaded = CreateEnding::NeverSent { reason: "too many exchanges with the provider are in progress".into() };
    for (waited_ms, expected) in [(22_500, WAITING), (22_501, overloaded)] {
        let rig = Rig::new(limits, vec![reply(200, "t1"), reply(200, "wait")]).await;
        assert_eq!(rig.create_after(waited_ms).await.ending, expected, "{waited_ms}");
        assert_eq!(rig.sent().is_empty(), expected != WAITING, "{waited_ms}");
    }
}

#[tokio::test]
async fn a_timeout_after_a_wait_in_the_queue_does_not_count_against_the_provider() {
    let limits = GatewayLimits { concurrency_max: 1, ..GatewayLimits::default() };
    for (waited_ms, took_ms, open) in [(0, 30_000, true), (15_000, 15_000, false), (15_000, 10, true)] {
        let rig = Rig::new(limits, Vec::new()).await;
        for _ in 0..5 {
            rig.script.answers.lock().unwrap().push_back((took_ms, unknown()));
            rig.create_after(waited_ms).await;
        }
        assert_eq!((rig.driver.circuit_is_open(), rig.sent().len()), (open, 5), "waited {waited_ms}, took {took_ms}");
    }
}

#[tokio::test]
async fn a_reply_is_a_witness_of_the_time_while_the_clock_is_implausible_alone() {
    for implausible in [false, true] {
        let dated = || {
            let mut reply = HttpReply::new(200, "no");
            reply.headers.push(("date".to_owned(), "Sat, 28 Nov 2026 22:47:28 GMT".to_owned()));
            Ok(reply)
        };
        let rig = Rig::new(GatewayLimits::default(), vec![dated(), reply(200, "no date")]).await;
        rig.clock.1.lock().unwrap().implausible = implausible;
        for _ in 0..2 {
            rig.query("").await;
        }
        let expected = if implausible { vec![("p.test".to_owned(), 1_795_906_048)] } else { Vec::new() };
        assert_eq!(rig.clock.1.lock().unwrap().stated, expected);
    }
}
