//! Each listener's description of itself, as OpenAPI 3.1 at `/openapi.json`: made of the table of routes, the table of commands
//! and the descriptions from which requests are read and answers written (docs/decisions/0027). It decides nothing, and
//! shows what the program has, not what this deployment holds.

mod messages;
mod operations;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::Method;

pub(super) use self::operations::PATH;
use self::operations::{OPERATIONS, Operation};
use crate::http::reply::Reply;
use crate::http::route::Route;
use crate::json_object::Schema;
use crate::json_object::schema::{kind, text, with};
use crate::json_object::text::{array, members, quoted};
use crate::wire;

/// The listeners, each with what its document says of it.
const LISTENERS: [(&str, &str); 3] = [
    ("customer", "What customers' applications call, and where providers send webhooks."),
    ("manager", "What BackOffice and CRM call: one path for every command."),
    ("watch", "Liveness, readiness and metrics."),
];

static DOCUMENTS: LazyLock<BTreeMap<&str, Bytes>> =
    LazyLock::new(|| LISTENERS.iter().map(|&(name, text)| (name, Bytes::from(document(name, text)))).collect());

/// The route of a listener's description.
pub(super) const fn route(listener: &'static str) -> Route {
    Route { listener, method: Method::GET, path: PATH }
}

/// The answer to a request for a listener's description. It is the same for everyone, and needs no session.
pub(super) fn reply(listener: &'static str, method: &Method) -> Reply {
    let route = route(listener);
    match DOCUMENTS.get(listener) {
        _ if !route.takes(method) => Reply::method_not_allowed(route.allowed()),
        Some(document) => Reply::text(200, "application/json", document.clone()),
        None => Reply::not_found(),
    }
}

/// The description of a listener: `customer`, `manager` or `watch`.
pub fn of(listener: &str) -> Option<String> {
    DOCUMENTS.get(listener).map(|document| String::from_utf8_lossy(document).into_owned())
}

fn document(listener: &str, about: &str) -> String {
    let mut paths: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    for operation in OPERATIONS.iter().filter(|operation| operation.listener == listener) {
        match paths.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, known)) => known.extend(both_methods(operation)),
            None => paths.push((operation.path, both_methods(operation))),
        }
    }
    let paths = members(paths.into_iter().map(|(path, described)| (path, members(described))));
    // What the paths refer to, and what that refers to.
    let mut schemas = schemas();
    let mut used = paths.clone();
    loop {
        let (found, left): (Vec<_>, Vec<_>) =
            schemas.into_iter().partition(|(name, _)| used.contains(&format!("schemas/{name}\"")));
        schemas = left;
        if found.is_empty() {
            break;
        }
        used.push_str(&found.iter().map(|(name, schema)| format!(",{}:{schema}", quoted(name))).collect::<String>());
    }
    let components = used.strip_prefix(&*paths).unwrap_or_default().trim_start_matches(',').to_owned();
    let info = members([
        ("title", quoted(&format!("The cashier: {listener} listener"))),
        ("version", quoted(env!("CARGO_PKG_VERSION"))),
        ("description", quoted(&format!("{about} {METHODS}"))),
    ]);
    let components = members([
        ("schemas", format!("{{{components}}}")),
        ("headers", members(headers())),
        ("securitySchemes", members([("session", SESSION.to_owned())])),
    ]);
    members([
        ("openapi", quoted("3.1.0")),
        ("info", info),
        ("servers", array([members([("url", quoted("/"))])])),
        ("paths", paths),
        ("components", components),
    ])
}

const METHODS: &str = "Another method on a path is 405 METHOD_NOT_ALLOWED with `Allow`, another path 404 RET_ERR_NOTFOUND; what is no HTTP is \
                       refused by the parser with an empty body. `null` in a request counts as omitted.";

const SESSION: &str = r#"{"type":"http","scheme":"bearer","bearerFormat":"JWT","description":"a session token; the word Bearer may be left out"}"#;

