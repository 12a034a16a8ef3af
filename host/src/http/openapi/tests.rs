//! The documents as a client's generator reads them: every reference resolves, every id is unique, every route is described, the
//! published examples have the schemas they are listed with, and each listener serves its own part.

use std::collections::BTreeSet;
use std::sync::Arc;

use cashier_core::refusal::RefusalCode;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::http::session::SessionKeys;
use crate::http::testing::TestListener;
use crate::http::{customer_routes, manager_routes, starting, watch_routes};
use crate::json_object::{Members, validation};
use crate::manager::COMMANDS;
use crate::test_cashier::TestCashier;
use crate::wire::customer_override::tests::PUBLISHED_REQUEST;

fn parsed(listener: &str) -> Value {
    serde_json::from_str(&of(listener).unwrap()).unwrap()
}

/// The codes that an operation declares under a status, whether or not in an envelope; `None` where the status is not declared.
pub(crate) fn declared(listener: &str, method: &str, path: &str, status: u16) -> Option<Vec<String>> {
    let document = parsed(listener);
    let known = super::super::routes().find(|route| route.listener == listener && route.parameters(path).is_some())?;
    let response = &document["paths"][known.path][method]["responses"][status.to_string()];
    let body = &response["content"]["application/json"]["schema"];
    let refusal = if body["allOf"].is_array() { body } else { &body["properties"]["data"] };
    let codes = refusal["allOf"][1]["properties"]["error"]["enum"].as_array();
    let codes = codes.into_iter().flatten().map(|code| code.as_str().unwrap().to_owned());
    response.is_object().then(|| codes.collect())
}

