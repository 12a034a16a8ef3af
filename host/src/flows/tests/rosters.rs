//! Rosters that are imported while money moves: what was judged before a posting is judged again at it, accounts with orders
//! under way keep what the orders were taken under, and each change is recorded before it is in force.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::account::AccountMode;
use cashier_core::change::{AuditRecord, Body};
use cashier_core::duty::{CLOSED_QUERY_SECONDS, ENDING_SECONDS};
use cashier_core::edit::AuditedValue;
use cashier_core::facts::PersonFact;
use cashier_core::ids::{ConfigId, CustomerId, ManagerId, Reference};
use cashier_core::notice::Update;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{ManagerSession, Role};
use cashier_core::status::{OperationStatus, ProviderStatus};
use cashier_core::time::UnixTime;

use crate::flows::roster::{CHANGES_RECORDED_MAX, RosterRequest, RosterResult, apply};
use crate::test_cashier::{AMOUNT, LOGIN, OnPost, TestCashier, config, context, lock, paid, update};
use crate::trading::import::import_text;

const OTHER: &str = r#"{"customer_id": 6, "country": "DE", "brand": "ion4", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1}"#;

fn group(currency: &str, mode: u8) -> String {
    format!(
        r#"{{"groups": [{{"group": "real", "brand": "ion4", "currency": "{currency}", "account_mode": {mode}, "enable": 1}}]}}"#
    )
}

fn owner(customer: u64) -> String {
    format!(
        r#"{{"customers": [{OTHER}], "accounts": [{{"login": 2000009, "customer_id": {customer}, "group": "real", "enable": 1}}]}}"#
    )
}

async fn import(env: &TestCashier, roster: &str) -> Result<RosterResult, Refusal> {
    let session = ManagerSession::assertion(ManagerId(3), Role::Admin, None);
    let request = RosterRequest { session, command: "test", text: roster.into(), context: context() };
    apply(&env.cashier, request).await
}

const DAY: u64 = 86_400;

fn in_review(reference: &Reference) -> Update {
    Update { reference: Some(reference.clone()), ..update("e1", ProviderStatus::InReview) }
}

/// The one mistake that names an account with an order under way.
async fn held(env: &TestCashier, roster: &str) -> String {
    let mut mistakes = import(env, roster).await.unwrap().unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes.swap_remove(0).what
}

/// As by a command on the stopped server: nothing asks which orders are under way.
fn import_unasked(env: &TestCashier, roster: &str) {
    let trading = env.trading.bases.get().unwrap().trading();
    std::thread::scope(|scope| scope.spawn(|| import_text(roster, &trading).map(drop).unwrap()).join()).unwrap();
}

fn account_owner(env: &TestCashier) -> (CustomerId, AccountMode) {
    let facts = env.trading.bases.get().unwrap().trading().durable_account(LOGIN).unwrap().unwrap();
    (facts.account.customer_id, facts.group.account_mode)
}

/// Outcome and changes of each audit record.
fn records(env: &TestCashier) -> Vec<(&'static str, Vec<String>)> {
    let clear = |value: &AuditedValue| match value {
        AuditedValue::Clear(text) => text.to_string(),
        AuditedValue::Hidden(_) => panic!("a roster has no secrets"),
    };
    let records = env.disk.bodies().into_iter().filter_map(|body| match body {
        Body::Audit(record) => Some(record),
        _ => None,
    });
    let line = |change: &cashier_core::edit::FieldChange| {
        format!("{}: {} -> {}", change.field, clear(&change.before), clear(&change.after))
    };
    let outcome = |record: &AuditRecord| if let Cow::Borrowed(outcome) = record.outcome { outcome } else { "made" };
    records.map(|record| (outcome(&record), record.changes.iter().map(line).collect())).collect()
}

