//! The five published pages: every example request gets the example answer with every field in its order, and every table of
//! statuses, roles and errors holds.
#![expect(clippy::indexing_slicing, reason = "a missing field is null and fails the comparison")]

use cashier_core::session::Role;
use cashier_core::status::TransactionStatus;
use cashier_host::manager::COMMANDS;
use cashier_tests::clock::{ClockSpeed, START};
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::faulty_trading::TradingMode;
use cashier_tests::published::shows;
use cashier_tests::roster::{CUSTOMER, LOGIN, SECOND_CUSTOMER, SECOND_LOGIN};
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, StripeEventFields};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};
use std::time::Duration;

/// `GET Get Cashier Transactions`, the example answer.
const TRANSACTIONS: &str = r#"{
  "rows": [
    {
      "id": 15,
      "customer_id": 5,
      "login": 2000009,
      "type": 0,
      "provider": "stripe",
      "method": "card",
      "provider_payment_id": "pi_123",
      "amount": 250.0,
      "currency": "USD",
      "account_currency": "USD",
      "converted_amount": 250.0,
      "conversion_rate": 1.0,
      "status": 1,
      "failure_reason": "",
      "idempotency_key": "0f9bb0e7-642d-4b70-b458-62e3993c7d2d",
      "comment": "",
      "metadata_json": "{}",
      "source": 0,
      "approved_by": 0,
      "approved_time": 0,
      "processed_by": 0,
      "processed_time": 0,
      "reject_reason": "",
      "created_time": 1779270000,
      "updated_time": 1779270000
    }
  ],
  "count": 1
}"#;

/// Its example request.
const TRANSACTIONS_QUERY: &str = "limit=50&offset=0&login=2000009&where[0][0]=status&where[0][1]==&where[0][2]=1&orderBy[0][0]=created_time&orderBy[0][1]=desc";

/// `MngGetCashierTransaction`, the example request.
const MANAGER_REQUEST: &str = r#"{
"command": "MngGetCashierTransaction",
"extID": "1",
"data": {
"id": 15
}
}"#;

/// The transaction of its example answer.
const MANAGER_TRANSACTION: &str = r#"{
"id": 15,
"customer_id": 5,
"login": 2000009,
"type": 0,
"provider": "stripe",
"method": "card",
"provider_payment_id": "pi_123",
"amount": 250.0,
"currency": "USD",
"account_currency": "USD",
"converted_amount": 250.0,
"conversion_rate": 1.0,
"status": 2,
"failure_reason": "",
"idempotency_key": "0f9bb0e7-642d-4b70-b458-62e3993c7d2d",
"comment": "",
"metadata_json": "{}",
"created_time": 1779270000,
"updated_time": 1779270100
}"#;

/// `MngUpdateCashierCustomerProviderOverride`, the example request.
const OVERRIDE_REQUEST: &str = r#"{
  "command": "MngUpdateCashierCustomerProviderOverride",
  "extID": "1",
  "data": {
    "customer_id": 5,
    "brand": "ion4",
    "provider_config_id": 1,
    "provider": "stripe",
    "method": "card",
    "mode": 0,
    "min_amount": 25.0,
    "max_amount": 10000.0,
    "enabled": 1,
    "reason": "VIP_ALLOW",
    "comment": "Manual allow from customer card",
    "expires_time": 0
  }
}"#;

/// Its example answer.
const OVERRIDE_ANSWER: &str = r#"{
  "override": {
    "id": 3,
    "customer_id": 5,
    "brand": "ion4",
    "provider_config_id": 1,
    "provider": "stripe",
    "method": "card",
    "mode": 0,
    "min_amount": 25.0,
    "max_amount": 10000.0,
    "enabled": 1,
    "reason": "VIP_ALLOW",
    "comment": "Manual allow from customer card",
    "expires_time": 0,
    "created_time": 1779270000,
    "updated_time": 1779270000
  }
}"#;

/// A cashier in the state of the examples: transaction 15 is the customer's deposit of 250 USD through stripe, pending.
async fn deployment_of_the_examples() -> Deployment {
    let plan = DeploymentPlan { clock_speed: ClockSpeed::Stopped, faulty_trading: true, ..DeploymentPlan::default() };
    assert_eq!(plan.start, START);
    let deployment = Deployment::of(plan).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    let second = deployment.customer_of(SECOND_CUSTOMER);
    for _ in 1..15 {
        second.withdraw(&json!({"login": SECOND_LOGIN, "amount": 1, "currency": "USD"})).await.expect_ok();
    }
    deployment.stripe.next_intent("pi_123");
    let mut request = order("stripe", "250.00");
    request["method"] = json!("card");
    request["idempotency_key"] = json!("0f9bb0e7-642d-4b70-b458-62e3993c7d2d");
    let answer = deployment.customer().deposit(&request).await.expect_ok();
    assert_eq!(answer["transaction"]["id"], json!(15), "{answer}");
    deployment
}

