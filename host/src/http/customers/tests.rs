//! The customer listener from outside: the published pages, and everything a client may do wrong.

use cashier_core::aggregate::CreateEnding;
use cashier_core::session::Role;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::http::customer_context::JSON_LENGTH_MAX;
use crate::http::session::{SessionKey, SessionKeys, issue_token};
use crate::http::testing::{ReceivedResponse, TestListener};
use crate::http::webhook::NOTICE_LENGTH_MAX;
use crate::json_object::validation;
use crate::test_cashier::{DEPOSITS_PER_MINUTE, TestCashier, TestClock, own_words};
use crate::wire::read::parse;

struct Street {
    world: TestCashier,
    listener: TestListener,
    keys: Arc<SessionKeys>,
}

impl Street {
    async fn open() -> Self {
        let world = TestCashier::new();
        let keys = Arc::new(SessionKeys::new(vec![SessionKey::new("k", &[7; 32]).unwrap()]).unwrap());
        let routes = crate::http::customer_routes(&world.cashier, &keys);
        let listener = TestListener::open(routes, Arc::clone(&world.clock)).await;
        Self { world, listener, keys }
    }

    fn token(&self, role: Role, id: u64, brand: Option<&str>) -> String {
        format!("authorization: {}\r\n", issue_token(&self.keys, role, id, brand, 60, TestClock::NOW).unwrap())
    }

    /// As customer 5.
    async fn send(&self, line: &str, body: &str) -> ReceivedResponse {
        let response = self.listener.send(line, &self.token(Role::Customer, 5, None), body).await;
        assert_described(line, body, &response);
        response
    }

    async fn deposit(&self, key: &str, amount: &str) -> ReceivedResponse {
        let body = format!(
            r#"{{"login":2000009,"provider":"stripe","amount":{amount},"currency":"USD","idempotency_key":"{key}","success_url":"https://shop.example/ok","metadata_json":"{{}}"}}"#
        );
        self.send("POST /cashier/deposit", &body).await
    }

    /// A genuine confirmation of what the provider was last asked for.
    async fn confirm(&self, event_id: &str, minor: i64) -> ReceivedResponse {
        let reference = self.world.provider.orders.lock().unwrap().last().unwrap().reference.clone();
        let body = format!("{event_id} {reference} {minor}");
        let line = "POST /cashier/webhook/stripe/1";
        let response = self.listener.send(line, "x-signature: config 1\r\n", &body).await;
        assert_described(line, &body, &response);
        response
    }
}

/// Asserts that an exchange is as the schemas describe it.
fn assert_described(line: &str, body: &str, response: &ReceivedResponse) {
    let schemas = crate::wire::schema::all();
    let schema = |name: String| schemas.iter().find(|(known, _)| *known == name).map(|(_, schema)| schema);
    let path = line.split('/').nth(2).unwrap_or_default();
    let endpoint = path.split(['?', ' ']).next().unwrap_or_default();
    if response.status != 200 {
        return validation::assert_answer(schema("error".into()).unwrap(), &response.body);
    }
    validation::assert_answer(schema(format!("{endpoint}.answer")).unwrap(), &response.body);
    if let Some(request) = schema(format!("{endpoint}.request")) {
        validation::assert_request(request, body);
    }
}

const FIELDS: &str = "id customer_id login type provider method provider_payment_id amount currency account_currency converted_amount conversion_rate status failure_reason idempotency_key comment metadata_json source approved_by approved_time processed_by processed_time reject_reason created_time updated_time";

