//! The embedded trading server defends itself: outside edits, second writers, unreadable rows, a disk that cannot be
//! written. What it finds is reported and never overwritten, and the other accounts are served.

use std::time::{Duration, Instant};

use cashier_core::reason::ReasonCode;
use rusqlite::Connection;

use super::*;
use crate::ports::Voiding;

pub(super) fn other_program(folder: &TempDir) -> Connection {
    let other = Connection::open(folder.path().join("trading.db")).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    other
}

/// Waits until the server's readiness contains the text; an empty one stands for ready.
pub(super) fn until_ready_is(trading: &Embedded, text: &str) -> String {
    let began = Instant::now();
    loop {
        let state = trading.readiness().err().map(|fault| fault.to_string()).unwrap_or_default();
        if state.contains(text) && (!text.is_empty() || state.is_empty()) {
            return state;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "expected {text:?}, it is {state:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn stored_balance(other: &Connection, login: i64) -> i64 {
    other.query_row("SELECT balance_minor FROM account WHERE login = ?1", [login], |row| row.get(0)).unwrap()
}

/// Outside the runtime, because it blocks.
fn settle(trading: &Embedded, login: u64, put_back: bool) -> Option<String> {
    std::thread::scope(|scope| {
        let settled = scope.spawn(|| trading.settle_balance(Login(login), put_back)).join().unwrap();
        settled.unwrap().map(|balance| balance.to_string())
    })
}

#[tokio::test]
async fn m25_an_outside_edit_of_a_balance_is_reported_kept_and_waits_for_a_person() {
    let (folder, trading) = cashier();
    let other = other_program(&folder);
    other.execute("UPDATE account SET balance_minor = 999 WHERE login = 100", []).unwrap();
    // Found while idle, although no posting concerns the account.
    let sentence = until_ready_is(&trading, "account 100: the balance was changed from 100.5 USD to 9.99 USD");
    assert!(sentence.contains("cashier trading accept"), "{sentence}");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "unknown", "it stays due");
    assert!(trading.account(Login(100)).await.is_err());
    assert_eq!(post(&trading, posting(2, 103, 1, "BTC", OperationReason::Deposit)).await, "posted 1");
    assert_eq!(stored_balance(&other, 100), 999, "never overwritten");
    trading.close();

    let trading = Embedded::open(folder.path()).unwrap();
    until_ready_is(&trading, "account 100: the balance was changed from 100.5 USD to 9.99 USD");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "unknown", "a restart accepts nothing");
    assert_eq!(settle(&trading, 100, false).as_deref(), Some("9.99 USD"));
    until_ready_is(&trading, "");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 2");
    assert_eq!((balance(&trading, 100), stored_balance(&other, 100)), ("19.99 USD".into(), 1_999));
    assert_eq!(settle(&trading, 100, false), None, "nothing is contested any more");
}

#[tokio::test]
async fn m25_an_outside_edit_is_found_by_the_very_next_posting() {
    let (folder, trading) = cashier();
    let other = other_program(&folder);
    for (round, found) in [(1, 7), (2, 8), (3, 9)] {
        other.execute("UPDATE account SET balance_minor = ?1 WHERE login = 100", [found]).unwrap();
        assert_eq!(post(&trading, deposit(round, 1_000)).await, "unknown");
        assert_eq!(settle(&trading, 100, true).as_deref(), Some("100.5 USD"), "what was recorded is put back");
    }
    assert_eq!(stored_balance(&other, 100), 10_050);
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
}

