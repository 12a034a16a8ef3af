//! The customer listener over HTTP: the published examples, and everything a client can get wrong.

use cashier_core::notice::{StatedAmount, Update};
use cashier_core::session::Role;
use cashier_core::status::ProviderStatus;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::http::session::{SessionKey, SessionKeys, issue_token};
use crate::http::testing::{ReceivedResponse, TestListener};
use crate::http::webhook::NOTICE_LENGTH_MAX;
use crate::json_object::validation;
use crate::ports::Clock;
use crate::test_cashier::{DEPOSITS_PER_MINUTE, OnCreate, TestCashier, lock, own_acknowledgement, paid, update, usd};
use crate::wire::read::parse;

mod converted;
mod floods;
mod held;
mod lists;
mod manners;
mod refusals;
mod spellings;

struct CustomerApi {
    env: TestCashier,
    listener: TestListener,
    keys: Arc<SessionKeys>,
}

impl CustomerApi {
    async fn open() -> Self {
        let env = TestCashier::published().await;
        let keys = Arc::new(SessionKeys::new(vec![SessionKey::new("k", &[7; 32]).unwrap()]).unwrap());
        let routes = crate::http::customer_routes(&env.cashier, &keys, &[]);
        let listener = TestListener::open(routes, Arc::clone(&env.clock)).await;
        Self { env, listener, keys }
    }

