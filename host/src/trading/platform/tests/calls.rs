//! The client against the fake platform: which call gets which answer, and what is known of one that gets none.

use std::sync::Arc;
use std::time::Duration;

use cashier_fake_platform::{FakePlatform, Manner};
use serde_json::json;

use super::fake_dial::{FakeDial, TOKEN};
use super::{SeededEntropy, TokioClock, spawner};
use crate::ports::Spawn;
use crate::trading::platform::client::{CONNECTED, CallTrace, PlatformClient, PlatformFailure};
use crate::trading::platform::connection::{ANSWER_WAIT_MAX, LinkParts};
use crate::trading::platform::link;

fn client(fake: &Arc<FakePlatform>) -> (PlatformClient, Arc<dyn Spawn>) {
    let spawn: Arc<dyn Spawn> = spawner();
    let parts = LinkParts {
        dial: Arc::new(FakeDial(Arc::clone(fake))),
        clock: TokioClock::arc(),
        entropy: SeededEntropy::arc(1),
        heartbeat: "GetGroups".into(),
        expected: vec!["NO_SUCH_LOGIN".into()],
    };
    (link::open(parts, &*spawn), spawn)
}

async fn login(client: &PlatformClient, login: u64) -> Result<u64, PlatformFailure> {
    let account = client.call("GetAccountByLogin", json!({"login": login})).await?;
    Ok(account["login"].as_u64().unwrap())
}

fn is_unknown(result: &Result<u64, PlatformFailure>) -> bool {
    matches!(result, Err(PlatformFailure::Unknown(_)))
}

fn is_never_sent(result: &Result<u64, PlatformFailure>) -> bool {
    matches!(result, Err(PlatformFailure::NeverSent(_)))
}

#[tokio::test(start_paused = true)]
async fn answers_in_any_order_reach_their_calls() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::AnswersLate(900)), ("GetAccountByLogin", Manner::AnswersLate(300))]);
    let (client, _tasks) = client(&fake);
    let answers = tokio::join!(login(&client, 100), login(&client, 101), login(&client, 102));
    assert_eq!(answers, (Ok(100), Ok(101), Ok(102)));
    assert!(fake.state().tokens.iter().all(|token| token == TOKEN));
}

#[tokio::test(start_paused = true)]
async fn pushed_messages_between_answers_are_taken_for_none() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::PushesFirst)]);
    let (client, _tasks) = client(&fake);
    let mut pushes = client.state.pushes.subscribe();
    assert_eq!(login(&client, 101).await, Ok(101));
    let pushed: Vec<_> = std::iter::from_fn(|| pushes.try_recv().ok()).map(|push| push.event).collect();
    assert_eq!(pushed, [CONNECTED.into(), "trade:event".into()]);
    assert_eq!(client.state.with(|seen| seen.answers_dropped), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_or_twice_is_dropped_and_counted() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::AnswersLate(9_000)), ("GetAccountByLogin", Manner::AnswersTwice)]);
    let (client, _tasks) = client(&fake);
    let in_between = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        login(&client, 101).await
    };
    let (given_up, answered) = tokio::join!(login(&client, 100), in_between);
    assert!(is_unknown(&given_up), "{given_up:?}");
    assert_eq!(answered, Ok(101));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(login(&client, 102).await, Ok(102));
    assert_eq!(client.state.with(|seen| seen.answers_dropped), 2);
}

#[tokio::test(start_paused = true)]
async fn a_synchronous_call_that_the_server_stopped_waiting_for_is_unknown() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::TimesOut(100))]);
    let (client, _tasks) = client(&fake);
    let timed_out = login(&client, 100).await;
    assert!(is_unknown(&timed_out), "{timed_out:?}");
}

