//! Verification of `Stripe-Signature`, compared with a signature of Stripe's own library. The
//! conformance kit tests the edge cases that this header format shares with others.

mod fixture;

use cashier_provider_sdk::{PaymentProvider, ProviderConfig, Secret, Step, WebhookNotice, WebhookVerdict};
use cashier_provider_stripe::Stripe;
use fixture::{NOW, configured, notice, row};

/// Signed by Stripe's own library with `whsec_test_secret` at `NOW`.
const BODY: &str = "{\n  \"id\": \"evt_test_1\",\n  \"object\": \"event\",\n  \"type\": \"checkout.session.completed\",\n  \"created\": 1795160000,\n  \"livemode\": false,\n  \"api_version\": \"2025-01-27.acacia\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"cs_test_1\",\n      \"object\": \"checkout.session\",\n      \"amount_total\": 25000,\n      \"currency\": \"usd\",\n      \"payment_status\": \"paid\",\n      \"status\": \"complete\",\n      \"payment_intent\": \"pi_123\",\n      \"client_reference_id\": \"15\",\n      \"metadata\": {\n        \"transaction_id\": \"15\"\n      }\n    }\n  }\n}";
const V1: &str = "0ed0520adbd99f213ce0914d947c7be8beb49ee6046416b7ca707762fde327e1";
const VECTOR_SECRET: &str = "whsec_test_secret";
/// A well-formed signature of nothing.
const OTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VerdictKind {
    Verified,
    Rejected,
    Untimely,
    Undetermined,
}
use VerdictKind::{Rejected, Undetermined, Untimely, Verified};

fn verdict(stripe: &Stripe, notice: &WebhookNotice) -> Option<VerdictKind> {
    match stripe.normalize_status(notice, &[]) {
        Step::Done(WebhookVerdict::Verified { .. }) => Some(Verified),
        Step::Done(WebhookVerdict::Rejected(_)) => Some(Rejected),
        Step::Done(WebhookVerdict::Untimely(_)) => Some(Untimely),
        Step::Done(WebhookVerdict::Undetermined(_)) => Some(Undetermined),
        Step::Done(WebhookVerdict::Unreadable(_)) | Step::Send { .. } | Step::Failed(_) | Step::Unsupported => None,
    }
}

fn secrets(present: &str, replaced: &[&str]) -> ProviderConfig {
    ProviderConfig {
        webhook_secret: present.into(),
        previous_webhook_secrets: replaced.iter().map(|text| Secret::new(*text)).collect(),
        ..row()
    }
}

#[test]
fn a_header_verifies_only_in_stripes_format() {
    let stripe = configured(&secrets(VECTOR_SECRET, &[]));
    let table = [
        ("as sent", format!("t={NOW},v1={V1}"), Verified),
        ("followed by a v0", format!("t={NOW},v1={V1},v0={OTHER}"), Verified),
        ("a rolled secret's v1 first", format!("t={NOW},v1={OTHER},v1={V1}"), Verified),
        ("a rolled secret's v1 last", format!("t={NOW},v1={V1},v1={OTHER}"), Verified),
        ("only a v0, although it matches", format!("t={NOW},v0={V1}"), Rejected),
        ("only wrong v1", format!("t={NOW},v1={OTHER},v1={OTHER}"), Rejected),
        ("another t", format!("t={},v1={V1}", NOW + 1), Rejected),
        ("16 v1", format!("t={NOW},v1={V1}{}", format!(",v1={OTHER}").repeat(15)), Verified),
        ("17 v1", format!("t={NOW},v1={V1}{}", format!(",v1={OTHER}").repeat(16)), Rejected),
    ];
    for (label, header, expected) in table {
        let actual = verdict(&stripe, &notice(&header, BODY.as_bytes()));
        assert_eq!(actual, Some(expected), "{label}: {header}");
    }
}

#[test]
fn a_missing_or_repeated_header_is_rejected() {
    let stripe = configured(&secrets(VECTOR_SECRET, &[]));
    let header = |name: &str| (name.to_owned(), format!("t={NOW},v1={V1}"));
    let table = [
        ("in Stripe's case", vec![header("Stripe-Signature")], Verified),
        ("another header", vec![header("x-stripe-signature")], Rejected),
        ("twice", vec![header("stripe-signature"), header("Stripe-Signature")], Rejected),
    ];
    for (label, headers, expected) in table {
        let notice = WebhookNotice { headers, ..notice("", BODY.as_bytes()) };
        assert_eq!(verdict(&stripe, &notice), Some(expected), "{label}");
    }
}

#[test]
fn a_notice_verifies_within_300_seconds_before_or_after_its_signing() {
    let stripe = configured(&secrets(VECTOR_SECRET, &[]));
    for (received_later, expected) in
        [(0, Verified), (300, Verified), (301, Untimely), (-300, Verified), (-301, Untimely)]
    {
        let received_unix = NOW + received_later;
        let notice = WebhookNotice { received_unix, ..notice(&format!("t={NOW},v1={V1}"), BODY.as_bytes()) };
        assert_eq!(verdict(&stripe, &notice), Some(expected), "received {received_later} s after signing");
    }
}

/// The key is the whole text, `whsec_` included.
#[test]
fn only_the_configured_secrets_verify() {
    let table = [
        ("present", secrets(VECTOR_SECRET, &[]), Verified),
        ("replaced recently", secrets("whsec_new", &[VECTOR_SECRET]), Verified),
        ("replaced twice", secrets("whsec_new", &["whsec_between", VECTOR_SECRET]), Verified),
        ("present one empty, replaced one not", secrets("", &[VECTOR_SECRET]), Verified),
        ("another", secrets("whsec_new", &[]), Rejected),
        ("without its prefix", secrets("test_secret", &[]), Rejected),
        ("longer", secrets("whsec_test_secret1", &[]), Rejected),
        ("empty", secrets("", &[]), Undetermined),
        ("empty ones", secrets("", &["", ""]), Undetermined),
    ];
    let notice = notice(&format!("t={NOW},v1={V1}"), BODY.as_bytes());
    for (label, row, expected) in table {
        assert_eq!(verdict(&configured(&row), &notice), Some(expected), "{label}");
    }
}
