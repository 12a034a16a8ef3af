//! The embedded trading server through its port: postings, keys, concurrency, crashes and locks.

use std::sync::Arc;

use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::ids::{CustomerId, Login, OperationId, Reference, ServerName, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{BalanceOperation, OperationKey, PostingOutcome};
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};
use cashier_core::time::UnixTime;
use tempfile::TempDir;

use super::embedded::{Embedded, RosterError};
use super::import::import_text;
use super::roster::{AccountEntry, Roster};
use crate::ports::{Durable, Posting, TradingServer};

mod currency;
mod defence;
mod import;
mod rates;

const ROSTER: &str = r#"{
  "groups": [
    {"group": "real\\USD", "brand": "alpha", "currency": "USD", "account_mode": 1, "enable": 1},
    {"group": "shut\\USD", "brand": "alpha", "currency": "USD", "account_mode": 1, "enable": 0},
    {"group": "real\\BTC", "brand": "alpha", "currency": "BTC", "account_mode": 1, "enable": 1}
  ],
  "customers": [
    {"customer_id": 5, "country": "DE", "brand": "alpha", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1},
    {"customer_id": 6, "country": "", "brand": "", "status": 2, "deposit_allowed": 0, "withdrawal_allowed": 0}
  ],
  "accounts": [
    {"login": 100, "customer_id": 5, "group": "real\\USD", "enable": 1, "balance": 100.5},
    {"login": 101, "customer_id": 5, "group": "real\\USD", "enable": 0, "balance": 100.50},
    {"login": 102, "customer_id": 5, "group": "shut\\USD", "enable": 1, "balance": 100},
    {"login": 103, "customer_id": 5, "group": "real\\BTC", "enable": 1, "balance": 0.00000003},
    {"login": 104, "customer_id": 6, "group": "real\\USD", "enable": 1, "balance": -20},
    {"login": 105, "customer_id": 6, "group": "real\\USD", "enable": 1}
  ]
}"#;

fn cashier() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let trading = Embedded::open(folder.path()).unwrap();
    // As the command line does, on a thread outside the runtime: waiting blocks.
    std::thread::scope(|scope| scope.spawn(|| import_text(ROSTER, &trading).unwrap()).join()).unwrap();
    (folder, trading)
}

fn posting(key: u64, login: u64, minor: i64, code: &str, reason: OperationReason) -> Posting {
    let cmd = if minor < 0 { OperationCmd::BalanceOut } else { OperationCmd::BalanceIn };
    let operation = BalanceOperation {
        id: OperationId(key),
        transaction_id: TransactionId(key + 1000),
        ordinal: 1,
        login: Login(login),
        trade_order: 0,
        request_order: 0,
        cmd,
        amount: Money::new(minor, Currency::from_code(code).unwrap()),
        reason,
        status: OperationStatus::Planned,
        failure_reason: Box::default(),
        created_time: UnixTime(1_700_000_000),
        updated_time: UnixTime(1_700_000_000),
    };
    let (reference, comment) = (reference(key), "deposit".into());
    Posting { operation, reference, server: ServerName::default(), customer_id: CustomerId(5), only_on: None, comment }
}

fn reference(key: u64) -> Reference {
    Reference::from_random(key.into())
}

/// The key of the first operation of [`reference`].
fn key(of: u64) -> OperationKey {
    OperationKey::read(&format!("{}:1", reference(of))).unwrap()
}

fn deposit(key: u64, minor: i64) -> Posting {
    posting(key, 100, minor, "USD", OperationReason::Deposit)
}

async fn post(trading: &Embedded, posting: Posting) -> String {
    text(trading.post(Durable::assertion(posting)).await.outcome())
}

fn text(outcome: PostingOutcome) -> String {
    match outcome {
        PostingOutcome::Posted { trade_order, .. } => format!("posted {trade_order}"),
        PostingOutcome::Refused { reason } => reason.into(),
        PostingOutcome::Conflict => "conflict".into(),
        PostingOutcome::Unknown => "unknown".into(),
    }
}

