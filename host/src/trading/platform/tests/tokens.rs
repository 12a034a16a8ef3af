//! A token that a broker replaces, and a platform that refuses everything that it is asked: no restart of the cashier is needed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cashier_core::ids::Login;
use cashier_core::operation::{PostingFlaw, PostingOutcome};
use cashier_fake_platform::{FakePlatform, FakeState, Manner};
use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use super::fake_dial::{FakeDial, TOKEN};
use super::flow::{MINOR, deposit, settings, settle};
use super::{OwnTasks, SeededEntropy, TokioClock, spawner};
use crate::trading::platform::PlatformPhases::{self, One, Two};
use crate::trading::platform::dial::{PlatformDial, PlatformStream};
use crate::trading::platform::server::PlatformServer;
use crate::trading::remote::RemoteServer;

const NEW: &str = "eyJhbGciOiJIUzI1NiJ9.ANOTHER-TOKEN.y";

/// A file whose token is replaced; empty: it cannot be read.
#[derive(Clone)]
struct TokenFile(Arc<Mutex<String>>);

impl TokenFile {
    fn write(&self, token: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = token.to_owned();
    }
}

struct FileDial(FakeDial, TokenFile);

impl PlatformDial for FileDial {
    fn dial(&self) -> BoxFuture<'static, Result<Box<dyn PlatformStream>, String>> {
        self.0.dial()
    }

    fn token(&self) -> Result<Arc<Zeroizing<String>>, String> {
        let token = self.1.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if token.is_empty() { Err("no token".to_owned()) } else { Ok(Arc::new(Zeroizing::new(token))) }
    }
}

