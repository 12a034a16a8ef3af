//! Steps as JSON, for comparison with what a case expects. Unset fields are omitted, and the config's secrets are
//! masked.

use cashier_provider_sdk::{
    Acknowledgement, Amount, Form, HttpRequest, NextAction, PaymentCreated, ProviderConfig, ProviderFailure,
    RefundReach, StatusUpdate, Step, WebhookVerdict,
};
use serde_json::{Map, Value, json};

/// The texts that are replaced by `***`.
pub(crate) struct CaseMasks(Vec<String>);

impl CaseMasks {
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

pub(crate) fn step<T>(step: Step<T>, masks: &CaseMasks, done: impl FnOnce(T) -> Value) -> Value {
    match step {
        Step::Send { request, cache } => {
            let mut fields = self::request(&request, masks);
            if let Some(policy) = cache {
                fields.insert("cache".into(), json!({"name": policy.name, "ttl_seconds": policy.ttl_seconds}));
            }
            json!({ "send": fields })
        }
        Step::Done(value) => done(value),
        Step::Failed(failure) => json!({ "failed": self::failure(&failure) }),
        Step::Unsupported => json!("unsupported"),
    }
}

pub(crate) fn verdict(verdict: WebhookVerdict) -> Value {
    match verdict {
        WebhookVerdict::Verified { updates, event_id, ignored, acknowledgement } => {
            let updates: Vec<Value> = updates.iter().map(update).collect();
            let mut fields = Map::new();
            fields.insert("verified".into(), updates.into());
            put(&mut fields, "event_id", event_id);
            put(&mut fields, "ignored", ignored);
            put(&mut fields, "acknowledgement", acknowledgement.map(self::acknowledgement));
            fields.into()
        }
        WebhookVerdict::Unreadable(unreadable) => {
            let mut fields = Map::new();
            fields.insert("unreadable".into(), unreadable.reason.into());
            put(&mut fields, "event_id", unreadable.event_id);
            put(&mut fields, "reference", unreadable.reference);
            put_refs(&mut fields, &unreadable.refs);
            put(&mut fields, "acknowledgement", unreadable.acknowledgement.map(acknowledgement));
            fields.into()
        }
        WebhookVerdict::Rejected(reason) => json!({ "rejected": reason }),
        WebhookVerdict::Untimely(reason) => json!({ "untimely": reason }),
        WebhookVerdict::Undetermined(reason) => json!({ "undetermined": reason }),
    }
}

fn acknowledgement(answer: Acknowledgement) -> Value {
    let headers: Map<String, Value> = answer.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    json!({ "status": answer.status, "headers": headers, "body": body(&answer.body) })
}

pub(crate) fn created(created: PaymentCreated) -> Value {
    let mut fields = Map::new();
    fields.insert("status".into(), created.status.as_str().into());
    fields.insert(
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
    put_refs(&mut fields, &created.refs);
    put(&mut fields, "update", created.update.as_ref().map(update));
    put(&mut fields, "expires_unix", created.expires_unix);
    put_bag(&mut fields, &created.bag);
    json!({ "created": fields })
}

pub(crate) fn updated(stated: StatusUpdate) -> Value {
    json!({ "update": update(&stated) })
}

fn update(update: &StatusUpdate) -> Value {
    let mut fields = Map::new();
    fields.insert("status".into(), update.status.as_str().into());
    fields.insert("raw_status".into(), update.raw_status.clone().into());
    put(&mut fields, "event_id", update.event_id.clone());
    put(&mut fields, "reference", update.reference.clone());
    put_refs(&mut fields, &update.refs);
    put(&mut fields, "payment_id", update.payment_id.clone());
    put(&mut fields, "amount", update.amount.as_ref().map(Amount::to_string));
    put(
        &mut fields,
        "refund",
        update.refund.as_ref().map(|refund| {
            let mut fields = Map::new();
            put(&mut fields, "id", refund.id.clone());
            fields.insert("amount".into(), refund.amount.to_string().into());
            fields.insert(
                "reach".into(),
                match refund.reach {
                    RefundReach::Delta => "delta".into(),
                    RefundReach::TotalSoFar => "total_so_far".into(),
                },
            );
            put(&mut fields, "requested", refund.requested.clone());
            Value::from(fields)
        }),
    );
    put(
        &mut fields,
        "dispute",
        update.dispute.as_ref().map(|dispute| {
            let mut fields = Map::new();
            fields.insert("id".into(), dispute.id.clone().into());
            put(&mut fields, "amount", dispute.amount.as_ref().map(Amount::to_string));
            Value::from(fields)
        }),
    );
    put(&mut fields, "reason", update.reason.clone());
    put(&mut fields, "sandbox", update.sandbox);
    put(&mut fields, "mode_conflict", update.mode_conflict.then_some(true));
    put(&mut fields, "advance", update.advance.then_some(true));
    put_bag(&mut fields, &update.bag);
    fields.into()
}

fn failure(failure: &ProviderFailure) -> Value {
    let mut fields = Map::new();
    fields.insert("kind".into(), failure.kind.as_str().into());
    fields.insert("code".into(), failure.code.clone().into());
    fields.insert("message".into(), failure.message.clone().into());
    put(&mut fields, "retryable", failure.retryable.then_some(true));
    put(&mut fields, "retry_after_seconds", failure.retry_after_seconds);
    fields.into()
}

fn request(request: &HttpRequest, masks: &CaseMasks) -> Map<String, Value> {
    let headers: Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), masks.hide(value).into())).collect();
    let form = headers
        .get("content-type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let mut fields = Map::new();
    fields.insert("method".into(), request.method.as_str().into());
    fields.insert("url".into(), masks.hide(&request.url).into());
    fields.insert("headers".into(), headers.into());
    if !request.body.is_empty() {
        let hidden = masks.hide(&String::from_utf8_lossy(&request.body));
        let body = if form {
            let form = Form::read(hidden.as_bytes());
            let lines = form.pairs().iter().map(|(key, value)| format!("{key}={value}"));
            lines.collect::<Vec<_>>().into()
        } else {
            body(hidden.as_bytes())
        };
        fields.insert("body".into(), body);
    }
    put(&mut fields, "safe_to_repeat", request.safe_to_repeat.then_some(true));
    fields
}

/// JSON if it is JSON, else text.
fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}

fn put_refs(fields: &mut Map<String, Value>, refs: &[cashier_provider_sdk::ProviderRef]) {
    let lines = refs.iter().map(|id| Value::from(format!("{} {}", id.kind, id.value)));
    let lines: Vec<Value> = lines.collect();
    put(fields, "refs", (!lines.is_empty()).then_some(lines));
}

fn put_bag(fields: &mut Map<String, Value>, bag: &[(String, String)]) {
    let pairs: Map<String, Value> = bag.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    put(fields, "bag", (!pairs.is_empty()).then_some(pairs));
}

fn put(fields: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(key.to_owned(), value.into());
    }
}
