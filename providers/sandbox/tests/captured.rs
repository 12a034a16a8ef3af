//! The bodies in `tests/cases/captured_*.json` are what the service really sends: each is made anew
//! here by the running service and compared. What the module makes of them is held by
//! `tests/conformance.rs`. With `UPDATE_CASES=1` the bodies are written into the files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod harness;
mod world;

use std::path::PathBuf;

use cashier_provider_sdk::{HttpReply, HttpRequest, PaymentRef, ProviderRef, WebhookNotice};
use harness::SECRET_KEY;
use serde_json::{Value, json};
use world::World;

/// Ids and addresses in the captured bodies must not hang on the port that was free.
const PUBLIC_URL: &str = "http://127.0.0.1:8900";

/// The name of a case, the switches asked for, and what is done after the payment was created:
/// `press:<button>`, `happen:<event>[:<amount>]`. The last webhook is the case.
const NOTICES: [(&str, &str, &[&str]); 21] = [
    ("still waiting", "", &["happen:pending"]),
    ("paid on the page", "", &["press:pay"]),
    ("declined by the payer", "", &["press:decline"]),
    ("declined by the bank", "pay_decline", &["press:pay"]),
    ("cancelled on the page", "", &["press:cancel"]),
    ("paid at the second attempt", "", &["press:decline", "press:pay"]),
    ("confirmed late, after it was cancelled", "", &["press:cancel", "happen:confirmed"]),
    ("refunded in part: the payment stays confirmed", "", &["press:pay", "happen:refunded:10.00"]),
    ("refunded in another spelling", "", &["press:pay", "happen:refunded:10.5"]),
    ("refunded in a second part", "", &["press:pay", "happen:refunded:10.00", "happen:refunded:15.00"]),
    ("refunded in full", "", &["press:pay", "happen:refunded"]),
    ("charged back", "", &["press:pay", "happen:chargeback"]),
    ("charged back in part", "", &["press:pay", "happen:chargeback:100.00"]),
    ("chargeback reversed", "", &["press:pay", "happen:chargeback", "happen:chargeback_reversed"]),
    ("late news of a decline", "", &["press:pay", "happen:failed"]),
    ("another amount, truly signed", "webhook_amount:251.00", &["press:pay"]),
    ("another currency, truly signed", "webhook_currency:JPY", &["press:pay"]),
    ("another currency, and the refund in its own", "webhook_currency:JPY", &["press:pay", "happen:refunded:10.00"]),
    ("another reference, truly signed", "webhook_reference:R-2", &["press:pay"]),
    ("live money, truly signed", "webhook_livemode", &["press:pay"]),
    ("half of a body, truly signed", "webhook_garbage", &["press:pay"]),
];

/// As above; the answer to a question about the payment is the case. The last word says how it is
/// asked: by `id` or by `reference`.
const QUERIES: [(&str, &str, &[&str], &str); 14] = [
    ("asked while waiting", "", &[], "id"),
    ("asked by reference", "", &[], "reference"),
    ("asked when paid", "", &["press:pay"], "id"),
    ("asked when declined", "", &["press:decline"], "id"),
    ("asked when cancelled", "", &["press:cancel"], "id"),
    ("asked when refunded in full", "", &["press:pay", "happen:refunded"], "id"),
    ("asked when refunded in part", "", &["press:pay", "happen:refunded:10.00"], "id"),
    ("asked when charged back", "", &["press:pay", "happen:chargeback"], "id"),
    (
        "asked when charged back after a refund in part",
        "",
        &["press:pay", "happen:refunded:10.00", "happen:chargeback"],
        "id",
    ),
    (
        "asked when a chargeback was reversed",
        "",
        &["press:pay", "happen:chargeback", "happen:chargeback_reversed"],
        "id",
    ),
    (
        "asked when a chargeback was reversed after a refund in part",
        "",
        &["press:pay", "happen:refunded:10.00", "happen:chargeback", "happen:chargeback_reversed"],
        "id",
    ),
    ("asked when the service is unwell", "query_500", &[], "id"),
    ("asked about an id the service does not know", "", &[], "unknown id"),
    ("asked about a reference the service does not know", "", &[], "unknown reference"),
];