/// Every value of the document under a key.
fn all<'v>(of: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match of {
        Value::Object(members) => {
            found.extend(members.get(key));
            members.values().for_each(|value| all(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_resolves_every_schema_is_used_and_every_operation_has_an_id_of_its_own() {
    for (listener, _) in LISTENERS {
        let document = parsed(listener);
        let (mut references, mut ids) = (Vec::new(), Vec::new());
        all(&document, "$ref", &mut references);
        all(&document, "operationId", &mut ids);
        let pointers: BTreeSet<&str> = references.iter().map(|to| to.as_str().unwrap()).collect();
        for to in &pointers {
            let found = document.pointer(to.strip_prefix('#').unwrap());
            assert!(found.is_some_and(Value::is_object), "{listener}: {to}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(pointers.contains(&&*format!("#/components/schemas/{name}")), "{listener}: {name} is not used");
        }
        let unique: BTreeSet<&str> = ids.iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(unique.len(), ids.len(), "{listener}: {ids:?}");
        assert_eq!(document["openapi"], "3.1.0");
    }
    assert!(of("nothing").is_none());
}

#[test]
fn every_route_is_described_and_every_description_has_its_route() {
    let of_route = |route: Route| format!("{} {} {}", route.listener, route.method.as_str().to_lowercase(), route.path);
    let routes: BTreeSet<String> = super::super::routes().map(of_route).collect();
    let described = OPERATIONS.iter().map(|known| format!("{} {} {}", known.listener, known.method, known.path));
    // Providers probe the paths of their webhooks, which are routes of POST.
    let (probes, described): (BTreeSet<_>, BTreeSet<_>) =
        described.partition(|line| line.starts_with("customer get /cashier/webhook/"));
    assert_eq!((described, probes.len()), (routes, 2));
    for known in OPERATIONS {
        let paths = parsed(known.listener);
        let operation = &paths["paths"][known.path][known.method];
        assert_eq!(operation["operationId"], known.id);
        let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
        assert!(statuses.len() > 3, "{}: {statuses:?}", known.id);
        // In the head of a path each parameter is named once.
        let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
        let mut names = Vec::new();
        all(&operation["parameters"], "name", &mut names);
        names.sort_by_key(|name| name.as_str());
        names.dedup();
        assert_eq!((names.len(), parameters), (parameters, names.len()), "{}", known.id);
        for segment in known.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            assert!(names.iter().any(|name| *name == segment), "{}: {segment}", known.id);
        }
    }
}

#[test]
fn every_command_has_its_message_its_answer_and_its_errors() {
    let document = parsed("manager");
    let operation = &document["paths"]["/manager"]["post"];
    let listed = operation["x-commands"].as_object().unwrap();
    assert_eq!(listed.len(), COMMANDS.len());
    let messages = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"].as_array().unwrap();
    let answers = &operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["data"];
    assert_eq!((messages.len(), answers["anyOf"].as_array().unwrap().len()), (COMMANDS.len(), COMMANDS.len()));
    for command in COMMANDS {
        let line = &listed[command.name];
        for code in command.errors {
            assert!(line["errors"].as_array().unwrap().contains(&Value::from(code.text())), "{}", command.name);
            let codes = declared("manager", "post", "/manager", code.number()).unwrap();
            assert!(codes.contains(&code.text().to_owned()), "{}: {codes:?}", command.name);
        }
        let message = &document["components"]["schemas"][format!("{}.message", command.name)];
        assert_eq!(message["properties"]["command"]["enum"][0], command.name);
    }
    let required = |name: &str| document["components"]["schemas"][format!("{name}.message")]["required"].to_string();
    assert_eq!(required("MngGetCashierTransaction"), r#"["command","data"]"#);
    assert_eq!(required("MngGetCashierProviders"), r#"["command"]"#);
    let sessions = listed["MngGetCashierTransaction"]["sessions"].to_string();
    let published = r#"["SESSION_MANAGER","SESSION_DEALER","SESSION_ADMIN","SESSION_CRM_MANAGER","SESSION_CRM_ADMIN"]"#;
    assert_eq!(sessions, published);
    // What only other listeners answer is not among the errors.
    assert!(declared("manager", "post", "/manager", 405).is_none());
    let unauthorized = declared("manager", "post", "/manager", 401).unwrap();
    assert_eq!(unauthorized, [RefusalCode::Unauthorized.text()]);
}

/// The objects that a published page shows as examples, in their order.
fn examples(page: &str) -> Vec<Box<RawValue>> {
    let starts = page.match_indices('{').map(|(start, _)| start);
    let mut end = 0;
    let mut found = Vec::new();
    for start in starts {
        let text = &page[start..];
        let mut read = serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>();
        if start >= end
            && let Some(Ok(object)) = read.next()
        {
            end = start + read.byte_offset();
            found.push(object);
        }
    }
    found
}

#[test]
fn the_examples_of_the_published_pages_have_the_schemas_of_the_documents() {
    let schema = |listener: &str, name: &str| {
        let document = of(listener).unwrap();
        let Members(parts) = serde_json::from_str(&document).unwrap();
        let components = parts.iter().find(|(key, _)| key == "components").unwrap().1.get();
        let schemas = serde_json::from_str::<Members>(components).unwrap().get("schemas").unwrap();
        serde_json::from_str::<Members>(schemas.get()).unwrap().get(name).unwrap().get().to_owned()
    };
    let transaction = examples(include_str!("../../../../docs/published/mng-get-cashier-transaction.txt"));
    let [request, ..] = &*transaction else { panic!("an example") };
    let data: Members = serde_json::from_str(request.get()).unwrap();
    validation::assert_request(&schema("manager", "MngGetCashierTransaction.request"), data.get("data").unwrap().get());
    validation::assert_request(
        &schema("manager", "MngUpdateCashierCustomerProviderOverride.request"),
        PUBLISHED_REQUEST,
    );
    let page = examples(include_str!("../../../../docs/published/get-cashier-transactions.txt"));
    validation::assert_answer(&schema("customer", "transactions.answer"), page.last().unwrap().get());
}

#[tokio::test]
async fn each_listener_serves_its_own_part_also_during_a_start() {
    let env = TestCashier::published().await;
    let keys = Arc::new(SessionKeys::default());
    let clock = || env.clock.clone();
    let progress = || Arc::new(crate::ports::StartProgress::default());
    let listeners = [
        ("customer", TestListener::open(customer_routes(&env.cashier, &keys, &[]), clock()).await),
        ("manager", TestListener::open(manager_routes(&env.cashier, &keys), clock()).await),
        ("watch", TestListener::open(watch_routes(&env.cashier, &keys, &Arc::default()), clock()).await),
        ("customer", TestListener::open(starting::customer_routes(clock(), &[]), clock()).await),
        ("manager", TestListener::open(starting::manager_routes(clock()), clock()).await),
        ("watch", TestListener::open(starting::watch_routes(progress()), clock()).await),
    ];
    for (name, listener) in &listeners {
        let response = listener.send("GET /openapi.json", "", "").await;
        assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")), "{name}");
        assert_eq!(response.body, of(name).unwrap(), "{name}");
        let wrong = listener.send("POST /openapi.json", "", "").await;
        assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")), "{name}");
        assert_eq!(listener.send("GET /openapi.json/x", "", "").await.status, 404, "{name}");
    }
}
