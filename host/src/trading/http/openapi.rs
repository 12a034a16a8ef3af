//! The protocol of a broker's own trading server as OpenAPI 3.1, made of the types that are written and read
//! (docs/trading-server.openapi.json). It calls nothing.

use super::answers::{
    AccountAnswer, CallErrorAnswer, ConflictAnswer, GroupsAnswer, IdentityAnswer, NotReadyAnswer, NothingAnswer,
    PostedAnswer, PostingsAnswer, RateAnswer, ReadyAnswer, RefusedAnswer, StatedCustomer, UnknownKeyAnswer,
};
use super::requests::{
    AccountRequest, CustomerRequest, FindRequest, GroupsRequest, HealthRequest, IdentityRequest, PostRequest,
    PostingsRequest, RateRequest, VoidRequest,
};
use crate::json_object::schema::{kind, one_of, open_throughout, with};
use crate::json_object::text::{array, members, quoted, reference};
use crate::json_object::{Object, Schema};

/// A described type: its name, and its schema, open at every depth for members that are not known yet.
struct Message {
    name: &'static str,
    schema: fn() -> Schema,
}

const fn message<T: Object>() -> Message {
    Message { name: T::TITLE, schema: || open_throughout(&<T as crate::json_object::Described>::schema()) }
}

/// One call, with every result that it has.
pub(super) struct CallLine {
    pub(super) name: &'static str,
    request: Message,
    results: &'static [(&'static str, Message)],
}

pub(super) const CALLS: [CallLine; 10] = [
    CallLine {
        name: "identity",
        request: message::<IdentityRequest>(),
        results: &[("identity", message::<IdentityAnswer>())],
    },
    CallLine {
        name: "health",
        request: message::<HealthRequest<'_>>(),
        results: &[("ready", message::<ReadyAnswer>()), ("not_ready", message::<NotReadyAnswer>())],
    },
    CallLine {
        name: "customer",
        request: message::<CustomerRequest<'_>>(),
        results: &[("customer", message::<StatedCustomer>()), ("none", message::<NothingAnswer>())],
    },
    CallLine {
        name: "account",
        request: message::<AccountRequest<'_>>(),
        results: &[("account", message::<AccountAnswer>()), ("none", message::<NothingAnswer>())],
    },
    CallLine {
        name: "groups",
        request: message::<GroupsRequest<'_>>(),
        results: &[("groups", message::<GroupsAnswer>())],
    },
    CallLine {
        name: "post",
        request: message::<PostRequest<'_>>(),
        results: &[
            ("posted", message::<PostedAnswer>()),
            ("refused", message::<RefusedAnswer>()),
            ("conflict", message::<ConflictAnswer>()),
        ],
    },
    CallLine {
        name: "find",
        request: message::<FindRequest<'_>>(),
        results: &[
            ("posted", message::<PostedAnswer>()),
            ("refused", message::<RefusedAnswer>()),
            ("conflict", message::<ConflictAnswer>()),
            ("none", message::<UnknownKeyAnswer>()),
        ],
    },
    CallLine {
        name: "void",
        request: message::<VoidRequest<'_>>(),
        results: &[
            ("posted", message::<PostedAnswer>()),
            ("refused", message::<RefusedAnswer>()),
            ("conflict", message::<ConflictAnswer>()),
        ],
    },
    CallLine {
        name: "postings",
        request: message::<PostingsRequest<'_>>(),
        results: &[("postings", message::<PostingsAnswer>())],
    },
    CallLine {
        name: "rate",
        request: message::<RateRequest<'_>>(),
        results: &[("rate", message::<RateAnswer>()), ("none", message::<NothingAnswer>())],
    },
];

/// The errors of a call: status and code.
pub(super) const CALL_ERRORS: [(u16, &str); 9] = [
    (400, "malformed"),
    (400, "unknown_call"),
    (401, "bad_signature"),
    (401, "old_timestamp"),
    (413, "too_large"),
    (421, "wrong_instance"),
    (429, "too_often"),
    (500, "failed"),
    (503, "not_ready"),
];

