//! What a signed event of the sandbox means when a part of it cannot be read, changes nothing or contradicts the rest,
//! behind the ABI and its guard as the host calls it.
#![expect(clippy::panic, reason = "a test may fail loudly")]

use cashier_provider_sandbox::Sandbox;
use cashier_provider_sdk::host::ModuleV1;
use cashier_provider_sdk::serde_json::{Value, json};
use cashier_provider_sdk::signature::{Digest, hmac, to_hex};
use cashier_provider_sdk::{ProviderConfig, Step, WebhookNotice, WebhookVerdict};

const NOW: i64 = 1_795_160_000;
const WEBHOOK_SECRET: &str = "whsec_events";

fn verdict(body: &[u8]) -> WebhookVerdict {
    let config = ProviderConfig {
        secret_key: "sk_events".into(),
        webhook_secret: WEBHOOK_SECRET.into(),
        sandbox: true,
        ..ProviderConfig::default()
    };
    let module = ModuleV1::of::<Sandbox>().configure(&config).unwrap_or_else(|error| panic!("{error}"));
    let signature = hmac(Digest::Sha256, WEBHOOK_SECRET.as_bytes(), &[NOW.to_string().as_bytes(), b".", body]);
    let notice = WebhookNotice {
        headers: vec![("sandbox-signature".into(), format!("t={NOW},v1={}", to_hex(&signature)))],
        body: body.to_vec(),
        received_unix: NOW,
        ..WebhookNotice::default()
    };
    match module.normalize_status(&notice, &[]) {
        Step::Done(verdict) => verdict,
        other => panic!("expected a verdict, got {other:?}"),
    }
}

fn event(kind: &str) -> Value {
    json!({
        "id": "evt_1", "type": kind, "livemode": false,
        "data": {"id": "pay_1", "reference": "K7Q2M9X4T1B8", "amount": "25.50", "currency": "USD", "livemode": false},
    })
}

#[test]
fn m10_a_signed_event_whose_needed_field_cannot_be_read_is_unreadable_and_names_its_payment() {
    let event = event("payment.confirmed").to_string();
    for odd in [r#""25.505000000000001.0""#, r#""25.50\ud83d""#, "2549.9999999999995", "NaN", "{}", "null"] {
        let body = event.replace(r#""25.50""#, odd);
        let WebhookVerdict::Unreadable(unreadable) = verdict(body.as_bytes()) else { panic!("{body}") };
        assert_eq!(unreadable.event_id.as_deref(), Some("evt_1"), "{body}");
        assert_eq!(unreadable.reference.as_deref(), Some("K7Q2M9X4T1B8"), "{body}");
        assert_eq!(unreadable.refs.len(), 1, "{body}");
    }
    let without_type = event.replace("payment.confirmed", r"\ud83d");
    assert!(matches!(verdict(without_type.as_bytes()), WebhookVerdict::Unreadable(_)));
}

#[test]
fn m33_an_unknown_type_is_ignored_under_its_own_id_with_its_reason() {
    let WebhookVerdict::Verified { updates, event_id, ignored, .. } =
        verdict(event("report.ready").to_string().as_bytes())
    else {
        panic!("a signed event is verified");
    };
    assert!(updates.is_empty());
    assert_eq!(event_id.as_deref(), Some("evt_1"));
    assert_eq!(ignored.as_deref(), Some("events of type report.ready change no payment"));
}

#[test]
fn m32_an_event_whose_payment_states_the_other_mode_is_a_conflict() {
    let mut event = event("payment.confirmed");
    for (live, conflict) in [(false, false), (true, true)] {
        event["data"]["livemode"] = json!(live);
        let WebhookVerdict::Verified { updates, .. } = verdict(event.to_string().as_bytes()) else {
            panic!("verified")
        };
        assert_eq!(updates[0].mode_conflict, conflict);
    }
}
