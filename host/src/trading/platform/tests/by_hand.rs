//! What persons do at the platform with orders of our key: they credit by hand, approve what nobody needs any more, decline with
//! words of ours, and use another source. None of it lets a posting be made twice without being named.

use std::time::Duration;

use cashier_core::operation::{PostingFlaw, PostingOutcome};
use cashier_fake_platform::{DECLINED, EXECUTED, FakeOrder, FakePlatform, Manner, PENDING};

use super::flow::{MINOR, deposit, opened, settings, settle, settle_for_long};
use super::found_orders::made;
use super::special::{prepared, refused, void};
use crate::ports::Voiding;
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::platform::{PlatformSearch, PlatformSettings};
use crate::trading::remote::RemoteServer;

const APPROVE: &str = "MngApproveFinanceRequest";
const CREATE: &str = "MngCreateFinanceRequest";

fn by_uuid(by_uuid: bool) -> PlatformSettings {
    let search = settings(Two).search.map(|search| PlatformSearch { by_uuid, ..search });
    PlatformSettings { search, ..settings(Two) }
}

#[tokio::test(start_paused = true)]
async fn an_order_made_by_hand_is_seen_before_our_own_request_is_approved() {
    for (is_by_uuid, source) in [(true, ""), (false, ""), (true, "desk"), (false, "desk")] {
        let fake = FakePlatform::new();
        let running = opened(&fake, by_uuid(is_by_uuid));
        let mut due = deposit();
        prepared(&running.server, &mut due).await;
        fake.state().orders.push(made(EXECUTED, source, ""));
        let outcome = settle(&running.server, &mut due, false).await;
        assert_eq!((outcome, fake.received(APPROVE)), (Some(PostingOutcome::posted(900)), 0), "{is_by_uuid} {source}");
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!((fake.in_state(PENDING), fake.in_state(DECLINED)), (0, 1), "{is_by_uuid} {source}: ours is swept");
        assert_eq!(running.server.health(), Ok(()), "{is_by_uuid} {source}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_made_by_hand_holds_up_our_own_request_while_it_is_open() {
    for (state, source) in [(PENDING, ""), (PENDING, "desk"), (99, "desk")] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(Two));
        let mut due = deposit();
        prepared(&running.server, &mut due).await;
        fake.state().orders.push(made(state, source, ""));
        let outcome = settle_for_long(&running.server, &mut due).await;
        assert_eq!((outcome, fake.received(APPROVE)), (Some(PostingOutcome::Unknown), 0), "{state} {source}");
        fake.state().orders.retain(|order| order.order != 900);
        let outcome = settle_for_long(&running.server, &mut due).await;
        assert_eq!(outcome, Some(PostingOutcome::posted(due.operation.request_order)), "{state} {source}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_made_by_hand_under_another_source_with_other_values_is_for_a_person() {
    for (phases, state) in [(Two, PENDING), (Two, EXECUTED), (One, PENDING), (One, EXECUTED)] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(phases));
        let (mut due, seen) = (deposit(), format!("{phases:?} {state}"));
        if phases == Two {
            prepared(&running.server, &mut due).await;
        }
        fake.state().orders.push(FakeOrder { amount: 100, ..made(state, "desk", "") });
        assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::Unknown), "{seen}");
        assert_eq!(
            (fake.received(APPROVE), fake.received("BalanceInSync"), fake.in_state(DECLINED)),
            (0, 0, 0),
            "{seen}"
        );
        let problem = running.server.health().unwrap_err().what;
        assert!(problem.contains("finance order 900"), "{seen}: {problem}");
        let voided = void(&running.server, &due).await;
        assert!(voided.as_ref().is_err_and(|why| why.contains("finance order 900")), "{seen}: {voided:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_made_by_hand_under_another_source_that_was_declined_holds_up_nothing() {
    let fake = FakePlatform::new();
    fake.state().orders = vec![made(DECLINED, "desk", "")];
    let running = opened(&fake, settings(Two));
    let outcome = settle(&running.server, &mut deposit(), false).await;
    assert_eq!((outcome, fake.balance(100)), (Some(PostingOutcome::posted(1001)), MINOR));
}

#[tokio::test(start_paused = true)]
async fn in_one_phase_a_source_that_the_platform_fills_in_itself_makes_the_posting_no_other_one() {
    for is_answered in [true, false] {
        let fake = FakePlatform::new();
        fake.state().states_answer = Some(|answer| answer["gw_source"] = serde_json::json!("manager"));
        fake.state().states_row = Some(|_, row| row[7] = serde_json::json!("manager"));
        let manner = if is_answered { Manner::Well } else { Manner::ClosesAfter };
        fake.script(&[("BalanceInSync", manner)]);
        let running = opened(&fake, settings(One));
        let mut due = deposit();
        let outcome = settle(&running.server, &mut due, false).await;
        let expected = if is_answered { PostingOutcome::posted(1001) } else { PostingOutcome::Unknown };
        assert_eq!(outcome, Some(expected), "{is_answered}");
        // It connects again.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(running.server.find(&due).await, Ok(Some(PostingOutcome::posted(1001))), "{is_answered}");
    }
}