/// The document, indented.
pub fn document() -> String {
    let info = members([
        ("title", quoted("A trading server for the cashier")),
        ("version", quoted("1")),
        (
            "description",
            quoted(
                "What a broker's own trading server answers to the cashier. Signatures, what is atomic, and what is kept: docs/trading-server.md. \
                 Members that are not known are passed over on both sides.",
            ),
        ),
    ]);
    let mut schemas: Vec<(&str, String)> = Vec::new();
    for call in &CALLS {
        for known in std::iter::once(&call.request).chain(call.results.iter().map(|(_, answer)| answer)) {
            if !schemas.iter().any(|(name, _)| *name == known.name) {
                schemas.push((known.name, (known.schema)()));
            }
        }
    }
    let error = message::<CallErrorAnswer>();
    schemas.push((error.name, (error.schema)()));
    let document = members([
        ("openapi", quoted("3.1.0")),
        ("info", info),
        ("servers", array([members([("url", quoted("https://trading.example"))])])),
        ("paths", members([("/", members([("post", operation())]))])),
        ("components", members([("schemas", members(schemas))])),
    ]);
    indented(&document)
}

fn operation() -> String {
    let references = CALLS.iter().map(|call| reference(call.request.name));
    let mapping = CALLS.iter().map(|call| (call.name, quoted(&format!("#/components/schemas/{}", call.request.name))));
    let discriminator = members([("propertyName", quoted("call")), ("mapping", members(mapping))]);
    let request = members([("oneOf", array(references)), ("discriminator", discriminator)]);
    let mut answers: Vec<&str> =
        CALLS.iter().flat_map(|call| call.results.iter().map(|(_, answer)| answer.name)).collect();
    answers.sort_unstable();
    answers.dedup();
    let answer = members([("anyOf", array(answers.into_iter().map(reference)))]);
    let of_call = |call: &CallLine| {
        let results = call.results.iter().map(|(result, answer)| (*result, reference(answer.name)));
        (call.name, members([("request", reference(call.request.name)), ("results", members(results))]))
    };
    members([
        ("operationId", quoted("call")),
        ("summary", quoted("One of the calls, by the member call")),
        ("parameters", array(headers("header"))),
        ("requestBody", members([("required", "true".to_owned()), ("content", json_body(&request))])),
        ("responses", responses(&answer)),
        ("x-calls", members(CALLS.iter().map(of_call))),
    ])
}

const HEADERS: [(&str, &str); 3] = [
    (
        "webhook-id",
        "of a request new every time, 1 to 64 of A-Z a-z 0-9 - _; of an answer the request's with .answer behind it",
    ),
    ("webhook-timestamp", "Unix seconds, within 300 s of the receiver's clock"),
    (
        "webhook-signature",
        "v1, and the base64 of HMAC-SHA256 over webhook-id.webhook-timestamp.body; several with a blank between",
    ),
];

fn headers(place: &str) -> Vec<String> {
    let parameter = |(name, text): (&str, &str)| {
        members([
            ("name", quoted(name)),
            ("in", quoted(place)),
            ("required", "true".to_owned()),
            ("description", quoted(text)),
            ("schema", kind("string")),
        ])
    };
    HEADERS.into_iter().map(parameter).collect()
}

fn responses(answer: &str) -> String {
    let header = |(name, text): (&str, &str)| {
        let described = [("required", "true".to_owned()), ("description", quoted(text)), ("schema", kind("string"))];
        (name.to_owned(), members(described))
    };
    let judged = members([
        ("description", quoted("The call was judged; a refusal too. Signed")),
        ("headers", members(HEADERS.into_iter().map(header))),
        ("content", json_body(answer)),
    ]);
    let mut responses = vec![("200".to_owned(), judged)];
    for (status, _) in CALL_ERRORS {
        let name = status.to_string();
        if responses.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let codes: Vec<&str> = CALL_ERRORS.iter().filter(|(of, _)| *of == status).map(|(_, code)| *code).collect();
        let code = with("{}", "properties", "").replace("\"\"", &members([("error", one_of(&codes))]));
        let body = members([("allOf", array([reference("CallErrorAnswer"), code]))]);
        let text = quoted(&format!("{}: nothing is known about what was asked", codes.join(", ")));
        responses.push((name, members([("description", text), ("content", json_body(&body))])));
    }
    members(responses)
}

fn json_body(schema: &str) -> String {
    members([("application/json", members([("schema", schema.to_owned())]))])
}