#[tokio::test(start_paused = true)]
async fn i16_sandbox_money_is_not_posted_where_the_group_turned_real_after_the_look_up() {
    let env = TestCashier::with_bases_and_rows(vec![ProviderConfig { sandbox: true, ..config(1) }]).await;
    import_unasked(&env, &group("USD", 0));
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.trading.next_posts).push_back(OnPost::Slow(5));
    let notice = tokio::spawn(env.notice(Some(1), vec![paid("e1", &transaction.reference)]));
    env.run_for(1).await;
    assert_eq!(env.unsettled_operations(transaction.id), 1, "the account was looked up, the posting is on its way");
    import_unasked(&env, &group("USD", 1));
    env.run_for(30).await;
    notice.await.unwrap().unwrap();
    let operation = env.aggregate(transaction.id).operations.pop().unwrap();
    assert_eq!((operation.status, &*operation.failure_reason), (OperationStatus::Refused, "SANDBOX_ON_REAL_ACCOUNT"));
    assert_eq!((env.status(transaction.id), env.trading.postings()), (4, vec![]));
}

#[tokio::test(start_paused = true)]
async fn n8_an_account_with_an_order_under_way_keeps_its_owner_currency_and_mode() {
    let env = TestCashier::with_bases(&[1]).await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    for (field, roster) in [("customer_id", owner(6)), ("currency", group("EUR", 1)), ("account_mode", group("USD", 0))]
    {
        let mistakes = import(&env, &roster).await.unwrap().unwrap_err();
        let expected = format!("{field} of account 2000009 cannot change while transaction {} ", transaction.id);
        assert!(mistakes.len() == 1 && mistakes[0].what.starts_with(&expected), "{field}: {mistakes:?}");
    }
    assert_eq!((account_owner(&env), records(&env)), ((CustomerId(5), AccountMode::Real), vec![]), "nothing of it");
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!(env.trading.postings().iter().map(|(.., minor)| *minor).collect::<Vec<_>>(), [AMOUNT]);
    assert!(import(&env, &owner(6)).await.unwrap().is_ok(), "the order is settled");
    assert_eq!(account_owner(&env).0, CustomerId(6));
}

#[tokio::test(start_paused = true)]
async fn n8_an_order_that_a_roster_withholds_a_credit_from_is_credited_once_the_roster_is_put_back() {
    let env = TestCashier::with_bases(&[1]).await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    import_unasked(&env, &owner(6));
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!(env.status(transaction.id), 4, "OWNER_MISMATCH waits for a person");
    assert!(import(&env, &owner(5)).await.unwrap().is_ok(), "what waits for a person holds no account");
    env.decide(transaction.id, PersonFact::Retried).await;
    env.run_for(60).await;
    assert_eq!(env.trading.postings().iter().map(|(.., minor)| *minor).collect::<Vec<_>>(), [AMOUNT]);
}

