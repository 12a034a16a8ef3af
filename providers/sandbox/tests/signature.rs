//! Which notices are the service's: what is particular about `Sandbox-Signature`, held against a
//! signature that another implementation made. The edges of this form of header are the kit's to hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod harness;

use cashier_provider_sandbox::Sandbox;
use cashier_provider_sdk::{PaymentProvider, ProviderConfig, Secret, Step, WebhookNotice, WebhookVerdict};
use harness::{NOW, harness, row};

/// The worked vector of this form of signature: signed by another implementation with
/// `whsec_test_secret` at `NOW`.
const BODY: &str = "{\n  \"id\": \"evt_test_1\",\n  \"object\": \"event\",\n  \"type\": \"checkout.session.completed\",\n  \"created\": 1795160000,\n  \"livemode\": false,\n  \"api_version\": \"2025-01-27.acacia\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"cs_test_1\",\n      \"object\": \"checkout.session\",\n      \"amount_total\": 25000,\n      \"currency\": \"usd\",\n      \"payment_status\": \"paid\",\n      \"status\": \"complete\",\n      \"payment_intent\": \"pi_123\",\n      \"client_reference_id\": \"15\",\n      \"metadata\": {\n        \"transaction_id\": \"15\"\n      }\n    }\n  }\n}";
const V1: &str = "0ed0520adbd99f213ce0914d947c7be8beb49ee6046416b7ca707762fde327e1";
const VECTOR_SECRET: &str = "whsec_test_secret";
/// A signature of the right form that nothing made.
const OTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Genuine,
    Not,
    CannotTell,
}
use Told::{CannotTell, Genuine, Not};

fn told(row: &ProviderConfig, notice: &WebhookNotice) -> Option<Told> {
    let sandbox = Sandbox::configure(row).unwrap_or_else(|error| panic!("{error}"));
    match sandbox.normalize_status(notice, &[]) {
        Step::Done(WebhookVerdict::Verified { .. }) => Some(Genuine),
        Step::Done(WebhookVerdict::Rejected(_)) => Some(Not),
        Step::Done(WebhookVerdict::Undetermined(_)) => Some(CannotTell),
        Step::Send { .. } | Step::Failed(_) | Step::Unsupported => None,
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
fn the_header_is_read_as_the_service_writes_it() {
    let table = [
        ("as sent", format!("t={NOW},v1={V1}"), Genuine),
        ("several v1, which it never sends", format!("t={NOW},v1={V1},v1={OTHER}"), Not),
        ("several v1, alike", format!("t={NOW},v1={V1},v1={V1}"), Not),
        ("a wrong v1", format!("t={NOW},v1={OTHER}"), Not),
        ("another t", format!("t={},v1={V1}", NOW + 1), Not),
    ];
    for (label, header, expected) in table {
        let heard = told(&secrets(VECTOR_SECRET, &[]), &notice(&header, BODY.as_bytes()));
        assert_eq!(heard, Some(expected), "{label}: {header}");
    }
}

#[test]
fn the_header_is_there_once() {
    let header = |name: &str| (name.to_owned(), format!("t={NOW},v1={V1}"));
    let table = [
        ("in the README's case", vec![header("Sandbox-Signature")], Genuine),
        ("absent", vec![], Not),
        ("another header", vec![header("stripe-signature")], Not),
        ("twice", vec![header("sandbox-signature"), header("Sandbox-Signature")], Not),
    ];
    for (label, headers, expected) in table {
        let notice = WebhookNotice { headers, ..notice("", BODY.as_bytes()) };
        assert_eq!(told(&secrets(VECTOR_SECRET, &[]), &notice), Some(expected), "{label}");
    }
}

#[test]
fn only_the_configured_secrets_verify() {
    let table = [
        ("present", secrets(VECTOR_SECRET, &[]), Genuine),
        ("replaced lately", secrets("whsec_new", &[VECTOR_SECRET]), Genuine),
        ("replaced twice", secrets("whsec_new", &["whsec_between", VECTOR_SECRET]), Genuine),
        ("present one empty, replaced one not", secrets("", &[VECTOR_SECRET]), Genuine),
        ("another", secrets("whsec_new", &[]), Not),
        ("without its prefix", secrets("test_secret", &[]), Not),
        ("empty", secrets("", &[]), CannotTell),
        ("empty ones", secrets("", &["", ""]), CannotTell),
    ];
    for (label, row, expected) in table {
        let heard = told(&row, &notice(&format!("t={NOW},v1={V1}"), BODY.as_bytes()));
        assert_eq!(heard, Some(expected), "{label}");
    }
}