/// The name of a case and the switches; the answer to the creation is the case.
const CREATIONS: [(&str, &str); 7] = [
    ("created", ""),
    ("created, and confirmed before the answer", "webhook_before_answer:confirmed"),
    ("created, and declined before the answer", "webhook_before_answer:failed"),
    ("created with a switch the service does not know", "webhook_thrice"),
    ("created when declined at once", "create_decline"),
    ("created when the service is unwell", "create_500"),
    ("created when the service is busy", "create_busy"),
];

#[tokio::test]
async fn the_notices_are_the_services() {
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
async fn the_answers_to_questions_are_the_services() {
    let mut cases = Vec::new();
    for (name, switches, acts, how) in QUERIES {
        let (world, _, id) = after(switches, acts).await;
        let mut payment = PaymentRef { reference: world.order("").reference, ..PaymentRef::default() };
        match how {
            "id" => payment.refs.push(ProviderRef::new("sandbox_payment", &id)),
            "unknown id" => payment.refs.push(ProviderRef::new("sandbox_payment", "sp_0")),
            "unknown reference" => payment.reference = "NOBODY".into(),
            _ => {}
        }
        let replies = world.query(&payment).await.replies;
        if payment.refs.is_empty() {
            // The kit's own payment carries an id of our kind; one of another kind stands for none.
            payment.refs.push(ProviderRef::new("none", "-"));
        }
        let refs: serde_json::Map<String, Value> =
            payment.refs.into_iter().map(|id| (id.kind, id.value.into())).collect();
        cases.push(json!({"name": name, "entry": "query", "refs": refs, "replies": shown(&replies)}));
    }
    compare("captured_queries.json", cases);
}

#[tokio::test]
async fn the_answers_to_creations_are_the_services() {
    let mut cases = Vec::new();
    for (name, switches) in CREATIONS {
        let world = World::open(Some(PUBLIC_URL)).await;
        let replies = world.create(&world.order(switches)).await.replies;
        cases.push(json!({"name": name, "entry": "create", "replies": shown(&replies)}));
    }
    let world = World::open(Some(PUBLIC_URL)).await;
    let order = world.order("");
    world.create(&order).await;
    let other = cashier_provider_sdk::PaymentOrder { description: "another".into(), ..order };
    let replies = world.create(&other).await.replies;
    cases
        .push(json!({"name": "created under a key of another payment", "entry": "create", "replies": shown(&replies)}));
    let stranger = HttpRequest::post(format!("{}/v1/payments", world.page_of("").replace("/pay/", "")));
    let reply = world.send(&stranger.bearer(&SECRET_KEY.replace("sk", "pk"))).await.unwrap();
    cases.push(json!({"name": "created with another key", "entry": "create", "replies": shown(&[reply])}));
    compare("captured_creations.json", cases);
}

/// A payment after all that, its last webhook, and its id.
async fn after(switches: &str, acts: &[&str]) -> (World, Option<WebhookNotice>, String) {
    let mut world = World::open(Some(PUBLIC_URL)).await;
    let created = world.create(&world.order(switches)).await.done();
    let id = created.refs[0].value.clone();
    let mut last = None;
    for act in acts {
        match act.split(':').collect::<Vec<_>>().as_slice() {
            ["press", button] => world.press(&world.page_of(&id), button).await,
            ["happen", kind] => world.happen(&id, json!({ "type": kind })).await,
            ["happen", kind, amount] => world.happen(&id, json!({"type": kind, "amount": amount})).await,
            other => panic!("{other:?}"),
        }
        last = Some(world.notice().await);
    }
    (world, last, id)
}

/// Replies as cases write them; of the headers only the one that has a meaning for the module.
fn shown(replies: &[HttpReply]) -> Vec<Value> {
    replies
        .iter()
        .map(|reply| {
            let mut shown = json!({"status": reply.status, "body": reply.json().unwrap()});
            if let Some(patience) = reply.header("retry-after") {
                shown["headers"] = json!({ "retry-after": patience });
            }
            shown
        })
        .collect()
}

/// The file's cases without what they expect; with `UPDATE_CASES=1` they are replaced, and what was
/// expected of a case is kept.
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
        assert_eq!(made, written, "{file} is not what the service sends");
    }
    assert_eq!(made.len(), written.len(), "{file}");
}
