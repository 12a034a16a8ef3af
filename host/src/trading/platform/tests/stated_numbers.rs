//! Numbers that the platform stated for a request, and requests whose answers were lost: whatever it then shows of them, a posting has
//! one request, or a person is asked.

use std::sync::Arc;

use cashier_core::operation::PostingOutcome;
use cashier_core::status::OperationStatus;
use cashier_fake_platform::{DECLINED, EXECUTED, FakeOrder, FakePlatform, FakeState, Manner};
use serde_json::json;

use super::flow::{MINOR, Running, deposit, opened, posting, settings, settle, settle_for_long};
use super::found_orders::made;
use super::special::{prepared, refused, void};
use crate::ports::{Posting, Voiding};
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::platform::{PlatformSearch, PlatformSettings};
use crate::trading::remote::RemoteServer;

const APPROVE: &str = "MngApproveFinanceRequest";
const CREATE: &str = "MngCreateFinanceRequest";
const TRADES: &str = "MngGetTradesByFilter";

/// No search finds anything.
fn hide(state: &mut FakeState) {
    state.states_table = Some(|answer| (answer["rows"], answer["count"]) = (json!([]), json!(0)));
}

fn show(state: &mut FakeState) {
    state.states_table = None;
}

#[tokio::test(start_paused = true)]
async fn a_stated_number_that_is_not_found_is_recorded_and_bars_another_request() {
    let fake = FakePlatform::new();
    fake.script(&[(CREATE, Manner::Then(hide))]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::Unknown));
    assert_eq!((due.operation.request_order, fake.received(CREATE), fake.received(APPROVE)), (1001, 1, 0));
    let voided = void(&running.server, &due).await;
    assert!(matches!(voided, Ok(Voiding::Undecided { .. })), "a request was stated: {voided:?}");
    show(&mut fake.state());
    assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::posted(1001)));
    assert_eq!((fake.received(CREATE), fake.balance(100)), (1, MINOR));
}

#[tokio::test(start_paused = true)]
async fn a_stated_number_is_recorded_where_the_questions_about_it_fail() {
    let fake = FakePlatform::new();
    fake.script(&[(TRADES, Manner::Well), (TRADES, Manner::Well), (TRADES, Manner::ClosesBefore)]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    assert_eq!((due.operation.request_order, fake.received(CREATE)), (1001, 1));
    assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::posted(1001)));
}

#[tokio::test(start_paused = true)]
async fn where_the_search_is_wrong_a_payment_has_one_request_and_a_person_is_asked() {
    let fake = FakePlatform::new();
    let search = settings(Two).search.map(|search| PlatformSearch { equals: "{column} is {value}".into(), ..search });
    let running = opened(&fake, PlatformSettings { search, ..settings(Two) });
    let mut due = deposit();
    for _ in 0..4 {
        assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::Unknown));
    }
    assert_eq!((due.operation.request_order, fake.received(CREATE), fake.received(APPROVE)), (1001, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_found_by_its_number_alone_is_posted() {
    let fake = FakePlatform::new();
    fake.state().finds_by_number_alone = true;
    let running = opened(&fake, settings(Two));
    assert_eq!(settle_for_long(&running.server, &mut deposit()).await, Some(PostingOutcome::posted(1001)));
    assert_eq!((fake.received(CREATE), fake.balance(100)), (1, MINOR));
}

/// The platform stated 555 for the request 1001, and showed nothing; then it shows everything.
async fn wrongly_recorded(fake: &Arc<FakePlatform>) -> (Running, Posting) {
    fake.state().states_answer = Some(|answer| answer["order"] = json!(555));
    fake.script(&[(CREATE, Manner::Then(hide))]);
    let (running, mut due) = (opened(fake, settings(Two)), deposit());
    assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown));
    show(&mut fake.state());
    assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::Unknown));
    assert_eq!((due.operation.request_order, fake.received(CREATE), fake.received(APPROVE)), (555, 1, 0));
    assert_eq!((fake.in_state(17), fake.balance(100)), (1, 0));
    (running, due)
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_on_record_is_never_replaced_by_the_request_that_shows_later() {
    for is_anothers in [false, true] {
        let fake = FakePlatform::new();
        if is_anothers {
            let (order, comment) = (555, "Finance".to_owned());
            fake.state().orders.push(FakeOrder { order, login: 102, comment, ..made(EXECUTED, "", "") });
        }
        let (running, due) = wrongly_recorded(&fake).await;
        // A person takes it for absent: nothing pending is left behind, and an order that has the number keeps it open.
        let voided = void(&running.server, &due).await;
        match is_anothers {
            false => assert!(matches!(voided, Ok(Voiding::Undecided { .. })), "{voided:?}"),
            true => {
                assert!(voided.as_ref().is_err_and(|why| why.contains("finance order 555 is still open")), "{voided:?}")
            }
        }
        assert_eq!((fake.in_state(17), fake.in_state(18), fake.balance(100)), (0, 1, 0), "{is_anothers}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_request_beside_a_wrong_number_on_record_is_the_posting_once_a_dealer_approves_it() {
    let fake = FakePlatform::new();
    let (running, mut due) = wrongly_recorded(&fake).await;
    fake.state().dealer_approves(|_| true);
    assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::posted(1001)));
    assert_eq!((fake.received(CREATE), fake.balance(100)), (1, MINOR));
}

