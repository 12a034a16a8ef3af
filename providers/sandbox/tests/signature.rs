//! Verification of `Sandbox-Signature`, compared with a signature of another implementation. The
//! conformance kit tests the edge cases that this header format shares with others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue must stop"
)]

mod harness;

use cashier_provider_sandbox::Sandbox;
use cashier_provider_sdk::{PaymentProvider, ProviderConfig, Secret, Step, WebhookNotice, WebhookVerdict};
use harness::{NOW, harness, row};

/// The test vector of this signature format: signed by another implementation with
/// `whsec_test_secret` at `NOW`.
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

fn verdict(row: &ProviderConfig, notice: &WebhookNotice) -> Option<VerdictKind> {
    let sandbox = Sandbox::configure(row).unwrap_or_else(|error| panic!("{error}"));
    match sandbox.normalize_status(notice, &[]) {
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
        ..row("")
    }
}

fn notice(header: &str, body: &[u8]) -> WebhookNotice {
    WebhookNotice {
        headers: vec![("sandbox-signature".into(), header.into())],
        body: body.to_vec(),
        ..harness().notices[0].clone()
    }
}

#[test]
fn a_header_verifies_only_in_the_services_format() {
    let table = [
        ("as sent", format!("t={NOW},v1={V1}"), Verified),
        ("several v1, which the service never sends", format!("t={NOW},v1={V1},v1={OTHER}"), Rejected),
        ("several equal v1", format!("t={NOW},v1={V1},v1={V1}"), Rejected),
        ("a wrong v1", format!("t={NOW},v1={OTHER}"), Rejected),
        ("another t", format!("t={},v1={V1}", NOW + 1), Rejected),
    ];
    for (label, header, expected) in table {
        let actual = verdict(&secrets(VECTOR_SECRET, &[]), &notice(&header, BODY.as_bytes()));
        assert_eq!(actual, Some(expected), "{label}: {header}");
    }
}

#[test]
fn a_missing_or_repeated_header_is_rejected() {
    let header = |name: &str| (name.to_owned(), format!("t={NOW},v1={V1}"));
    let table = [
        ("in the README's case", vec![header("Sandbox-Signature")], Verified),
        ("absent", vec![], Rejected),
        ("another header", vec![header("stripe-signature")], Rejected),
        ("twice", vec![header("sandbox-signature"), header("Sandbox-Signature")], Rejected),
    ];
    for (label, headers, expected) in table {
        let notice = WebhookNotice { headers, ..notice("", BODY.as_bytes()) };
        assert_eq!(verdict(&secrets(VECTOR_SECRET, &[]), &notice), Some(expected), "{label}");
    }
}

#[test]
fn only_the_configured_secrets_verify() {
    let table = [
        ("present", secrets(VECTOR_SECRET, &[]), Verified),
        ("replaced recently", secrets("whsec_new", &[VECTOR_SECRET]), Verified),
        ("replaced twice", secrets("whsec_new", &["whsec_between", VECTOR_SECRET]), Verified),
        ("present one empty, replaced one not", secrets("", &[VECTOR_SECRET]), Verified),
        ("another", secrets("whsec_new", &[]), Rejected),
        ("without its prefix", secrets("test_secret", &[]), Rejected),
        ("empty", secrets("", &[]), Undetermined),
        ("empty ones", secrets("", &["", ""]), Undetermined),
    ];
    for (label, row, expected) in table {
        let actual = verdict(&row, &notice(&format!("t={NOW},v1={V1}"), BODY.as_bytes()));
        assert_eq!(actual, Some(expected), "{label}");
    }
}
