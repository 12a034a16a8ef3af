//! A deposit in another currency than its account's over HTTP: the fields of the transaction, its errors, and the methods that are
//! listed.

use std::sync::atomic::Ordering;

use cashier_core::conversion::{Rate, StatedRate};
use cashier_core::money::Currency;

use super::CustomerApi;
use crate::ports::Clock;
use crate::test_cashier::lock;

const DEPOSIT: &str = "POST /cashier/deposit";

fn state(api: &CustomerApi, rate: &str) {
    let [from, to] = ["EUR", "USD"].map(|code| Currency::from_code(code).unwrap());
    let stated = StatedRate { rate: Rate::parse(rate).unwrap(), time: api.env.clock.now(), source: "desk".into() };
    lock(&api.env.trading.rates).insert((from, to), stated);
}

fn body(amount: &str, key: &str) -> String {
    format!(
        r#"{{"login":2000009,"provider":"stripe","amount":{amount},"currency":"EUR","idempotency_key":"{key}","success_url":"https://shop.example/ok"}}"#
    )
}

#[tokio::test]
async fn a_converted_deposit_shows_both_amounts_and_the_exact_rate() {
    let api = CustomerApi::open().await;
    state(&api, "1.0832");
    for _ in 0..2 {
        let made = api.send(DEPOSIT, &body("33.33", "k")).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let expected = r#""amount":33.33,"currency":"EUR","account_currency":"USD","converted_amount":36.1,"conversion_rate":1.0832,"#;
        assert!(made.body.contains(expected), "{}", made.body);
        // A repeat is answered with the stored rate.
        state(&api, "2");
    }
    let listed = api.send("GET /cashier/transactions", "").await;
    assert!(listed.body.contains(r#""converted_amount":36.1,"conversion_rate":1.0832,"#), "{}", listed.body);
    assert!(api.send(DEPOSIT, &body("33.34", "k")).await.body.contains("IDEMPOTENCY_CONFLICT"));
}

#[tokio::test]
async fn each_refusal_of_a_converted_deposit_has_its_documented_error() {
    let api = CustomerApi::open().await;
    let answered = async |amount: &str| {
        let response = api.send(DEPOSIT, &body(amount, "k")).await;
        (response.status, response.json()["error"].as_str().unwrap_or_default().to_owned())
    };
    let required = (400, "CURRENCY_CONVERSION_REQUIRED".to_owned());
    assert_eq!(answered("25").await, required);
    state(&api, "0.000000000000000001");
    assert_eq!(answered("25").await, (400, "AMOUNT_OUT_OF_RANGE".to_owned()));
    api.env.trading.rates_fail.store(true, Ordering::SeqCst);
    assert_eq!(answered("25").await, (503, "STORAGE_UNAVAILABLE".to_owned()));
    assert_eq!(api.send("GET /cashier/transactions", "").await.json()["count"], 0, "nothing was begun");
    assert_eq!(api.send("GET /cashier/methods?login=2000009", "").await.status, 200);
}
