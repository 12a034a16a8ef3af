//! Whole answers as JSON, for comparison with what a case expects. Unset fields are left out, and
//! the secrets of the configuration are masked.

use cashier_provider_sdk::{
    Amount, Form, HttpRequest, NextAction, PaymentCreated, ProviderConfig, ProviderFailure, RefundReach, StatusUpdate,
    Step, WebhookVerdict,
};
use serde_json::{Map, Value, json};

/// The texts that are shown as `***`.
pub(crate) struct Masks(Vec<String>);

impl Masks {
    pub(crate) fn of(config: &ProviderConfig) -> Self {
        let mut secrets: Vec<String> = config
            .webhook_secrets()
            .iter()
            .chain([&config.secret_key])
            .map(|secret| secret.expose().to_owned())
            .filter(|secret| !secret.is_empty())
            .collect();
        // The longest first, so that a secret inside another leaves no remainder.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

pub(crate) fn step<T>(step: Step<T>, masks: &Masks, done: impl FnOnce(T) -> Value) -> Value {
    match step {
        Step::Send { request, cache } => {
            let mut shown = self::request(&request, masks);
            if let Some(policy) = cache {
                shown.insert("cache".into(), json!({"name": policy.name, "ttl_seconds": policy.ttl_seconds}));
            }
            json!({ "send": shown })
        }
        Step::Done(value) => done(value),
        Step::Failed(failure) => json!({ "failed": self::failure(&failure) }),
        Step::Unsupported => json!("unsupported"),
    }
}

pub(crate) fn verdict(verdict: WebhookVerdict) -> Value {
    match verdict {
        WebhookVerdict::Verified { updates, acknowledgement } => {
            let updates: Vec<Value> = updates.iter().map(update).collect();
            let mut shown = Map::new();
            shown.insert("verified".into(), updates.into());
            if let Some(answer) = acknowledgement {
                let headers: Map<String, Value> =
                    answer.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
                shown.insert(
                    "acknowledgement".into(),
                    json!({ "status": answer.status, "headers": headers, "body": body(&answer.body) }),
                );
            }
            shown.into()
        }
        WebhookVerdict::Rejected(reason) => json!({ "rejected": reason }),
        WebhookVerdict::Undetermined(reason) => json!({ "undetermined": reason }),
    }
}

pub(crate) fn created(created: PaymentCreated) -> Value {
    let mut shown = Map::new();
    shown.insert("status".into(), created.status.as_str().into());
    shown.insert(
        "next".into(),
        match created.next {
            NextAction::Redirect { url } => json!({ "redirect": url }),
            NextAction::Instructions { json_text } => {
                json!({ "instructions": body(json_text.as_bytes()) })
            }
            NextAction::Wait => json!("wait"),
            NextAction::None => json!("none"),
        },
    );
    put_refs(&mut shown, &created.refs);
    put(&mut shown, "update", created.update.as_ref().map(update));
    put(&mut shown, "expires_unix", created.expires_unix);
    put_bag(&mut shown, &created.bag);
    json!({ "created": shown })
}

pub(crate) fn updated(stated: StatusUpdate) -> Value {
    json!({ "update": update(&stated) })
}

fn update(update: &StatusUpdate) -> Value {
    let mut shown = Map::new();
    shown.insert("status".into(), update.status.as_str().into());
    shown.insert("raw_status".into(), update.raw_status.clone().into());
    put(&mut shown, "event_id", update.event_id.clone());
    put(&mut shown, "reference", update.reference.clone());
    put_refs(&mut shown, &update.refs);
    put(&mut shown, "payment_id", update.payment_id.clone());
    put(&mut shown, "amount", update.amount.as_ref().map(Amount::to_string));
    put(
        &mut shown,
        "refund",
        update.refund.as_ref().map(|refund| {
            let mut shown = Map::new();
            put(&mut shown, "id", refund.id.clone());
            shown.insert("amount".into(), refund.amount.to_string().into());
            shown.insert(
                "reach".into(),
                match refund.reach {
                    RefundReach::Delta => "delta".into(),
                    RefundReach::TotalSoFar => "total_so_far".into(),
                },
            );
            Value::from(shown)
        }),
    );
    put(
        &mut shown,
        "dispute",
        update.dispute.as_ref().map(|dispute| {
            let mut shown = Map::new();
            shown.insert("id".into(), dispute.id.clone().into());
            put(&mut shown, "amount", dispute.amount.as_ref().map(Amount::to_string));
            Value::from(shown)
        }),
    );
    put(&mut shown, "reason", update.reason.clone());
    put(&mut shown, "sandbox", update.sandbox);
    put(&mut shown, "advance", update.advance.then_some(true));
    put_bag(&mut shown, &update.bag);
    shown.into()
}

fn failure(failure: &ProviderFailure) -> Value {
    let mut shown = Map::new();
    shown.insert("kind".into(), failure.kind.as_str().into());
    shown.insert("code".into(), failure.code.clone().into());
    shown.insert("message".into(), failure.message.clone().into());
    put(&mut shown, "retryable", failure.retryable.then_some(true));
    put(&mut shown, "retry_after_seconds", failure.retry_after_seconds);
    shown.into()
}

fn request(request: &HttpRequest, masks: &Masks) -> Map<String, Value> {
    let headers: Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), masks.hide(value).into())).collect();
    let form = headers
        .get("content-type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let mut shown = Map::new();
    shown.insert("method".into(), request.method.as_str().into());
    shown.insert("url".into(), masks.hide(&request.url).into());
    shown.insert("headers".into(), headers.into());
    if !request.body.is_empty() {
        let hidden = masks.hide(&String::from_utf8_lossy(&request.body));
        let body = if form {
            let form = Form::read(hidden.as_bytes());
            let lines = form.pairs().iter().map(|(key, value)| format!("{key}={value}"));
            lines.collect::<Vec<_>>().into()
        } else {
            body(hidden.as_bytes())
        };
        shown.insert("body".into(), body);
    }
    put(&mut shown, "safe_to_repeat", request.safe_to_repeat.then_some(true));
    shown
}

/// JSON where it is JSON, else text.
fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}

fn put_refs(shown: &mut Map<String, Value>, refs: &[cashier_provider_sdk::ProviderRef]) {
    let lines = refs.iter().map(|id| Value::from(format!("{} {}", id.kind, id.value)));
    let lines: Vec<Value> = lines.collect();
    put(shown, "refs", (!lines.is_empty()).then_some(lines));
}

fn put_bag(shown: &mut Map<String, Value>, bag: &[(String, String)]) {
    let fields: Map<String, Value> = bag.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    put(shown, "bag", (!fields.is_empty()).then_some(fields));
}

fn put(shown: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        shown.insert(key.to_owned(), value.into());
    }
}
