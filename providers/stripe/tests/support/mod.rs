//! What the tests of this module share: one row, one order, one payment.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a broken setup must stop the test")]

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::{
    Amount, HttpReply, HttpRequest, PaymentOrder, PaymentProvider, PaymentRef, ProviderConfig, ProviderFailure,
    ProviderRef, Settings, Step, WebhookNotice,
};
use cashier_provider_stripe::Stripe;

pub(crate) const NOW: i64 = 1_795_160_000;
pub(crate) const SECRET_KEY: &str = "sk_test_canary7Q2M9X4T1B8";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_canary5H8J3K6L0P1";

pub(crate) fn row() -> ProviderConfig {
    ProviderConfig {
        id: 7,
        provider: "stripe".into(),
        public_key: "pk_test_forbrowsers".into(),
        secret_key: SECRET_KEY.into(),
        webhook_secret: WEBHOOK_SECRET.into(),
        sandbox: true,
        ..ProviderConfig::default()
    }
}

pub(crate) fn row_with(settings_json: &str) -> ProviderConfig {
    ProviderConfig { settings: Settings::parse(settings_json).unwrap(), ..row() }
}

pub(crate) fn stripe() -> Stripe {
    configured(&row())
}

pub(crate) fn configured(row: &ProviderConfig) -> Stripe {
    Stripe::configure(row).unwrap_or_else(|error| panic!("{error}"))
}

/// The same behind the border and its guard, as the host has it.
pub(crate) fn module() -> Instance {
    ModuleV1::of::<Stripe>().configure(&row()).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn order() -> PaymentOrder {
    PaymentOrder {
        reference: "D7K2M9QX4T".into(),
        amount: Amount::new(25_000, 2, "USD"),
        method: "card".into(),
        idempotency_key: "0f9bb0e7-642d-4b70-b458-62e3993c7d2d".into(),
        notify_url: "https://cashier.example/cashier/webhook/stripe/7".into(),
        success_url: "https://broker.example/deposit/done?tx=15&ok=1".into(),
        failure_url: "https://broker.example/deposit/cancelled".into(),
        description: "Deposit to account 2000009".into(),
        now_unix: NOW,
        ..PaymentOrder::default()
    }
}

pub(crate) fn payment(refs: &[(&str, &str)]) -> PaymentRef {
    PaymentRef {
        reference: "D7K2M9QX4T".into(),
        refs: refs.iter().map(|(kind, value)| ProviderRef::new(*kind, *value)).collect(),
        amount: Amount::new(25_000, 2, "USD"),
        now_unix: NOW,
        ..PaymentRef::default()
    }
}

pub(crate) fn notice(signature: &str, body: &[u8]) -> WebhookNotice {
    WebhookNotice {
        provider: "stripe".into(),
        method: "POST".into(),
        headers: vec![("stripe-signature".into(), signature.into())],
        body: body.to_vec(),
        content_type: "application/json; charset=utf-8".into(),
        received_unix: NOW,
        ..WebhookNotice::default()
    }
}

/// The request of a step that sends one.
pub(crate) fn sent<T: std::fmt::Debug>(step: Step<T>) -> HttpRequest {
    match step {
        Step::Send { request, cache: None } => request,
        other => panic!("expected a request, got {other:?}"),
    }
}

/// The failure of a step that fails.
pub(crate) fn failed<T: std::fmt::Debug>(step: Step<T>) -> ProviderFailure {
    match step {
        Step::Failed(failure) => failure,
        other => panic!("expected a failure, got {other:?}"),
    }
}

/// The result of a step that is done.
pub(crate) fn done<T: std::fmt::Debug>(step: Step<T>) -> T {
    match step {
        Step::Done(result) => result,
        other => panic!("expected a result, got {other:?}"),
    }
}

pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> HttpReply {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    HttpReply { headers, ..HttpReply::new(status, body) }
}

/// A request as a person reads it: the form's fields one per line, decoded.
pub(crate) fn shown(request: &HttpRequest) -> String {
    let mut lines = vec![format!("{} {}", request.method.as_str(), request.url)];
    lines.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(format!("safe to repeat: {}", request.safe_to_repeat));
    let form = cashier_provider_sdk::Form::read(&request.body);
    lines.extend(form.pairs().iter().map(|(key, value)| format!("  {key} = {value}")));
    lines.join("\n")
}
