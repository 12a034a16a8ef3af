//! Orders that are there and are not what was expected: open ones, ones of other values, ones that a person made, answers about
//! something else, and pages that do not hold together. None of them lets a posting be made a second time.

use std::time::Duration;

use cashier_core::ids::Login;
use cashier_core::operation::PostingOutcome;
use cashier_core::status::OperationStatus;
use cashier_core::time::UnixTime;
use cashier_fake_platform::{DECLINED, EXECUTED, FakeOrder, FakePlatform, FakeState, Manner, StatesAmount, decimal};
use serde_json::{Value, json};

use super::flow::{MINOR, deposit, opened, posting, settings, settle, settle_for_long};
use super::special::{prepared, refused, void};
use crate::ports::{Durable, Voiding};
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::platform::PlatformSettings;
use crate::trading::remote::RemoteServer;

const TRADES: &str = "MngGetTradesByFilter";

/// An order of the deposit's key as somebody made it.
pub(super) fn made(state: i64, source: &str, uuid: &str) -> FakeOrder {
    let comment = format!("{} by hand", deposit().key());
    let (source, uuid) = (source.to_owned(), uuid.to_owned());
    FakeOrder { order: 900, login: 100, cmd: 6, state, amount: MINOR, comment, source, uuid, gw_order: 0, updated: 0 }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_open_is_never_confirmed_absent() {
    for state in [10, 17, 99] {
        let fake = FakePlatform::new();
        fake.script(&[("BalanceInSync", Manner::NeverAnswers)]);
        let running = opened(&fake, settings(One));
        let mut due = deposit();
        assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown));
        fake.state().orders[0].state = state;
        fake.restart(true);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let voided = void(&running.server, &due).await;
        let expected = "finance order 1001 is still open at the trading server";
        assert!(voided.as_ref().is_err_and(|why| why.contains(expected)), "{state}: {voided:?}");
        fake.state().orders.clear();
        let voided = void(&running.server, &due).await;
        assert!(matches!(voided, Ok(Voiding::Undecided { closed_for: Some(_) })), "{state}: {voided:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_request_is_looked_at_in_one_phase_too() {
    let fake = FakePlatform::new();
    let mut due = deposit();
    prepared(&opened(&fake, settings(Two)).server, &mut due).await;
    due.operation.status = OperationStatus::Unknown;
    {
        let order = &mut fake.state().orders[0];
        (order.login, order.comment, order.uuid) = (102, "Finance".to_owned(), String::new());
    }
    let running = opened(&fake, settings(One));
    assert_eq!(running.server.find(&due).await, Ok(Some(PostingOutcome::Unknown)));
    let voided = void(&running.server, &due).await;
    assert!(voided.as_ref().is_err_and(|why| why.contains("finance order 1001 is still open")), "{voided:?}");
}

#[tokio::test(start_paused = true)]
async fn a_posting_that_is_not_written_yet_counts_as_open() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(One));
    let due = deposit();
    fake.script(&[("GetAccountByLogin", Manner::AnswersLate(4_000))]);
    let later = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        void(&running.server, &due).await
    };
    let (_, voided) = tokio::join!(running.server.post(Durable::assertion(due.clone())), later);
    assert_eq!(voided, Ok(Voiding::Undecided { closed_for: None }));
}

