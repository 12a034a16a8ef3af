//! The check for secret leaks: no secret of the config or of a reply occurs in any result of a provider. Only the headers
//! and the body of a request may contain them.

use std::fmt::Debug;

use cashier_provider_sdk::host::ModuleV1;
use cashier_provider_sdk::{
    HttpReply, PaymentProvider, ProviderConfig, ProviderSettings, Secret, Step, WebhookVerdict,
};
use serde_json::Value;

use crate::calls::{descriptor, sent};
use crate::harness::{CANARY_CHARS_MIN, ConformanceError, Harness, ensure, sample_payment, sample_refund};

/// Uses the harness's secrets as canaries and searches every result for them, failures included.
pub fn no_secret_leaks<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let descriptor = descriptor::<P>()?;
    let secret_settings: Vec<&str> =
        descriptor.settings.iter().filter(|setting| setting.secret).map(|setting| setting.key.as_str()).collect();
    let canaries = canaries(harness, &secret_settings)?;
    let mut texts = Vec::new();

    let instance = harness.instance::<P>()?;
    let payment = sample_payment(&harness.order, &descriptor.primary_ref_kind);
    let refund = sample_refund(payment.clone());
    for replies in exchanges(harness, &canaries) {
        collect(&mut texts, &instance.create_payment(&harness.order, &replies));
        collect(&mut texts, &instance.advance_payment(&payment, &replies));
        collect(&mut texts, &instance.query_status(&payment, &replies));
        collect(&mut texts, &instance.cancel_payment(&payment, &replies));
        collect(&mut texts, &instance.refund_payment(&refund, &replies));
    }
    let other = Secret::new("an entirely different secret");
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
            texts.push(format!("{:?}", answer.headers));
            texts.push(String::from_utf8_lossy(&answer.body).into_owned());
        }
        collect(&mut texts, &step);
    }
    for config in damaged(&harness.config) {
        texts.push(format!("{config:?}"));
        if let Err(error) = ModuleV1::of::<P>().configure(&config) {
            texts.push(format!("{error:?} {error}"));
        }
    }
    for text in texts {
        for (name, canary) in &canaries {
            ensure(!text.contains(canary.as_str()), || {
                format!("{name} leaks in: {}", text.replace(canary.as_str(), "<the secret>"))
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
    ensure(!canaries.is_empty(), || "the harness has no secret".into())?;
    for (name, canary) in &canaries {
        ensure(canary.chars().count() >= CANARY_CHARS_MIN, || {
            format!("{name} is shorter than {CANARY_CHARS_MIN} characters: not a canary")
        })?;
    }
    Ok(canaries)
}

/// The canned exchange step by step, and exchanges that end in errors which quote the request.
fn exchanges(harness: &Harness, canaries: &[(String, String)]) -> Vec<Vec<HttpReply>> {
    let canned = &harness.create_replies;
    let mut exchanges: Vec<Vec<HttpReply>> =
        (0..=canned.len()).filter_map(|count| canned.get(..count).map(<[_]>::to_vec)).collect();
    // A provider's error may quote the key that it refused, but not its own token.
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
            for count in 0..canned.len().max(1) {
                let mut replies = canned.get(..count).unwrap_or_default().to_vec();
                replies.push(HttpReply::new(status, body.clone()));
                exchanges.push(replies);
            }
        }
    }
    exchanges
}

fn collect<T: Debug>(texts: &mut Vec<String>, step: &Step<T>) {
    texts.push(format!("{step:?}"));
    if let Step::Failed(failure) = step {
        texts.push(failure.to_string());
    }
    texts.extend(sent(step).map(|request| request.url));
}

/// The config with one error at a time, such as a malformed secret.
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
    with(&|config| config.settings = ProviderSettings::default());
    with(&|config| config.sandbox = !config.sandbox);
    damaged
}