/// JSON text with one member a line.
fn indented(json: &str) -> String {
    let (mut text, mut depth, mut in_string, mut escaped) =
        (String::with_capacity(2 * json.len()), 0_usize, false, false);
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    let mut signs = json.chars().peekable();
    while let Some(sign) = signs.next() {
        if in_string {
            in_string = escaped || sign != '"';
            escaped = !escaped && sign == '\\';
            text.push(sign);
            continue;
        }
        match sign {
            '{' | '[' if matches!(signs.peek(), Some('}' | ']')) => text.push(sign),
            '{' | '[' => {
                depth += 1;
                text.push(sign);
                line(&mut text, depth);
            }
            '}' | ']' => {
                if !text.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    line(&mut text, depth);
                }
                text.push(sign);
            }
            ',' => {
                text.push(sign);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            sign => {
                in_string = sign == '"';
                text.push(sign);
            }
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    const PAGE: &str = include_str!("../../../../docs/trading-server.md");

    #[test]
    fn the_committed_document_is_what_the_types_describe() {
        let committed = include_str!("../../../../docs/trading-server.openapi.json");
        assert!(
            committed == document(),
            "run `cashier schema openapi.trading_server > docs/trading-server.openapi.json`"
        );
    }

    #[test]
    fn every_reference_resolves_and_every_schema_is_used() {
        let text = document();
        let read: Value = serde_json::from_str(&text).unwrap();
        let referenced: BTreeSet<&str> =
            text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let described: BTreeSet<&str> =
            read["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(referenced, described);
    }

    /// The rows of the page's table below a header.
    fn rows(header: &str) -> Vec<Vec<String>> {
        let (_, table) = PAGE.split_once(header).expect(header);
        let cells = |line: &str| {
            let plain = |cell: &str| cell.split("](").next().unwrap().trim().trim_matches(['`', '[', ']']).to_owned();
            line.trim_matches('|').split('|').map(|cell| plain(cell.trim())).collect()
        };
        table.lines().skip(2).take_while(|line| line.starts_with('|')).map(cells).collect()
    }

    #[test]
    fn the_page_lists_every_call_with_its_results_and_every_error() {
        let listed = rows("| Call | Takes | Results |").into_iter().map(|row| {
            let results: Vec<&str> = row[2].split("`, `").collect();
            (row[0].clone(), results.join(" "))
        });
        let known = CALLS.iter().map(|call| {
            let results: Vec<&str> = call.results.iter().map(|(result, _)| *result).collect();
            (call.name.to_owned(), results.join(" "))
        });
        assert_eq!(listed.collect::<Vec<_>>(), known.collect::<Vec<_>>());
        let listed = rows("| Status | Error | When |").into_iter().map(|row| (row[0].parse().unwrap(), row[1].clone()));
        let known = CALL_ERRORS.iter().map(|(status, code)| (*status, (*code).to_owned()));
        assert_eq!(listed.collect::<Vec<(u16, String)>>(), known.collect::<Vec<_>>());
    }

    #[test]
    fn the_examples_of_the_page_are_read() {
        use super::super::answers::{read_health, read_key_answer, read_only, read_or_none};
        let mut read = 0;
        for (start, _) in PAGE.match_indices("{\"result\"") {
            let mut values = serde_json::Deserializer::from_str(&PAGE[start..]).into_iter::<Box<RawValue>>();
            // What is left out is shown by dots.
            let Some(Ok(value)) = values.next() else { continue };
            let body = value.get().as_bytes();
            let object: Value = serde_json::from_slice(body).unwrap();
            let outcome = match object["result"].as_str().unwrap() {
                "identity" => read_only::<IdentityAnswer>(body).map(drop),
                "ready" | "not_ready" => read_health(body).map(drop),
                "account" => read_or_none::<AccountAnswer>(body).map(drop),
                "rate" => read_or_none::<RateAnswer>(body).map(drop),
                "none" if object["key"].is_null() => read_or_none::<RateAnswer>(body).map(drop),
                _ => read_key_answer(body).map(drop),
            };
            assert_eq!(outcome, Ok(()), "{}", value.get());
            read += 1;
        }
        assert!(read >= 10, "{read}");
    }
}
