//! Lists of postings beside accounts and rows that cannot be read: each of them is listed as one that differs, and none ends a list.

use cashier_core::operation::PostingOutcome;
use cashier_fake_platform::{EXECUTED, FakeOrder, FakePlatform, FakeState};
use serde_json::{Value, json};

use super::flow::{MINOR, opened, posting, settings, settle};
use super::found_orders::made;
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::platform::PlatformSettings;
use crate::trading::remote::RemoteServer;

/// What happens to the first of three postings, or to its account.
type Damage = fn(&mut FakeState);

#[tokio::test(start_paused = true)]
async fn an_account_or_row_that_cannot_be_read_is_listed_with_amount_zero_and_ends_no_list() {
    let table: [(&str, Damage); 7] = [
        ("currency", |state| state.accounts.get_mut(&100).unwrap().currency = "XYZ"),
        ("nobody's", |state| state.accounts.get_mut(&100).unwrap().customer = 0),
        ("gone", |state| state.accounts.retain(|login, _| *login != 100)),
        ("profit", |state| state.states_row = Some(|order, row| first(order, row, 0, json!("10.005")))),
        ("no profit", |state| state.states_row = Some(|order, row| first(order, row, 0, Value::Null))),
        ("cmd", |state| state.states_row = Some(|order, row| first(order, row, 4, json!("odd")))),
        ("update_time", |state| state.states_row = Some(|order, row| first(order, row, 9, Value::Null))),
    ];
    for (damage, change) in table {
        for (phases, order_by) in [(Two, "update_time"), (Two, ""), (One, "update_time")] {
            let fake = FakePlatform::new();
            fake.state().accounts.get_mut(&102).unwrap().customer = 5;
            let search = settings(phases)
                .search
                .map(|search| crate::trading::platform::PlatformSearch { order_by: order_by.into(), ..search });
            let running = opened(&fake, PlatformSettings { search, ..settings(phases) });
            for (ordinal, login) in [(1, 100), (2, 102), (3, 102)] {
                settle(&running.server, &mut posting(ordinal, login, MINOR), false).await;
            }
            change(&mut fake.state());
            let (mut after, mut found): (Box<str>, Vec<_>) = (Box::default(), Vec::new());
            loop {
                let page = running.server.postings(after, 2).await.unwrap();
                found.extend(page.postings.into_iter().map(|found| {
                    assert_eq!(found.outcome, PostingOutcome::posted(1000 + u64::from(found.ordinal())), "{damage}");
                    (found.ordinal(), found.amount.minor)
                }));
                after = page.next;
                if after.is_empty() {
                    break;
                }
            }
            found.sort_unstable();
            assert_eq!(found, [(1, 0), (2, MINOR), (3, MINOR)], "{damage} {phases:?} {order_by:?}");
        }
    }
}

/// Changes how the first posting is listed.
fn first(order: &FakeOrder, row: &mut Value, column: usize, value: Value) {
    if order.order == 1001 {
        row[column] = value;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_in_capitals_is_listed_as_the_key_that_it_is() {
    let fake = FakePlatform::new();
    let key = posting(1, 100, MINOR).key();
    let uuid = key.as_str().to_ascii_uppercase();
    fake.state().orders = vec![
        made(EXECUTED, "cashier", &uuid),
        FakeOrder { order: 901, comment: uuid.clone(), ..made(EXECUTED, "", "") },
    ];
    let running = opened(&fake, settings(Two));
    let page = running.server.postings(Box::default(), 10).await.unwrap();
    assert_eq!(page.postings.into_iter().map(|found| found.key).collect::<Vec<_>>(), [key.clone(), key]);
    // Also one that has it in its comment alone is ours.
    fake.state().orders.remove(0);
    assert_eq!(running.server.find(&posting(1, 100, MINOR)).await, Ok(Some(PostingOutcome::posted(901))));
}