    fn token(&self, role: Role, id: u64, brand: Option<&str>) -> String {
        let token = issue_token(&self.keys, role, id, brand, 60, self.env.clock.now()).unwrap();
        format!("authorization: {token}\r\n")
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

    /// A verified confirmation of the provider's last order.
    async fn confirm(&self, event_id: &str, minor: i64) -> ReceivedResponse {
        let reference = self.env.provider.references().pop().unwrap();
        let amount = Some(StatedAmount::Exact(usd(minor)));
        let body = self.env.provider.notice_body(vec![Update { amount, ..paid(event_id, &reference) }]);
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
    let endpoint = if line.ends_with("/cancel") { "cancel" } else { path.split(['?', ' ']).next().unwrap_or_default() };
    let (method, target) = line.split_once(' ').unwrap();
    let (status, target) = (response.status, target.split('?').next().unwrap());
    if ![404, 405].contains(&status) {
        let codes = openapi::tests::declared("customer", &method.to_lowercase(), target, status);
        let codes = codes.unwrap_or_else(|| panic!("{line}: {status} is not declared"));
        let error = serde_json::from_str::<Value>(&response.body).unwrap()["error"].take();
        assert!(
            error.is_null() || codes.iter().any(|code| error == **code),
            "{line}: {error} is not declared: {codes:?}"
        );
    }
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
async fn the_published_list_request_gets_the_published_response() {
    let api = CustomerApi::open().await;
    let made = api.deposit("0f9bb0e7-642d-4b70-b458-62e3993c7d2d", "250.0").await;
    assert_eq!(made.status, 200, "{}", made.body);
    api.deposit("other", "20").await;
    api.confirm("evt_1", 2000).await;
    let published = "GET /cashier/transactions?limit=50&offset=0&login=2000009&where[0][0]=status&where[0][1]==&where[0][2]=1&orderBy[0][0]=created_time&orderBy[0][1]=desc";
    let expected = json!({"rows": [{
        "id": 1, "customer_id": 5, "login": 2000009, "type": 0, "provider": "stripe", "method": "card",
        "provider_payment_id": "pi_123", "currency": "USD", "account_currency": "USD", "status": 1,
        "failure_reason": "", "idempotency_key": "0f9bb0e7-642d-4b70-b458-62e3993c7d2d", "comment": "",
        "metadata_json": "{}", "source": 0, "approved_by": 0, "approved_time": 0, "processed_by": 0,
        "processed_time": 0, "reject_reason": "", "created_time": 1779270000, "updated_time": 1779270000
    }], "count": 1});
    for line in [published.to_owned(), published.replace('[', "%5b").replace(']', "%5D")] {
        let response = api.send(&line, "").await;
        let mut listed = response.json();
        let row = listed["rows"][0].as_object_mut().unwrap();
        let amounts =
            ["amount", "converted_amount", "conversion_rate"].map(|name| row.remove(name).unwrap().to_string());
        assert_eq!(amounts, ["250.0", "250.0", "1.0"]);
        assert_eq!(listed, expected);
        assert_eq!(names_in_order(&response.body, "\"rows\":["), FIELDS);
    }
    let all = api.send("GET /cashier/transactions", "").await.json();
    assert_eq!((&all["count"], &all["rows"][0]["id"], &all["rows"][1]["id"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!(all["rows"][0]["status"], 3);
    let page = api.send("GET /cashier/transactions?limit=1&offset=1", "").await.json();
    assert_eq!((&page["count"], &page["rows"][0]["id"], &page["rows"][1]), (&json!(2), &json!(1), &Value::Null));
    let foreign = api.listener.send("GET /cashier/transactions", &api.token(Role::Customer, 6, None), "").await;
    assert_eq!(foreign.body, r#"{"rows":[],"count":0}"#);
    let branded = api.listener.send("GET /cashier/transactions", &api.token(Role::Customer, 5, Some("x")), "").await;
    assert_eq!(branded.body, r#"{"rows":[],"count":0}"#);
}

#[tokio::test]
async fn a_deposit_redirects_and_its_key_repeats_or_conflicts() {
    let api = CustomerApi::open().await;
    let first = api.deposit("k", "250.00").await;
    assert!(first.body.starts_with(r#"{"transaction":{"id":1,"customer_id":5,"#), "{}", first.body);
    let tail = r#"},"next_action":"REDIRECT","redirect_url":"https://pay.example/c/1","instructions":{}}"#;
    assert!(first.body.ends_with(tail), "{}", first.body);
    assert_eq!(names_in_order(&first.body, "\"transaction\":"), FIELDS);
    assert_eq!((first.status, first.header("x-own-latency-us")), (200, Some("0")));
    let again = api.deposit("k", "250").await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    let other = api.deposit("k", "251").await;
    assert_eq!((other.status, other.error().as_str()), (409, "IDEMPOTENCY_CONFLICT"));
    assert_eq!(api.env.provider.references().len(), 1);
}

#[tokio::test]
async fn deposits_above_the_rate_limit_get_429_with_retry_after() {
    let api = CustomerApi::open().await;
    for _ in 0..DEPOSITS_PER_MINUTE {
        assert_eq!(api.deposit("k", "25").await.status, 200);
    }
    let response = api.deposit("k", "25").await;
    assert_eq!(
        (response.status, response.error().as_str(), response.header("retry-after")),
        (429, "RET_ERR_FREQUENT", Some("1"))
    );
    api.env.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(api.deposit("k", "25").await.status, 200);
}

#[tokio::test]
async fn a_refused_create_is_answered_with_its_transaction() {
    let api = CustomerApi::open().await;
    let table =
        [(OnCreate::Decline, 502, "PROVIDER_DECLINED", 5), (OnCreate::NeverSent, 503, "PROVIDER_UNAVAILABLE", 5)];
    for (create, number, error, status) in table {
        lock(&api.env.provider.next_creates).push_back(create);
        let response = api.deposit("", "25").await;
        assert_eq!((response.status, response.error().as_str()), (number, error));
        assert_eq!(response.json()["transaction"]["status"], status);
        assert_eq!(names_in_order(&response.body, "\"transaction\":"), FIELDS);
        assert!(!response.body.contains("CANARY"), "{}", response.body);
        assert_eq!(response.header("retry-after"), (number == 503).then_some("1"));
    }
    lock(&api.env.provider.next_creates).push_back(OnCreate::AnswerLost);
    let response = api.deposit("", "25").await;
    assert_eq!((response.status, &response.json()["next_action"]), (200, &json!("WAIT")));
}

#[tokio::test]
async fn methods_lists_the_configs_of_the_account_without_secrets() {
    let api = CustomerApi::open().await;
    let response = api.send("GET /cashier/methods?login=2000009", "").await;
    let expected = r#"{"rows":[{"provider_config_id":1,"provider":"stripe","method":"card","brand":"ion4","currency":"","country":"","payment_mode":"redirect","display_name":"Card","description":"Pay by card","public_key":"pk_1","min_amount":10.0,"max_amount":5000.0,"sandbox":0,"sort_index":0,"override_id":0,"override_mode":0}],"count":1}"#;
    assert_eq!(response.body, expected);
    assert_eq!(response.header("content-type"), Some("application/json"));
    let disabled = api.send("GET /cashier/methods?login=2000010", "").await;
    assert_eq!((disabled.status, disabled.body.as_str()), (200, r#"{"rows":[],"count":0}"#));
}

#[tokio::test]
async fn a_withdrawal_is_recorded_for_review() {
    let api = CustomerApi::open().await;
    let body = r#"{"login":2000009,"amount":40.50,"currency":"USD","method":"bank","idempotency_key":"w"}"#;
    let response = api.send("POST /cashier/withdrawal", body).await;
    let json = response.json();
    let row = &json["transaction"];
    assert_eq!((response.status, names_in_order(&response.body, "\"transaction\":").as_str()), (200, FIELDS));
    assert_eq!(
        [&row["type"], &row["provider"], &row["source"], &row["status"]],
        [&json!(1), &json!("manual"), &json!(1), &json!(9)]
    );
    assert_eq!(api.send("POST /cashier/withdrawal", body).await.body, response.body);
    let other = api.send("POST /cashier/withdrawal", &body.replace("40.50", "41")).await;
    assert_eq!(other.error(), "IDEMPOTENCY_CONFLICT");
    assert!(lock(&api.env.trading.posted).is_empty());
}

#[tokio::test]
async fn a_withdrawal_is_taken_back_by_its_customer_alone() {
    let api = CustomerApi::open().await;
    let body = r#"{"login":2000009,"amount":50.5,"currency":"USD"}"#;
    assert_eq!(api.send("POST /cashier/withdrawal", body).await.status, 200);
    let line = "POST /cashier/withdrawal/1/cancel";
    let other = api.listener.send(line, &api.token(Role::Customer, 6, None), "{}").await;
    assert_eq!((other.status, api.listener.send(line, "", "{}").await.status), (404, 403));
    for (line, body, number) in [
        (line, "[]", 400),
        (line, r#"{"reason":"x"}"#, 400),
        ("POST /cashier/withdrawal/2/cancel", "{}", 404),
        ("POST /cashier/withdrawal/x/cancel", "{}", 404),
        ("POST /cashier/withdrawal/-1/cancel", "{}", 404),
        ("GET /cashier/withdrawal/1/cancel", "", 405),
    ] {
        assert_eq!(api.send(line, body).await.status, number, "{line} {body}");
    }
    let response = api.send(line, "{}").await;
    let transaction: Value = serde_json::from_str(&response.body).unwrap();
    let row = &transaction["transaction"];
    assert_eq!((response.status, &row["status"], &row["failure_reason"]), (200, &json!(6), &json!("CANCELLED")));
    let again = api.listener.send(line, &api.token(Role::Customer, 5, Some("ion4")), "").await;
    assert_eq!(again.status, 409, "{}", again.body);
}

#[tokio::test]
async fn a_webhook_gets_the_published_response() {
    let api = CustomerApi::open().await;
    api.deposit("k", "250.0").await;
    let response = api.confirm("evt_1", 25_000).await;
    let json = response.json();
    assert_eq!(response.status, 200, "{}", response.body);
    assert!(
        response.body.starts_with(r#"{"event":{"id":1,"provider":"stripe","event_id":"evt_1","#),
        "{}",
        response.body
    );
    let tail = r#","transaction":{"id":1,"status":2,"provider_payment_id":"pi_123"},"data":"OK","duplicate":false}"#;
    assert!(response.body.ends_with(tail), "{}", response.body);
    assert_eq!((&json["event"]["payload_json"], &json["event"]["processing_status"]), (&json!(""), &json!(1)));
    let again = api.confirm("evt_1", 25_000).await;
    assert!(again.status == 200 && again.body.ends_with(r#""duplicate":true}"#), "{} {}", again.status, again.body);
    assert_eq!(lock(&api.env.trading.posted).len(), 1);

    let send = async |path: &str, headers: &str, body: &str| {
        api.listener.send(&format!("POST /cashier/webhook/{path}"), headers, body).await
    };
    let notice = |event_id: &str| api.env.provider.notice_body(vec![update(event_id, ProviderStatus::Confirmed)]);
    let unknown = send("stripe/1", "x-signature: config 1\r\n", &notice("evt_9")).await;
    assert_eq!((unknown.status, &unknown.json()["transaction"]), (200, &Value::Null));
    let refused = r#"{"error":"INVALID_SIGNATURE","message":"the notice could not be verified"}"#;
    for (path, headers) in [
        ("stripe", ""),
        ("stripe/1", "x-signature: config 2\r\n"),
        ("stripe/99", "x-signature: config 1\r\n"),
        ("stripe/abc", "x-signature: config 1\r\n"),
        ("stripe/-1", "x-signature: config 1\r\n"),
        ("stripe/18446744073709551616", "x-signature: config 1\r\n"),
        ("unknown", "x-signature: config 1\r\n"),
        ("%00%ff", "x-signature: config 1\r\n"),
    ] {
        let response = send(path, headers, &notice("evt_2")).await;
        assert_eq!((response.status, response.body.as_str()), (401, refused), "{path}");
    }
    let huge = "x".repeat(NOTICE_LENGTH_MAX + 1);
    assert_eq!(send("stripe", "", &huge).await.status, 413);
    *lock(&api.env.provider.acknowledgement) = Some(own_acknowledgement());
    let own = send("stripe", "x-signature: config 1\r\ncontent-type: any/type\r\n", &notice("evt_3")).await;
    let (status, body) = (own.status, own.body.as_str());
    assert_eq!((status, body, own.header("content-type")), (202, "[accepted]", Some("text/plain")));
}
