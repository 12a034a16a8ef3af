//! A balance keeps its currency whatever becomes of its group's row: where its account cannot be read, a roster may repair it and
//! not make another currency of it.

use super::defence::{other_program, until_ready_is};
use super::*;

/// What an import says, and the balance of account 100 after another start.
fn imported(folder: &TempDir, roster: &str) -> (Result<String, String>, Option<String>) {
    let import = || {
        let trading = Embedded::open(folder.path()).unwrap();
        import_text(roster, &trading).map(|report| report.accounts.to_string()).map_err(|error| error.to_string())
    };
    let said = std::thread::scope(|scope| scope.spawn(import).join().unwrap());
    let trading = Embedded::open(folder.path()).unwrap();
    let facts = trading.durable_account(Login(100)).ok().flatten();
    (said, facts.map(|facts| facts.account.balance.to_string()))
}

fn refused(folder: &TempDir, roster: &str, expected: &str) {
    let (said, balance) = imported(folder, roster);
    let why = said.unwrap_err();
    assert!(why.contains(expected), "{roster}: {why}");
    assert_eq!(balance, None, "{roster}: it waits as before");
}

fn group(name: &str, currency: &str) -> String {
    format!(
        r#"{{"groups": [{{"group": "{name}", "brand": "alpha", "currency": "{currency}", "account_mode": 1, "enable": 1}}]}}"#
    )
}

const REAL: &str = r"real\\USD";

/// The folder of a cashier that was stopped, after an edit of another program.
fn edited(edit: &str) -> TempDir {
    let (folder, trading) = cashier();
    trading.close();
    assert!(other_program(&folder).execute(edit, []).unwrap() > 0, "{edit}");
    folder
}

