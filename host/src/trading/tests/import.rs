//! Import files: what they change, what they leave unchanged, and how their mistakes are reported.

use std::path::Path;

use cashier_core::account::AccountMode;
use cashier_core::ids::{CustomerId, Login};
use expect_test::expect;
use tokio::sync::oneshot;

use super::super::import::{FILE_BYTES_MAX, ImportError, import, import_text};
use super::super::jobs::TradingState;
use super::super::requests::{QueuedRequest, TradingRequest};
use super::super::roster_text::apply_text;
use super::super::{books, load, rows};
use super::{Embedded, Posting, ROSTER, TradingServer, balance, cashier, deposit, post, text};
use crate::json_object::validation::assert_request;
use crate::ports::RosterRefusal;
use crate::wire::roster::schema as roster_schema;

#[test]
fn importing_again_updates_rows_but_never_a_balance() {
    let (folder, trading) = cashier();
    let report = import_text(ROSTER, &trading).unwrap();
    assert_request(&roster_schema(), ROSTER);
    expect![[r#"
        groups: 0 added, 0 updated, 3 unchanged
        customers: 0 added, 0 updated, 2 unchanged
        accounts: 0 added, 0 updated, 6 unchanged
    "#]]
    .assert_eq(&report.to_string());

    let changed = r#"{
      "groups": [{"group": "real\\BTC", "brand": "beta", "currency": "BTC", "account_mode": 0, "enable": false}],
      "accounts": [
        {"login": 100, "customer_id": 6, "group": "real\\USD", "enable": 0, "balance": 999999},
        {"login": 105, "customer_id": 6, "group": "real\\BTC", "enable": true},
        {"login": 106, "customer_id": 6, "group": "real\\BTC", "enable": true, "balance": 0.5}
      ]
    }"#;
    let report = import_text(changed, &trading).unwrap();
    expect![[r#"
        groups: 0 added, 1 updated, 0 unchanged
        customers: 0 added, 0 updated, 0 unchanged
        accounts: 1 added, 2 updated, 0 unchanged
    "#]]
    .assert_eq(&report.to_string());
    drop(trading);
    let trading = Embedded::open(folder.path()).unwrap();
    let facts = |login| trading.durable_account(Login(login)).unwrap().unwrap();
    assert_eq!((balance(&trading, 100), facts(100).account.customer_id), ("100.5 USD".into(), CustomerId(6)));
    assert_eq!((balance(&trading, 105), balance(&trading, 106)), ("0.0 BTC".into(), "0.5 BTC".into()));
    assert_eq!((&*facts(103).group.brand, facts(103).account_open()), ("beta", false));
}

#[test]
fn a_mistake_names_its_line_and_field_and_nothing_is_written() {
    let (_folder, trading) = cashier();
    let wrong = r#"{
  "customers": [
    {"customer_id": 0, "country": "Germany", "brand": "a", "status": "0", "deposit_allowed": 1, "withdrawal_allowed": 2},
    {"customer_id": 7, "country": "FR", "brand": "a", "status": 0, "deposit_allowed": 1}
  ],
  "groups": [
    {"group": "", "brand": 5, "currency": "usd", "account_mode": 2, "enable": 1, "colour": "red"},
    []
  ],
  "accounts": [
    {"login": 9007199254740992, "customer_id": 5.0, "group": "real\\USD", "enable": "1", "balance": "5"},
    {"login": 200, "login": 201, "customer_id": 5, "group": "real\\USD", "enable": 1, "balance": 1e3}
  ]
}"#;
    expect![[r#"
        nothing was imported:
          line 7: groups[0].group: must not be empty
          line 7: groups[0].brand: must be a text of at most 64 characters
          line 7: groups[0].currency: must be a currency code such as "USD"
          line 7: groups[0].account_mode: must be 0 (demo) or 1 (real)
          line 7: groups[0].colour: is unknown or is given twice
          line 8: groups[1]: must be an object
          line 3: customers[0].customer_id: must be a whole number from 1 to 2^53 - 1
          line 3: customers[0].country: must be two upper-case letters, or empty
          line 3: customers[0].status: must be a whole number
          line 3: customers[0].withdrawal_allowed: must be 0 or 1
          line 4: customers[1].withdrawal_allowed: is missing
          line 11: accounts[0].login: must be a whole number from 1 to 2^53 - 1
          line 11: accounts[0].customer_id: must be a whole number from 1 to 2^53 - 1
          line 11: accounts[0].enable: must be 0 or 1
          line 11: accounts[0].balance: must be a plain decimal number, not quoted
          line 12: accounts[1].balance: must be a plain decimal number, not quoted
          line 12: accounts[1].login: is unknown or is given twice
    "#]]
    .assert_eq(&format!("{}\n", import_text(wrong, &trading).unwrap_err()));

    let unfitting = r#"{
  "groups": [
    {"group": "real\\USD", "brand": "alpha", "currency": "EUR", "account_mode": 1, "enable": 1},
    {"group": "new", "brand": "alpha", "currency": "JPY", "account_mode": 1, "enable": 1},
    {"group": "new", "brand": "beta", "currency": "JPY", "account_mode": 1, "enable": 1}
  ],
  "accounts": [
    {"login": 103, "customer_id": 5, "group": "new", "enable": 1},
    {"login": 300, "customer_id": 77, "group": "nowhere", "enable": 1},
    {"login": 301, "customer_id": 5, "group": "new", "enable": 1, "balance": 1.5},
    {"login": 302, "customer_id": 5, "group": "new", "enable": 1, "balance": 99999999999999999999},
    {"login": 303, "customer_id": 5, "group": "new", "enable": 1, "balance": 5}
  ]
}"#;
    expect![[r#"
        nothing was imported:
          line 5: groups[2].group: repeats groups[1]
          line 8: accounts[0].group: the balance of 0.00000003 BTC cannot become JPY
          line 9: accounts[1].customer_id: there is no customer 77
          line 9: accounts[1].group: there is no group "nowhere"
          line 10: accounts[2].balance: 1.5 has more decimals than its currency
          line 11: accounts[3].balance: 99999999999999999999 is larger than 10^15 minor units
          line 3: groups[0].currency: account 100 holds 100.5 USD, which cannot become EUR
    "#]]
    .assert_eq(&format!("{}\n", import_text(unfitting, &trading).unwrap_err()));
    assert_eq!(trading.durable_account(Login(303)), Ok(None), "nothing is written on any mistake");
    assert_eq!(trading.group("new"), Ok(None));
    assert_eq!(balance(&trading, 100), "100.5 USD");
}

#[test]
fn a_file_that_is_not_a_roster_is_refused_whole() {
    let (folder, trading) = cashier();
    let error = |text| import_text(text, &trading).unwrap_err().to_string();
    assert!(error("{\n\"groups\": [,]}").contains("line 2 column 12"), "{}", error("{\n\"groups\": [,]}"));
    assert!(error(r#"{"persons": []}"#).contains("unknown field `persons`"));
    assert!(error("[[]]").contains("not a JSON object"));
    let missing = import(Path::new("/nowhere/roster.json"), &trading).unwrap_err();
    assert!(matches!(missing, ImportError::Unreadable(_)), "{missing}");
    let large = folder.path().join("large.json");
    std::fs::File::create(&large).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    assert!(import(&large, &trading).unwrap_err().to_string().contains("is over 268435456 bytes"));
    let file = folder.path().join("roster.json");
    std::fs::write(&file, ROSTER).unwrap();
    assert_eq!(import(&file, &trading).unwrap().accounts.unchanged, 6);
}

#[tokio::test]
async fn i16_money_for_demo_accounts_alone_is_refused_behind_a_roster_of_the_same_batch_that_turned_the_group_real() {
    let (folder, trading) = cashier();
    let demo = ROSTER.replace("\"account_mode\": 1", "\"account_mode\": 0");
    let judged = trading.judge_roster(demo.as_str().into()).await.unwrap();
    assert!(judged.rebound.iter().all(|rebound| rebound.field == "account_mode") && judged.rebound.len() == 6);
    trading.import_roster(demo.into(), judged.clone()).await.unwrap();
    let sandbox = |key| Posting { only_on: Some(AccountMode::Demo), ..deposit(key, 1_000) };
    let live = |key| Posting { only_on: Some(AccountMode::Real), ..deposit(key, 1_000) };

    assert_eq!(post(&trading, live(9)).await, "LIVE_ON_DEMO_ACCOUNT");
    assert_eq!(post(&trading, sandbox(1)).await, "posted 1");
    let stale = trading.import_roster(ROSTER.into(), judged).await;
    assert_eq!(stale, Err(RosterRefusal::Stale), "it is not what was judged");
    trading.close();

    let mut connection = rows::open(&folder.path().join("trading.db")).unwrap();
    let batch = connection.transaction().unwrap();
    let holdings = load::load(&batch).unwrap();
    let (counters, mark) = (rows::counters(&batch).unwrap(), books::load(&batch).unwrap());
    let mut state = TradingState { holdings, counters, mark };
    let roster = Box::new(apply_text(ROSTER, Ok).unwrap());
    let (answer, imported) = oneshot::channel();
    let real = TradingRequest::ApplyRoster { roster, judged: None, answer };
    let (answer, first) = oneshot::channel();
    let of_sandbox = TradingRequest::Post { posting: Box::new(sandbox(2)), answer };
    let (answer, second) = oneshot::channel();
    let of_any = TradingRequest::Post { posting: Box::new(live(3)), answer };
    for request in [real, of_sandbox, of_any] {
        state.execute(&batch, QueuedRequest { request, _slot: None }).unwrap().unwrap()();
    }
    assert!(imported.await.unwrap().is_ok());
    assert_eq!(
        [first.await, second.await].map(|outcome| text(outcome.unwrap())),
        ["SANDBOX_ON_REAL_ACCOUNT", "posted 2"]
    );
}