#[tokio::test(start_paused = true)]
async fn half_a_line_garbage_and_a_closed_connection_leave_every_call_in_flight_unknown() {
    for manner in [Manner::HalfALine, Manner::Garbage, Manner::ClosesBefore, Manner::ClosesAfter] {
        let fake = FakePlatform::new();
        fake.script(&[("GetAccountByLogin", Manner::NeverAnswers), ("GetAccountByLogin", manner)]);
        let (client, _tasks) = client(&fake);
        let both = tokio::join!(login(&client, 100), login(&client, 101));
        assert!(is_unknown(&both.0) && is_unknown(&both.1), "{manner:?}: {both:?}");
        assert!(client.health().is_err(), "{manner:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(login(&client, 102).await, Ok(102), "it connects again");
        assert!(client.health().is_ok(), "{manner:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_nobody_listens_a_call_was_never_sent() {
    let fake = FakePlatform::new();
    fake.state().is_down = true;
    let (client, _tasks) = client(&fake);
    for _ in 0..3 {
        let refused = login(&client, 100).await;
        assert!(is_never_sent(&refused), "{refused:?}");
    }
    assert!(client.health().unwrap_err().what.contains("nobody listens"));
    fake.state().is_down = false;
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(login(&client, 100).await, Ok(100));
    assert_eq!(fake.received("GetAccountByLogin"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_any_more_is_not_sent() {
    let fake = FakePlatform::new();
    let (client, _tasks) = client(&fake);
    let dropped = client.call("GetAccountByLogin", json!({"login": 100}));
    // Polled once: it is in the queue, and the connection has not begun.
    assert!(futures_util::poll!(Box::pin(dropped)).is_pending());
    assert_eq!(login(&client, 101).await, Ok(101));
    assert_eq!(fake.received("GetAccountByLogin"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_refuses_as_too_frequent_makes_the_next_calls_wait() {
    let fake = FakePlatform::new();
    fake.script(&[8, 22, 141].map(|code| ("GetAccountByLogin", Manner::Refuses(code, "TOO_OFTEN"))));
    let (client, _tasks) = client(&fake);
    let started = tokio::time::Instant::now();
    for _ in 0..3 {
        assert!(matches!(login(&client, 100).await, Err(PlatformFailure::Answered(_))));
    }
    assert_eq!(login(&client, 100).await, Ok(100));
    // At least half of 250, 500 and 1000 ms.
    assert!(started.elapsed() >= Duration::from_millis(875), "{:?}", started.elapsed());
    assert!(client.health().is_ok(), "a limit is no lack of rights");
}

#[tokio::test(start_paused = true)]
async fn what_it_may_not_do_is_shown_until_it_may() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::Refuses(403, "NO_RIGHTS")); 3]);
    let (client, _tasks) = client(&fake);
    for missing in 1..5 {
        assert!(matches!(login(&client, missing).await, Err(PlatformFailure::Answered(_))));
        // Once may be about the login.
        assert_eq!(client.health().is_ok(), missing < 3, "{missing}");
    }
    assert!(client.health().unwrap_err().what.contains("refuses GetAccountByLogin: NO_RIGHTS (code 403)"));
    assert_eq!(login(&client, 100).await, Ok(100));
    assert!(client.health().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_asked_and_one_that_does_not_answer_is_replaced() {
    let fake = FakePlatform::new();
    let (client, _tasks) = client(&fake);
    assert_eq!(login(&client, 100).await, Ok(100));
    tokio::time::sleep(Duration::from_secs(65)).await;
    assert_eq!((fake.received("GetGroups"), client.state.with(|seen| seen.connection)), (3, 1));
    fake.script(&[("GetGroups", Manner::Loses)]);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(client.state.with(|seen| seen.connection), 2);
    assert_eq!(login(&client, 100).await, Ok(100));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_names_no_call_is_no_silence_and_answers_no_call() {
    for (code, text) in [(400, "INVALID_DATA"), (500, "INTERNAL"), (504, "SYNC_TIMEOUT"), (8, "TOO_OFTEN")] {
        let fake = FakePlatform::new();
        fake.script(&[("GetAccountByLogin", Manner::RefusesNamingNone(code, text))]);
        let (client, _tasks) = client(&fake);
        assert!(is_unknown(&login(&client, 100).await), "{code}");
        assert_eq!(login(&client, 100).await, Ok(100), "{code}");
        assert_eq!(client.state.with(|seen| seen.connection), 1, "{code}: it was not closed");
    }
}

#[tokio::test(start_paused = true)]
async fn what_names_no_call_and_says_too_often_makes_the_next_calls_wait() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::RefusesNamingNone(8, "TOO_OFTEN")); 3]);
    let (client, _tasks) = client(&fake);
    let later = async {
        let started = tokio::time::Instant::now();
        tokio::time::sleep(Duration::from_millis(30)).await;
        (login(&client, 100).await, started.elapsed())
    };
    let ((answered, waited), ..) = tokio::join!(later, login(&client, 101), login(&client, 102), login(&client, 102));
    // At least half of 1000 ms, after three in a row.
    assert!(answered == Ok(100) && waited >= Duration::from_millis(500), "{answered:?} after {waited:?}");
    assert!(client.health().is_ok(), "a limit is no lack of rights");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_calls_is_bounded_and_the_rest_was_never_sent() {
    let fake = FakePlatform::new();
    let (client, _tasks) = client(&fake);
    let calls = (0..400).map(|_| login(&client, 100));
    let ended = futures_util::future::join_all(calls).await;
    let answered = ended.iter().filter(|ended| ended.is_ok()).count();
    let refused = ended.iter().filter(|ended| is_never_sent(ended)).count();
    assert_eq!((answered, refused, fake.received("GetAccountByLogin")), (256, 144, 256));
}

#[tokio::test(start_paused = true)]
async fn the_time_since_a_connection_was_closed_is_that_of_the_one_that_carried_the_call() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::NeverAnswers)]);
    let (client, _tasks) = client(&fake);
    let trace = CallTrace::default();
    let in_between = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        login(&client, 101).await
    };
    let (lost, _) =
        tokio::join!(client.call_traced("GetAccountByLogin", json!({"login": 100}), trace.clone()), in_between);
    assert!(matches!(lost, Err(PlatformFailure::Unknown(_))));
    assert_eq!(client.closed_for(Some(&trace)), None, "the connection is open");
    fake.restart(true);
    tokio::time::sleep(Duration::from_secs(90)).await;
    let closed = client.closed_for(Some(&trace)).unwrap().as_secs();
    assert_eq!(closed, 90);
    assert!(client.closed_for(None).unwrap() >= ANSWER_WAIT_MAX + Duration::from_secs(90), "of an earlier process");
    fake.script(&[("GetAccountByLogin", Manner::NeverAnswers)]);
    let later = CallTrace::default();
    let lost = client.call_traced("GetAccountByLogin", json!({"login": 100}), later.clone()).await;
    assert!(matches!(lost, Err(PlatformFailure::Unknown(_))));
    // Nothing was answered on it: it was closed with the call.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(client.closed_for(Some(&later)).unwrap().as_secs(), 30);
    assert_eq!(client.closed_for(Some(&trace)).unwrap().as_secs(), 90 + ANSWER_WAIT_MAX.as_secs() + 30);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_server_repeats_is_in_no_error() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::Refuses(401, TOKEN))]);
    let (client, _tasks) = client(&fake);
    let refused = login(&client, 100).await.unwrap_err();
    let shown = format!("{refused} {refused:?} {:?}", client.health());
    assert!(!shown.contains("CANARY"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_answers_nothing_is_replaced_while_calls_come() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::Loses); 8]);
    let (client, _tasks) = client(&fake);
    let calls = (0..8).map(|at| {
        let client = &client;
        async move {
            tokio::time::sleep(Duration::from_secs(at)).await;
            login(client, 100).await
        }
    });
    let ended = futures_util::future::join_all(calls).await;
    // The first timed out; of the others, the last came when the connection was closed.
    assert!(ended.iter().take(7).all(is_unknown), "{ended:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(client.state.with(|seen| seen.connection), 2);
    assert_eq!(client.state.with(|seen| seen.closed.front().map(|(_, at)| at.as_secs())), Some(7));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_errors_alone_is_tried_less_and_less_often() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::Refuses(401, "WHO_ARE_YOU")); 20]);
    let (client, _tasks) = client(&fake);
    for _ in 0..20 {
        let _ = login(&client, 100).await;
        fake.restart(true);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let connections = client.state.with(|seen| seen.connection);
    assert!(connections < 10, "{connections} in 20 s");
}