#[test]
fn b5_a_roster_changes_no_currency_of_an_account_that_cannot_be_read() {
    let customer = r#"{"customer_id": 5, "country": "DE", "brand": "alpha", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1}"#;
    let customer = format!(r#"{{"customers": [{customer}]}}"#);
    let account = |group: &str| {
        format!(r#"{{"accounts": [{{"login": 100, "customer_id": 5, "group": "{group}", "enable": 1}}]}}"#)
    };
    let table = [
        ("DELETE FROM customer WHERE customer_id = 5", customer.clone()),
        ("DELETE FROM account_group WHERE name = 'real\\USD'", group(REAL, "USD")),
        ("UPDATE account_group SET account_mode = 7 WHERE name = 'real\\USD'", group(REAL, "USD")),
        ("UPDATE account_group SET currency = 'XQQ' WHERE name = 'real\\USD'", group(REAL, "USD")),
        ("UPDATE account_group SET currency = 'EUR' WHERE name = 'real\\USD'", group(REAL, "USD")),
        ("UPDATE account SET group_name = 'nowhere' WHERE login = 100", account(REAL)),
    ];
    for (edit, repair) in table {
        let folder = edited(edit);
        // Where the group is in EUR already, its row is no change.
        if !edit.contains("'EUR'") {
            let named = if edit.contains("nowhere") { "nowhere" } else { REAL };
            let expected = "account 100 cannot be read and has a balance in USD, which cannot become EUR";
            refused(&folder, &group(named, "EUR"), expected);
        }
        // With the customer in the same roster, so that the currency alone is wrong.
        let moved = format!("{}, {}", customer.trim_end_matches('}'), account(r"real\\BTC").trim_start_matches('{'));
        let expected =
            "accounts[0].group: is of an account that cannot be read and has a balance in USD, which cannot become BTC";
        refused(&folder, &moved, expected);
        let (said, balance) = imported(&folder, &repair);
        assert!(said.is_ok(), "{edit}: {said:?}");
        assert_eq!(balance.as_deref(), Some("100.5 USD"), "{edit}");
    }
}

#[tokio::test]
async fn n8_a_roster_that_repairs_an_account_says_whether_its_owner_or_mode_becomes_another() {
    let folder = edited("UPDATE account SET currency = 'XQQ' WHERE login = 100");
    let trading = Embedded::open(folder.path()).unwrap();
    let account = |customer: u64| {
        let other = r#"{"customer_id": 77, "country": "DE", "brand": "alpha", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1}"#;
        format!(
            r#"{{"customers": [{other}], "accounts": [{{"login": 100, "customer_id": {customer}, "group": "real\\USD", "enable": 1}}]}}"#
        )
    };
    let demo = group(REAL, "USD").replace("\"account_mode\": 1", "\"account_mode\": 0");
    for (roster, expected) in [(account(5), None), (account(77), Some("customer_id")), (demo, Some("account_mode"))] {
        let judged = trading.judge_roster(roster.as_str().into()).await.unwrap();
        let of_account = judged.rebound.iter().find(|rebound| rebound.login == Login(100));
        assert_eq!(of_account.map(|rebound| rebound.field), expected, "{roster}");
    }
}

#[test]
fn b5_a_group_whose_currency_was_changed_outside_makes_no_other_money_of_balances() {
    let folder = edited("UPDATE account_group SET currency = 'EUR' WHERE name = 'real\\USD'");
    let trading = Embedded::open(folder.path()).unwrap();
    until_ready_is(&trading, "account 100: account 100 holds USD, and its group \"real\\\\USD\" is in EUR");
    assert_eq!(balance(&trading, 105), "0.0 EUR", "nothing is of every currency");
}

#[test]
fn b5_an_account_that_moved_to_another_group_while_unreadable_keeps_its_currency_there() {
    let folder = edited("DELETE FROM account_group WHERE name = 'real\\USD'");
    let trading = Embedded::open(folder.path()).unwrap();
    let import = |roster: &str| {
        std::thread::scope(|scope| scope.spawn(|| import_text(roster, &trading)).join().unwrap()).map(|_| ())
    };
    let moved = r#"{"accounts": [{"login": 100, "customer_id": 5, "group": "shut\\USD", "enable": 1, "balance": 7}]}"#;
    import(moved).unwrap();
    let why = import(&group(r"shut\\USD", "EUR")).unwrap_err().to_string();
    assert!(why.contains("account 102 holds 100.0 USD") && why.contains("account 100 cannot be read"), "{why}");
    drop(trading);
    assert_eq!(balance(&Embedded::open(folder.path()).unwrap(), 100), "100.5 USD");
}

#[tokio::test]
async fn b5_a_balance_of_an_earlier_release_has_the_currency_of_its_group_and_later_that_of_its_postings() {
    let folder = tempfile::tempdir().unwrap();
    let old = other_program(&folder);
    old.execute_batch(&super::super::rows::SCHEMAS[..3].concat()).unwrap();
    old.execute_batch(
        "INSERT INTO customer VALUES (5, 'DE', 'alpha', 0, 1, 1);
         INSERT INTO account_group VALUES ('real\\USD', 'alpha', 'USD', 2, 1, 1), ('gone', 'alpha', 'USD', 2, 1, 1);
         INSERT INTO account VALUES (100, 5, 'real\\USD', 1, 10050, 10050), (101, 5, 'lost', 1, 7, 7), (102, 5, 'gone', 1, 0, 0);
         PRAGMA user_version = 3",
    )
    .unwrap();
    let trading = Embedded::open(folder.path()).unwrap();
    assert_eq!(balance(&trading, 100), "100.5 USD");
    let import =
        |roster: &str| std::thread::scope(|scope| scope.spawn(|| import_text(roster, &trading)).join().unwrap());
    let why = import(&group("lost", "USD")).unwrap_err().to_string();
    assert!(why.contains("account 101 cannot be read and has a balance of unknown currency"), "{why}");
    // An empty account takes the currency of its group, and then of what is posted.
    import(&group("gone", "EUR")).unwrap();
    assert_eq!(post(&trading, posting(9, 102, 500, "EUR", OperationReason::Deposit)).await, "posted 1");
    let stored = "SELECT group_concat(currency, ' ') FROM (SELECT currency FROM account ORDER BY login)";
    let stored: String = old.query_row(stored, [], |row| row.get(0)).unwrap();
    assert_eq!(stored, "USD  EUR");
    trading.close();
    old.execute("DELETE FROM account_group WHERE name = 'gone'", []).unwrap();
    let trading = Embedded::open(folder.path()).unwrap();
    let import =
        |roster: &str| std::thread::scope(|scope| scope.spawn(|| import_text(roster, &trading)).join().unwrap());
    assert!(import(&group("gone", "USD")).is_err());
    assert!(import(&group("gone", "EUR")).is_ok());
}