fn balance(trading: &Embedded, login: u64) -> String {
    let facts = trading.durable_account(Login(login)).unwrap().unwrap();
    facts.account.balance.to_string()
}

fn other(change: impl FnOnce(&mut Posting)) -> Posting {
    let mut posting = deposit(1, 1_000);
    change(&mut posting);
    posting
}

#[tokio::test]
async fn each_posting_moves_its_balance_or_is_refused_with_a_code() {
    use OperationReason::{Deposit, Reversal, Withdrawal};
    let table = [
        // login, minor, currency, reason           -> outcome,            balance after
        (100, 1, "USD", Deposit, "posted 1", "100.51 USD"),
        (100, -10_051, "USD", Withdrawal, "posted 2", "0.0 USD"),
        (100, -1, "USD", Withdrawal, "INSUFFICIENT_BALANCE", "0.0 USD"),
        (100, -1, "USD", Reversal, "INSUFFICIENT_BALANCE", "0.0 USD"),
        (100, 0, "USD", Deposit, "INVALID_AMOUNT", "0.0 USD"),
        (100, 5, "EUR", Deposit, "CURRENCY_MISMATCH", "0.0 USD"),
        (104, 5, "USD", Deposit, "OWNER_MISMATCH", "-20.0 USD"),
        (103, 1, "BTC", Deposit, "posted 3", "0.00000004 BTC"),
        (101, 100, "USD", Deposit, "posted 4", "101.5 USD"),
        (101, -100, "USD", Reversal, "posted 5", "100.5 USD"),
        (101, -100, "USD", Withdrawal, "ACCOUNT_DISABLED", "100.5 USD"),
        (102, 100, "USD", Deposit, "posted 6", "101.0 USD"),
        (102, -100, "USD", Reversal, "posted 7", "100.0 USD"),
        (102, -100, "USD", Withdrawal, "ACCOUNT_DISABLED", "100.0 USD"),
        (100, i64::MAX, "USD", Deposit, "posted 8", "92233720368547758.07 USD"),
        (100, 1, "USD", Deposit, "INVALID_AMOUNT", "92233720368547758.07 USD"),
    ];
    let (_folder, trading) = cashier();
    for (key, (login, minor, code, reason, outcome, after)) in (1..).zip(table) {
        let request = posting(key, login, minor, code, reason);
        assert_eq!(post(&trading, request).await, outcome, "posting {key}");
        assert_eq!(balance(&trading, login), after, "after posting {key}");
    }
    assert_eq!(post(&trading, posting(99, 999, 1, "USD", Deposit)).await, "ACCOUNT_NOT_FOUND");
    let wrong_way = |posting: &mut Posting| posting.operation.cmd = OperationCmd::BalanceOut;
    assert_eq!(post(&trading, other(wrong_way)).await, "conflict", "key 1 was posted above");
    let unsigned_out = other(|posting| {
        posting.reference = reference(98);
        wrong_way(posting);
    });
    assert_eq!(post(&trading, unsigned_out).await, "INVALID_AMOUNT");
}

