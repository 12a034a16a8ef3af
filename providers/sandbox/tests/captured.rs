//! Compares the bodies in `tests/cases/captured_*.json` with what the running service sends. What the
//! module reads from them is tested by `tests/conformance.rs`. With `UPDATE_CASES=1` the bodies are
//! written to the files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue must stop"
)]

mod fixture;
mod harness;

use std::path::PathBuf;

use cashier_provider_sdk::{HttpReply, HttpRequest, PaymentRef, ProviderRef, WebhookNotice};
use fixture::ModuleFixture;
use harness::SECRET_KEY;
use serde_json::{Value, json};

/// The captured bodies must not depend on the port of the service.
const PUBLIC_URL: &str = "http://127.0.0.1:8900";

/// The name of a case, its switches, and the actions after the payment was created: `press:<button>`,
/// `apply:<event>[:<amount>]`. The last webhook is the case.
const NOTICES: [(&str, &str, &[&str]); 21] = [
    ("pending", "", &["apply:pending"]),
    ("confirmed on the page", "", &["press:pay"]),
    ("declined by the payer", "", &["press:decline"]),
    ("declined by the bank", "pay_decline", &["press:pay"]),
    ("cancelled on the page", "", &["press:cancel"]),
    ("confirmed at the second attempt", "", &["press:decline", "press:pay"]),
    ("confirmed late after a cancellation", "", &["press:cancel", "apply:confirmed"]),
    ("refunded partially: the payment stays confirmed", "", &["press:pay", "apply:refunded:10.00"]),
    ("refunded partially with another number of decimals", "", &["press:pay", "apply:refunded:10.5"]),
    ("refunded partially a second time", "", &["press:pay", "apply:refunded:10.00", "apply:refunded:15.00"]),
    ("refunded in full", "", &["press:pay", "apply:refunded"]),
    ("charged back", "", &["press:pay", "apply:chargeback"]),
    ("charged back partially", "", &["press:pay", "apply:chargeback:100.00"]),
    ("chargeback reversed", "", &["press:pay", "apply:chargeback", "apply:chargeback_reversed"]),
    ("declined late after the confirmation", "", &["press:pay", "apply:failed"]),
    ("another amount, validly signed", "webhook_amount:251.00", &["press:pay"]),
    ("another currency, validly signed", "webhook_currency:JPY", &["press:pay"]),
    (
        "another currency, and a refund in the payment's currency",
        "webhook_currency:JPY",
        &["press:pay", "apply:refunded:10.00"],
    ),
    ("another reference, validly signed", "webhook_reference:R-2", &["press:pay"]),
    ("live money, validly signed", "webhook_livemode", &["press:pay"]),
    ("half of a body, validly signed", "webhook_garbage", &["press:pay"]),
];

/// As above; the answer to a query of the payment is the case. The last column selects the query: by
/// `id` or by `reference`.
const QUERIES: [(&str, &str, &[&str], &str); 15] = [
    ("query while pending", "", &[], "id"),
    ("query by reference", "", &[], "reference"),
    ("query when confirmed", "", &["press:pay"], "id"),
    ("query when declined", "", &["press:decline"], "id"),
    ("query when cancelled", "", &["press:cancel"], "id"),
    ("query when refunded in full", "", &["press:pay", "apply:refunded"], "id"),
    ("query when refunded partially", "", &["press:pay", "apply:refunded:10.00"], "id"),
    ("query when charged back", "", &["press:pay", "apply:chargeback"], "id"),
    (
        "query when charged back after a partial refund",
        "",
        &["press:pay", "apply:refunded:10.00", "apply:chargeback"],
        "id",
    ),
    ("query when a chargeback was reversed", "", &["press:pay", "apply:chargeback", "apply:chargeback_reversed"], "id"),
    (
        "query when a chargeback was reversed after a partial refund",
        "",
        &["press:pay", "apply:refunded:10.00", "apply:chargeback", "apply:chargeback_reversed"],
        "id",
    ),
    (
        "query when a chargeback was reversed after a full refund",
        "",
        &["press:pay", "apply:refunded", "apply:chargeback", "apply:chargeback_reversed"],
        "id",
    ),
    ("query answered 500", "query_500", &[], "id"),
    ("query of an unknown id", "", &[], "unknown id"),
    ("query of an unknown reference", "", &[], "unknown reference"),
];

/// The name of a case and the switches; the answer to the creation is the case.
const CREATIONS: [(&str, &str); 7] = [
    ("created", ""),
    ("created and confirmed before the answer", "webhook_before_answer:confirmed"),
    ("created and declined before the answer", "webhook_before_answer:failed"),
    ("creation with an unknown switch", "webhook_thrice"),
    ("creation declined", "create_decline"),
    ("creation answered 500", "create_500"),
    ("creation answered 429", "create_busy"),
];

#[tokio::test]
async fn captured_notices_equal_those_of_the_service() {
    let mut cases = Vec::new();
    for (name, switches, acts) in NOTICES {
        let notice = after(switches, acts).await.1.unwrap();
        let text = String::from_utf8(notice.body).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        cases.push(json!({"name": name, "body": body}));
    }
    compare("captured_notices.json", cases);
}