#[tokio::test(start_paused = true)]
async fn after_three_more_requests_without_an_answer_a_person_is_asked() {
    let fake = FakePlatform::new();
    fake.script(&[(CREATE, Manner::Loses); 30]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown));
    assert_eq!(running.server.health(), Ok(()), "it is made again");
    assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::Unknown));
    assert_eq!(fake.received(CREATE), 4);
    let problem = running.server.health().unwrap_err().what;
    assert!(problem.contains(due.key().as_str()) && problem.contains("a person"), "{problem}");
    // Another key is posted all the same.
    fake.state().script.clear();
    let other = settle(&running.server, &mut posting(2, 100, MINOR), false).await;
    assert_eq!(other, Some(PostingOutcome::posted(1001)));
    assert_eq!(settle(&running.server, &mut due, true).await, refused("WITHHELD"));
    assert_eq!(running.server.health(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_answered_with_neither_yes_nor_no_counts_as_one_without_an_answer() {
    for (status, text) in [(500, "INTERNAL"), (503, "UNAVAILABLE"), (201, ""), (202, "ACCEPTED"), (299, "")] {
        let fake = FakePlatform::new();
        fake.script(&[(CREATE, Manner::Refuses(status, text)); 30]);
        let running = opened(&fake, settings(Two));
        let mut due = deposit();
        assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::Unknown), "{status}");
        assert_eq!(fake.received(CREATE), 4, "{status}");
        let problem = running.server.health().unwrap_err().what;
        // What is refused three times in a row is named before.
        assert!(problem.contains("refuses MngCreateFinanceRequest"), "{status}: {problem}");
    }
    // One that was made is found, and no other one is made.
    for manner in [Manner::DoneAs(201), Manner::DoneAs(202), Manner::DoneAs(500)] {
        let fake = FakePlatform::new();
        fake.script(&[(CREATE, manner), (APPROVE, manner)]);
        let running = opened(&fake, settings(Two));
        assert_eq!(settle_for_long(&running.server, &mut deposit()).await, Some(PostingOutcome::posted(1001)));
        assert_eq!((fake.received(CREATE), fake.balance(100)), (1, MINOR), "{manner:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_that_arrived_is_posted_however_many_were_made() {
    let fake = FakePlatform::new();
    fake.script(&[(CREATE, Manner::Loses), (CREATE, Manner::Loses), (CREATE, Manner::Loses)]);
    fake.script(&[(CREATE, Manner::ArrivesLate(200_000))]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::posted(1001)));
    assert_eq!((fake.received(CREATE), fake.balance(100), running.server.health()), (4, MINOR, Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_recorded_a_moment_ago_is_asked_for_again_before_it_is_gone() {
    let fake = FakePlatform::new();
    fake.state().states_answer = Some(|answer| answer["gw_uuid"] = json!(deposit().key().as_str()));
    fake.script(&[(CREATE, Manner::Then(hide))]);
    // Two questions before it is made; after that by the key, the account and the number.
    fake.script(&[(TRADES, Manner::Well); 5]);
    fake.script(&[(TRADES, Manner::Then(show))]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::posted(1001)));
    assert_eq!((fake.received(CREATE), fake.balance(100)), (1, MINOR));
}

#[tokio::test(start_paused = true)]
async fn of_what_the_books_have_as_posted_the_platform_never_says_that_it_was_not_made() {
    for phases in [Two, One] {
        let fake = FakePlatform::new();
        let mut due = deposit();
        assert_eq!(
            settle_for_long(&opened(&fake, settings(Two)).server, &mut due).await,
            Some(PostingOutcome::posted(1001))
        );
        // Another request of the key that was declined says nothing of the one that was executed.
        let executed = fake.state().orders[0].clone();
        fake.state().orders = vec![FakeOrder { order: 1002, state: DECLINED, ..executed }];
        let running = opened(&fake, settings(phases));
        let mut of_sibling = due.clone();
        of_sibling.operation.status = OperationStatus::Posted;
        (of_sibling.operation.request_order, of_sibling.operation.trade_order) = (0, 1001);
        assert_eq!(running.server.find(&of_sibling).await, Ok(Some(PostingOutcome::Unknown)), "{phases:?}");
        fake.state().orders.clear();
        assert_eq!(running.server.find(&due).await, Ok(Some(PostingOutcome::Unknown)), "{phases:?}");
        let mut unnumbered = due.clone();
        (unnumbered.operation.request_order, unnumbered.operation.trade_order) = (0, 0);
        assert_eq!(running.server.find(&unnumbered).await, Ok(Some(PostingOutcome::Unknown)), "{phases:?}");
        unnumbered.operation.status = OperationStatus::Unknown;
        assert_eq!(running.server.find(&unnumbered).await, Ok(None), "{phases:?}");
        due.operation.status = OperationStatus::Unknown;
        assert_eq!(running.server.find(&due).await, Ok(Some(PostingOutcome::Unknown)), "{phases:?}");
    }
}
