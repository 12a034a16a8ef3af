//! The question about secrets: none of the configuration, and none of a reply, is found in anything
//! a provider says. A request's headers and body may carry them, and nothing else.

use std::fmt::Debug;

use cashier_provider_sdk::host::ModuleV1;
use cashier_provider_sdk::{HttpReply, PaymentProvider, ProviderConfig, Secret, Settings, Step, WebhookVerdict};
use serde_json::Value;

use crate::calls::{descriptor, sent};
use crate::harness::{CANARY_CHARS_MIN, ConformanceError, Harness, ensure, sample_payment, sample_refund};

/// Plants the harness's secrets and listens to every answer, failures included.
pub fn no_secret_leaks<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let said = descriptor::<P>()?;
    let secret_settings: Vec<&str> =
        said.settings.iter().filter(|setting| setting.secret).map(|setting| setting.key.as_str()).collect();
    let canaries = canaries(harness, &secret_settings)?;
    let mut heard = Vec::new();

    let instance = harness.instance::<P>()?;
    let payment = sample_payment(&harness.order, &said.primary_ref_kind);
    let refund = sample_refund(payment.clone());
    for replies in exchanges(harness, &canaries) {
        listen(&mut heard, &instance.create_payment(&harness.order, &replies));
        listen(&mut heard, &instance.advance_payment(&payment, &replies));
        listen(&mut heard, &instance.query_status(&payment, &replies));
        listen(&mut heard, &instance.cancel_payment(&payment, &replies));
        listen(&mut heard, &instance.refund_payment(&refund, &replies));
    }
    let other = Secret::new("another secret altogether");
    for notice in [
        harness.notices.clone(),
        harness.signed(),
        harness.signed_with(&other, 0),
        harness.signed_with(harness.secret(), 86_400),
    ]
    .concat()
    {
        let step = instance.normalize_status(&notice, &[]);
        if let Step::Done(WebhookVerdict::Verified { acknowledgement: Some(answer), .. }) = &step {
            heard.push(format!("{:?}", answer.headers));
            heard.push(String::from_utf8_lossy(&answer.body).into_owned());
        }
        listen(&mut heard, &step);
    }
    for config in damaged(&harness.config) {
        heard.push(format!("{config:?}"));
        if let Err(error) = ModuleV1::of::<P>().configure(&config) {
            heard.push(format!("{error:?} {error}"));
        }
    }
    for text in heard {
        for (name, canary) in &canaries {
            ensure(!text.contains(canary.as_str()), || {
                format!("{name} is told in: {}", text.replace(canary.as_str(), "<the secret>"))
            })?;
        }
    }
    Ok(())
}

fn canaries(harness: &Harness, secret_settings: &[&str]) -> Result<Vec<(String, String)>, ConformanceError> {
    let config = &harness.config;
    let mut canaries: Vec<(String, String)> = vec![
        ("secret_key".into(), config.secret_key.expose().into()),
        ("webhook_secret".into(), config.webhook_secret.expose().into()),
    ];
    for secret in &config.previous_webhook_secrets {
        canaries.push(("a previous webhook_secret".into(), secret.expose().into()));
    }
    for key in secret_settings {
        if let Some(text) = config.settings.get(key).and_then(Value::as_str) {
            canaries.push((format!("the setting {key}"), text.to_owned()));
        }
    }
    for canary in &harness.reply_canaries {
        canaries.push(("a secret of a reply".into(), canary.clone()));
    }
    canaries.retain(|(_, canary)| !canary.is_empty());
    ensure(!canaries.is_empty(), || "the harness plants no secret".into())?;
    for (name, canary) in &canaries {
        ensure(canary.chars().count() >= CANARY_CHARS_MIN, || {
            format!("{name} is shorter than {CANARY_CHARS_MIN} characters: it is no canary")
        })?;
    }
    Ok(canaries)
}

/// The canned exchange step by step, and its end in errors that quote what they were sent.
fn exchanges(harness: &Harness, canaries: &[(String, String)]) -> Vec<Vec<HttpReply>> {
    let canned = &harness.create_replies;
    let mut exchanges: Vec<Vec<HttpReply>> =
        (0..=canned.len()).filter_map(|shown| canned.get(..shown).map(<[_]>::to_vec)).collect();
    // A provider's error may quote the key it refused; it has no reason to quote its own token.
    let quoting = canaries
        .iter()
        .filter(|(_, canary)| !harness.reply_canaries.contains(canary))
        .map(|(_, canary)| format!("invalid key {canary}"))
        .collect::<Vec<_>>()
        .join(", ");
    let error = serde_json::json!({
        "error": {"code": "invalid_key", "message": quoting, "type": "auth", "param": quoting},
        "message": quoting,
        "description": quoting,
    });
    for status in [200, 400, 401, 402, 404, 429, 500] {
        for body in [error.to_string(), quoting.clone()] {
            for shown in 0..canned.len().max(1) {
                let mut replies = canned.get(..shown).unwrap_or_default().to_vec();
                replies.push(HttpReply::new(status, body.clone()));
                exchanges.push(replies);
            }
        }
    }
    exchanges
}

fn listen<T: Debug>(heard: &mut Vec<String>, step: &Step<T>) {
    heard.push(format!("{step:?}"));
    if let Step::Failed(failure) = step {
        heard.push(failure.to_string());
    }
    heard.extend(sent(step).map(|request| request.url));
}

/// The configuration with one thing wrong at a time, secrets in the wrong places included.
fn damaged(config: &ProviderConfig) -> Vec<ProviderConfig> {
    let mut damaged = vec![config.clone()];
    let mut with = |change: &dyn Fn(&mut ProviderConfig)| {
        let mut copy = config.clone();
        change(&mut copy);
        damaged.push(copy);
    };
    let malformed = |secret: &Secret| Secret::new(format!("{}\n☂", secret.expose()));
    with(&|config| config.secret_key = Secret::default());
    with(&|config| config.secret_key = malformed(&config.secret_key));
    with(&|config| config.webhook_secret = Secret::default());
    with(&|config| config.webhook_secret = malformed(&config.webhook_secret));
    with(&|config| config.merchant_id.clear());
    with(&|config| config.public_key.clear());
    with(&|config| config.settings = Settings::default());
    with(&|config| config.sandbox = !config.sandbox);
    damaged
}
