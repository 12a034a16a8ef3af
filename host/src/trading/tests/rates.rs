//! Rates that are imported: what is taken, what is stored, and what is refused with its line.

use cashier_core::ids::ServerName;
use expect_test::expect;

use super::super::import::import_text;
use super::{Currency, Embedded, TradingServer, cashier};
use crate::json_object::validation::assert_request;
use crate::wire::roster::schema as roster_schema;

const RATES: &str = r#"{"rates": [
  {"from": "EUR", "to": "USD", "rate": "1.0832", "source": "desk", "time": 1779270000},
  {"from": "JPY", "to": "USD", "rate": "0.00670", "source": "", "time": 1779270000}
]}"#;

async fn stated(trading: &Embedded, from: &str, to: &str) -> Option<(String, i64, Box<str>)> {
    let [from, to] = [from, to].map(|code| Currency::from_code(code).unwrap());
    let stated = trading.rate(&ServerName::default(), from, to).await.unwrap();
    assert_eq!(stated.is_some(), trading.may_convert(&ServerName::default(), from, to));
    stated.map(|stated| (stated.rate.to_wire(), stated.time.0, stated.source))
}

fn imported(trading: &Embedded, text: &str) -> String {
    // As the command line does, on a thread outside the runtime: waiting blocks.
    let import = || import_text(text, trading).map_or_else(|error| error.to_string(), |report| report.to_string());
    std::thread::scope(|scope| scope.spawn(import).join()).unwrap()
}

#[tokio::test]
async fn a_rate_is_stated_as_it_was_imported_last_also_after_a_restart() {
    let (folder, trading) = cashier();
    assert_request(&roster_schema(), RATES);
    assert_eq!(stated(&trading, "EUR", "USD").await, None);
    assert!(imported(&trading, RATES).ends_with("rates: 2 added, 0 updated, 0 unchanged\n"));
    assert!(imported(&trading, RATES).ends_with("rates: 0 added, 0 updated, 2 unchanged\n"));
    let newer = RATES.replacen("1779270000", "1779270060", 1);
    assert!(imported(&trading, &newer).ends_with("rates: 0 added, 1 updated, 1 unchanged\n"));
    drop(trading);
    let trading = Embedded::open(folder.path()).unwrap();
    let expected = Some(("1.0832".to_owned(), 1_779_270_060, "desk".into()));
    assert_eq!(stated(&trading, "EUR", "USD").await, expected);
    assert_eq!(stated(&trading, "JPY", "USD").await, Some(("0.0067".to_owned(), 1_779_270_000, "".into())));
    assert_eq!(stated(&trading, "USD", "EUR").await, None, "none is inverted");
}

#[tokio::test]
async fn each_change_of_a_rate_is_judged_as_a_change() {
    let (_folder, trading) = cashier();
    let changes = async |text: &str| {
        let judged = trading.judge_roster(text.into()).await.unwrap();
        let shown =
            judged.changes.iter().map(|change| format!("{}: {} -> {}", change.field, change.before, change.after));
        let shown = shown.collect::<Vec<_>>();
        trading.import_roster(text.into(), judged).await.unwrap();
        shown
    };
    let one = r#"{"rates": [{"from": "EUR", "to": "USD", "rate": "1.0832", "source": "desk", "time": 5}]}"#;
    assert_eq!(changes(one).await, ["rate EUR USD:  -> rate 1.0832, source desk, time 5"]);
    let other = one.replace("1.0832", "1.1").replace('5', "0");
    assert_eq!(changes(&other).await, ["rate EUR USD rate: 1.0832 -> 1.1", "rate EUR USD time: 5 -> 0"]);
    assert_eq!(changes(&other).await, [""; 0]);
}

#[test]
fn a_mistake_of_a_rate_names_its_line_and_nothing_is_written() {
    let (_folder, trading) = cashier();
    let wrong = r#"{"rates": [
  {"from": "EUR", "to": "USD", "rate": 1.0832, "source": "desk", "time": 5},
  {"from": "euro", "to": "USD", "rate": "0", "source": "desk", "time": -5},
  {"from": "EUR", "to": "USD", "rate": "1e2", "time": "5"}
]}"#;
    expect![[r#"
        nothing was imported:
          line 2: rates[0].rate: must be a plain decimal greater than zero, in quotes, such as "1.0832"
          line 3: rates[1].from: must be a currency code such as "USD"
          line 3: rates[1].rate: must be a plain decimal greater than zero, in quotes, such as "1.0832"
          line 3: rates[1].time: must be whole Unix seconds, or 0
          line 4: rates[2].rate: must be a plain decimal greater than zero, in quotes, such as "1.0832"
          line 4: rates[2].source: is missing
          line 4: rates[2].time: must be whole Unix seconds, or 0
    "#]]
    .assert_eq(&format!("{}\n", import_text(wrong, &trading).unwrap_err()));
    let unfitting = r#"{"rates": [
  {"from": "EUR", "to": "USD", "rate": "1.0832", "source": "desk", "time": 5},
  {"from": "EUR", "to": "EUR", "rate": "1", "source": "desk", "time": 5},
  {"from": "EUR", "to": "USD", "rate": "1.0833", "source": "desk", "time": 5}
]}"#;
    expect![[r#"
        nothing was imported:
          line 4: rates[2].from: repeats rates[0]
          line 3: rates[1].to: is EUR again
    "#]]
    .assert_eq(&format!("{}\n", import_text(unfitting, &trading).unwrap_err()));
    assert!(!trading.may_convert(&ServerName::default(), currency("EUR"), currency("USD")));
}

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}
