//! The sweep: which late requests it declines, whatever else waits beside them, and what it looks at.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_fake_platform::{EXECUTED, FakeOrder, FakePlatform, Manner, PENDING};
use serde_json::json;

use super::flow::{MINOR, Running, deposit, opened, posting, settings, settle};
use super::special::{prepared, refused};
use crate::ports::{Durable, Posting, Voiding};
use crate::trading::platform::PlatformPhases::Two;
use crate::trading::remote::RemoteServer;

const CREATE: &str = "MngCreateFinanceRequest";
const TRADES: &str = "MngGetTradesByFilter";

/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(60);

fn order(number: u64, ordinal: u32, login: u64, state: i64) -> FakeOrder {
    let key = posting(ordinal, login, 100).key().to_string();
    FakeOrder {
        order: number,
        login,
        cmd: 6,
        state,
        amount: 100,
        comment: format!("{key} cashier 9 r0"),
        source: "cashier".to_owned(),
        uuid: key,
        gw_order: 0,
        updated: 0,
    }
}

fn state_of(fake: &FakePlatform, number: u64) -> i64 {
    fake.state().orders.iter().find(|order| order.order == number).unwrap().state
}

#[tokio::test(start_paused = true)]
async fn where_more_wait_than_one_sweep_looks_at_the_next_looks_at_the_rest() {
    let fake = FakePlatform::new();
    fake.state().orders = (0..205).map(|number| order(number + 1, number as u32 + 10, 100 + number % 3, 17)).collect();
    fake.state().orders.extend([order(800, 1, 100, EXECUTED), order(801, 1, 100, PENDING)]);
    let _running = opened(&fake, settings(Two));
    tokio::time::sleep(SWEEP * 4).await;
    assert_eq!((state_of(&fake, 801), fake.in_state(17)), (18, 205));
    // And round again.
    fake.state().orders.extend([order(802, 10, 100, EXECUTED)]);
    tokio::time::sleep(SWEEP * 4).await;
    assert_eq!((state_of(&fake, 1), fake.in_state(17)), (18, 204));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_cannot_be_read_holds_up_no_other_one() {
    let fake = FakePlatform::new();
    // One that cannot be read at all, one whose account has such a row, and one that is late.
    fake.state().orders = vec![
        order(700, 3, 100, PENDING),
        order(701, 4, 101, EXECUTED),
        order(702, 5, 101, PENDING),
        order(800, 1, 102, EXECUTED),
        order(801, 1, 102, PENDING),
    ];
    fake.state().refuses_uuid = true;
    fake.state().states_row = Some(|order, row| {
        if order.order < 702 {
            row[4] = json!("odd");
        }
    });
    let _running = opened(&fake, settings(Two));
    tokio::time::sleep(SWEEP * 2).await;
    assert_eq!(state_of(&fake, 801), 18);
}

#[tokio::test(start_paused = true)]
async fn a_void_key_is_known_in_any_letter_case() {
    let fake = FakePlatform::new();
    fake.script(&[(CREATE, Manner::ArrivesLate(40_000))]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    settle(&running.server, &mut due, false).await;
    assert_eq!(settle(&running.server, &mut due, true).await, refused("WITHHELD"));
    tokio::time::sleep(Duration::from_secs(40)).await;
    fake.state().orders[0].uuid.make_ascii_uppercase();
    tokio::time::sleep(SWEEP * 2).await;
    assert_eq!((fake.in_state(17), fake.in_state(18)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_watched_once_and_not_at_all_where_the_platform_said_no() {
    let table = [
        (Manner::Refuses(400, "INTERNAL"), 1),
        (Manner::Refuses(8, "OFTEN"), 1),
        (Manner::Loses, 3),
        (Manner::Refuses(500, "INTERNAL"), 3),
        (Manner::Refuses(202, "ACCEPTED"), 3),
    ];
    for (manner, expected) in table {
        let fake = FakePlatform::new();
        fake.script(&[(CREATE, manner), (CREATE, manner)]);
        let running = opened(&fake, settings(Two));
        let mut due = deposit();
        for _ in 0..2 {
            let outcome = settle(&running.server, &mut due, false).await;
            assert!([None, Some(PostingOutcome::Unknown)].contains(&outcome), "{manner:?}");
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        tokio::time::sleep(SWEEP).await;
        let before = fake.received(TRADES);
        tokio::time::sleep(SWEEP).await;
        // What is pending, and of each watched key both searches.
        assert_eq!(fake.received(TRADES) - before, expected, "{manner:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_about_what_is_pending_keeps_no_watched_key_from_being_looked_at() {
    for is_approved in [false, true] {
        let fake = FakePlatform::new();
        // More than one search reads.
        fake.state().orders = vec![FakeOrder { source: "desk".into(), ..order(1, 9, 102, PENDING) }; 20_001];
        fake.script(&[(CREATE, Manner::ArrivesLate(30_000))]);
        let running = opened(&fake, settings(Two));
        let mut due = deposit();
        assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown));
        assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::posted(1001)));
        tokio::time::sleep(SWEEP / 2).await;
        if is_approved {
            fake.state().dealer_approves(|order| order.order == 1002);
        }
        tokio::time::sleep(SWEEP * 2).await;
        match is_approved {
            false => {
                let problem = running.server.health().unwrap_err().what;
                assert!(state_of(&fake, 1002) == 18 && problem.contains("by state finds 20001"), "{problem}");
            }
            true => assert!(running.server.health().unwrap_err().what.contains("finance orders 1001 and 1002")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_posting_without_an_answer_is_watched_after_a_restart_too() {
    let fake = FakePlatform::new();
    fake.script(&[(CREATE, Manner::ArrivesLate(100_000))]);
    let mut due = deposit();
    {
        let running = opened(&fake, settings(Two));
        assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown));
        prepared(&running.server, &mut due).await;
    }
    let running = opened(&fake, settings(Two));
    assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::posted(1001)));
    tokio::time::sleep(Duration::from_secs(100)).await;
    fake.state().dealer_approves(|order| order.order == 1002);
    tokio::time::sleep(SWEEP * 2).await;
    assert!(running.server.health().unwrap_err().what.contains("finance orders 1001 and 1002"));
}

/// A request that the platform does not show, which a person holds to be absent.
async fn confirmed_absent(fake: &Arc<FakePlatform>, running: &Running) -> (Posting, FakeOrder) {
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    let hidden = fake.state().orders.remove(0);
    assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown));
    let voided = running.server.void(Durable::assertion(due.clone()), ReasonCode::ConfirmedAbsent).await;
    assert!(matches!(voided, Ok(Voiding::Undecided { .. })), "{voided:?}");
    (due, hidden)
}

#[tokio::test(start_paused = true)]
async fn a_request_that_shows_after_a_person_confirmed_it_absent_is_declined() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let (_, hidden) = confirmed_absent(&fake, &running).await;
    // Hours later; its successor is posted.
    tokio::time::sleep(Duration::from_secs(20_000)).await;
    settle(&running.server, &mut posting(2, 100, 100), false).await;
    fake.state().orders.push(hidden);
    tokio::time::sleep(SWEEP * 2).await;
    assert_eq!((state_of(&fake, 1001), fake.balance(100)), (18, 100));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_shows_before_a_person_decided_is_posted_or_refused_and_never_both() {
    for is_swept in [false, true] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(Two));
        let (mut due, hidden) = confirmed_absent(&fake, &running).await;
        fake.state().orders.push(hidden);
        if is_swept {
            tokio::time::sleep(SWEEP * 2).await;
        }
        let outcome = settle(&running.server, &mut due, false).await;
        match is_swept {
            false => assert_eq!(outcome, Some(PostingOutcome::posted(1001))),
            true => assert_eq!(outcome, refused("DECLINED_AT_TRADING_SERVER")),
        }
        tokio::time::sleep(SWEEP * 2).await;
        assert_eq!((fake.balance(100), running.server.health()), (if is_swept { 0 } else { MINOR }, Ok(())));
    }
}