#[tokio::test]
async fn m25_every_kind_of_outside_edit_is_found() {
    let table = [
        ("UPDATE account SET balance_minor = 5, recorded_minor = 5 WHERE login = 100", "from 100.5 USD to 0.05 USD"),
        ("UPDATE account SET recorded_minor = 5 WHERE login = 100", "from 0.05 USD to 100.5 USD"),
        ("DELETE FROM account WHERE login = 100", "account 100: the account was removed with a balance of 100.5 USD"),
        ("DELETE FROM account_group WHERE name = 'real\\USD'", "names group \"real\\\\USD\", which is not there"),
        ("UPDATE account_group SET exponent = 3 WHERE name = 'real\\USD'", "names group"),
        ("UPDATE account_group SET account_mode = 7 WHERE name = 'real\\USD'", "names group"),
        ("DELETE FROM customer WHERE customer_id = 5", "names customer 5, which is not there"),
    ];
    for (edit, expected) in table {
        let (folder, trading) = cashier();
        let other = other_program(&folder);
        assert_eq!(other.execute(edit, []).unwrap(), 1, "{edit}");
        assert_eq!(post(&trading, deposit(1, 1_000)).await, "unknown", "{edit}");
        until_ready_is(&trading, expected);
        let known = trading.outcome(&key(1)).await.unwrap();
        assert_eq!(known, None, "{edit}: not refused for good");
    }
}

#[tokio::test]
async fn m25_an_edit_that_was_taken_back_is_over() {
    let (folder, trading) = cashier();
    let other = other_program(&folder);
    other.execute("UPDATE account SET balance_minor = 1 WHERE login = 100", []).unwrap();
    until_ready_is(&trading, "account 100");
    other.execute("UPDATE account SET balance_minor = 10050 WHERE login = 100", []).unwrap();
    until_ready_is(&trading, "");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
}

#[tokio::test]
async fn m25_a_second_writer_stops_every_posting_until_a_restart_and_loses_none() {
    let (folder, trading) = cashier();
    let other = other_program(&folder);
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
    // As another cashier posts.
    other
        .execute_batch(
            "BEGIN IMMEDIATE; UPDATE account SET balance_minor = 20000, recorded_minor = 20000 WHERE login = 104;
             UPDATE counter SET value = value + 1; COMMIT",
        )
        .unwrap();
    assert_eq!(post(&trading, deposit(2, 1_000)).await, "unknown");
    until_ready_is(&trading, "another process writes trading.db");
    assert!(trading.outcome(&key(1)).await.is_err() && trading.account(Login(100)).await.is_err());
    trading.close();
    let trading = Embedded::open(folder.path()).unwrap();
    until_ready_is(&trading, "");
    assert_eq!(post(&trading, deposit(2, 1_000)).await, "posted 3");
    assert_eq!((balance(&trading, 100), balance(&trading, 104)), ("120.5 USD".into(), "200.0 USD".into()));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn m25_a_second_process_is_refused_although_the_lock_file_was_removed() {
    let (folder, trading) = cashier();
    std::fs::remove_file(folder.path().join("trading.lock")).unwrap();
    let refused = Embedded::open(folder.path()).err().unwrap().to_string();
    assert!(refused.contains("trading.db is in use by another process"), "{refused}");
    until_ready_is(&trading, "trading.lock was removed or replaced while in use");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "unknown");
}

#[cfg(unix)]
#[tokio::test]
async fn s10_a_database_that_was_moved_away_is_reported_and_nothing_is_posted_into_it() {
    let (folder, trading) = cashier();
    let (own, moved) = (folder.path().join("trading.db"), folder.path().join("moved.db"));
    std::fs::rename(&own, &moved).unwrap();
    until_ready_is(&trading, "trading.db was removed or replaced while in use");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "unknown");
    std::fs::rename(&moved, &own).unwrap();
    until_ready_is(&trading, "");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
}

#[tokio::test]
async fn s10_a_database_that_cannot_be_written_is_reported_until_a_write_succeeds() {
    let (folder, trading) = cashier();
    let other = other_program(&folder);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "unknown");
    until_ready_is(&trading, "the trading server cannot write: trading.db");
    other.execute_batch("ROLLBACK").unwrap();
    // Without a further posting.
    until_ready_is(&trading, "");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
}

#[tokio::test]
async fn s2_a_trading_database_that_another_program_holds_is_not_read_again() {
    let (folder, trading) = cashier();
    let other = other_program(&folder);
    let read = trading.published.durable.load_full().unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for key in 1..=3 {
        assert_eq!(post(&trading, deposit(key, 1_000)).await, "unknown");
        assert!(Arc::ptr_eq(&read, &trading.published.durable.load_full().unwrap()), "accounts are still known");
    }
    until_ready_is(&trading, "another program holds it");
    other.execute_batch("ROLLBACK").unwrap();
    until_ready_is(&trading, "");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
}

