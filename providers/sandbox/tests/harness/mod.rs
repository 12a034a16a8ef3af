//! The provider-specific input of the conformance tests: a configuration, valid notices, how they are
//! signed, and the answer that creates a payment.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use cashier_provider_sdk::{HttpReply, ProviderConfig, ProviderSettings, Secret, WebhookNotice};
use cashier_provider_testing::{Harness, SigningSecret, sample_order, sign_timestamped};
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_795_160_000;
pub(crate) const SECRET_KEY: &str = "sk_canary7Q2M9X4T1B8";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_canary5H8J3K6L0P1";

pub(crate) fn row(settings_json: &str) -> ProviderConfig {
    ProviderConfig {
        id: 7,
        provider: "sandbox".into(),
        secret_key: SECRET_KEY.into(),
        webhook_secret: WEBHOOK_SECRET.into(),
        previous_webhook_secrets: vec!["whsec_canary_replaced".into()],
        settings: ProviderSettings::parse(settings_json).unwrap_or_default(),
        sandbox: true,
        ..ProviderConfig::default()
    }
}

pub(crate) fn harness() -> Harness {
    Harness {
        config: row(""),
        order: sample_order(),
        notices: vec![
            notice("payment.failed", "failed", json!({})),
            notice("payment.confirmed", "confirmed", json!({})),
            notice(
                "payment.refunded",
                "confirmed",
                json!({"refund": {"id": "sr_1", "payment": "sp_1", "amount": "10.00", "currency": "USD", "reason": "goodwill", "created": NOW}}),
            ),
            notice(
                "payment.chargeback",
                "chargeback",
                json!({"dispute": {"id": "sd_1", "amount": "250.00", "status": "open"}}),
            ),
        ],
        sign,
        signing_secret: SigningSecret::Webhook,
        signs_time: true,
        covers_every_byte: true,
        create_replies: vec![HttpReply::new(201, payment("pending").to_string())],
        reply_canaries: Vec::new(),
    }
}

fn payment(status: &str) -> Value {
    json!({
        "id": "sp_1", "status": status, "amount": "250.00", "currency": "USD", "reference": "K7Q2M9X4T1B8",
        "method": "card", "description": "Deposit 10005", "payment_url": "http://127.0.0.1:8900/pay/sp_1",
        "success_url": "", "failure_url": "", "metadata": {}, "failure_reason": if status == "failed" { "declined" } else { "" },
        "refunded_total": "0.00", "refunds": [], "dispute": null, "livemode": false, "created": NOW, "updated": NOW,
    })
}

fn notice(kind: &str, status: &str, part: Value) -> WebhookNotice {
    let mut event = json!({"id": "evt_1", "type": kind, "created": NOW, "livemode": false, "data": payment(status)});
    if let (Some(event), Value::Object(part)) = (event.as_object_mut(), part) {
        event.extend(part);
    }
    WebhookNotice {
        provider: "sandbox".into(),
        path: "/cashier/webhook/sandbox/7".into(),
        method: "POST".into(),
        body: event.to_string().into_bytes(),
        content_type: "application/json".into(),
        received_unix: NOW,
        ..WebhookNotice::default()
    }
}

/// `Sandbox-Signature`; `tests/service.rs` tests that the service signs in the same way.
pub(crate) fn sign(notice: &mut WebhookNotice, secret: &Secret, signed_unix: i64) {
    sign_timestamped(notice, "sandbox-signature", secret, signed_unix);
}