fn opened(fake: &Arc<FakePlatform>, phases: PlatformPhases) -> (PlatformServer, TokenFile, Arc<OwnTasks>) {
    let (file, tasks) = (TokenFile(Arc::new(Mutex::new(TOKEN.to_owned()))), spawner());
    let dial = Arc::new(FileDial(FakeDial(Arc::clone(fake)), file.clone()));
    let server =
        PlatformServer::over(dial, settings(phases), TokioClock::arc(), SeededEntropy::arc(7), &*tasks).unwrap();
    (server, file, tasks)
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_replaced_is_used_within_half_a_minute_also_on_a_busy_connection() {
    for is_busy in [false, true] {
        let fake = FakePlatform::new();
        let (server, file, _tasks) = opened(&fake, Two);
        assert!(server.account(Login(100)).await.is_ok());
        file.write("");
        seconds(45).await;
        assert_eq!(server.client().state.with(|seen| seen.connection), 1, "a file that is being written");
        file.write(NEW);
        for _ in 0..25 {
            seconds(1).await;
            if is_busy {
                assert!(server.account(Login(100)).await.is_ok());
            }
        }
        seconds(20).await;
        assert_eq!(fake.state().tokens, [TOKEN, NEW], "{is_busy}");
        assert_eq!(server.client().state.with(|seen| seen.connection), 2, "{is_busy}");
        assert_eq!(server.health(), Ok(()), "{is_busy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_refuses_every_message_is_not_reached_and_asked_with_the_token_of_the_file() {
    for phases in [Two, One] {
        let fake = FakePlatform::new();
        let (server, file, _tasks) = opened(&fake, phases);
        assert!(server.account(Login(100)).await.is_ok());
        fake.state().accepts_token = Some(NEW.to_owned());
        for _ in 0..5 {
            assert!(server.account(Login(100)).await.is_err());
        }
        let problem = server.reaches().unwrap_err().what;
        assert!(problem.contains("WHO_ARE_YOU") && problem.contains("token"), "{phases:?}: {problem}");
        assert_eq!(server.health().unwrap_err().what, problem, "{phases:?}");
        let before = fake.received("GetGroups");
        seconds(600).await;
        assert!(server.reaches().is_err(), "{phases:?}");
        let asked = fake.received("GetGroups") - before;
        assert!((5..60).contains(&asked), "{phases:?}: asked {asked} times in ten minutes");
        file.write(NEW);
        seconds(60).await;
        assert_eq!((server.reaches(), server.health()), (Ok(()), Ok(())), "{phases:?}");
        settle(&server, &mut deposit(), false).await;
        assert_eq!(fake.balance(100), MINOR, "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn questions_that_are_refused_one_after_the_other_are_no_refusal_of_the_session() {
    let fake = FakePlatform::new();
    let (server, _file, _tasks) = opened(&fake, Two);
    fake.script(&[("GetAccountByLogin", Manner::Refuses(404, "UNHEARD_OF")); 40]);
    for _ in 0..40 {
        assert!(server.account(Login(100)).await.is_err());
        assert_eq!(server.reaches(), Ok(()));
    }
    assert_eq!(server.client().state.with(|seen| seen.connection), 1);
    assert!(server.health().unwrap_err().what.contains("refuses GetAccountByLogin"));
}

#[tokio::test(start_paused = true)]
async fn a_session_without_the_right_to_the_heartbeat_is_served_all_the_same() {
    let fake = FakePlatform::new();
    // No sweep is asked for beside the heartbeat.
    let (server, _file, _tasks) = opened(&fake, One);
    fake.script(&[("GetGroups", Manner::Refuses(403, "NO_RIGHTS")); 400]);
    seconds(600).await;
    assert_eq!((server.reaches(), server.client().state.with(|seen| seen.connection)), (Ok(()), 1));
    assert!(server.health().unwrap_err().what.contains("refuses GetGroups: NO_RIGHTS"));
    // Nor do questions about what there is not end that for longer than until another connection is open.
    fake.script(&[("GetAccountByLogin", Manner::Refuses(404, "UNHEARD_OF")); 3]);
    let account = |login: u64| server.client().call("GetAccountByLogin", serde_json::json!({ "login": login }));
    for _ in 0..3 {
        assert!(account(7).await.is_err());
    }
    seconds(3).await;
    assert!(server.reaches().unwrap_err().what.contains("NO_RIGHTS"));
    assert!(account(100).await.is_ok());
    assert_eq!((server.reaches(), server.client().state.with(|seen| seen.connection)), (Ok(()), 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_after_the_execution_is_no_lasting_flaw_of_the_posting() {
    fn expire(state: &mut FakeState) {
        state.accepts_token = Some(NEW.to_owned());
    }
    let fake = FakePlatform::new();
    let (server, file, _tasks) = opened(&fake, One);
    fake.script(&[("BalanceInSync", Manner::Then(expire))]);
    let mut due = deposit();
    assert_eq!(settle(&server, &mut due, false).await, Some(PostingOutcome::Unknown));
    assert!(server.find(&due).await.is_err());
    file.write(NEW);
    seconds(60).await;
    assert_eq!(server.find(&due).await, Ok(Some(PostingOutcome::posted(1001))));
    assert_eq!((fake.received("BalanceInSync"), fake.balance(100)), (1, MINOR));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_refused_after_its_posting_is_a_flaw_only_where_that_stays() {
    let flawed = PostingOutcome::Posted { trade_order: 1001, flaw: Some(PostingFlaw::AccountChanged) };
    for (status, text) in [(401, "WHO_ARE_YOU"), (500, "INTERNAL")] {
        for (times, is_flawed) in [(1, false), (2, false), (30, true)] {
            let fake = FakePlatform::new();
            let (server, _file, _tasks) = opened(&fake, Two);
            // The first look is before the approval.
            fake.script(&[("GetAccountByLogin", Manner::Well)]);
            fake.script(&vec![("GetAccountByLogin", Manner::Refuses(status, text)); times]);
            let outcome = settle(&server, &mut deposit(), false).await;
            let expected = if is_flawed { flawed.clone() } else { PostingOutcome::posted(1001) };
            assert_eq!(outcome, Some(expected), "{status} {times}");
        }
        // The heartbeat is refused too: the next look is another one.
        let fake = FakePlatform::new();
        let (server, _file, _tasks) = opened(&fake, Two);
        fake.script(&[("GetAccountByLogin", Manner::Well), ("GetAccountByLogin", Manner::Refuses(status, text))]);
        fake.script(&[("GetGroups", Manner::Well), ("GetGroups", Manner::Refuses(status, text))]);
        let mut due = deposit();
        assert_eq!(settle(&server, &mut due, false).await, Some(PostingOutcome::Unknown), "{status}");
        assert_eq!(server.find(&due).await, Ok(Some(PostingOutcome::posted(1001))), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn whether_it_answers_is_found_out_by_a_call_also_after_the_connection_was_closed() {
    let fake = FakePlatform::new();
    let (server, _file, _tasks) = opened(&fake, One);
    fake.script(&[("GetAccountByLogin", Manner::Loses)]);
    assert!(server.account(Login(100)).await.is_err());
    assert!(server.reaches().is_err(), "it was closed for silence");
    assert_eq!((server.answers().await, server.reaches()), (Ok(()), Ok(())));
    // Nor is a session without the right to the heartbeat one that does not answer.
    fake.script(&[("GetGroups", Manner::Refuses(403, "NO_RIGHTS"))]);
    assert_eq!(server.answers().await, Ok(()));
    // It is connected, and does not answer.
    fake.script(&[("GetGroups", Manner::Loses)]);
    assert!(server.answers().await.is_err());
    fake.state().is_down = true;
    fake.restart(true);
    assert!(server.answers().await.is_err());
}