#[tokio::test(start_paused = true)]
async fn b5_an_order_whose_module_is_gone_holds_its_account_until_its_end_and_is_recorded_from_then_on() {
    let mut env = TestCashier::with_bases(&[1]).await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.provider.not_loaded).push(ConfigId(1));
    env.crash().await;
    let end = transaction.expires_time.plus(ENDING_SECONDS);
    let expected = format!(
        "customer_id of account 2000009 cannot change while transaction {} is not settled: it holds the account until it is \
         paid or has ended, at most until {end}",
        transaction.id
    );
    assert_eq!(held(&env, &owner(6)).await, expected);
    env.clock.jump(30 * DAY as i64);
    env.run_for(70).await;
    assert!(held(&env, &owner(6)).await.ends_with("or the clock is plausible again"), "nothing is over");
    env.clock.set_right();
    env.run_for(DAY).await;
    assert_eq!(env.status(transaction.id), 1, "nobody can be asked about it");
    assert_eq!(held(&env, &owner(6)).await, expected, "it has expired, and its last query may yet be answered");
    env.run_for(ENDING_SECONDS as u64).await;
    assert!(import(&env, &owner(6)).await.unwrap().is_ok());
    let (outcome, changes) = &records(&env)[0];
    assert_eq!(*outcome, "to be applied");
    assert_eq!(changes.last(), Some(&format!("transactions not settled:  -> {}", transaction.id)));
    for (field, roster) in [("currency", group("EUR", 1)), ("account_mode", group("EUR", 0))] {
        assert!(import(&env, &roster).await.unwrap().is_ok(), "{field}");
    }

    // Paid all the same: it is not credited under what it was not ordered under.
    lock(&env.provider.not_loaded).clear();
    env.run_for(70).await;
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(transaction.id), env.trading.postings()), (4, vec![]));
    assert!(import(&env, &owner(5)).await.unwrap().is_ok(), "what waits for a person holds nothing");
    assert_eq!(
        records(&env).iter().filter(|(_, changes)| changes.iter().any(|one| one.contains("not settled"))).count(),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn b5_an_order_that_its_provider_reviews_holds_its_account_and_is_credited_as_it_was_ordered() {
    let env = TestCashier::with_bases(&[1]).await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.notice(Some(1), vec![in_review(&transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!(env.status(transaction.id), 9);
    for roster in [owner(6), group("USD", 0), group("EUR", 1)] {
        assert!(
            held(&env, &roster).await.contains("it holds the account until it is paid or has ended, at most until ")
        );
    }
    env.notice(Some(1), vec![paid("e2", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!(env.status(transaction.id), 3);
    assert_eq!(env.trading.postings().iter().map(|(.., minor)| *minor).collect::<Vec<_>>(), [AMOUNT]);
    assert!(import(&env, &group("USD", 0)).await.unwrap().is_ok(), "it is settled");
}

#[tokio::test(start_paused = true)]
async fn b5_a_review_that_takes_longer_is_recorded_and_its_real_money_is_not_posted_where_the_group_became_demo() {
    let env = TestCashier::with_bases(&[1]).await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.notice(Some(1), vec![in_review(&transaction.reference)]).await.unwrap();
    env.clock.advance(Duration::from_secs(transaction.expires_time.0.abs_diff(transaction.created_time.0) + 2 * DAY));
    env.run_for(5).await;
    assert_eq!(env.status(transaction.id), 9);
    assert!(import(&env, &group("USD", 0)).await.unwrap().is_ok());
    assert_eq!(records(&env)[0].1.last(), Some(&format!("transactions not settled:  -> {}", transaction.id)));
    env.notice(Some(1), vec![paid("e2", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    let operation = env.aggregate(transaction.id).operations.pop().unwrap();
    assert_eq!((operation.status, &*operation.failure_reason), (OperationStatus::Refused, "LIVE_ON_DEMO_ACCOUNT"));
    assert_eq!((env.status(transaction.id), env.trading.postings()), (4, vec![]));
    assert!(import(&env, &group("USD", 1)).await.unwrap().is_ok(), "what waits for a person holds nothing");
    env.decide(transaction.id, PersonFact::Retried).await;
    env.run_for(60).await;
    assert_eq!(env.trading.postings().iter().map(|(.., minor)| *minor).collect::<Vec<_>>(), [AMOUNT]);
}

#[tokio::test(start_paused = true)]
async fn b5_an_order_without_an_expiry_holds_its_account_for_the_longest_expiry() {
    let env = TestCashier::with_bases(&[1]).await;
    env.provider.expiry_seconds.store(0, Ordering::SeqCst);
    let transaction = env.deposit("k").await.unwrap().transaction;
    assert_eq!(transaction.expires_time, UnixTime::UNSET);
    env.clock.advance(Duration::from_secs(CLOSED_QUERY_SECONDS as u64 - 100));
    env.run_for(10).await;
    let end = transaction.created_time.plus(CLOSED_QUERY_SECONDS);
    assert!(held(&env, &owner(6)).await.ends_with(&format!("at most until {end}")));
    env.run_for(100).await;
    assert!(import(&env, &owner(6)).await.unwrap().is_ok());
    assert_eq!((env.status(transaction.id), account_owner(&env).0), (1, CustomerId(6)));
}

#[tokio::test(start_paused = true)]
async fn b5_an_order_that_comes_while_a_roster_is_recorded_holds_its_account() {
    let env = TestCashier::with_bases(&[1]).await;
    env.disk.held.store(true, Ordering::SeqCst);
    let session = ManagerSession::assertion(ManagerId(3), Role::Admin, None);
    let request = RosterRequest { session, command: "test", text: owner(6).into(), context: context() };
    let cashier = std::sync::Arc::clone(&env.cashier);
    let importing = tokio::spawn(async move { apply(&cashier, request).await });
    env.run_for(1).await;
    let deposit = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    env.disk.held.store(false, Ordering::SeqCst);
    let transaction = deposit.await.unwrap().unwrap().transaction;
    let mistakes = importing.await.unwrap().unwrap().unwrap_err();
    let expected = format!("customer_id of account 2000009 cannot change while transaction {} ", transaction.id);
    assert!(mistakes.len() == 1 && mistakes[0].what.starts_with(&expected), "{mistakes:?}");
    let recorded = records(&env);
    assert_eq!(recorded.iter().map(|(outcome, _)| *outcome).collect::<Vec<_>>(), ["to be applied", "not applied"]);
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(transaction.id), account_owner(&env).0), (3, CustomerId(5)));
}

#[tokio::test(start_paused = true)]
async fn m14_what_a_roster_changes_is_recorded_field_by_field_before_it_is_in_force() {
    let env = TestCashier::with_bases(&[1]).await;
    env.disk.fail_in.store(1, Ordering::SeqCst);
    let refused = import(&env, &owner(6)).await.unwrap_err();
    assert_eq!((refused.code, account_owner(&env).0), (RefusalCode::StorageUnavailable, CustomerId(5)));
    env.run_for(10).await;
    assert_eq!(records(&env), [], "neither record nor change");

    // The outcome is lost, not what was done.
    env.disk.fail_in.store(2, Ordering::SeqCst);
    assert!(import(&env, &owner(6)).await.unwrap().is_ok());
    assert_eq!(account_owner(&env).0, CustomerId(6));
    env.run_for(10).await;
    let customer =
        "customer 6:  -> country DE, brand ion4, status 0, deposit_allowed 1, withdrawal_allowed 1".to_owned();
    let moved = "account 2000009 customer_id: 5 -> 6".to_owned();
    assert_eq!(records(&env), [("to be applied", vec![customer, moved])]);
    assert!(import(&env, &owner(6)).await.unwrap().is_ok());
    assert_eq!(records(&env).len(), 1, "rows that do not change are no record");

    assert!(import(&env, &owner(5)).await.unwrap().is_ok());
    let back = vec!["account 2000009 customer_id: 6 -> 5".to_owned()];
    let counts = vec!["accounts:  -> 0 added, 1 updated, 0 unchanged".to_owned()];
    assert_eq!(records(&env)[1..], [("to be applied", back), ("applied", counts)]);
}

#[tokio::test(start_paused = true)]
async fn m14_a_long_roster_is_recorded_by_its_first_changes_and_its_hash() {
    let env = TestCashier::with_bases(&[1]).await;
    let customers: Vec<String> = (100..400).map(|id| OTHER.replace(": 6,", &format!(": {id},"))).collect();
    assert!(import(&env, &format!(r#"{{"customers": [{}]}}"#, customers.join(","))).await.unwrap().is_ok());
    let (outcome, changes) = records(&env).swap_remove(0);
    assert_eq!((outcome, changes.len()), ("to be applied", CHANGES_RECORDED_MAX + 1));
    let rest = changes.last().unwrap();
    assert!(rest.starts_with("further changes:  -> 44, of the roster whose SHA-256 is "), "{rest}");
}