/// The names of the fields of the object behind `marker`, in the order they were written.
fn names_in_order(body: &str, marker: &str) -> String {
    let from = body.split_once(marker).unwrap().1;
    let object = serde_json::Deserializer::from_str(from).into_iter::<&RawValue>().next().unwrap().unwrap();
    let fields = parse(object.get().as_bytes(), "object").unwrap().0;
    fields.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_published_history_request_gets_the_published_answer() {
    let street = Street::open().await;
    let made = street.deposit("0f9bb0e7-642d-4b70-b458-62e3993c7d2d", "250.0").await;
    assert_eq!(made.status, 200, "{}", made.body);
    street.deposit("other", "20").await;
    street.confirm("evt_1", 2000).await;
    let published = "GET /cashier/transactions?limit=50&offset=0&login=2000009&where[0][0]=status&where[0][1]==&where[0][2]=1&orderBy[0][0]=created_time&orderBy[0][1]=desc";
    let expected = json!({"rows": [{
        "id": 1, "customer_id": 5, "login": 2000009, "type": 0, "provider": "stripe", "method": "card",
        "provider_payment_id": "pi_123", "currency": "USD", "account_currency": "USD", "status": 1,
        "failure_reason": "", "idempotency_key": "0f9bb0e7-642d-4b70-b458-62e3993c7d2d", "comment": "",
        "metadata_json": "{}", "source": 0, "approved_by": 0, "approved_time": 0, "processed_by": 0,
        "processed_time": 0, "reject_reason": "", "created_time": 1779270000, "updated_time": 1779270000
    }], "count": 1});
    for line in [published.to_owned(), published.replace('[', "%5b").replace(']', "%5D")] {
        let heard = street.send(&line, "").await;
        let mut shown = heard.json();
        let row = shown["rows"][0].as_object_mut().unwrap();
        let amounts =
            ["amount", "converted_amount", "conversion_rate"].map(|name| row.remove(name).unwrap().to_string());
        assert_eq!(amounts, ["250.0", "250.0", "1.0"]);
        assert_eq!(shown, expected);
        assert_eq!(names_in_order(&heard.body, "\"rows\":["), FIELDS);
    }
    let all = street.send("GET /cashier/transactions", "").await.json();
    assert_eq!((&all["count"], &all["rows"][0]["id"], &all["rows"][1]["id"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!(all["rows"][0]["status"], 3);
    let page = street.send("GET /cashier/transactions?limit=1&offset=1", "").await.json();
    assert_eq!((&page["count"], &page["rows"][0]["id"], &page["rows"][1]), (&json!(2), &json!(1), &Value::Null));
    let foreign = street.listener.send("GET /cashier/transactions", &street.token(Role::Customer, 6, None), "").await;
    assert_eq!(foreign.body, r#"{"rows":[],"count":0}"#);
    let branded =
        street.listener.send("GET /cashier/transactions", &street.token(Role::Customer, 5, Some("x")), "").await;
    assert_eq!(branded.body, r#"{"rows":[],"count":0}"#);
}

#[tokio::test]
async fn a_deposit_redirects_repeats_and_conflicts() {
    let street = Street::open().await;
    let first = street.deposit("k", "250.00").await;
    assert!(first.body.starts_with(r#"{"transaction":{"id":1,"customer_id":5,"#), "{}", first.body);
    let tail = r#"},"next_action":"REDIRECT","redirect_url":"https://pay.example/c/1","instructions":{}}"#;
    assert!(first.body.ends_with(tail), "{}", first.body);
    assert_eq!(names_in_order(&first.body, "\"transaction\":"), FIELDS);
    assert_eq!((first.status, first.header("x-own-latency-us")), (200, Some("0")));
    let again = street.deposit("k", "250").await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    let other = street.deposit("k", "251").await;
    assert_eq!((other.status, other.error().as_str()), (409, "IDEMPOTENCY_CONFLICT"));
    assert_eq!(street.world.provider.orders.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_customer_who_asks_too_often_is_told_when_to_come_back() {
    let street = Street::open().await;
    for _ in 0..DEPOSITS_PER_MINUTE {
        assert_eq!(street.deposit("k", "25").await.status, 200);
    }
    let heard = street.deposit("k", "25").await;
    assert_eq!(
        (heard.status, heard.error().as_str(), heard.header("retry-after")),
        (429, "RET_ERR_FREQUENT", Some("1"))
    );
    street.world.clock.pass(std::time::Duration::from_secs(60));
    assert_eq!(street.deposit("k", "25").await.status, 200);
}

#[tokio::test]
async fn a_providers_no_comes_with_the_transaction() {
    let street = Street::open().await;
    let table = [
        (CreateEnding::Declined { reason: "CANARY do_not_honor".into() }, 502, "PROVIDER_DECLINED", 5),
        (CreateEnding::NeverSent { reason: "CANARY refused".into() }, 503, "PROVIDER_UNAVAILABLE", 5),
    ];
    for (ending, number, error, status) in table {
        *street.world.provider.ending.lock().unwrap() = Some(ending);
        let heard = street.deposit("", "25").await;
        assert_eq!((heard.status, heard.error().as_str()), (number, error));
        assert_eq!(heard.json()["transaction"]["status"], status);
        assert_eq!(names_in_order(&heard.body, "\"transaction\":"), FIELDS);
        assert!(!heard.body.contains("CANARY"), "{}", heard.body);
        assert_eq!(heard.header("retry-after"), (number == 503).then_some("1"));
    }
    *street.world.provider.ending.lock().unwrap() = Some(CreateEnding::Unknown);
    let heard = street.deposit("", "25").await;
    assert_eq!((heard.status, &heard.json()["next_action"]), (200, &json!("WAIT")));
}

#[tokio::test]
async fn whatever_is_wrong_gets_its_documented_answer() {
    let street = Street::open().await;
    let fine = r#""provider":"stripe","amount":25,"currency":"USD""#;
    let body = |rest: &str| format!(r#"{{"login":2000009,{rest}}}"#);
    let huge = format!("{{\"comment\":\"{}\"}}", "x".repeat(JSON_LENGTH_MAX));
    let deposit = "POST /cashier/deposit";
    let table: Vec<(&str, String, u16, &str)> = vec![
        (deposit, "".into(), 400, "INVALID_DATA"),
        (deposit, "{".into(), 400, "INVALID_DATA"),
        (deposit, "[]".into(), 400, "INVALID_DATA"),
        (deposit, "null".into(), 400, "INVALID_DATA"),
        (deposit, "\u{feff}{}".into(), 400, "INVALID_DATA"),
        (deposit, huge, 413, "BODY_TOO_LARGE"),
        (deposit, body(r#""provider":"stripe","amount":"25","currency":"USD""#), 400, "INVALID_DATA"),
        (deposit, body(r#""provider":"stripe","amount":1e3,"currency":"USD""#), 400, "INVALID_DATA"),
        (deposit, body(&format!(r#"{fine},"unknown":1"#)), 400, "INVALID_DATA"),
        (deposit, body(&format!(r#"{fine},"amount":26"#)), 400, "INVALID_DATA"),
        (deposit, body(&format!(r#"{fine},"success_url":"http://localhost/""#)), 400, "INVALID_DATA"),
        (deposit, body(r#""provider":"stripe","amount":25,"currency":"EUR""#), 400, "CURRENCY_CONVERSION_REQUIRED"),
        (deposit, body(r#""provider":"paypal","amount":25,"currency":"USD""#), 400, "METHOD_NOT_AVAILABLE"),
        (deposit, body(r#""provider":"stripe","amount":9,"currency":"USD""#), 400, "AMOUNT_OUT_OF_RANGE"),
        (deposit, format!(r#"{{"login":2000010,{fine}}}"#), 403, "ACCOUNT_DISABLED"),
        (deposit, format!(r#"{{"login":2000011,{fine}}}"#), 403, "PERMISSION_DENIED"),
        (deposit, format!(r#"{{"login":9,{fine}}}"#), 403, "PERMISSION_DENIED"),
        ("POST /cashier/withdrawal", body(r#""amount":25,"currency":"EUR""#), 400, "CURRENCY_CONVERSION_REQUIRED"),
        ("POST /cashier/withdrawal", body(r#""amount":0,"currency":"USD""#), 400, "INVALID_DATA"),
        ("GET /cashier/methods", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=abc", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=+9", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=2000009&color=red", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=2000011", "".into(), 403, "PERMISSION_DENIED"),
        ("GET /cashier/methods?login=9", "".into(), 403, "PERMISSION_DENIED"),
        ("GET /cashier/transactions?login=2000011", "".into(), 403, "PERMISSION_DENIED"),
        ("GET /cashier/transactions?limit=0", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/transactions?wher%65x[0]=1", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/transactions?where[0][0]=%ff", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/transactions?where[0][0]=amount&where[0][1]==&where[0][2]=1", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /cashier/", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /cashier/methods/", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /cashier/cashier/methods?login=2000009", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET //cashier/methods", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("POST /cashier/webhook", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("POST /cashier/webhook/stripe/1/x", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("POST /manager", "{}".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /cashier/methods?login=2000500", "".into(), 503, "STORAGE_UNAVAILABLE"),
    ];
    for (line, body, number, error) in table {
        let heard = street.send(line, &body).await;
        let start: String = body.chars().take(60).collect();
        assert_eq!((heard.status, heard.error().as_str()), (number, error), "{line} {start}: {}", heard.body);
        assert!(!heard.body.contains("CANARY") && heard.header("x-request-id").is_some(), "{line}");
    }
    assert!(street.world.provider.orders.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_a_customers_own_live_token_opens_the_door() {
    let street = Street::open().await;
    let (customer, manager) = (street.token(Role::Customer, 5, None), street.token(Role::Manager, 5, None));
    let twice = format!("{customer}{customer}");
    let bearer = customer.replace("authorization: ", "authorization: Bearer ");
    let forged = format!("{}A\r\n", customer.trim_end());
    let table = [
        ("", 403),
        ("authorization: \r\n", 403),
        ("authorization: Basic Og==\r\n", 403),
        (&forged, 403),
        (&manager, 403),
        (&twice, 403),
        (&customer, 200),
        (&bearer, 200),
    ];
    let lines = ["GET /cashier/methods?login=2000009", "GET /cashier/transactions"];
    for (headers, number) in table {
        for line in lines {
            let heard = street.listener.send(line, headers, "").await;
            assert_eq!(heard.status, number, "{line} {headers}");
            assert!(number == 200 || heard.error() == "PERMISSION_DENIED");
        }
    }
    for line in ["POST /cashier/deposit", "POST /cashier/withdrawal"] {
        assert_eq!(street.listener.send(line, "", "{").await.error(), "PERMISSION_DENIED");
    }
    let foreign_brand = street.token(Role::Customer, 5, Some("other"));
    assert_eq!(street.listener.send(lines[0], &foreign_brand, "").await.error(), "PERMISSION_DENIED");
    street.keys.replace(vec![SessionKey::new("k", &[8; 32]).unwrap()]).unwrap();
    assert_eq!(street.listener.send(lines[0], &customer, "").await.status, 403);
}

#[tokio::test]
async fn undeclared_methods_name_the_one_that_is_taken() {
    let street = Street::open().await;
    let table = [
        ("/cashier/methods", "GET"),
        ("/cashier/deposit", "POST"),
        ("/cashier/withdrawal", "POST"),
        ("/cashier/transactions", "GET"),
        ("/cashier/webhook/stripe", "POST"),
        ("/cashier/webhook/stripe/1", "POST"),
    ];
    for (path, takes) in table {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"].into_iter().filter(|m| *m != takes) {
            let heard = street.listener.send(&format!("{method} {path}"), "", "").await;
            assert_eq!((heard.status, heard.header("allow")), (405, Some(takes)), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn methods_show_what_serves_the_account_and_no_secret() {
    let street = Street::open().await;
    let heard = street.send("GET /cashier/methods?login=2000009", "").await;
    let expected = r#"{"rows":[{"provider_config_id":1,"provider":"stripe","method":"card","brand":"ion4","currency":"","country":"","payment_mode":"redirect","display_name":"Card","description":"Pay by card","public_key":"pk_1","min_amount":10.0,"max_amount":5000.0,"sandbox":0,"sort_index":0,"override_id":0,"override_mode":0}],"count":1}"#;
    assert_eq!(heard.body, expected);
    assert_eq!(heard.header("content-type"), Some("application/json"));
    let disabled = street.send("GET /cashier/methods?login=2000010", "").await;
    assert_eq!((disabled.status, disabled.body.as_str()), (200, r#"{"rows":[],"count":0}"#));
}

#[tokio::test]
async fn a_withdrawal_waits_for_a_person() {
    let street = Street::open().await;
    let body = r#"{"login":2000009,"amount":40.50,"currency":"USD","method":"bank","idempotency_key":"w"}"#;
    let heard = street.send("POST /cashier/withdrawal", body).await;
    let shown = heard.json();
    let row = &shown["transaction"];
    assert_eq!((heard.status, names_in_order(&heard.body, "\"transaction\":").as_str()), (200, FIELDS));
    assert_eq!(
        [&row["type"], &row["provider"], &row["source"], &row["status"]],
        [&json!(1), &json!("manual"), &json!(1), &json!(9)]
    );
    assert_eq!(street.send("POST /cashier/withdrawal", body).await.body, heard.body);
    let other = street.send("POST /cashier/withdrawal", &body.replace("40.50", "41")).await;
    assert_eq!(other.error(), "IDEMPOTENCY_CONFLICT");
    assert!(street.world.trading.posted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_webhook_is_bytes_in_and_the_published_answer_out() {
    let street = Street::open().await;
    street.deposit("k", "250.0").await;
    let heard = street.confirm("evt_1", 25_000).await;
    let shown = heard.json();
    assert_eq!(heard.status, 200, "{}", heard.body);
    assert!(heard.body.starts_with(r#"{"event":{"id":1,"provider":"stripe","event_id":"evt_1","#), "{}", heard.body);
    let tail = r#","transaction":{"id":1,"status":3,"provider_payment_id":"pi_123"},"data":"OK","duplicate":false}"#;
    assert!(heard.body.ends_with(tail), "{}", heard.body);
    assert_eq!((&shown["event"]["payload_json"], &shown["event"]["processing_status"]), (&json!(""), &json!(1)));
    let again = street.confirm("evt_1", 25_000).await;
    assert!(again.status == 200 && again.body.ends_with(r#""duplicate":true}"#), "{} {}", again.status, again.body);
    assert_eq!(street.world.trading.posted.lock().unwrap().len(), 1);

    let send = async |path: &str, headers: &str, body: &str| {
        street.listener.send(&format!("POST /cashier/webhook/{path}"), headers, body).await
    };
    let unknown = send("stripe/1", "x-signature: config 1\r\n", "evt_9 - 1").await;
    assert_eq!((unknown.status, &unknown.json()["transaction"]), (200, &Value::Null));
    let refused = r#"{"error":"INVALID_SIGNATURE","message":"the notice could not be verified"}"#;
    for (path, headers) in [
        ("stripe", ""),
        ("stripe/1", "x-signature: config 2\r\n"),
        ("stripe/99", "x-signature: config 1\r\n"),
        ("stripe/abc", "x-signature: config 1\r\n"),
        ("stripe/-1", "x-signature: config 1\r\n"),
        ("stripe/18446744073709551616", "x-signature: config 1\r\n"),
        ("nobody", "x-signature: config 1\r\n"),
        ("%00%ff", "x-signature: config 1\r\n"),
    ] {
        let heard = send(path, headers, "evt_2 - 1").await;
        assert_eq!((heard.status, heard.body.as_str()), (401, refused), "{path}");
    }
    let huge = "x".repeat(NOTICE_LENGTH_MAX + 1);
    assert_eq!(send("stripe", "", &huge).await.status, 413);
    *street.world.provider.acknowledgement.lock().unwrap() = Some(own_words());
    let own = send("stripe", "x-signature: config 1\r\ncontent-type: what/ever\r\n", "evt_3 - 1").await;
    let (status, words) = (own.status, own.body.as_str());
    assert_eq!((status, words, own.header("content-type")), (202, "[accepted]", Some("text/plain")));
}
