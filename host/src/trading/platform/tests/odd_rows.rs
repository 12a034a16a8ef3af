//! Rows that cannot be read: one holds up the posting that it may be about, and no other one; it is listed all the same.

use std::sync::Arc;

use cashier_core::operation::PostingOutcome;
use cashier_fake_platform::{EXECUTED, FakeOrder, FakePlatform};
use serde_json::{Value, json};

use super::flow::{MINOR, deposit, opened, posting, settings, settle};
use super::found_orders::made;
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::platform::{PlatformKeyForm, PlatformSettings};
use crate::trading::remote::RemoteServer;

/// How the row of order 890 is listed.
type StatesRow = fn(&FakeOrder, &mut Value);

fn odd(order: &FakeOrder, change: impl FnOnce()) {
    if order.order == 890 {
        change();
    }
}

/// Its state, its number, a column too many, and both that it is of no number and has a column too many.
const ODD: [StatesRow; 4] = [
    |order, row| odd(order, || row[5] = json!("odd")),
    |order, row| odd(order, || row[2] = Value::Null),
    |order, row| odd(order, || row.as_array_mut().unwrap().insert(0, json!(7))),
    |order, row| {
        odd(order, || {
            row[2] = json!("odd");
            row.as_array_mut().unwrap().push(json!("x"));
        });
    },
];

/// An executed order of the seventh posting, which the cashier made.
fn seventh(fake: &Arc<FakePlatform>, uuid_keys: bool) {
    let key = posting(7, 100, MINOR).key().to_string();
    let uuid = if uuid_keys { crate::trading::platform::finance_order::uuid_of(&key).to_string() } else { key.clone() };
    let order = FakeOrder { order: 890, comment: format!("{key} cashier 9 r0"), ..made(EXECUTED, "cashier", &uuid) };
    fake.state().orders.push(order);
}

#[tokio::test(start_paused = true)]
async fn a_row_of_ours_that_cannot_be_read_holds_up_the_posting_of_its_key_alone() {
    for (at, states_row) in ODD.into_iter().enumerate() {
        for (phases, key_form) in
            [(Two, PlatformKeyForm::Key), (Two, PlatformKeyForm::Uuid), (One, PlatformKeyForm::Key)]
        {
            let seen = format!("{at} {phases:?} {key_form:?}");
            let fake = FakePlatform::new();
            seventh(&fake, key_form == PlatformKeyForm::Uuid);
            fake.state().states_row = Some(states_row);
            let running = opened(&fake, PlatformSettings { key_form, ..settings(phases) });
            assert!(running.server.find(&posting(7, 100, MINOR)).await.is_err(), "{seen}");
            let outcome = settle(&running.server, &mut deposit(), false).await;
            assert_eq!(outcome, Some(PostingOutcome::posted(1001)), "{seen}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_of_ours_that_cannot_be_read_is_listed_with_amount_0() {
    for order_by in ["update_time", ""] {
        for (at, states_row) in ODD.into_iter().enumerate() {
            let fake = FakePlatform::new();
            seventh(&fake, false);
            let search = settings(Two)
                .search
                .map(|search| crate::trading::platform::PlatformSearch { order_by: order_by.into(), ..search });
            let running = opened(&fake, PlatformSettings { search, ..settings(Two) });
            settle(&running.server, &mut deposit(), false).await;
            fake.state().states_row = Some(states_row);
            let page = running.server.postings(Box::default(), 10).await.unwrap();
            let listed = page.postings.iter().map(|found| (found.ordinal(), found.amount.minor));
            assert_eq!(listed.collect::<Vec<_>>(), [(7, 0), (1, MINOR)], "{at} {order_by:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_shows_neither_uuid_nor_comment_may_be_of_any_posting() {
    let table: [StatesRow; 4] = [
        |order, row| odd(order, || *row = json!([7, 8])),
        |order, row| odd(order, || *row = Value::Null),
        |order, row| odd(order, || (row[2], row[6], row[8]) = (Value::Null, json!([]), json!({}))),
        |order, row| odd(order, || (row[4], row[6], row[8]) = (json!("odd"), json!(""), Value::Null)),
    ];
    for (at, states_row) in table.into_iter().enumerate() {
        let fake = FakePlatform::new();
        seventh(&fake, false);
        fake.state().states_row = Some(states_row);
        let running = opened(&fake, settings(Two));
        assert!(running.server.find(&deposit()).await.is_err(), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_recorded_order_is_never_passed_over_whatever_its_row_shows() {
    let fake = FakePlatform::new();
    seventh(&fake, false);
    fake.state().states_row = Some(ODD[0]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    due.operation.request_order = 890;
    assert!(running.server.find(&due).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_row_of_others_that_cannot_be_read_holds_up_nothing() {
    for (at, states_row) in ODD.into_iter().enumerate() {
        let fake = FakePlatform::new();
        fake.state().orders.push(FakeOrder { order: 890, comment: "Finance".into(), ..made(EXECUTED, "", "") });
        fake.state().states_row = Some(states_row);
        let running = opened(&fake, PlatformSettings { search: None, ..settings(Two) });
        let outcome = settle(&running.server, &mut deposit(), false).await;
        assert_eq!(outcome, Some(PostingOutcome::posted(1001)), "{at}");
    }
}
