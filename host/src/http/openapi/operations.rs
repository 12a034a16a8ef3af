//! What each path takes and answers, one operation per method, beside the routes: parameters, body, answers, and the error codes that its
//! section of docs/api names. It serves nothing.

use cashier_core::filter::{Clause, Field, LIMIT_MAX, OFFSET_MAX, TransactionField};
use cashier_core::ids::ID_MAX;
use cashier_core::lengths::IDEMPOTENCY_KEY_LENGTH_MAX;
use cashier_core::refusal::RefusalCode;

use super::messages;
use crate::json_object::Schema;
use crate::json_object::schema::{kind, one_of, text, whole, with};
use crate::json_object::text::{members, quoted, reference};
use crate::wire::filter::OPERATORS;

/// Where each listener describes itself.
pub(in crate::http) const PATH: &str = "/openapi.json";

/// One method of a path.
pub(super) struct Operation {
    pub(super) listener: &'static str,
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: fn() -> Vec<String>,
    /// Media type and schema of the body.
    pub(super) request: Option<RequestForm>,
    pub(super) needs_body: bool,
    pub(super) answers: &'static [Answer],
    pub(super) errors: fn() -> Vec<RefusalCode>,
    /// The whole body of an answer with this number and refusal.
    pub(super) refusal: fn(u16, &str) -> Schema,
    pub(super) session: Session,
    /// Members of ours.
    pub(super) extension: fn() -> Vec<(&'static str, String)>,
}

/// Media type and schema.
type RequestForm = (&'static str, fn() -> Schema);

pub(super) struct Answer {
    pub(super) number: u16,
    pub(super) text: &'static str,
    pub(super) media: &'static str,
    pub(super) schema: fn() -> Schema,
}

/// Whether a token is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    Nobody,
    InHead,
    /// In the head, or in the body.
    Anywhere,
}

impl Session {
    pub(super) fn required(self) -> String {
        match self {
            Self::Nobody => "[]",
            Self::InHead => r#"[{"session":[]}]"#,
            Self::Anywhere => r#"[{"session":[]},{}]"#,
        }
        .to_owned()
    }
}

impl Operation {
    /// The codes of its own, those of every request with a body, and those of every request.
    pub(super) fn codes(&self) -> impl Iterator<Item = RefusalCode> {
        let of_bodies = if self.request.is_some() { OF_BODIES } else { &[] };
        (self.errors)().into_iter().chain(of_bodies.iter().copied()).chain(OF_ALL.iter().copied())
    }
}

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const PLAIN: &str = "text/plain; charset=utf-8";

const OF_ALL: &[RefusalCode] = &[RefusalCode::Frequent, RefusalCode::Internal];
const OF_BODIES: &[RefusalCode] = &[RefusalCode::InvalidData, RefusalCode::RequestTimeout, RefusalCode::BodyTooLarge];

const fn answer(number: u16, text: &'static str, media: &'static str, schema: fn() -> Schema) -> Answer {
    Answer { number, text, media, schema }
}

const CUSTOMER: Operation = Operation {
    listener: "customer",
    path: "",
    method: "get",
    id: "",
    summary: "",
    parameters: Vec::new,
    request: None,
    needs_body: true,
    answers: &[],
    errors: Vec::new,
    refusal: |_, refusal| refusal.to_owned(),
    session: Session::InHead,
    extension: Vec::new,
};

const DESCRIPTION: Operation = Operation {
    path: PATH,
    id: "describe",
    summary: "This document",
    answers: &[answer(200, "An OpenAPI 3.1 document", JSON, || kind("object"))],
    session: Session::Nobody,
    ..CUSTOMER
};

const WATCH: Operation = Operation { listener: "watch", session: Session::Nobody, ..CUSTOMER };

const WEBHOOK: Operation = Operation {
    method: "post",
    request: Some(("*/*", || "{}".to_owned())),
    answers: &[answer(200, "Received; a provider that expects an answer of its own gets that", "*/*", || {
        format!(r#"{{"anyOf":[{},{{}}]}}"#, reference("webhook.answer"))
    })],
    errors: || vec![RefusalCode::InvalidSignature, RefusalCode::ProviderUnavailable, RefusalCode::StorageUnavailable],
    session: Session::Nobody,
    ..CUSTOMER
};

const WEBHOOK_PROBE: Operation = Operation {
    method: "get",
    answers: &[answer(200, "For providers that look before they send, whatever the path names", JSON, || {
        format!(
            r#"{{"type":"object","properties":{{"data":{}}},"required":["data"],"additionalProperties":false}}"#,
            one_of(["OK"])
        )
    })],
    session: Session::Nobody,
    ..CUSTOMER
};

const WEBHOOK_PATH: &str = "/cashier/webhook/{provider}";
const WEBHOOK_OF_CONFIG_PATH: &str = "/cashier/webhook/{provider}/{provider_config_id}";

/// Every operation of the three listeners.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/cashier/methods",
        id: "getCashierMethods",
        summary: "Payment methods for an account of the customer",
        parameters: || vec![login(true)],
        answers: &[answer(200, "The methods", JSON, || reference("methods.answer"))],
        errors: || vec![RefusalCode::InvalidData, RefusalCode::PermissionDenied, RefusalCode::StorageUnavailable],
        ..CUSTOMER
    },
    Operation {
        method: "post",
        path: "/cashier/deposit",
        id: "createCashierDeposit",
        summary: "A deposit, and what the customer does next",
        parameters: || vec![idempotency_key()],
        request: Some((JSON, || reference("deposit.request"))),
        answers: &[answer(200, "The deposit", JSON, || reference("deposit.answer"))],
        errors: || {
            vec![
                RefusalCode::CurrencyConversionRequired,
                RefusalCode::MethodNotAvailable,
                RefusalCode::AmountOutOfRange,
                RefusalCode::PermissionDenied,
                RefusalCode::DepositNotAllowed,
                RefusalCode::AccountDisabled,
                RefusalCode::IdempotencyConflict,
                RefusalCode::ProviderDeclined,
                RefusalCode::ProviderUnavailable,
                RefusalCode::StorageUnavailable,
            ]
        },
        ..CUSTOMER
    },
    Operation {
        method: "post",
        path: "/cashier/withdrawal",
        id: "createCashierWithdrawal",
        summary: "A request for a withdrawal, which a person approves",
        parameters: || vec![idempotency_key()],
        request: Some((JSON, || reference("withdrawal.request"))),
        answers: &[answer(200, "The withdrawal", JSON, || reference("withdrawal.answer"))],
        errors: || {
            vec![
                RefusalCode::CurrencyConversionRequired,
                RefusalCode::PermissionDenied,
                RefusalCode::WithdrawalNotAllowed,
                RefusalCode::AccountDisabled,
                RefusalCode::IdempotencyConflict,
                RefusalCode::StorageUnavailable,
            ]
        },
        ..CUSTOMER
    },
    Operation {
        method: "post",
        path: "/cashier/withdrawal/{id}/cancel",
        id: "cancelCashierWithdrawal",
        summary: "Takes a request for a withdrawal back while it waits",
        parameters: || vec![parameter("id", "path", true, &whole(1, ID_MAX.cast_signed()), "the withdrawal")],
        request: Some((JSON, || reference("cancel.request"))),
        needs_body: false,
        answers: &[answer(200, "The withdrawal, cancelled", JSON, || reference("cancel.answer"))],
        errors: || {
            vec![
                RefusalCode::PermissionDenied,
                RefusalCode::NotFound,
                RefusalCode::Duplicate,
                RefusalCode::StorageUnavailable,
            ]
        },
        ..CUSTOMER
    },
    Operation {
        path: "/cashier/transactions",
        id: "getCashierTransactions",
        summary: "The customer's own transactions",
        parameters: || [vec![login(false)], filter(TransactionField::PUBLISHED)].concat(),
        answers: &[
            answer(200, "A page of them", JSON, || reference("transactions.answer")),
            answer(200, "The same as CSV, for `Accept: text/csv`", CSV, || kind("string")),
        ],
        errors: || vec![RefusalCode::InvalidData, RefusalCode::PermissionDenied, RefusalCode::StorageUnavailable],
        ..CUSTOMER
    },
    Operation {
        path: WEBHOOK_PATH,
        id: "processCashierWebhook",
        summary: "A provider's webhook",
        parameters: || vec![provider()],
        ..WEBHOOK
    },
    Operation {
        path: WEBHOOK_PATH,
        id: "probeCashierWebhook",
        summary: "Whether webhooks are taken here",
        parameters: || vec![provider()],
        ..WEBHOOK_PROBE
    },
    Operation {
        path: WEBHOOK_OF_CONFIG_PATH,
        id: "processCashierWebhookOfConfig",
        summary: "A webhook for one provider config",
        parameters: || vec![provider(), config()],
        ..WEBHOOK
    },
    Operation {
        path: WEBHOOK_OF_CONFIG_PATH,
        id: "probeCashierWebhookOfConfig",
        summary: "Whether webhooks are taken here",
        parameters: || vec![provider(), config()],
        ..WEBHOOK_PROBE
    },
    DESCRIPTION,
    Operation {
        listener: "manager",
        method: "post",
        path: "/manager",
        id: "command",
        summary: "One command",
        request: Some((JSON, messages::request)),
        answers: &[
            answer(200, "What the command answers; the rows of a list as CSV for `Accept: text/csv`", JSON, || {
                messages::answer(200)
            }),
            answer(200, "The rows of a list", CSV, || kind("string")),
            answer(202, "The change waits for a second person", JSON, || messages::answer(202)),
        ],
        errors: messages::errors,
        refusal: messages::refusal,
        session: Session::Anywhere,
        extension: || vec![("x-commands", messages::commands())],
        ..CUSTOMER
    },
    Operation { listener: "manager", ..DESCRIPTION },
    Operation {
        path: "/healthz",
        id: "liveness",
        summary: "Whether the process lives",
        answers: &[answer(200, "It does", PLAIN, || kind("string"))],
        ..WATCH
    },
    Operation {
        path: "/readyz",
        id: "readiness",
        summary: "Whether requests should be sent",
        parameters: || vec![query("verbose", false, &kind("string"), "given: also what does not work as it should")],
        answers: &[
            answer(200, "They should", PLAIN, || kind("string")),
            answer(503, "They should not; the first line says why", PLAIN, || kind("string")),
        ],
        ..WATCH
    },
    Operation {
        path: "/metrics",
        id: "metrics",
        summary: "Metrics in the text format of Prometheus",
        answers: &[answer(200, "The metrics", "text/plain; version=0.0.4; charset=utf-8", || kind("string"))],
        ..WATCH
    },
    Operation { listener: "watch", ..DESCRIPTION },
];