#[tokio::test(start_paused = true)]
async fn in_two_phases_what_an_open_connection_carried_is_open() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    // Planned long before this connection began.
    due.operation.created_time = UnixTime(1_779_000_000);
    prepared(&running.server, &mut due).await;
    fake.state().orders.clear();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(void(&running.server, &due).await, Ok(Voiding::Undecided { closed_for: None }));
    fake.restart(true);
    tokio::time::sleep(Duration::from_secs(90)).await;
    let Ok(Voiding::Undecided { closed_for: Some(closed) }) = void(&running.server, &due).await else {
        panic!("a person may not decide")
    };
    // Closed because it was asked for, within 20 s; it was not the one that the restart cut.
    assert!((70..=90).contains(&closed.as_secs()), "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_executed_order_of_the_key_with_other_values_is_unknown_and_named() {
    for phases in [Two, One] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(phases));
        settle(&running.server, &mut posting(1, 100, 100), false).await;
        let outcome = settle(&running.server, &mut deposit(), false).await;
        assert_eq!((outcome, fake.balance(100)), (Some(PostingOutcome::Unknown), 100), "{phases:?}");
        let problem = running.server.health().unwrap_err().what;
        assert!(problem.contains("finance order 1001"), "{phases:?}: {problem}");
        fake.state().orders[0].amount = MINOR;
        let outcome = settle(&running.server, &mut deposit(), false).await;
        assert_eq!((outcome, running.server.health()), (Some(PostingOutcome::posted(1001)), Ok(())), "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_amount_that_cannot_be_read_exactly_is_a_fault() {
    let table: [StatesAmount; 4] = [
        |_| (json!(0), Value::Null),
        |_| (Value::Null, Value::Null),
        |_| (json!("much"), json!(0)),
        |_| (serde_json::from_str("250.505").unwrap(), Value::Null),
    ];
    for (at, states_amount) in table.into_iter().enumerate() {
        for phases in [Two, One] {
            let fake = FakePlatform::new();
            let running = opened(&fake, settings(phases));
            settle(&running.server, &mut deposit(), false).await;
            fake.state().states_amount = Some(states_amount);
            let found = running.server.find(&deposit()).await;
            assert!(found.as_ref().is_err_and(|fault| fault.what.contains("finance order 1001")), "{at}: {found:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_declined_order_without_an_amount_is_a_refusal_and_holds_up_nothing() {
    let table: [StatesAmount; 3] = [
        |order| (if order.state == DECLINED { json!(0) } else { decimal(order.amount) }, Value::Null),
        |order| (if order.state == DECLINED { json!(0) } else { decimal(order.amount) }, json!("0.00")),
        |order| (if order.state == DECLINED { Value::Null } else { decimal(order.amount) }, Value::Null),
    ];
    for (at, states_amount) in table.into_iter().enumerate() {
        let fake = FakePlatform::new();
        fake.state().states_amount = Some(states_amount);
        let running = opened(&fake, settings(Two));
        let mut due = deposit();
        prepared(&running.server, &mut due).await;
        assert_eq!(settle(&running.server, &mut due, true).await, refused("WITHHELD"), "{at}");
        assert_eq!(running.server.find(&due).await, Ok(refused("WITHHELD")), "{at}");
        // In one phase it is none of the posting's either.
        let running = opened(&fake, settings(One));
        assert_eq!(running.server.find(&due).await, Ok(refused("WITHHELD")), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_amount_is_read_where_the_platform_states_it() {
    let table: [StatesAmount; 3] = [
        // Nothing was earned while it is pending.
        |order| (if order.state == EXECUTED { decimal(order.amount) } else { json!(0) }, decimal(order.amount)),
        |order| (Value::Null, decimal(order.amount.abs())),
        |order| (decimal(order.amount.abs()), Value::Null),
    ];
    for (at, states_amount) in table.into_iter().enumerate() {
        let fake = FakePlatform::new();
        fake.state().states_amount = Some(states_amount);
        fake.state().accounts.get_mut(&100).unwrap().balance = 2 * MINOR;
        let running = opened(&fake, settings(Two));
        for mut due in [deposit(), posting(2, 100, -MINOR)] {
            let outcome = settle(&running.server, &mut due, false).await;
            assert!(matches!(outcome, Some(PostingOutcome::Posted { flaw: None, .. })), "{at}: {outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_found_by_its_comment_beside_a_strange_uuid_and_a_strange_source() {
    for (phases, source, uuid) in
        [(One, "", "7f"), (Two, "", "7f"), (Two, "", ""), (One, "desk", "7f"), (Two, "desk", "7f"), (Two, "desk", "")]
    {
        let fake = FakePlatform::new();
        let another = FakeOrder { order: 899, comment: "Finance".into(), ..made(EXECUTED, "desk", "7e") };
        fake.state().orders = vec![another, made(EXECUTED, source, uuid)];
        let running = opened(&fake, settings(phases));
        let outcome = settle(&running.server, &mut deposit(), false).await;
        assert_eq!(outcome, Some(PostingOutcome::posted(900)), "{phases:?} {source:?} {uuid:?}");
        assert_eq!(fake.state().orders.len(), 2, "{phases:?} {source:?} {uuid:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_person_made_with_our_key_is_neither_recorded_nor_approved() {
    let key = deposit().key().to_string();
    for (source, uuid) in [("", ""), ("cashier", ""), ("", &*key), ("desk", ""), ("desk", "7f")] {
        let fake = FakePlatform::new();
        fake.state().orders = vec![made(17, source, uuid)];
        let running = opened(&fake, settings(Two));
        let mut due = deposit();
        assert_eq!(
            settle_for_long(&running.server, &mut due).await,
            Some(PostingOutcome::Unknown),
            "{source:?} {uuid:?}"
        );
        assert_eq!(
            (due.operation.request_order, fake.in_state(17), fake.balance(100)),
            (0, 1, 0),
            "{source:?} {uuid:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_operation_is_not_taken_as_posted() {
    let table: [fn(&mut Value); 4] = [
        |answer| answer["login"] = json!(102),
        |answer| answer["cmd"] = json!(8),
        |answer| answer["profit"] = json!(1),
        |answer| answer["comment"] = json!("Finance"),
    ];
    for (at, change) in table.into_iter().enumerate() {
        let fake = FakePlatform::new();
        fake.state().states_answer = Some(change);
        let running = opened(&fake, settings(One));
        let mut due = deposit();
        assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown), "{at}");
        assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::posted(1001)), "{at}");
        assert_eq!((fake.received("BalanceInSync"), fake.balance(100)), (1, MINOR), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_page_is_read_also_where_count_is_that_of_the_page() {
    let fake = FakePlatform::new();
    fake.state().page_rows = Some(100);
    fake.state().others_trade(300);
    let running = opened(&fake, PlatformSettings { search: None, ..settings(Two) });
    settle(&running.server, &mut deposit(), false).await;
    assert_eq!(running.server.find(&deposit()).await, Ok(Some(PostingOutcome::posted(1301))));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_shrinks_between_two_pages_is_read_again_and_then_a_fault() {
    fn shrink(state: &mut FakeState) {
        state.orders.remove(0);
    }
    for shrinks in [1, 2] {
        let fake = FakePlatform::new();
        fake.state().others_trade(500);
        fake.state().orders.push(made(EXECUTED, "", ""));
        fake.state().others_trade(100);
        let running = opened(&fake, PlatformSettings { search: None, ..settings(Two) });
        let mut script = vec![(TRADES, Manner::Then(shrink))];
        if shrinks == 2 {
            fake.state().orders.insert(0, FakeOrder { order: 1, ..made(EXECUTED, "desk", "") });
            script.extend([(TRADES, Manner::Well), (TRADES, Manner::Then(shrink))]);
        }
        fake.script(&script);
        let found = running.server.find(&deposit()).await;
        match shrinks {
            1 => assert_eq!(found, Ok(Some(PostingOutcome::posted(900)))),
            _ => assert!(found.as_ref().is_err_and(|fault| fault.what.contains("changed while")), "{found:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_data_is_no_missing_account_unless_the_settings_say_so() {
    let fake = FakePlatform::new();
    fake.state().answers_nothing = true;
    let running = opened(&fake, settings(Two));
    assert!(running.server.account(Login(100)).await.is_err());
    let outcome = settle(&running.server, &mut deposit(), false).await;
    assert_eq!(outcome, Some(PostingOutcome::Unknown), "it is not refused");
    let running = opened(&fake, PlatformSettings { missing_account: vec!["200".into()], ..settings(Two) });
    assert_eq!(running.server.account(Login(100)).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_refused_is_shown_and_holds_up_no_posting() {
    let fake = FakePlatform::new();
    fake.script(&[("GetGroups", Manner::Refuses(403, "NO_RIGHTS")); 3]);
    let running = opened(&fake, settings(One));
    for _ in 0..3 {
        assert!(running.server.groups().await.is_err());
    }
    assert!(running.server.health().unwrap_err().what.contains("refuses GetGroups: NO_RIGHTS"));
    assert_eq!(running.server.reaches(), Ok(()));
    fake.restart(true);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(running.server.health(), Ok(()), "another session may have other rights");
    fake.state().is_down = true;
    fake.restart(true);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(running.server.reaches().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_holds_up_neither_the_list_nor_a_posting_of_others() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(One));
    for ordinal in [1, 2] {
        settle(&running.server, &mut posting(ordinal, 100, MINOR), false).await;
    }
    let gone = posting(7, 555, MINOR).key();
    fake.state().orders.extend([
        FakeOrder { order: 898, comment: "Finance".into(), ..made(EXECUTED, "", "") },
        FakeOrder { order: 899, comment: "x".into(), ..made(EXECUTED, "desk", "") },
        FakeOrder { login: 555, comment: format!("{gone} x"), ..made(EXECUTED, "cashier", gone.as_str()) },
    ]);
    fake.state().states_row = Some(|order, row| {
        if order.order < 900 {
            row[4] = json!("odd");
        }
    });
    let page = running.server.postings(Box::default(), 10).await.unwrap();
    let listed = page.postings.iter().map(|found| (found.ordinal(), found.amount.minor));
    assert_eq!(listed.collect::<Vec<_>>(), [(7, 0), (1, MINOR), (2, MINOR)]);
    let outcome = settle(&running.server, &mut posting(3, 100, MINOR), false).await;
    assert!(matches!(outcome, Some(PostingOutcome::Posted { flaw: None, .. })), "{outcome:?}");
    // One that may be ours is never passed over.
    fake.state().states_row = Some(|_, row| row[4] = json!("odd"));
    let page = running.server.postings(Box::default(), 10).await.unwrap();
    assert_eq!(page.postings.iter().map(|found| found.amount.minor).collect::<Vec<_>>(), [0; 4]);
    assert!(running.server.find(&deposit()).await.is_err());
}
