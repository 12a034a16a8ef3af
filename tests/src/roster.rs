//! The accounts of a deployment, as `cashier trading import` reads them. Tests start from [`standard`] and change what they
//! are about.

use serde_json::{Value, json};

/// The customer and login of the published examples.
pub const CUSTOMER: u64 = 5;
pub const LOGIN: u64 = 2_000_009;

/// A second customer, of the same brand, with one login.
pub const SECOND_CUSTOMER: u64 = 6;
pub const SECOND_LOGIN: u64 = 2_000_010;

/// The first customer's login with real money.
pub const REAL_LOGIN: u64 = 2_000_011;

/// The first customer's login in euros.
pub const EURO_LOGIN: u64 = 2_000_012;

/// A customer of another brand.
pub const OTHER_BRAND_CUSTOMER: u64 = 7;
pub const OTHER_BRAND_LOGIN: u64 = 2_000_013;

/// Brand ion4 with three groups and two customers, and brand nova with one of each.
pub fn standard() -> Value {
    json!({
        "groups": [
            group("demo-usd", "ion4", "USD", 0),
            group("real-usd", "ion4", "USD", 1),
            group("demo-eur", "ion4", "EUR", 0),
            group("nova-usd", "nova", "USD", 0),
        ],
        "customers": [customer(CUSTOMER, "ion4"), customer(SECOND_CUSTOMER, "ion4"), customer(OTHER_BRAND_CUSTOMER, "nova")],
        "accounts": [
            account(LOGIN, CUSTOMER, "demo-usd"),
            account(REAL_LOGIN, CUSTOMER, "real-usd"),
            account(EURO_LOGIN, CUSTOMER, "demo-eur"),
            account(SECOND_LOGIN, SECOND_CUSTOMER, "demo-usd"),
            account(OTHER_BRAND_LOGIN, OTHER_BRAND_CUSTOMER, "nova-usd"),
        ],
    })
}

/// `mode` 0 is demo, 1 real.
pub fn group(name: &str, brand: &str, currency: &str, mode: u8) -> Value {
    json!({"group": name, "brand": brand, "currency": currency, "account_mode": mode, "enable": 1})
}

pub fn customer(id: u64, brand: &str) -> Value {
    json!({"customer_id": id, "country": "DE", "brand": brand, "status": 0, "deposit_allowed": 1,
        "withdrawal_allowed": 1})
}

pub fn account(login: u64, customer_id: u64, group: &str) -> Value {
    json!({"login": login, "customer_id": customer_id, "group": group, "enable": 1, "balance": 0})
}

/// Changes one field of the entry whose `key` is `id`, such as `("accounts", "login", LOGIN, "enable", 0)`.
pub fn change(roster: &mut Value, list: &str, key: &str, id: &Value, field: &str, value: Value) {
    let entries = roster[list].as_array_mut().expect("a list of the roster");
    let entry = entries.iter_mut().find(|entry| &entry[key] == id).expect("an entry of the roster");
    entry[field] = value;
}
