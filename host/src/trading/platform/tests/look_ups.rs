//! Accounts, groups, customers, lists of postings and pushed changes, as the adapter reads them.

use std::sync::Arc;

use cashier_core::account::AccountMode;
use cashier_core::ids::{CustomerId, Login};
use cashier_core::operation::PostingOutcome;
use cashier_core::time::UnixTime;
use cashier_fake_platform::{EXECUTED, FakePlatform, Manner};

use super::flow::{MINOR, opened, posting, settings, settle};
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::platform::PlatformSettings;
use crate::trading::remote::{AccountChange, RemoteServer};

#[tokio::test(start_paused = true)]
async fn everything_about_a_login_is_read_and_no_password() {
    let fake = FakePlatform::new();
    fake.state().accounts.get_mut(&100).unwrap().balance = 1_234;
    let running = opened(&fake, settings(Two));
    let facts = running.server.account(Login(100)).await.unwrap().unwrap();
    assert_eq!(
        (facts.account.customer_id, facts.account.balance.minor, &*facts.customer.country),
        (CustomerId(5), 1_234, "DE")
    );
    assert_eq!(
        (&*facts.group.group, &*facts.group.brand, facts.group.account_mode),
        ("real", "ion4", AccountMode::Real)
    );
    assert!(facts.account_open() && facts.customer.is_active());
    assert!(!format!("{facts:?}").contains("CANARY"));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_missing_or_nobodys_is_none_and_any_other_error_a_fault() {
    let fake = FakePlatform::new();
    fake.state().accounts.get_mut(&102).unwrap().customer = 0;
    let running = opened(&fake, settings(Two));
    assert_eq!(running.server.account(Login(999)).await, Ok(None));
    assert_eq!(running.server.account(Login(102)).await, Ok(None));
    fake.script(&[("GetAccountByLogin", Manner::Refuses(404, "SOMETHING_ELSE"))]);
    let fault = running.server.account(Login(100)).await.unwrap_err();
    assert_eq!(fault.what, "the trading server answered SOMETHING_ELSE (code 404)");
}

#[tokio::test(start_paused = true)]
async fn without_the_command_of_customers_the_fault_names_the_setting() {
    let fake = FakePlatform::new();
    let running = opened(&fake, PlatformSettings { customers_command: None, ..settings(Two) });
    let fault = running.server.account(Login(100)).await.unwrap_err();
    assert!(fault.what.starts_with("customers_command is not set"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn groups_are_listed_and_one_that_cannot_be_read_is_left_out() {
    let fake = FakePlatform::new();
    fake.state().groups.insert("strange", ("XYZ", 1, true));
    fake.state().groups.insert("off", ("EUR", 0, false));
    let running = opened(&fake, settings(Two));
    let groups = running.server.groups().await.unwrap();
    let names: Vec<(&str, bool)> = groups.iter().map(|group| (&*group.group, group.enabled)).collect();
    assert_eq!(names, [("demo", true), ("off", false), ("real", true)]);
}

#[tokio::test(start_paused = true)]
async fn postings_are_listed_in_pages_with_what_the_orders_keep() {
    for phases in [Two, One] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(phases));
        for ordinal in 1..6 {
            settle(&running.server, &mut posting(ordinal, 100, MINOR), false).await;
        }
        settle(&running.server, &mut posting(6, 100, -100), false).await;
        settle(&running.server, &mut posting(7, 102, MINOR), false).await;
        let (mut after, mut found): (Box<str>, Vec<_>) = (Box::default(), Vec::new());
        loop {
            let page = running.server.postings(after, 2).await.unwrap();
            assert!(page.postings.len() <= 2);
            found.extend(page.postings);
            after = page.next;
            if after.is_empty() {
                break;
            }
        }
        let ordinals: Vec<u32> = found.iter().map(|found| found.ordinal()).collect();
        assert_eq!(ordinals, [1, 2, 3, 4, 5, 6], "{phases:?}: what was refused is not posted");
        let last = &found[5];
        assert_eq!(
            (last.transaction_id.0, last.amount.minor, last.customer_id),
            (9, -100, CustomerId(5)),
            "{phases:?}"
        );
        assert_eq!(last.reason, posting(6, 100, -100).operation.reason, "{phases:?}");
        assert!(matches!(last.outcome, PostingOutcome::Posted { flaw: None, .. }));
        assert!(running.server.postings("nonsense".into(), 2).await.is_err());
        // Of the fake's own time, in which each change is one later.
        let fourth = fake.state().orders.iter().filter(|order| order.state == EXECUTED).nth(3).unwrap().updated;
        let after = running.server.cursor_at(UnixTime(fourth as i64));
        let page = running.server.postings(after, 100).await.unwrap();
        assert_eq!(page.postings.iter().map(|found| found.ordinal()).collect::<Vec<_>>(), [4, 5, 6], "{phases:?}");
        assert!(page.next.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn pushed_events_are_changes_and_a_new_connection_is_a_change_of_everything() {
    let fake = FakePlatform::new();
    fake.script(&[("GetAccountByLogin", Manner::PushesFirst)]);
    let running = opened(&fake, settings(Two));
    let mut changes = running.server.changes().unwrap();
    running.server.account(Login(100)).await.unwrap();
    assert_eq!(changes.recv().await, Ok(AccountChange::Everything));
    assert_eq!(changes.recv().await, Ok(AccountChange::Login(Login(100))));
    fake.restart(true);
    assert_eq!(changes.recv().await, Ok(AccountChange::Everything));
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_be_used_open_nothing() {
    let fake = FakePlatform::new();
    let tasks = super::spawner();
    let settings = PlatformSettings { executed_states: vec![], ..settings(Two) };
    let dial = Arc::new(super::fake_dial::FakeDial(fake));
    let (clock, entropy) = (super::TokioClock::arc(), super::SeededEntropy::arc(1));
    let refused = crate::trading::platform::PlatformServer::over(dial, settings, clock, entropy, &*tasks);
    assert!(refused.err().unwrap().what.starts_with("executed_states must name"));
}