/// An operation under its method, and under HEAD where it takes GET.
fn both_methods(operation: &Operation) -> Vec<(&'static str, String)> {
    if operation.method == "get" {
        vec![("get", described(operation, false)), ("head", described(operation, true))]
    } else {
        vec![(operation.method, described(operation, false))]
    }
}

fn described(operation: &Operation, is_head: bool) -> String {
    let id = if is_head { format!("{}Head", operation.id) } else { operation.id.to_owned() };
    let mut described = vec![("operationId", quoted(&id)), ("summary", quoted(operation.summary))];
    let parameters = (operation.parameters)();
    if !parameters.is_empty() {
        described.push(("parameters", array(parameters)));
    }
    if let Some((media, schema)) = &operation.request {
        let content = members([(*media, members([("schema", schema())]))]);
        described
            .push(("requestBody", members([("required", operation.needs_body.to_string()), ("content", content)])));
    }
    described.push(("security", operation.session.required()));
    described.push(("responses", responses(operation, is_head)));
    described.extend((operation.extension)());
    members(described)
}

/// The answers by status, in the order of the numbers.
fn responses(operation: &Operation, is_head: bool) -> String {
    let mut by_number: BTreeMap<u16, String> = BTreeMap::new();
    for answer in operation.answers {
        // Several media types of one status are one answer.
        let alike = operation.answers.iter().filter(|other| other.number == answer.number);
        let content = alike.map(|form| (form.media, members([("schema", (form.schema)())]))).collect();
        by_number.entry(answer.number).or_insert_with(|| response(answer.number, answer.text, content, is_head));
    }
    let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in operation.codes() {
        let known = codes.entry(code.number()).or_default();
        if !known.contains(&code.text()) {
            known.push(code.text());
        }
    }
    for (number, codes) in codes {
        let body = (operation.refusal)(number, &refusal(&codes));
        // Where the number is that of an answer too, either may come.
        let text = codes.join(", ");
        by_number.entry(number).or_insert_with(|| {
            response(number, &text, vec![("application/json", members([("schema", body)]))], is_head)
        });
    }
    for number in [414, 431] {
        by_number
            .insert(number, members([("description", quoted("The head is too long; refused by the HTTP parser"))]));
    }
    members(by_number.into_iter().map(|(number, response)| (number.to_string(), response)))
}

fn response(number: u16, text: &str, content: Vec<(&str, String)>, is_head: bool) -> String {
    let reference = |name: &str| (name.to_owned(), format!(r##"{{"$ref":"#/components/headers/{name}"}}"##));
    let retry = matches!(number, 429 | 503).then(|| reference("Retry-After"));
    let headers = members([reference("x-request-id")].into_iter().chain(retry));
    let content = (!is_head).then(|| ("content", members(content)));
    members([("description", quoted(text)), ("headers", headers)].into_iter().chain(content))
}

/// The body of a refusal with one of these codes.
fn refusal(codes: &[&str]) -> Schema {
    let code = with("{}", "enum", codes);
    format!(r##"{{"allOf":[{{"$ref":"#/components/schemas/error"}},{{"properties":{{"error":{code}}}}}]}}"##)
}

fn headers() -> Vec<(&'static str, String)> {
    let header = |schema: &str, text: &str| {
        members([("description", quoted(text)), ("required", "true".to_owned()), ("schema", schema.to_owned())])
    };
    // 503 of the watch listener and of readiness come without it.
    let retry = header(&kind("integer"), "Seconds after which a repetition may succeed")
        .replace("\"required\":true", "\"required\":false");
    vec![
        ("x-request-id", header(&text(64), "Id of the request in the log; a valid one of the client's is taken over")),
        ("Retry-After", retry),
    ]
}

/// Every schema that a document may refer to, by name.
fn schemas() -> Vec<(String, Schema)> {
    let own = wire::schema::all().into_iter().map(|(name, schema)| (name.to_owned(), schema));
    own.chain(messages::schemas()).collect()
}

#[cfg(test)]
pub(super) mod tests;
