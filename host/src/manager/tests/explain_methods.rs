//! Why a method is shown or hidden, as a manager is answered.

use cashier_core::ids::ConfigId;

use super::*;
use crate::test_cashier::lock;

const NAME: &str = "MngExplainCashierMethods";

fn rows(data: &Value) -> Vec<(u64, String)> {
    let row = |row: &Value| (row["provider_config_id"].as_u64().unwrap(), row["rule"].as_str().unwrap().to_owned());
    data["rows"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test(start_paused = true)]
async fn each_config_has_the_first_rule_that_hides_it_and_every_other() {
    let api = ManagerApi::open().await;
    let (number, data) = api.command("manager", NAME, r#"{"login":2000009,"amount":6000}"#).await;
    let expected =
        [(1, "AMOUNT_ABOVE"), (2, "CURRENCY"), (3, "BRAND_MISMATCH")].map(|(id, rule)| (id, rule.to_owned()));
    assert_eq!((number, rows(&data), &data["count"]), (200, expected.to_vec(), &json!(3)), "{data}");
    let account = json!({"login": 2000009, "customer_id": 5, "brand": "ion4", "country": "DE", "group": "real", "currency": "USD", "demo": 0, "trading_server": "embedded", "age_seconds": 0});
    assert_eq!((&data["account"], &data["refused"]), (&account, &json!("")));
    let second: Vec<&Value> = data["rows"][1]["rules"].as_array().unwrap().iter().map(|rule| &rule["rule"]).collect();
    assert_eq!(second, [&json!("CURRENCY"), &json!("AMOUNT_ABOVE")], "the second would hide it after the first");
    assert_eq!(data["rows"][0]["because"], "the amount is too large: it must be from 10.0 to 5000.0");

    let (_, shown) = api.command("manager", NAME, r#"{"login":2000009}"#).await;
    let first = &shown["rows"][0];
    assert_eq!((&first["shown"], &first["rule"], &first["rules"]), (&json!(1), &json!(""), &json!([])));
    assert_eq!(first["because"], "every check passed, without an override");
    assert_eq!((&first["method"], &first["min_amount"]), (&json!("card"), &json!(10.0)));

    let allow = r#"{"customer_id":5,"brand":"ion4","provider":"stripe","provider_config_id":2,"mode":0}"#;
    assert_eq!(api.command("manager", "MngUpdateCashierCustomerProviderOverride", allow).await.0, 200);
    let (_, lifted) = api.command("manager", NAME, r#"{"login":2000009,"method":"sepa"}"#).await;
    let second = &lifted["rows"][1];
    assert_eq!((&second["override_id"], &second["rule"]), (&json!(1), &json!("METHOD_NOT_SERVED")));
    let (_, lifted) = api.command("manager", NAME, r#"{"login":2000009}"#).await;
    assert_eq!(lifted["rows"][1]["because"], "override 1 allows it and every other check passed");
    let (_, other) = api.command("manager", NAME, r#"{"login":2000009,"provider":"paypal"}"#).await;
    assert_eq!(rows(&other), []);
}

#[tokio::test(start_paused = true)]
async fn what_refuses_a_deposit_before_any_config_is_named() {
    let api = ManagerApi::open().await;
    let (_, data) = api.command("manager", NAME, r#"{"login":2000010}"#).await;
    assert_eq!((&data["refused"], rows(&data)[0].1.as_str()), (&json!("ACCOUNT_DISABLED"), "ACCOUNT_DISABLED"));
    let (_, data) = api.command("manager", NAME, r#"{"login":2000009,"amount":6000,"currency":"EUR"}"#).await;
    let because = "the account is in USD, the amount in EUR";
    assert_eq!((&data["refused"], &data["refused_because"]), (&json!("CURRENCY_CONVERSION_REQUIRED"), &json!(because)));
    assert_eq!(rows(&data)[0].1, "AMOUNT_ABOVE", "limits are compared in the currency that is asked about");
}

#[tokio::test(start_paused = true)]
async fn a_session_of_one_brand_sees_its_own_configs_and_those_of_every_brand() {
    let api = ManagerApi::open().await;
    let ids = |data: &Value| rows(data).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let (_, data) = api.command("crm@ion4", NAME, r#"{"login":2000009}"#).await;
    assert_eq!(ids(&data), [1, 2]);
    let unknown = api.error("manager@other", NAME, r#"{"login":77}"#).await;
    assert_eq!(api.error("manager@other", NAME, r#"{"login":2000009}"#).await, unknown, "as one that does not exist");
    assert_eq!(unknown, (404, "RET_ERR_NOTFOUND".to_owned()));

    let mut line = api.env.cashier.modules.catalog()[0].clone();
    (line.available, line.failure_reason) = (false, "config 3 of brand other has no key".into());
    *lock(&api.env.provider.catalog) = Some(vec![line]);
    let mut env = api.env;
    env.crash().await;
    let context = ManagerContext { cashier: Arc::clone(&env.cashier), tokens: Arc::new(PlainTokens) };
    let api = ManagerApi { env, context };
    let (_, all) = api.command("manager", NAME, r#"{"login":2000009}"#).await;
    assert_eq!(all["rows"][1]["because"], "the module is not loaded: config 3 of brand other has no key");
    let (_, scoped) = api.command("manager@ion4", NAME, r#"{"login":2000009}"#).await;
    assert_eq!((ids(&scoped), &scoped["rows"][1]["rule"]), (vec![1, 2], &json!("MODULE_NOT_LOADED")));
    assert!(!scoped["rows"][1].to_string().contains("other"), "{scoped}");
    assert!(api.env.cashier.snapshot().config(ConfigId(3)).is_some());
}

#[tokio::test(start_paused = true)]
async fn wrong_questions_about_methods_are_refused() {
    let api = ManagerApi::open().await;
    let table = [
        ("manager", "{}", 400, "INVALID_DATA"),
        ("manager", r#"{"login":0}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"login":2000009,"amount":1.001}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"login":2000009,"amount":-1}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"login":2000009,"currency":"XXX"}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"login":2000009,"x":1}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"login":77}"#, 404, "RET_ERR_NOTFOUND"),
        ("manager", r#"{"login":2000500}"#, 503, "STORAGE_UNAVAILABLE"),
        ("user", r#"{"login":2000009}"#, 403, "PERMISSION_DENIED"),
        ("customer", r#"{"login":2000009}"#, 403, "PERMISSION_DENIED"),
    ];
    for (token, data, number, error) in table {
        assert_eq!(api.error(token, NAME, data).await, (number, error.into()), "{token} {data}");
    }
}