#[tokio::test]
async fn s10_a_thread_that_has_ended_is_reported() {
    let (_folder, trading) = cashier();
    until_ready_is(&trading, "");
    trading.close();
    until_ready_is(&trading, "the trading server's thread has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s11_an_unreadable_posting_row_fails_its_own_request_and_not_its_batch() {
    let edits = ["currency = '?'", "exponent = 9", "trade_order = -1", "login = -5"];
    for edit in edits {
        let (folder, trading) = cashier();
        assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
        other_program(&folder).execute(&format!("UPDATE posting SET {edit}"), []).unwrap();
        let trading = Arc::new(trading);
        let mut requests = tokio::task::JoinSet::new();
        for key in 1..=48 {
            let trading = Arc::clone(&trading);
            requests.spawn(async move { (key, post(&trading, deposit(key, 100)).await) });
        }
        for (key, outcome) in requests.join_all().await {
            assert_eq!(outcome == "unknown", key == 1, "{edit}: posting {key} is {outcome}");
        }
        assert!(trading.outcome(&key(1)).await.is_err(), "{edit}");
        assert_eq!(balance(&trading, 100), "157.5 USD", "{edit}");
        until_ready_is(&trading, "");
    }
}

#[tokio::test]
async fn m15_a_posting_is_known_by_its_key_whatever_became_of_its_account() {
    let edits = [
        "DELETE FROM account WHERE login = 100",
        "DELETE FROM account_group WHERE name = 'real\\USD'",
        "UPDATE account_group SET currency = 'EUR' WHERE name = 'real\\USD'",
        "UPDATE account SET customer_id = 6 WHERE login = 100",
        "UPDATE account SET enabled = 0, balance_minor = -5 WHERE login = 100",
    ];
    for edit in edits {
        let (folder, trading) = cashier();
        assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
        assert_eq!(other_program(&folder).execute(edit, []).unwrap(), 1, "{edit}");
        is_known(&trading, edit).await;
        trading.close();
        is_known(&Embedded::open(folder.path()).unwrap(), edit).await;
    }
}

/// Posting 1 was made, and neither sending it again nor voiding it changes that.
async fn is_known(trading: &Embedded, edit: &str) {
    assert_eq!(post(trading, deposit(1, 1_000)).await, "posted 1", "{edit}");
    let voided = trading.void(Durable::assertion(deposit(1, 1_000)), ReasonCode::AccountNotFound).await;
    assert_eq!(voided, Ok(Voiding::Settled(PostingOutcome::posted(1))), "{edit}");
}

#[tokio::test]
async fn m15_a_voided_key_is_refused_from_then_on_and_a_posted_one_stays_posted() {
    let (folder, trading) = cashier();
    let void = async |trading: &Embedded, posting: Posting, reason| match trading
        .void(Durable::assertion(posting), reason)
        .await
        .unwrap()
    {
        Voiding::Settled(outcome) => text(outcome),
        Voiding::Undecided { .. } => panic!("it can void"),
    };
    assert_eq!(void(&trading, deposit(1, 1_000), ReasonCode::Withheld).await, "WITHHELD");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "WITHHELD", "a late posting");
    assert_eq!(void(&trading, deposit(1, 1_000), ReasonCode::AccountNotFound).await, "WITHHELD", "the first one holds");
    assert_eq!(post(&trading, deposit(2, 1_000)).await, "posted 1");
    assert_eq!(void(&trading, deposit(2, 1_000), ReasonCode::Withheld).await, "posted 1");
    assert_eq!(void(&trading, deposit(2, 1_001), ReasonCode::Withheld).await, "conflict");
    // Of an account that is not there.
    let gone = posting(3, 999, 1, "USD", OperationReason::Deposit);
    assert_eq!(void(&trading, gone, ReasonCode::AccountNotFound).await, "ACCOUNT_NOT_FOUND");
    drop(trading);
    let trading = Embedded::open(folder.path()).unwrap();
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "WITHHELD");
    assert_eq!(balance(&trading, 100), "110.5 USD");
}

