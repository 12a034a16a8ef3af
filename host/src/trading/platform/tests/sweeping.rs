//! The sweep: which late requests it declines, whatever else waits beside them, and what it looks at.

use std::time::Duration;

use cashier_core::operation::PostingOutcome;
use cashier_fake_platform::{EXECUTED, FakeOrder, FakePlatform, Manner, PENDING};
use serde_json::json;

use super::flow::{deposit, opened, posting, settings, settle};
use super::special::refused;
use crate::trading::platform::PlatformPhases::Two;

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
    for (manner, expected) in
        [(Manner::Refuses(400, "INTERNAL"), 1), (Manner::Refuses(8, "OFTEN"), 1), (Manner::Loses, 3)]
    {
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
