//! What is searched among finance orders, and how many there are: counts that are missing or of something else, and searches that find
//! more than are read at once. None of it makes a posting twice, and none of it stops a platform for ever.

use std::time::Duration;

use cashier_core::operation::PostingOutcome;
use cashier_fake_platform::{EXECUTED, FakeOrder, FakePlatform, FakeState};
use serde_json::{Value, json};

use super::flow::{MINOR, deposit, opened, posting, settings, settle, settle_for_long};
use super::found_orders::made;
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::platform::{PlatformSearch, PlatformSettings};
use crate::trading::remote::RemoteServer;

const CREATE: &str = "MngCreateFinanceRequest";
const TRADES: &str = "MngGetTradesByFilter";

/// Changes a table.
type StatesTable = fn(&mut Value);

fn without_search() -> PlatformSettings {
    PlatformSettings { search: None, ..settings(Two) }
}

/// So many executed orders of somebody else, at the account of login 102.
fn of_others(state: &mut FakeState, count: u64) {
    let other = FakeOrder { login: 102, comment: "Finance".into(), ..made(EXECUTED, "desk", "") };
    state.orders.extend((0..count).map(|number| FakeOrder { order: 100_000 + number, ..other.clone() }));
}

#[tokio::test(start_paused = true)]
async fn where_count_is_missing_or_a_text_every_page_is_read() {
    let table: [StatesTable; 4] = [
        |table| drop(table.as_object_mut().unwrap().remove("count")),
        |table| table["count"] = Value::Null,
        |table| table["count"] = json!("many"),
        |table| table["count"] = json!(table["count"].to_string()),
    ];
    for (at, states_table) in table.into_iter().enumerate() {
        for settings in [settings(Two), settings(One), without_search()] {
            let fake = FakePlatform::new();
            of_others(&mut fake.state(), 1_200);
            fake.state().states_table = Some(states_table);
            let running = opened(&fake, settings);
            let outcome = settle(&running.server, &mut deposit(), false).await;
            assert_eq!(outcome, Some(PostingOutcome::posted(1001)), "{at}");
            let listed = running.server.postings(Box::default(), 10).await.unwrap().postings;
            assert_eq!(listed.len(), 1, "{at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_beside_a_count_that_is_a_text_does_not_mean_that_there_is_none() {
    for settings in [settings(Two), settings(One), without_search()] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings);
        settle(&running.server, &mut deposit(), false).await;
        fake.state().states_table = Some(|table| (table["rows"], table["count"]) = (json!([]), json!("3")));
        let found = running.server.find(&deposit()).await;
        assert!(found.as_ref().is_err_and(|fault| fault.what.contains("changed while")), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_of_the_whole_table_stops_neither_a_posting_nor_a_list() {
    // Also of more orders than one search reads.
    for others in [1, 20_001] {
        for phases in [Two, One] {
            let fake = FakePlatform::new();
            fake.state().counts_everything = true;
            of_others(&mut fake.state(), others);
            let running = opened(&fake, settings(phases));
            let seen = format!("{others} {phases:?}");
            let outcome = settle_for_long(&running.server, &mut deposit()).await;
            assert_eq!((outcome, fake.balance(100)), (Some(PostingOutcome::posted(1001)), MINOR), "{seen}");
            assert_eq!(running.server.find(&posting(2, 100, MINOR)).await, Ok(None), "{seen}");
            let after = running.server.cursor_at(cashier_core::time::UnixTime(1));
            let listed = running.server.postings(after, 10).await.unwrap();
            assert_eq!((listed.postings.len(), &*listed.next), (1, ""), "{seen}");
            assert_eq!(running.server.health(), Ok(()), "{seen}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_that_goes_by_the_condition_makes_an_empty_page_a_fault_also_where_others_are_listed() {
    // Whatever is asked of the account is counted and not listed.
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    settle(&running.server, &mut deposit(), false).await;
    of_others(&mut fake.state(), 3);
    fake.state().states_table = Some(|table| {
        let is_of_account = |row: &Value| row[3] == json!(100);
        if table["rows"].as_array().unwrap().iter().all(is_of_account) {
            table["rows"] = json!([]);
        }
    });
    let mut due = deposit();
    assert!(running.server.find(&due).await.is_err());
    assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown));
    assert_eq!((fake.received(CREATE), fake.balance(100)), (1, MINOR));
}

#[tokio::test(start_paused = true)]
async fn where_the_search_by_key_is_ignored_and_finds_too_many_the_orders_of_the_account_are_read() {
    let fake = FakePlatform::new();
    of_others(&mut fake.state(), 20_001);
    fake.state().ignores_uuid = true;
    let running = opened(&fake, settings(Two));
    let outcome = settle(&running.server, &mut deposit(), false).await;
    assert_eq!((outcome, fake.balance(100)), (Some(PostingOutcome::posted(1001)), MINOR));
    let problem = running.server.health().unwrap_err().what;
    assert!(problem.contains("by gw_uuid finds 20001") && problem.contains("does the platform"), "{problem}");
    // It is not asked for again.
    let before = fake.received(TRADES);
    assert_eq!(running.server.find(&posting(2, 100, MINOR)).await, Ok(None));
    assert!(fake.received(TRADES) - before <= 3);
}

#[tokio::test(start_paused = true)]
async fn a_search_over_its_limit_is_shown_until_it_finds_fewer_and_says_what_to_do() {
    let search = settings(Two).search.map(|search| PlatformSearch { by_uuid: false, ..search });
    for (settings, advice) in [
        (without_search(), "set `search`"),
        (PlatformSettings { search, ..settings(Two) }, "does the platform understand"),
    ] {
        let fake = FakePlatform::new();
        fake.state().ignores_conditions = true;
        let running = opened(&fake, settings);
        of_others(&mut fake.state(), 15_000);
        assert_eq!(running.server.find(&deposit()).await, Ok(None));
        assert_eq!(running.server.health(), Ok(()), "{advice}: it is near the limit");
        of_others(&mut fake.state(), 5_001);
        let fault = running.server.find(&deposit()).await.unwrap_err().what;
        assert!(fault.contains(advice), "{fault}");
        let problem = running.server.health().unwrap_err().what;
        assert!(problem.contains("more than 20000") && problem.contains(advice), "{problem}");
        fake.state().orders.clear();
        // The sweep asks for what is pending.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(running.server.find(&deposit()).await, Ok(None));
        assert_eq!(running.server.health(), Ok(()), "{advice}");
    }
}
