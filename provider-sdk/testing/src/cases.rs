//! Runs a folder of cases: realistic bodies and the complete result that each must return.
//!
//! A file of the folder is one case or a list of cases:
//!
//! ```json
//! {
//!   "name": "a paid session confirms",
//!   "entry": "notice",
//!   "received_unix": 1795160000,
//!   "body": { "id": "evt_1", "type": "paid" },
//!   "expect": { "verified": [ { "status": "confirmed", "amount": "250.00 USD" } ] }
//! }
//! ```
//!
//! The harness signs the webhook unless `sign` is false; `body` is JSON, or a string that is used byte for byte. The
//! other entries are `create`, `advance`, `query`, `cancel` and `refund`; they receive `replies`. With `UPDATE_CASES=1`
//! in the environment the results are written into the files: review the difference before you commit it.
//!
//! Of a module that declares `refund`, each answer to a query that says of a payment that it was paid, or leaves it to a person,
//! states what was refunded of it, also 0.

use std::fs;
use std::path::{Path, PathBuf};

use cashier_provider_sdk::host::Instance;
use cashier_provider_sdk::{
    Amount, HttpReply, NormalizedStatus, PaymentProvider, PaymentRef, ProviderRef, ProviderSettings, WebhookNotice,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::calls::descriptor;
use crate::harness::{ConformanceError, Harness, configured, ensure, sample_payment, sample_refund};
use crate::rendering;

/// Runs every `.json` file of `folder` in the order of names, and reports all cases that differ.
pub fn run<P: PaymentProvider>(harness: &Harness, folder: &Path) -> Result<(), ConformanceError> {
    let files = files(folder)?;
    ensure(!files.is_empty(), || format!("no cases in {}", folder.display()))?;
    let update = std::env::var_os("UPDATE_CASES").is_some_and(|value| value == "1");
    let mut differences = Vec::new();
    for path in files {
        let mut document = read(&path)?;
        let mut changed = false;
        let cases = match &mut document {
            Value::Array(cases) => cases.iter_mut().collect(),
            case => vec![case],
        };
        for case in cases {
            let (name, result) = result::<P>(harness, case, &path)?;
            if leaves_refunds_open::<P>(case, &result)? {
                differences.push(format!("{}: {name}: {REFUNDED_IS_MISSING}", path.display()));
            }
            let expected = case.get("expect").cloned().unwrap_or_default();
            if result == expected {
                continue;
            }
            if update {
                if let Value::Object(fields) = case {
                    fields.insert("expect".into(), result);
                    changed = true;
                }
            } else {
                differences.push(format!("{}: {name}\nexpected {expected:#}\n     got {result:#}", path.display()));
            }
        }
        if changed {
            let text = format!("{document:#}\n");
            fs::write(&path, text).map_err(|error| case_error(&path, &error))?;
        }
    }
    ensure(differences.is_empty(), || differences.join("\n\n"))
}

const REFUNDED_IS_MISSING: &str = "the answer to the query is about a payment that was paid and states nothing of refunds: state in \
    `refund` what was refunded so far, also 0, for the cashier cannot know otherwise that a refund without an answer was not made";

/// The statuses beside which nothing of refunds says nothing. Beside `refunded` it says that everything was; a review of the
/// provider's own ends by a later answer, and what was not paid has no refunds.
const PAID: [NormalizedStatus; 4] = [
    NormalizedStatus::Confirmed,
    NormalizedStatus::Chargeback,
    NormalizedStatus::ChargebackReversed,
    NormalizedStatus::ManualReview,
];

/// Whether a module that refunds answers a query about a payment that was paid, and does not say what was refunded.
fn leaves_refunds_open<P: PaymentProvider>(case: &Value, result: &Value) -> Result<bool, ConformanceError> {
    let stated = |pointer| result.pointer(pointer).and_then(Value::as_str);
    let is_queried = case.get("entry").and_then(Value::as_str) == Some("query");
    let is_paid = PAID.iter().any(|status| stated("/update/status") == Some(status.as_str()));
    let is_open = is_paid && result.pointer("/update/refund").is_none();
    Ok(is_queried && is_open && descriptor::<P>()?.capabilities.refund)
}

/// One case. Omitted fields are as in the harness.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    entry: CaseEntry,
    /// Override the harness's settings, key by key.
    #[serde(default)]
    settings: Map<String, Value>,
    sandbox: Option<bool>,

    body: Option<Value>,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    raw_query: String,
    content_type: Option<String>,
    received_unix: Option<i64>,
    signed_unix: Option<i64>,
    #[serde(default = "yes")]
    sign: bool,

    method: Option<String>,
    amount: Option<CaseAmount>,
    #[serde(default)]
    refs: Map<String, Value>,
    payment_id: Option<String>,
    completes: Option<bool>,
    #[serde(default)]
    replies: Vec<CaseReply>,

    /// Any JSON, compared as it is.
    #[expect(dead_code, reason = "read from the document itself; declared because unknown fields are refused")]
    expect: Option<Value>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CaseEntry {
    #[default]
    Notice,
    Create,
    Advance,
    Query,
    Cancel,
    Refund,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseAmount {
    minor: i64,
    exponent: u8,
    currency: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseReply {
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Value,
}

fn yes() -> bool {
    true
}

fn result<P: PaymentProvider>(
    harness: &Harness,
    document: &Value,
    path: &Path,
) -> Result<(String, Value), ConformanceError> {
    let case: Case = serde_json::from_value(document.clone()).map_err(|error| case_error(path, &error))?;
    let instance = instance::<P>(harness, &case)?;
    let replies: Vec<HttpReply> = case.replies.iter().map(reply).collect();
    let secrets = rendering::CaseMasks::of(&harness.config);
    let kind = descriptor::<P>()?.primary_ref_kind;
    let payment = payment(harness, &case, &kind);
    let result = match case.entry {
        CaseEntry::Notice => {
            let step = instance.normalize_status(&notice(harness, &case), &replies);
            rendering::step(step, &secrets, rendering::verdict)
        }
        CaseEntry::Create => {
            let mut order = harness.order.clone();
            if let Some(method) = &case.method {
                order.method.clone_from(method);
            }
            if let Some(stated) = &case.amount {
                order.amount = amount(stated);
            }
            let step = instance.create_payment(&order, &replies);
            rendering::step(step, &secrets, rendering::created)
        }
        CaseEntry::Advance => {
            let step = instance.advance_payment(&payment, &replies);
            rendering::step(step, &secrets, rendering::updated)
        }
        CaseEntry::Query => {
            let step = instance.query_status(&payment, &replies);
            rendering::step(step, &secrets, rendering::updated)
        }
        CaseEntry::Cancel => {
            let step = instance.cancel_payment(&payment, &replies);
            rendering::step(step, &secrets, rendering::updated)
        }
        CaseEntry::Refund => {
            let mut refund = sample_refund(PaymentRef { amount: harness.order.amount.clone(), ..payment });
            if let Some(stated) = &case.amount {
                refund.amount = amount(stated);
                refund.completes = refund.amount == refund.payment.amount;
            }
            refund.completes = case.completes.unwrap_or(refund.completes);
            let step = instance.refund_payment(&refund, &replies);
            rendering::step(step, &secrets, rendering::updated)
        }
    };
    Ok((case.name, result))
}

fn instance<P: PaymentProvider>(harness: &Harness, case: &Case) -> Result<Instance, ConformanceError> {
    let mut config = harness.config.clone();
    config.sandbox = case.sandbox.unwrap_or(config.sandbox);
    if !case.settings.is_empty() {
        let written = config.settings.to_json_text();
        let mut settings: Map<String, Value> = serde_json::from_str(&written).unwrap_or_default();
        settings.extend(case.settings.clone());
        config.settings = ProviderSettings::parse(&Value::Object(settings).to_string())
            .map_err(|error| ConformanceError::new(error.to_string()))?;
    }
    configured::<P>(&config)
}

/// The harness's first webhook with the case's body and headers.
fn notice(harness: &Harness, case: &Case) -> WebhookNotice {
    let mut notice = harness.notices.first().cloned().unwrap_or_default();
    notice.body = case.body.as_ref().map(body).unwrap_or_default();
    notice.raw_query.clone_from(&case.raw_query);
    notice.received_unix = case.received_unix.unwrap_or(notice.received_unix);
    if let Some(content_type) = &case.content_type {
        notice.content_type.clone_from(content_type);
    }
    if case.sign {
        let signed_unix = case.signed_unix.unwrap_or(notice.received_unix);
        (harness.sign)(&mut notice, harness.secret(), signed_unix);
    }
    for (name, value) in pairs(&case.headers) {
        notice.headers.retain(|(present, _)| *present != name);
        notice.headers.push((name, value));
    }
    notice
}

fn payment(harness: &Harness, case: &Case, primary_ref_kind: &str) -> PaymentRef {
    let mut payment = sample_payment(&harness.order, primary_ref_kind);
    if let Some(method) = &case.method {
        payment.method.clone_from(method);
    }
    if let Some(stated) = &case.amount {
        payment.amount = amount(stated);
    }
    if !case.refs.is_empty() {
        let refs = pairs(&case.refs).into_iter();
        payment.refs = refs.map(|(kind, value)| ProviderRef { kind, value }).collect();
        payment.payment_id = None;
    }
    payment.payment_id = case.payment_id.clone().or(payment.payment_id);
    payment
}

fn reply(case: &CaseReply) -> HttpReply {
    HttpReply { status: case.status, headers: pairs(&case.headers), body: body(&case.body) }
}

/// A string byte for byte, nothing for null, and anything else as compact JSON.
fn body(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string().into_bytes(),
    }
}

/// Names in lower case, as the host passes them.
fn pairs(fields: &Map<String, Value>) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.to_ascii_lowercase(), text)
        })
        .collect()
}

fn amount(stated: &CaseAmount) -> Amount {
    Amount::new(stated.minor, stated.exponent, stated.currency.clone())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, ConformanceError> {
    let entries = fs::read_dir(folder).map_err(|error| case_error(folder, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| case_error(folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Value, ConformanceError> {
    let text = fs::read_to_string(path).map_err(|error| case_error(path, &error))?;
    serde_json::from_str(&text).map_err(|error| case_error(path, &error))
}

fn case_error(path: &Path, error: &dyn std::error::Error) -> ConformanceError {
    ConformanceError::new(format!("{}: {error}", path.display()))
}
