//! Answers that are not to be taken on trust: numbers of requests that are not there, pages that hold less than they count, and
//! calls that were not done.

use std::time::Duration;

use cashier_core::operation::PostingOutcome;
use cashier_core::status::OperationStatus;
use cashier_fake_platform::{FakePlatform, Manner};
use serde_json::{Value, json};

use super::flow::{MINOR, deposit, opened, settings, settle, settle_for_long};
use super::special::{prepared, void};
use crate::ports::{Durable, PostStep, Voiding};
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::remote::RemoteServer;

/// Changes an answer.
type StatesAnswer = fn(&mut Value);

const APPROVE: &str = "MngApproveFinanceRequest";
const CREATE: &str = "MngCreateFinanceRequest";
const TRADES: &str = "MngGetTradesByFilter";

#[tokio::test(start_paused = true)]
async fn the_number_of_a_request_is_recorded_only_where_it_is_found() {
    let fake = FakePlatform::new();
    fake.state().states_answer = Some(|answer| answer["order"] = json!(555));
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    let outcome = settle_for_long(&running.server, &mut due).await;
    assert_eq!((outcome, due.operation.request_order), (Some(PostingOutcome::posted(1001)), 1001));
    assert_eq!((fake.received(CREATE), fake.balance(100)), (1, MINOR));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_states_the_whole_request_needs_no_other_question() {
    let table: [(StatesAnswer, usize); 4] = [
        // Of each search that finds something also the page behind it is asked for, but of the last.
        (|_| {}, 3),
        (|answer| answer["gw_uuid"] = json!(deposit().key().as_str()), 2),
        (|answer| (answer["gw_uuid"], answer["login"]) = (json!(deposit().key().as_str()), json!(101)), 3),
        (|answer| (answer["gw_uuid"], answer["amount"]) = (json!(deposit().key().as_str()), json!(1)), 3),
    ];
    for (at, (change, questions)) in table.into_iter().enumerate() {
        let fake = FakePlatform::new();
        fake.state().states_answer = Some(change);
        let running = opened(&fake, settings(Two));
        let mut due = deposit();
        prepared(&running.server, &mut due).await;
        assert_eq!((due.operation.request_order, fake.received(TRADES)), (1001, questions), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_found_a_moment_later_is_recorded() {
    let fake = FakePlatform::new();
    let hide = |state: &mut cashier_fake_platform::FakeState| {
        state.states_table = Some(|answer| (answer["rows"], answer["count"]) = (json!([]), json!(0)));
    };
    fake.script(&[(CREATE, Manner::Then(hide)), (TRADES, Manner::Well), (TRADES, Manner::Well)]);
    fake.script(&[(TRADES, Manner::Well), (TRADES, Manner::Then(|state| state.states_table = None))]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    assert_eq!((due.operation.request_order, fake.received(CREATE)), (1001, 1));
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_beside_a_count_does_not_mean_that_there_is_none() {
    for phases in [Two, One] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(phases));
        settle(&running.server, &mut deposit(), false).await;
        fake.state().states_table = Some(|answer| (answer["rows"], answer["count"]) = (json!([]), json!(3)));
        let found = running.server.find(&deposit()).await;
        assert!(found.as_ref().is_err_and(|fault| fault.what.contains("changed while")), "{phases:?}: {found:?}");
        assert!(running.server.postings(Box::default(), 10).await.is_err(), "{phases:?}");
        fake.script(&[(TRADES, Manner::Then(|state| state.states_table = None))]);
        assert_eq!(running.server.find(&deposit()).await, Ok(Some(PostingOutcome::posted(1001))), "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_frequent_was_not_made() {
    for (phases, command) in [(One, "BalanceInSync"), (Two, CREATE), (Two, APPROVE)] {
        for code in [429, 8, 22, 141] {
            let fake = FakePlatform::new();
            fake.script(&[(command, Manner::Refuses(code, "TOO_OFTEN"))]);
            let running = opened(&fake, settings(phases));
            let mut due = deposit();
            if command == APPROVE {
                prepared(&running.server, &mut due).await;
            }
            let step = running.server.post(Durable::assertion(due.clone())).await;
            assert_eq!(step, PostStep::NotSent, "{command} {code}");
            if phases == One {
                let Ok(Voiding::Undecided { closed_for: Some(_) }) = void(&running.server, &due).await else {
                    panic!("it is under way, {code}")
                };
            }
            let outcome = settle_for_long(&running.server, &mut due).await;
            assert_eq!((outcome, fake.balance(100)), (Some(PostingOutcome::posted(1001)), MINOR), "{command} {code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_carried_what_a_person_asks_about_is_closed_and_opened_again() {
    let fake = FakePlatform::new();
    fake.script(&[("BalanceInSync", Manner::Loses)]);
    let running = opened(&fake, settings(One));
    let mut due = deposit();
    let login = due.operation.login;
    // Something else is answered, so that the connection is not replaced.
    let other = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        running.server.account(login).await
    };
    let (outcome, other) = tokio::join!(settle(&running.server, &mut due, false), other);
    assert!(outcome == Some(PostingOutcome::Unknown) && other.is_ok(), "{outcome:?} {other:?}");
    assert_eq!(due.operation.status, OperationStatus::Unknown);
    // What is under way then is answered first.
    fake.script(&[("GetAccountByLogin", Manner::AnswersLate(3_000))]);
    let asks = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        void(&running.server, &due).await
    };
    let (account, voided) = tokio::join!(running.server.account(due.operation.login), asks);
    assert_eq!(voided, Ok(Voiding::Undecided { closed_for: None }));
    assert!(account.is_ok(), "{account:?}");
    tokio::time::sleep(Duration::from_secs(90)).await;
    let Ok(Voiding::Undecided { closed_for: Some(closed) }) = void(&running.server, &due).await else {
        panic!("a person may not decide")
    };
    assert!((60..=90).contains(&closed.as_secs()), "{closed:?}");
    assert!(running.server.account(due.operation.login).await.is_ok(), "it is opened again");
    assert_eq!(fake.received("BalanceInSync"), 1);
}