#[tokio::test]
async fn a_key_is_posted_once_and_refused_with_other_values() {
    let (folder, trading) = cashier();
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
    let same = other(|posting| {
        posting.comment = "another comment".into();
        posting.operation.updated_time = UnixTime(1_800_000_000);
    });
    assert_eq!(post(&trading, same).await, "posted 1");
    let others = [
        other(|posting| posting.operation.amount.minor = 1_001),
        other(|posting| posting.operation.amount.currency = Currency::from_code("EUR").unwrap()),
        other(|posting| posting.operation.login = Login(101)),
        other(|posting| posting.operation.transaction_id = TransactionId(7)),
        other(|posting| posting.operation.reason = OperationReason::Reversal),
        other(|posting| posting.customer_id = CustomerId(6)),
    ];
    for changed in others {
        assert_eq!(post(&trading, changed.clone()).await, "conflict", "{changed:?}");
        assert_eq!(trading.find(&changed).await, Ok(Some(PostingOutcome::Conflict)), "{changed:?}");
    }
    assert_eq!(balance(&trading, 100), "110.5 USD");

    // A refusal is final, also when its cause is gone.
    let out = posting(2, 100, -20_000, "USD", OperationReason::Withdrawal);
    assert_eq!(post(&trading, out.clone()).await, "INSUFFICIENT_BALANCE");
    assert_eq!(post(&trading, deposit(3, 50_000)).await, "posted 2");
    assert_eq!(post(&trading, out.clone()).await, "INSUFFICIENT_BALANCE");

    drop(trading);
    let trading = Embedded::open(folder.path()).unwrap();
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
    assert_eq!(post(&trading, out).await, "INSUFFICIENT_BALANCE");
    assert_eq!(post(&trading, deposit(4, 1)).await, "posted 3", "trade orders continue after a restart");
    let found = |of| trading.outcome(&key(of));
    assert_eq!(found(1).await.unwrap().map(text).as_deref(), Some("posted 1"));
    assert_eq!(found(2).await.unwrap().map(text).as_deref(), Some("INSUFFICIENT_BALANCE"));
    assert_eq!(found(5).await.unwrap(), None);
    assert!(trading.keyed_by_operation(&ServerName::default()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_post_each_key_once() {
    let (folder, trading) = cashier();
    let trading = Arc::new(trading);
    let mut callers = tokio::task::JoinSet::new();
    // 64 at once, four for each key.
    for caller in 0..64_u64 {
        let trading = Arc::clone(&trading);
        callers.spawn(async move { (caller % 16, post(&trading, deposit(1 + caller % 16, 100)).await) });
    }
    let mut answers = callers.join_all().await;
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 16, "one answer per key: {answers:?}");
    assert_eq!(balance(&trading, 100), "116.5 USD");
    drop(trading);
    assert_eq!(balance(&Embedded::open(folder.path()).unwrap(), 100), "116.5 USD");
}

#[tokio::test]
async fn an_answered_posting_is_in_a_copy_of_the_files_taken_right_after_it() {
    let (folder, trading) = cashier();
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
    // As after a power cut: the files of a cashier that is still running.
    let copy = tempfile::tempdir().unwrap();
    for name in ["trading.db", "trading.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let restored = Embedded::open(copy.path()).unwrap();
    assert_eq!(balance(&restored, 100), "110.5 USD");
    assert_eq!(post(&restored, deposit(1, 1_000)).await, "posted 1");
}

#[tokio::test]
async fn a_failed_commit_is_unknown_and_the_same_key_may_be_sent_again() {
    let (folder, trading) = cashier();
    let other = rusqlite::Connection::open(folder.path().join("trading.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "unknown");
    other.execute_batch("ROLLBACK").unwrap();
    let facts = trading.account(Login(100)).await.unwrap().unwrap();
    assert_eq!(facts.account.balance.to_string(), "100.5 USD", "reloaded from the disk");
    assert_eq!(post(&trading, deposit(1, 1_000)).await, "posted 1");
    assert_eq!(balance(&trading, 100), "110.5 USD");

    other.execute_batch("DROP TABLE posting").unwrap();
    assert_eq!(post(&trading, deposit(2, 1)).await, "unknown");
    assert!(trading.outcome(&key(2)).await.is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_become_private_to_their_owner_when_opened() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, trading) = cashier();
    drop(trading);
    let path = |name: &str| folder.path().join(name);
    std::fs::set_permissions(path("trading.db"), PermissionsExt::from_mode(0o644)).unwrap();
    let trading = Embedded::open(folder.path()).unwrap();
    assert_eq!(post(&trading, deposit(1, 1)).await, "posted 1");
    for name in ["trading.db", "trading.db-wal", "trading.db-shm", "trading.lock"] {
        let mode = std::fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_second_process_cannot_open_the_database_until_it_is_closed() {
    let (folder, trading) = cashier();
    let refused = Embedded::open(folder.path()).err().unwrap().to_string();
    let holder = format!("process {} holds the lock file", std::process::id());
    assert!(refused.contains(&holder) && refused.contains("trading.lock"), "{refused}");
    trading.close();
    assert_eq!(post(&trading, deposit(1, 1)).await, "unknown", "a closed server gives no answer");
    let again = Embedded::open(folder.path()).unwrap();
    assert_eq!(balance(&again, 100), "100.5 USD");
}

#[tokio::test]
async fn m1_postings_made_before_are_found_under_their_number_and_not_posted_again() {
    let folder = tempfile::tempdir().unwrap();
    let database = rusqlite::Connection::open(folder.path().join("trading.db")).unwrap();
    database.execute_batch(super::rows::SCHEMAS[0]).unwrap();
    database
        .execute_batch(
            "PRAGMA user_version = 1; UPDATE counter SET value = 9;
             INSERT INTO customer VALUES (5, 'DE', 'alpha', 0, 1, 1);
             INSERT INTO account_group VALUES ('real', 'alpha', 'USD', 2, 1, 1);
             INSERT INTO account VALUES (100, 5, 'real', 1, 2550);
             INSERT INTO posting VALUES (7, 1007, 5, 100, 6, 100, 2550, 'USD', 2, '', 1700000000, 9, '');
             INSERT INTO posting VALUES (8, 1008, 5, 100, 8, 101, -9999, 'USD', 2, '', 1700000000, 0, 'NO')",
        )
        .unwrap();
    drop(database);
    let trading = Embedded::open(folder.path()).unwrap();
    let mut known = deposit(7, 2_550);
    known.operation.ordinal = 0;
    assert_eq!(known.key().as_str(), "7");
    let found = trading.outcome(&known.key()).await.unwrap();
    assert_eq!(found, Some(PostingOutcome::posted(9)));
    assert_eq!(post(&trading, known).await, "posted 9");
    assert_eq!(balance(&trading, 100), "25.5 USD");
    let refused = trading.outcome(&OperationKey::read("8").unwrap()).await.unwrap();
    assert_eq!(refused.map(text).as_deref(), Some("NO"));
    // The same number under a reference is another payment.
    assert_eq!(post(&trading, deposit(7, 2_550)).await, "posted 10");
    assert_eq!(balance(&trading, 100), "51.0 USD");
}

#[tokio::test]
async fn an_account_is_returned_with_its_customer_and_group() {
    let (_folder, trading) = cashier();
    let usd = Currency::from_code("USD").unwrap();
    let expected = AccountFacts {
        customer: Customer {
            customer_id: CustomerId(5),
            country: "DE".into(),
            brand: "alpha".into(),
            status: 0,
            deposit_allowed: true,
            withdrawal_allowed: true,
        },
        account: Account {
            login: Login(102),
            customer_id: CustomerId(5),
            group: "shut\\USD".into(),
            enabled: true,
            balance: Money::new(10_000, usd),
        },
        group: Group {
            group: "shut\\USD".into(),
            brand: "alpha".into(),
            currency: usd,
            account_mode: AccountMode::Real,
            enabled: false,
        },
        server: ServerName::default(),
        age_seconds: 0,
    };
    assert_eq!(trading.account(Login(102)).await, Ok(Some(expected)));
    assert_eq!(trading.account(Login(999)).await, Ok(None));
    assert_eq!(balance(&trading, 105), "0.0 USD", "an omitted balance is zero");
}

#[test]
fn a_roster_with_one_customer_updates_that_customer_alone() {
    let (_folder, trading) = cashier();
    let known = trading.durable_account(Login(100)).unwrap().unwrap().customer;
    let barred = Customer { status: 3, ..known };
    let report = trading.apply_roster(Roster { customers: vec![barred], ..Roster::default() }).unwrap();
    assert_eq!((report.customers.updated, report.accounts.updated), (1, 0));
    assert_eq!(trading.durable_account(Login(100)).unwrap().unwrap().customer.status, 3);

    let lost = AccountEntry {
        login: Login(100),
        customer_id: CustomerId(5),
        group: "nowhere".into(),
        enabled: true,
        opening_balance: Box::default(),
    };
    let Err(RosterError::Mistakes(mistakes)) =
        trading.apply_roster(Roster { accounts: vec![lost], ..Roster::default() })
    else {
        panic!("there is no such group");
    };
    let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(mistakes, ["accounts[0].group: there is no group \"nowhere\""]);
}
