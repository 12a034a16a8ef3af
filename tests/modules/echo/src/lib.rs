//! Answers every order at once and without a network, so that a benchmark measures the cashier alone.
//! Its notices are `{"event_id","reference","payment_id","status","amount_minor","exponent","currency","sandbox"}`,
//! signed in `x-echo-signature` with the hex HMAC-SHA256 of the body.

use cashier_provider_sdk::serde_json::{self, Value};
use cashier_provider_sdk::signature::{self, Covers, Digest, Keys, Signature};
use cashier_provider_sdk::{
    Amount, Capabilities, ConfigError, Descriptor, HttpReply, NextAction, NormalizedStatus, PaymentCreated,
    PaymentOrder, PaymentProvider, PaymentRef, ProviderConfig, ProviderRef, SettingSpec, StatusUpdate, Step,
    WebhookNotice, WebhookVerdict,
};

struct Echo {
    keys: Keys,
}

impl PaymentProvider for Echo {
    fn descriptor() -> Descriptor {
        Descriptor {
            code: "echo".into(),
            name: "Echo".into(),
            description: "Answers without a network.".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            methods: vec!["card".into()],
            capabilities: Capabilities { query: true, cancel: true, ..Capabilities::default() },
            primary_ref_kind: "echo_payment".into(),
            hosts: vec!["echo.invalid".into()],
            idempotency_window_seconds: 86_400,
            expiry_seconds: 3_600,
            settings: vec![
                SettingSpec::required_secret("webhook_secret", "Webhook secret"),
                SettingSpec::endpoint("api_base", "API address", "https://echo.invalid"),
            ],
            webhook_events: vec!["echo.status".into()],
            ..Descriptor::default()
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        match config.settings.text("refuse_with")? {
            Some(reason) => Err(ConfigError::new("refuse_with", reason)),
            None => Ok(Self { keys: Keys::text(&config.webhook_secrets()) }),
        }
    }

    fn create_payment(&self, order: &PaymentOrder, _replies: &[HttpReply]) -> Step<PaymentCreated> {
        let url = format!("https://echo.invalid/pay/{}?nonce={}", order.reference, order.nonce);
        Step::Done(PaymentCreated {
            status: NormalizedStatus::Pending,
            refs: vec![ProviderRef::new("echo_payment", format!("echo-{}", order.reference))],
            next: NextAction::Redirect { url },
            ..PaymentCreated::default()
        })
    }

    fn normalize_status(&self, notice: &WebhookNotice, _replies: &[HttpReply]) -> Step<WebhookVerdict> {
        let signed: Vec<Signature> = notice.header("x-echo-signature").and_then(Signature::hex).into_iter().collect();
        Step::Done(
            match signature::verify_hmac(Digest::Sha256, &self.keys, Covers::EveryByte, &[&notice.body], &signed) {
                Err(unverified) => unverified.into(),
                Ok(proof) => match serde_json::from_slice::<Value>(&notice.body) {
                    Ok(body) => WebhookVerdict::updates(vec![update(&body)]),
                    Err(_) => WebhookVerdict::unreadable(&proof, "the body is no JSON"),
                },
            },
        )
    }

    fn query_status(&self, payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Done(StatusUpdate {
            reference: Some(payment.reference.clone()),
            ..StatusUpdate::new(NormalizedStatus::Pending, "pending")
        })
    }

    fn cancel_payment(&self, payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Done(StatusUpdate {
            reference: Some(payment.reference.clone()),
            ..StatusUpdate::new(NormalizedStatus::Cancelled, "cancelled")
        })
    }
}

fn update(body: &Value) -> StatusUpdate {
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let raw_status = text("status").unwrap_or_default();
    let status = NormalizedStatus::ALL.into_iter().find(|status| status.as_str() == raw_status);
    let amount = body.get("amount_minor").and_then(Value::as_i64).map(|minor| {
        let exponent = body.get("exponent").and_then(Value::as_u64).and_then(|exponent| u8::try_from(exponent).ok());
        Amount::new(minor, exponent.unwrap_or(2), text("currency").unwrap_or_default())
    });
    StatusUpdate {
        event_id: text("event_id"),
        reference: text("reference"),
        payment_id: text("payment_id"),
        amount,
        sandbox: body.get("sandbox").and_then(Value::as_bool),
        ..StatusUpdate::new(status.unwrap_or_default(), raw_status)
    }
}

cashier_provider_sdk::export_provider!(Echo);