#[tokio::test]
async fn captured_query_answers_equal_those_of_the_service() {
    let mut cases = Vec::new();
    for (name, switches, acts, how) in QUERIES {
        let (fixture, _, id) = after(switches, acts).await;
        let mut payment = PaymentRef { reference: fixture.order("").reference, ..PaymentRef::default() };
        match how {
            "id" => payment.refs.push(ProviderRef::new("sandbox_payment", &id)),
            "unknown id" => payment.refs.push(ProviderRef::new("sandbox_payment", "sp_0")),
            "unknown reference" => payment.reference = "UNKNOWN".into(),
            _ => {}
        }
        let replies = fixture.query(&payment).await.replies;
        if payment.refs.is_empty() {
            // The kit's own payment has an id of our kind; an id of another kind means none.
            payment.refs.push(ProviderRef::new("none", "-"));
        }
        let refs: serde_json::Map<String, Value> =
            payment.refs.into_iter().map(|id| (id.kind, id.value.into())).collect();
        cases.push(json!({"name": name, "entry": "query", "refs": refs, "replies": shown(&replies)}));
    }
    compare("captured_queries.json", cases);
}

#[tokio::test]
async fn captured_creation_answers_equal_those_of_the_service() {
    let mut cases = Vec::new();
    for (name, switches) in CREATIONS {
        let fixture = ModuleFixture::open(Some(PUBLIC_URL)).await;
        let replies = fixture.create(&fixture.order(switches)).await.replies;
        cases.push(json!({"name": name, "entry": "create", "replies": shown(&replies)}));
    }
    let fixture = ModuleFixture::open(Some(PUBLIC_URL)).await;
    let order = fixture.order("");
    fixture.create(&order).await;
    let other = cashier_provider_sdk::PaymentOrder { description: "another".into(), ..order };
    let replies = fixture.create(&other).await.replies;
    cases
        .push(json!({"name": "creation with the idempotency key of another payment", "entry": "create", "replies": shown(&replies)}));
    let unauthorized = HttpRequest::post(format!("{}/v1/payments", fixture.page_of("").replace("/pay/", "")));
    let reply = fixture.send(&unauthorized.bearer(&SECRET_KEY.replace("sk", "pk"))).await.unwrap();
    cases.push(json!({"name": "creation with a wrong API key", "entry": "create", "replies": shown(&[reply])}));
    compare("captured_creations.json", cases);
}

/// The service after these actions on a new payment, the last webhook, and the payment's id.
async fn after(switches: &str, acts: &[&str]) -> (ModuleFixture, Option<WebhookNotice>, String) {
    let mut fixture = ModuleFixture::open(Some(PUBLIC_URL)).await;
    let created = fixture.create(&fixture.order(switches)).await.done();
    let id = created.refs[0].value.clone();
    let mut last = None;
    for act in acts {
        match act.split(':').collect::<Vec<_>>().as_slice() {
            ["press", button] => fixture.press(&fixture.page_of(&id), button).await,
            ["apply", kind] => fixture.apply_event(&id, json!({ "type": kind })).await,
            ["apply", kind, amount] => fixture.apply_event(&id, json!({"type": kind, "amount": amount})).await,
            other => panic!("{other:?}"),
        }
        last = Some(fixture.notice().await);
    }
    (fixture, last, id)
}

/// Replies as cases write them; of the headers only the one that the module reads.
fn shown(replies: &[HttpReply]) -> Vec<Value> {
    replies
        .iter()
        .map(|reply| {
            let mut shown = json!({"status": reply.status, "body": reply.json().unwrap()});
            if let Some(seconds) = reply.header("retry-after") {
                shown["headers"] = json!({ "retry-after": seconds });
            }
            shown
        })
        .collect()
}

/// Compares the file's cases without their `expect`; with `UPDATE_CASES=1` they are replaced, and each
/// case keeps its `expect`.
fn compare(file: &str, made: Vec<Value>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let written = std::fs::read_to_string(&path).unwrap_or_else(|_| "[]".into());
    let mut written: Vec<Value> = serde_json::from_str(&written).unwrap();
    let expected: Vec<Option<Value>> =
        written.iter_mut().map(|case| case.as_object_mut().unwrap().remove("expect")).collect();
    if std::env::var_os("UPDATE_CASES").is_some_and(|value| value == "1") {
        let updated: Vec<Value> = made
            .into_iter()
            .map(|mut case| {
                let before = written.iter().position(|old| old["name"] == case["name"]);
                if let Some(Some(expect)) = before.map(|at| expected[at].clone()) {
                    case["expect"] = expect;
                }
                case
            })
            .collect();
        std::fs::write(&path, format!("{:#}\n", Value::from(updated))).unwrap();
        return;
    }
    for (made, written) in made.iter().zip(&written) {
        assert_eq!(made, written, "{file} differs from what the service sends");
    }
    assert_eq!(made.len(), written.len(), "{file}");
}