async fn send_as_manager(deployment: &Deployment, message: &str) -> String {
    let manager = deployment.manager();
    let headers = [("authorization", &*manager.token), ("content-type", "application/json")];
    let answer = deployment.http.post(&format!("{}/manager", manager.url), &headers, message.to_owned()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn get_cashier_transactions_answers_its_example() {
    let deployment = deployment_of_the_examples().await;
    let answer = deployment.customer().transactions(TRANSACTIONS_QUERY).await;
    assert_eq!(answer.status, 200);
    shows(&answer.text(), TRANSACTIONS);
    let compact: String = TRANSACTIONS.lines().map(str::trim).collect::<String>().replace("\": ", "\":");
    assert_eq!(answer.text(), compact, "and no other field");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_cashier_transactions_refuses_with_the_published_errors() {
    let deployment = deployment_of_the_examples().await;
    let mut customer = deployment.customer();
    customer.token = "not-a-token".into();
    assert_eq!(customer.transactions("").await.refusal(), (403, "PERMISSION_DENIED".into()), "invalid session");
    let manager = deployment.token(Role::Manager, CUSTOMER, None);
    customer.token = manager;
    assert_eq!(
        customer.transactions("").await.refusal(),
        (403, "PERMISSION_DENIED".into()),
        "not a customer's session"
    );
    let foreign = deployment.customer().transactions(&format!("login={SECOND_LOGIN}")).await;
    assert_eq!(foreign.refusal(), (403, "PERMISSION_DENIED".into()), "a login of another customer");
    let foreign =
        deployment.customer().transactions("where[0][0]=customer_id&where[0][1]==&where[0][2]=6").await.expect_ok();
    assert_eq!(foreign["count"], json!(0), "filters are limited to the session's customer");
    let invalid = deployment.customer().transactions("where[0][0]=amount&where[0][1]==&where[0][2]=250").await;
    assert_eq!(invalid.refusal(), (400, "INVALID_DATA".into()), "amount is not a filter field");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_cashier_transactions_filters_by_every_published_field() {
    let deployment = deployment_of_the_examples().await;
    let customer = deployment.customer();
    let table = [
        ("id", "15"),
        ("customer_id", "5"),
        ("login", "2000009"),
        ("type", "0"),
        ("status", "1"),
        ("source", "0"),
        ("provider", "stripe"),
        ("method", "card"),
        ("currency", "USD"),
        ("provider_payment_id", "pi_123"),
        ("approved_time", "0"),
        ("processed_time", "0"),
        ("created_time", "1779270000"),
    ];
    for (field, value) in table {
        for (parameter, found) in [("where", 1), ("whereNot", 0), ("whereIn", 1), ("whereNotIn", 0)] {
            let query = match parameter {
                "where" => format!("where[0][0]={field}&where[0][1]==&where[0][2]={value}"),
                "whereNot" => format!("whereNot[0][0]={field}&whereNot[0][1]={value}"),
                list => format!("{list}[0][0]={field}&{list}[0][1][0]={value}"),
            };
            let list = customer.transactions(&query).await.expect_ok();
            assert_eq!(list["count"], json!(found), "{query}");
        }
        for (parameter, found) in [("whereBetween", 1), ("whereNotBetween", 0)] {
            let query = format!("{parameter}[0][0]={field}&{parameter}[0][1][0]={value}&{parameter}[0][1][1]={value}");
            assert_eq!(customer.transactions(&query).await.expect_ok()["count"], json!(found), "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mng_get_cashier_transaction_answers_its_example() {
    if !signing::can_sign() {
        return;
    }
    let deployment = deployment_of_the_examples().await;
    let pending = send_as_manager(&deployment, MANAGER_REQUEST).await;
    shows(
        &pending,
        r#"{"extID":"1","status":200,"data":{"transaction":{"id":15,"status":1},"balance_operations":[]}}"#,
    );

    // Paid a hundred seconds later, while the trading server is slow: confirmed, and not yet credited.
    let faulty_server = deployment.faulty_server.clone().unwrap_or_else(|| panic!("set by the plan"));
    faulty_server.set_mode(TradingMode::Slow(Duration::from_secs(3600)));
    deployment.clock.advance_seconds(100);
    let reference = deployment.stripe.latest_reference();
    let event = StripeEventFields {
        event_id: "evt_1",
        reference: &reference,
        intent: "pi_123",
        amount: 25_000,
        currency: "usd",
        live: false,
    };
    let now = deployment.clock.unix();
    let (body, (name, signature)) = stripe_stub::signed(stripe_stub::WEBHOOK_SECRET, now, &event.intent_succeeded(now));
    let webhook = deployment.webhook("stripe", (name, &signature), &body);
    let checks = async {
        let confirmed = eventually("the confirmation", async || {
            let text = send_as_manager(&deployment, MANAGER_REQUEST).await;
            text.contains("\"status\":2,").then_some(text)
        })
        .await;
        let example = format!(r#"{{"extID":"1","status":200,"data":{{"transaction":{MANAGER_TRANSACTION}}}}}"#);
        shows(&confirmed, &example);
        let planned = r#"{"data":{"balance_operations":[{"id":1,"transaction_id":15,"login":2000009,"trade_order":0,
            "cmd":6,"amount":250.0,"currency":"USD","reason":100,"status":0,"failure_reason":"",
            "created_time":1779270100,"updated_time":1779270100}]}}"#;
        shows(&confirmed, planned);
        faulty_server.set_mode(TradingMode::Working);
    };
    let (answer, ()) = tokio::join!(webhook, checks);
    // Whether the posting ends before the webhook is answered, the threads decide: the answer shows it as it is then.
    let shown = &answer.expect_ok()["transaction"];
    assert_eq!((&shown["id"], &shown["provider_payment_id"]), (&json!(15), &json!("pi_123")), "{shown}");
    assert!(shown["status"] == 2 || shown["status"] == 3, "{shown}");
    let credited = eventually("the posting", async || {
        let text = send_as_manager(&deployment, MANAGER_REQUEST).await;
        text.contains("\"status\":3,").then_some(text)
    })
    .await;
    let posted = r#"{"data":{"balance_operations":[{"id":1,"transaction_id":15,"login":2000009,"trade_order":1,
        "cmd":6,"amount":250.0,"currency":"USD","reason":100,"status":1}]}}"#;
    shows(&credited, posted);
}