#[tokio::test(start_paused = true)]
async fn our_request_that_a_dealer_approves_beside_an_order_by_hand_is_named() {
    for (is_by_uuid, source) in [(true, ""), (false, ""), (true, "desk")] {
        let fake = FakePlatform::new();
        let running = opened(&fake, by_uuid(is_by_uuid));
        let mut due = deposit();
        prepared(&running.server, &mut due).await;
        fake.state().orders.push(made(EXECUTED, source, ""));
        assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::posted(900)), "{is_by_uuid}");
        fake.state().dealer_approves(|_| true);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let problem = running.server.health().unwrap_err().what;
        assert!(problem.contains("finance orders 900 and 1001"), "{is_by_uuid}: {problem}");
        fake.state().orders.retain(|order| order.order != 900);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(running.server.health(), Ok(()), "{is_by_uuid}: a person deleted one");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_with_our_whole_key_and_another_source_is_never_taken_for_absent() {
    let key = deposit().key().to_string();
    for (phases, state) in [(Two, 17), (Two, 10), (Two, EXECUTED), (Two, 99), (One, EXECUTED)] {
        let fake = FakePlatform::new();
        fake.state().orders = vec![made(state, "desk", &key)];
        let running = opened(&fake, settings(phases));
        let mut due = deposit();
        let seen = format!("{phases:?} {state}");
        assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::Unknown), "{seen}");
        let voided = void(&running.server, &due).await;
        assert!(voided.as_ref().is_err_and(|why| why.contains("finance order 900")), "{seen}: {voided:?}");
        let problem = running.server.health().unwrap_err().what;
        assert!(problem.contains("finance order 900"), "{seen}: {problem}");
        let states: Vec<i64> = fake.state().orders.iter().map(|order| order.state).collect();
        assert_eq!(states, [state], "{seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_with_our_whole_key_and_another_source_that_cannot_be_read_is_a_fault() {
    let fake = FakePlatform::new();
    fake.state().orders = vec![made(EXECUTED, "desk", deposit().key().as_str())];
    fake.state().states_row = Some(|_, row| row[4] = serde_json::json!("odd"));
    let running = opened(&fake, settings(Two));
    assert!(running.server.find(&deposit()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_changes_the_letters_of_our_source_keeps_our_request() {
    let fake = FakePlatform::new();
    fake.script(&[(CREATE, Manner::Then(|state| state.orders[0].source = "CASHIER".to_owned()))]);
    let running = opened(&fake, settings(Two));
    assert_eq!(settle_for_long(&running.server, &mut deposit()).await, Some(PostingOutcome::posted(1001)));
}

#[tokio::test(start_paused = true)]
async fn a_voided_key_that_is_executed_after_all_is_named() {
    for is_approved_only in [true, false] {
        let fake = FakePlatform::new();
        fake.script(&[(CREATE, Manner::ArrivesLate(40_000))]);
        let running = opened(&fake, settings(Two));
        let mut due = deposit();
        settle(&running.server, &mut due, false).await;
        assert_eq!(settle(&running.server, &mut due, true).await, refused("WITHHELD"));
        // It arrives, and a dealer approves it before it is swept.
        tokio::time::sleep(Duration::from_secs(40)).await;
        match is_approved_only {
            true => fake.state().orders[0].state = 10,
            false => fake.state().dealer_approves(|_| true),
        }
        tokio::time::sleep(Duration::from_secs(120)).await;
        let problem = running.server.health().unwrap_err().what;
        assert!(problem.contains("finance order 1001") && problem.contains("void"), "{is_approved_only}: {problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reason_that_the_platform_cut_is_still_ours() {
    let fake = FakePlatform::new();
    fake.state().states_row = Some(|order, row| {
        let cut: String =
            order.comment.chars().take(deposit().key().as_str().len() + " refused WITHHE".len()).collect();
        row[6] = serde_json::json!(cut);
    });
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    let Some(PostingOutcome::Refused { reason }) = refused("WITHHELD") else { panic!("a refusal") };
    let withheld = PostingOutcome::Refused { reason };
    assert_eq!(void(&running.server, &due).await, Ok(Voiding::Settled(withheld.clone())));
    // Also where the answer to that was lost.
    assert_eq!(running.server.find(&due).await, Ok(Some(withheld)));
}

#[tokio::test(start_paused = true)]
async fn nobody_else_makes_a_posting_withheld() {
    let key = deposit().key().to_string();
    for reason in ["WITHHELD", "CONFIRMED_ABSENT"] {
        for comment in [format!("bank refused {reason}"), format!("{key} bank refused {reason}")] {
            let fake = FakePlatform::new();
            let running = opened(&fake, settings(Two));
            let mut due = deposit();
            prepared(&running.server, &mut due).await;
            fake.state().orders[0].state = 18;
            fake.state().orders[0].comment = comment;
            assert_eq!(settle(&running.server, &mut due, false).await, refused("DECLINED_AT_TRADING_SERVER"));
        }
        let fake = FakePlatform::new();
        let comment = format!("{key} refused {reason}");
        fake.state().orders = vec![FakeOrder { comment, ..made(18, "", "") }];
        let running = opened(&fake, settings(Two));
        let outcome = settle(&running.server, &mut deposit(), false).await;
        assert_eq!(outcome, refused("DECLINED_AT_TRADING_SERVER"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_platform_in_words_of_ours_is_kept_apart() {
    for (phases, command) in [(Two, CREATE), (Two, APPROVE), (One, "BalanceInSync")] {
        let fake = FakePlatform::new();
        fake.script(&[(command, Manner::Refuses(13, "WITHHELD"))]);
        let refusals = vec!["13".into()];
        let running = opened(&fake, PlatformSettings { refusals, ..settings(phases) });
        assert_eq!(settle(&running.server, &mut deposit(), false).await, refused("X_WITHHELD"), "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_order_by_hand_is_a_review() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    fake.script(&[(APPROVE, Manner::Then(|state| state.orders.push(made(EXECUTED, "", ""))))]);
    let outcome = settle(&running.server, &mut due, false).await;
    let flaw = Some(PostingFlaw::Twice { other: 900 });
    assert_eq!(outcome, Some(PostingOutcome::Posted { trade_order: 1001, flaw }));
    assert_eq!(fake.balance(100), MINOR);
}
