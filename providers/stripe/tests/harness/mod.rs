//! The provider-specific input of the conformance tests: a configuration, valid notices, how they are
//! signed, and the answers that create a payment, for both flows.

use cashier_provider_sdk::serde_json::{Value, json};
use cashier_provider_sdk::{HttpReply, ProviderConfig, ProviderSettings, Secret, WebhookNotice};
use cashier_provider_testing::{Harness, SigningSecret, sample_order, sign_timestamped};

const NOW: i64 = 1_795_160_000;

/// The hosted page.
pub(crate) fn checkout() -> Harness {
    harness(
        ProviderSettings::default(),
        json!({
            "id": "cs_test_a1B2c3", "object": "checkout.session", "amount_total": 25000, "currency": "usd",
            "client_reference_id": "K7Q2M9X4T1B8", "metadata": {"transaction_id": "K7Q2M9X4T1B8"},
            "expires_at": 1795246400, "livemode": false, "mode": "payment", "payment_intent": null,
            "payment_status": "unpaid", "status": "open",
            "url": "https://checkout.stripe.com/c/pay/cs_test_a1B2c3#fid",
        }),
    )
}

/// The broker's own page.
pub(crate) fn payment_intents() -> Harness {
    harness(
        ProviderSettings::parse(r#"{"flow":"payment_intents"}"#).unwrap_or_default(),
        json!({
            "id": "pi_3S1aZ", "object": "payment_intent", "amount": 25000, "amount_received": 0,
            "client_secret": "pi_3S1aZ_secret_0oQ", "currency": "usd", "last_payment_error": null,
            "livemode": false, "metadata": {"transaction_id": "K7Q2M9X4T1B8"},
            "status": "requires_payment_method",
        }),
    )
}

fn harness(settings: ProviderSettings, created: Value) -> Harness {
    Harness {
        config: ProviderConfig {
            id: 7,
            provider: "stripe".into(),
            // Neither test_ nor live_, so that cases can have either mode.
            public_key: "pk_forbrowsers".into(),
            secret_key: "sk_canary7Q2M9X4T1B8".into(),
            webhook_secret: "whsec_test_secret".into(),
            previous_webhook_secrets: vec!["whsec_canary_replaced".into()],
            settings,
            sandbox: true,
            ..ProviderConfig::default()
        },
        order: sample_order(),
        notices: notices(),
        sign,
        signing_secret: SigningSecret::Webhook,
        signs_time: true,
        covers_every_byte: true,
        create_replies: vec![HttpReply::new(200, created.to_string())],
        reply_canaries: Vec::new(),
    }
}

/// One notice for each type of object in events.
fn notices() -> Vec<WebhookNotice> {
    let metadata = json!({"transaction_id": "K7Q2M9X4T1B8"});
    [
        (
            "checkout.session.completed",
            json!({
                "id": "cs_test_a1B2c3", "object": "checkout.session", "amount_total": 25000, "currency": "usd",
                "client_reference_id": "K7Q2M9X4T1B8", "metadata": metadata, "payment_intent": "pi_3S1aZ",
                "payment_status": "paid", "status": "complete",
            }),
        ),
        (
            "payment_intent.payment_failed",
            json!({
                "id": "pi_3S1aZ", "object": "payment_intent", "amount": 25000, "amount_received": 0,
                "currency": "usd", "metadata": metadata, "status": "requires_payment_method",
                "last_payment_error": {
                    "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
                    "message": "Your card has insufficient funds.",
                },
            }),
        ),
        (
            "charge.refunded",
            json!({
                "id": "ch_3S1aZ", "object": "charge", "amount": 25000, "amount_refunded": 10000,
                "currency": "usd", "metadata": metadata, "payment_intent": "pi_3S1aZ", "refunded": false,
            }),
        ),
        (
            "refund.failed",
            json!({
                "id": "re_3S1rF", "object": "refund", "amount": 10000, "charge": "ch_3S1aZ", "currency": "usd",
                "failure_reason": "lost_or_stolen_card", "payment_intent": "pi_3S1aZ", "status": "failed",
            }),
        ),
        (
            "charge.dispute.created",
            json!({
                "id": "du_1S1dP", "object": "dispute", "amount": 25000, "charge": "ch_3S1aZ",
                "currency": "usd", "payment_intent": "pi_3S1aZ", "reason": "fraudulent", "status": "needs_response",
            }),
        ),
    ]
    .into_iter()
    .map(|(kind, object)| notice(kind, &object))
    .collect()
}

fn notice(kind: &str, object: &Value) -> WebhookNotice {
    let event = json!({
        "id": "evt_1S1aZ", "object": "event", "type": kind, "created": NOW, "livemode": false,
        "data": {"object": object},
    });
    WebhookNotice {
        provider: "stripe".into(),
        path: "/cashier/webhook/stripe/7".into(),
        method: "POST".into(),
        body: event.to_string().into_bytes(),
        content_type: "application/json; charset=utf-8".into(),
        received_unix: NOW,
        ..WebhookNotice::default()
    }
}

/// `Stripe-Signature`; `tests/signature.rs` tests that this is Stripe's own scheme.
fn sign(notice: &mut WebhookNotice, secret: &Secret, signed_unix: i64) {
    sign_timestamped(notice, "stripe-signature", secret, signed_unix);
}