#[tokio::test(flavor = "multi_thread")]
async fn mng_get_cashier_transaction_refuses_with_the_published_errors() {
    let deployment = deployment_of_the_examples().await;
    let manager = deployment.manager();
    for data in [json!({}), json!({"id": 0}), json!({"id": "x"}), json!({"id": -1}), json!({"id": 1.5})] {
        let refused = manager.command("MngGetCashierTransaction", &data).await;
        let answer = refused.json();
        assert_eq!(
            (refused.status, &answer["status"], &answer["extID"], &answer["data"]["error"]),
            (400, &json!(400), &json!("test"), &json!("INVALID_DATA")),
            "{data}: {answer}"
        );
    }
    let refused = manager.command("MngGetCashierTransaction", &json!({"id": 16})).await;
    let answer = refused.json();
    assert_eq!((refused.status, &answer["data"]["error"]), (404, &json!("RET_ERR_NOTFOUND")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mng_update_cashier_customer_provider_override_answers_its_example() {
    let deployment = deployment_of_the_examples().await;
    for provider in ["sandbox", "other"] {
        deployment.manager().save_override(&json!({"customer_id": 6, "brand": "ion4", "provider": provider})).await;
    }
    let answer = send_as_manager(&deployment, OVERRIDE_REQUEST).await;
    shows(&answer, &format!(r#"{{"extID":"1","status":200,"data":{OVERRIDE_ANSWER}}}"#));

    // The defaults: `mode` allow, no limits of its own, no expiration. An update leaves other fields as they are.
    let least = json!({"customer_id": 5, "brand": "ion4", "provider": "stripe"});
    let saved = deployment.manager().run("MngUpdateCashierCustomerProviderOverride", &least).await;
    let shown = &saved["override"];
    assert_eq!((&shown["id"], &shown["mode"], &shown["enabled"]), (&json!(4), &json!(0), &json!(1)), "{saved}");
    assert_eq!((shown["min_amount"].to_string(), &shown["expires_time"]), ("0.0".into(), &json!(0)), "{saved}");
    deployment.clock.advance_seconds(9);
    let update = json!({"id": 3, "customer_id": 5, "brand": "ion4", "provider": "stripe", "mode": 1});
    let saved = deployment.manager().run("MngUpdateCashierCustomerProviderOverride", &update).await;
    let shown = &saved["override"];
    assert_eq!((&shown["mode"], &shown["reason"]), (&json!(1), &json!("VIP_ALLOW")), "{saved}");
    assert_eq!((&shown["created_time"], &shown["updated_time"]), (&json!(START), &json!(START + 9)), "{saved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cashier_page_names_every_endpoint_and_its_method() {
    let deployment = deployment_of_the_examples().await;
    let table = [
        ("GET", "/cashier/methods", "POST"),
        ("POST", "/cashier/deposit", "GET"),
        ("POST", "/cashier/withdrawal", "GET"),
        ("GET", "/cashier/transactions", "POST"),
        ("POST", "/cashier/webhook/stripe", "PUT"),
    ];
    for (takes, path, not) in table {
        let url = format!("{}{path}", deployment.customer_url());
        let send = async |method: &str| {
            let method = method.parse().unwrap_or_else(|_| panic!("a method"));
            deployment.http.send(method, &url, &[], "").await
        };
        let refused = send(not).await;
        let allowed = refused.header("allow");
        assert!(refused.status == 405 && allowed.split(", ").any(|one| one == takes), "{not} {path}: {allowed}");
        let without_session = send(takes).await.refusal();
        let expected = if path.contains("webhook") { (401, "INVALID_SIGNATURE") } else { (403, "PERMISSION_DENIED") };
        assert_eq!(without_session, (expected.0, expected.1.to_owned()), "{takes} {path}");
    }
}

#[test]
fn the_cashier_page_names_every_status() {
    let page = [
        "created",
        "pending_payment",
        "provider_confirmed",
        "credited",
        "credit_failed",
        "failed",
        "cancelled",
        "refunded",
        "chargeback",
        "manual_review",
    ];
    for (number, name) in (0..).zip(page) {
        assert_eq!(TransactionStatus::from_number(number).map(|status| status.name()), Some(name));
    }
    assert_eq!(TransactionStatus::from_number(10), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_page_names_who_may_use_its_methods() {
    let deployment = deployment_of_the_examples().await;
    let roles = [
        (Role::User, false),
        (Role::Manager, true),
        (Role::Dealer, true),
        (Role::Admin, true),
        (Role::System, false),
        (Role::Fix, false),
        (Role::Customer, false),
        (Role::CrmManager, true),
        (Role::CrmAdmin, true),
    ];
    let commands = [
        ("MngGetCashierTransactionsByFilter", json!({})),
        ("MngGetCashierTransaction", json!({"id": 15})),
        ("MngUpdateCashierTransaction", json!({"id": 15, "comment": "seen"})),
        ("MngGetCashierProviderEventsByFilter", json!({})),
        ("MngGetCashierProviders", json!({})),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "sort_index": 1})),
        ("MngUpdateCashierCustomerProviderOverride", json!({"customer_id": 5, "brand": "ion4", "provider": "x"})),
        ("MngGetCashierCustomerProviderOverride", json!({"id": 1})),
        ("MngGetCashierCustomerProviderOverridesByFilter", json!({})),
    ];
    let mut manager = deployment.manager();
    for (role, may) in roles {
        manager.token = deployment.token(role, 9, None);
        for (command, data) in &commands {
            let answer = manager.command(command, data).await;
            let error = answer.json()["data"]["error"].clone();
            let expected = if may { (200, Value::Null) } else { (403, json!("PERMISSION_DENIED")) };
            assert_eq!((answer.status, error), expected, "{role:?} {command}");
        }
        // The other roles may use no unpublished command either.
        for command in COMMANDS.iter().filter(|_| !may) {
            let refused = manager.command(command.name, &json!({})).await;
            let error = refused.json()["data"]["error"].clone();
            assert_eq!((refused.status, error), (403, json!("PERMISSION_DENIED")), "{role:?} {}", command.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_page_lists_transactions_in_table_format() {
    let deployment = deployment_of_the_examples().await;
    let table =
        deployment.manager().run("MngGetCashierTransactionsByFilter", &json!({"where": [["id", "=", 15]]})).await;
    let structure = json!([
        "id",
        "customer_id",
        "login",
        "type",
        "provider",
        "method",
        "provider_payment_id",
        "amount",
        "currency",
        "status",
        "failure_reason",
        "created_time",
        "updated_time"
    ]);
    assert_eq!(table["structure"], structure, "{table}");
    let row = table["rows"][0].to_string();
    let expected = format!(r#"[15,5,{LOGIN},0,"stripe","card","pi_123",250.0,"USD",1,"",1779270000,1779270000]"#);
    assert_eq!((row, &table["count"]), (expected, &json!(1)), "{table}");
}