#[tokio::test]
async fn an_import_updates_a_contested_account_without_deciding_about_its_balance() {
    let (folder, trading) = cashier();
    trading.close();
    other_program(&folder).execute("UPDATE account SET balance_minor = 1 WHERE login = 100", []).unwrap();
    let trading = Embedded::open(folder.path()).unwrap();
    let changed = ROSTER.replace(r#""login": 100, "customer_id": 5"#, r#""login": 100, "customer_id": 6"#);
    std::thread::scope(|scope| scope.spawn(|| import_text(&changed, &trading).unwrap()).join()).unwrap();
    drop(trading);
    let trading = Embedded::open(folder.path()).unwrap();
    until_ready_is(&trading, "the balance was changed from 100.5 USD to 0.01 USD");
    assert_eq!(settle(&trading, 100, true).as_deref(), Some("100.5 USD"));
    assert_eq!(trading.durable_account(Login(100)).unwrap().unwrap().account.customer_id, CustomerId(6));
}

/// What an import of one account says, with what is known of it afterwards.
fn import_account(trading: &Embedded, row: &str) -> String {
    let text = format!("{{\"accounts\": [{row}]}}");
    let imported = std::thread::scope(|scope| scope.spawn(|| import_text(&text, trading)).join().unwrap());
    imported.map_or_else(|error| error.to_string(), |report| report.accounts.to_string())
}

#[tokio::test]
async fn n8_an_import_says_truly_what_it_did_to_an_account_that_is_contested() {
    let (folder, trading) = cashier();
    let other = other_program(&folder);
    let edits = "UPDATE account SET group_name = 'nowhere' WHERE login = 101; DELETE FROM account WHERE login = 105";
    other.execute_batch(edits).unwrap();
    until_ready_is(&trading, "others: 1");
    let row = |login| {
        format!("{{\"login\": {login}, \"customer_id\": 5, \"group\": \"real\\\\USD\", \"enable\": 0, \"balance\": 7}}")
    };
    assert_eq!(import_account(&trading, &row(101)), "0 added, 1 updated, 0 unchanged", "its row was there");
    assert!(trading.durable_account(Login(101)).is_err(), "and still cannot be read");
    assert!(import_account(&trading, &row(105)).contains("the account was removed with a balance of 0.0 USD"));

    // What may be put back is of the currency it was recorded in.
    other.execute("UPDATE account SET balance_minor = 0 WHERE login = 100", []).unwrap();
    until_ready_is(&trading, "account 100: the balance was changed from 100.5 USD to 0.0 USD");
    let moved = row(100).replace("real\\\\USD", "real\\\\BTC");
    assert!(import_account(&trading, &moved).contains("the balance of 0.0 USD cannot become BTC"));
    let group = ROSTER.replacen("\"USD\"", "\"EUR\"", 1);
    let group = std::thread::scope(|scope| scope.spawn(|| import_text(&group, &trading)).join().unwrap());
    assert!(group.unwrap_err().to_string().contains("account 100 holds 0.0 USD, which cannot become EUR"));
    assert_eq!(settle(&trading, 100, true).as_deref(), Some("100.5 USD"));
}

#[tokio::test]
async fn a_database_of_the_previous_release_opens_with_its_balances_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join("trading.db")).unwrap();
    old.execute_batch(include_str!("../schema/0001_trading.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO customer VALUES (5, 'DE', 'alpha', 0, 1, 1);
         INSERT INTO account_group VALUES ('real\\USD', 'alpha', 'USD', 2, 1, 1);
         INSERT INTO account VALUES (100, 5, 'real\\USD', 1, 10050);
         PRAGMA user_version = 1",
    )
    .unwrap();
    drop(old);
    let trading = Embedded::open(folder.path()).unwrap();
    until_ready_is(&trading, "");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
    assert_eq!(balance(&trading, 100), "110.5 USD");
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = Connection::open(folder.path().join("trading.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    let refused = Embedded::open(folder.path()).err().unwrap().to_string();
    assert!(
        refused.contains("its schema version is 99, and this program knows versions up to 5: start a newer program"),
        "{refused}"
    );
}
