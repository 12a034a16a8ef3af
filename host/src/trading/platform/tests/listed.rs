//! Lists of postings beside accounts and rows that cannot be read: each of them is listed as one that differs, and none ends a list.

use std::time::Duration;

use cashier_core::operation::PostingOutcome;
use cashier_fake_platform::{EXECUTED, FakeOrder, FakePlatform, FakeState, Manner, PENDING};
use serde_json::{Value, json};

use super::flow::{MINOR, opened, posting, settings, settle};
use super::found_orders::made;
use crate::ports::Fault;
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::platform::PlatformSettings;
use crate::trading::remote::RemoteServer;

/// What happens to the first of three postings, to its account, or to a list.
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

#[tokio::test(start_paused = true)]
async fn an_order_that_others_made_with_our_key_is_listed_beside_ours() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let mut ours = posting(1, 100, MINOR);
    settle(&running.server, &mut ours, false).await;
    let key = ours.key();
    let comment = format!("manual credit, {}.", key.as_str().to_ascii_uppercase());
    fake.state().orders.extend([
        FakeOrder { order: 2001, comment: comment.clone(), ..made(EXECUTED, "", "") },
        FakeOrder { order: 2002, comment, ..made(EXECUTED, "desk", "") },
        FakeOrder { order: 2003, ..made(EXECUTED, "desk", key.as_str()) },
        // Neither executed nor a key.
        FakeOrder { order: 2004, ..made(PENDING, "desk", key.as_str()) },
        FakeOrder { order: 2005, comment: format!("x{key} 12345"), ..made(EXECUTED, "desk", "") },
    ]);
    let page = running.server.postings(Box::default(), 10).await.unwrap();
    let all = page.postings.into_iter().chain(page.named);
    let mut listed: Vec<_> = all.map(|found| (found.outcome, found.key)).collect();
    listed.sort_by_key(|(outcome, _)| format!("{outcome:?}"));
    assert_eq!(listed, [1001, 2001, 2002, 2003].map(|number| (PostingOutcome::posted(number), key.clone())));
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_look_up_has_no_answer_ends_no_list_and_a_platform_that_answers_nothing_does() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    for ordinal in 1..=2 {
        settle(&running.server, &mut posting(ordinal, 100, MINOR), false).await;
    }
    let listed = async || {
        let page = running.server.postings(Box::default(), 10).await?;
        Ok::<_, Fault>(page.postings.into_iter().map(|found| found.amount.minor).collect::<Vec<_>>())
    };
    // As who reads a list: a page is asked for again.
    let read = async || {
        for _ in 0..5 {
            if let Ok(found) = listed().await {
                return found;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        Vec::new()
    };
    let fails = |times, manner| (0..times).for_each(|_| fake.state().script.push_back(("GetAccountByLogin", manner)));
    for manner in [Manner::NeverAnswers, Manner::Loses, Manner::Refuses(504, "SYNC_TIMEOUT")] {
        fails(1, manner);
        assert_eq!(read().await, [MINOR; 2], "{manner:?}");
        fails(2, manner);
        assert_eq!(read().await, [0; 2], "{manner:?}");
        assert_eq!(read().await, [MINOR; 2], "{manner:?}: it is not remembered");
    }
    // One that is too busy says nothing of any account.
    fails(4, Manner::Refuses(429, "OFTEN"));
    listed().await.unwrap_err();
    fails(4, Manner::Refuses(429, "OFTEN"));
    assert_eq!(read().await, [MINOR; 2]);
    fake.state().is_down = true;
    fails(9, Manner::ClosesBefore);
    listed().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn each_account_of_a_list_is_read_once_and_anew_for_the_next_list() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    for ordinal in 1..=6 {
        settle(&running.server, &mut posting(ordinal, 100, MINOR), false).await;
    }
    let read = || fake.state().received["GetAccountByLogin"];
    for _ in 0..2 {
        let (before, mut after) = (read(), Box::default());
        loop {
            after = running.server.postings(after, 2).await.unwrap().next;
            if after.is_empty() {
                break;
            }
        }
        assert_eq!(read() - before, 1);
    }
}

fn number_of(outcome: &PostingOutcome) -> u64 {
    match outcome {
        PostingOutcome::Posted { trade_order, .. } => *trade_order,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn many_orders_that_changed_at_one_time_are_all_listed() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let key = posting(1, 100, MINOR).key();
    let before = [1, 2].map(|order| FakeOrder { order, updated: 10, ..made(EXECUTED, "cashier", key.as_str()) });
    let batch = (3..=1500).map(|order| FakeOrder { order, updated: 20, ..made(EXECUTED, "cashier", key.as_str()) });
    fake.state().orders = before.into_iter().chain(batch).collect();
    let (mut numbers, mut after) = (Vec::new(), Box::default());
    loop {
        let page = running.server.postings(after, 100).await.unwrap();
        numbers.extend(page.postings.iter().map(|found| number_of(&found.outcome)));
        after = page.next;
        if after.is_empty() {
            break;
        }
    }
    assert_eq!(numbers, (1..=1500).collect::<Vec<u64>>());
}

/// So many orders of one key, each a second later than the one before.
fn sorted(fake: &FakePlatform, count: u64) {
    let key = posting(1, 100, MINOR).key();
    let made = |order| FakeOrder { order, updated: 10 + order, ..made(EXECUTED, "cashier", key.as_str()) };
    fake.state().orders = (1..=count).map(made).collect();
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_sorted_is_a_fault() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    sorted(&fake, 20);
    fake.state().states_row = Some(|order, row| row[9] = json!(10_000 - order.order));
    let fault = running.server.postings(Box::default(), 1000).await.unwrap_err();
    assert!(fault.what.contains("not listed by update_time"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_changes_while_it_is_listed_hides_no_other() {
    // Conditions are understood, or not.
    for ignores_conditions in [false, true] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(Two));
        sorted(&fake, 1200);
        fake.state().ignores_conditions = ignores_conditions;
        if !ignores_conditions {
            // The first page changes one of its own, which moves to the end.
            let change = |state: &mut FakeState| state.orders[0].updated = 9_000;
            fake.state().script.push_back(("MngGetTradesByFilter", Manner::Then(change)));
        }
        let page = running.server.postings(Box::default(), 2000).await.unwrap();
        let mut numbers: Vec<u64> = page.postings.iter().map(|found| number_of(&found.outcome)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!((numbers, page.next), ((1..=1200).collect::<Vec<u64>>(), "".into()), "{ignores_conditions}");
    }
}