fn parameter(name: &str, place: &str, required: bool, schema: &str, text: &str) -> String {
    members([
        ("name", quoted(name)),
        ("in", quoted(place)),
        ("required", required.to_string()),
        ("description", quoted(text)),
        ("schema", schema.to_owned()),
    ])
}

fn query(name: &str, required: bool, schema: &str, text: &str) -> String {
    parameter(name, "query", required, schema, text)
}

fn login(required: bool) -> String {
    query("login", required, &whole(1, ID_MAX.cast_signed()), "trading account of the customer")
}

fn provider() -> String {
    parameter("provider", "path", true, &with(&kind("string"), "minLength", 1), "provider code")
}

fn config() -> String {
    parameter("provider_config_id", "path", true, &with(&kind("string"), "minLength", 1), "provider config id")
}

fn idempotency_key() -> String {
    let text_of_key = text(IDEMPOTENCY_KEY_LENGTH_MAX);
    parameter("Idempotency-Key", "header", false, &text_of_key, "another spelling of idempotency_key")
}

/// The filter language in a query string: its parameters are indexed, and the first of each is listed.
fn filter<F: Field>(fields: &[F]) -> Vec<String> {
    let field = one_of(fields.iter().map(|field| field.name()));
    let value = kind("string");
    let mut listed = vec![
        query("limit", false, &whole(1, LIMIT_MAX as i64), "rows of the page; 100 by default"),
        query("offset", false, &whole(0, OFFSET_MAX.cast_signed()), "rows before the page"),
    ];
    for clause in Clause::ALL {
        let name = clause.name();
        listed.push(query(
            &format!("{name}[0][0]"),
            false,
            &field,
            "field of the first condition; [1][0], [2][0], … are further ones",
        ));
        let values: &[(&str, &Schema, &str)] = match clause {
            Clause::Where => &[("[0][1]", &one_of(OPERATORS), "operator"), ("[0][2]", &value, "value")],
            Clause::WhereNot => &[("[0][1]", &value, "value")],
            Clause::WhereIn | Clause::WhereNotIn => {
                &[("[0][1][0]", &value, "first value; [0][1][1], … are further ones")]
            }
            Clause::WhereBetween | Clause::WhereNotBetween => {
                &[("[0][1][0]", &value, "least value"), ("[0][1][1]", &value, "greatest value")]
            }
        };
        listed.extend(values.iter().map(|(index, schema, text)| query(&format!("{name}{index}"), false, schema, text)));
    }
    listed.push(query("orderBy[0][0]", false, &field, "field of the first sort key; [1][0], … are further ones"));
    listed.push(query("orderBy[0][1]", false, &one_of(["asc", "desc"]), "its direction"));
    listed
}
