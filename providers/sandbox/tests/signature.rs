//! Which notices are the service's: the edges of `Sandbox-Signature`, held against signatures that
//! were made by implementations that are not ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod harness;

use std::io::Write;
use std::process::{Command, Stdio};

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
        Step::Done(WebhookVerdict::Genuine { .. }) => Some(Genuine),
        Step::Done(WebhookVerdict::NotGenuine(_)) => Some(Not),
        Step::Done(WebhookVerdict::CannotTell(_)) => Some(CannotTell),
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
        ("v1 before t", format!("v1={V1},t={NOW}"), Genuine),
        ("spaces behind commas", format!("t={NOW}, v1={V1}"), Genuine),
        ("an unknown scheme beside", format!("t={NOW},v2={OTHER},v1={V1}"), Genuine),
        // The bytes are compared, and upper case spells the same bytes.
        ("upper-case hex", format!("t={NOW},v1={}", V1.to_uppercase()), Genuine),
        ("several v1, which it never sends", format!("t={NOW},v1={V1},v1={OTHER}"), Not),
        ("several v1, alike", format!("t={NOW},v1={V1},v1={V1}"), Not),
        ("a wrong v1", format!("t={NOW},v1={OTHER}"), Not),
        ("another t", format!("t={},v1={V1}", NOW + 1), Not),
        ("t spelled otherwise", format!("t=0{NOW},v1={V1}"), Not),
        ("t with a sign", format!("t=+{NOW},v1={V1}"), Not),
        ("two t", format!("t={NOW},t={NOW},v1={V1}"), Not),
        ("t empty", format!("t=,v1={V1}"), Not),
        ("t missing", format!("v1={V1}"), Not),
        ("v1 missing", format!("t={NOW}"), Not),
        ("v1 empty", format!("t={NOW},v1="), Not),
        ("v1 cut by a byte", format!("t={NOW},v1={}", &V1[..62]), Not),
        ("v1 cut by a digit", format!("t={NOW},v1={}", &V1[..63]), Not),
        ("v1 too long", format!("t={NOW},v1={V1}00"), Not),
        ("v1 in a name of another case", format!("t={NOW},V1={V1}"), Not),
        ("nothing", String::new(), Not),
        ("commas", ",,,".into(), Not),
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
fn a_notice_is_believed_within_five_minutes_of_its_signing_either_way() {
    let table = [
        (0, Genuine),
        (300, Genuine),
        (301, Not),
        (-300, Genuine),
        (-301, Not),
        (i64::MAX - NOW, Not),
        (i64::MIN + NOW, Not),
    ];
    for (received_later, expected) in table {
        let notice = WebhookNotice {
            received_unix: NOW.saturating_add(received_later),
            ..notice(&format!("t={NOW},v1={V1}"), BODY.as_bytes())
        };
        assert_eq!(told(&secrets(VECTOR_SECRET, &[]), &notice), Some(expected), "received {received_later} s later");
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

#[test]
fn what_openssl_signed_is_genuine() {
    let body = |filler: &str| format!(r#"{{"id":"evt_1","type":"ping","livemode":false,"x":"{filler}"}}"#);
    let table = [
        ("whsec_1", body("")),
        ("a key/with+letters=", body("\u{fc}n\u{ef}c\u{f6}d\u{e9} \u{2602}")),
        (&"whsec_longer_than_a_block_of_sha256_".repeat(4), body("long key")),
        ("whsec_1", body(&"x".repeat(60_000))),
    ];
    for (secret, body) in table {
        let Some(v1) = openssl_hmac(secret, format!("{NOW}.{body}").as_bytes()) else {
            println!("skipped: there is no openssl on this machine");
            return;
        };
        let header = format!("t={NOW},v1={v1}");
        let row = secrets(secret, &[]);
        assert_eq!(told(&row, &notice(&header, body.as_bytes())), Some(Genuine), "{secret}");
        assert_eq!(told(&row, &notice(&header, format!("{body} ").as_bytes())), Some(Not), "{secret}");
    }
}

/// HMAC-SHA256 in hex as OpenSSL computes it; none where there is no openssl on this machine.
fn openssl_hmac(key: &str, message: &[u8]) -> Option<String> {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(message).ok()?;
    let output = child.wait_with_output().ok()?;
    assert!(output.status.success(), "openssl is here and failed");
    let text = String::from_utf8(output.stdout).ok()?;
    // `SHA2-256(stdin)= <hex>`, or the hex alone: it is the last word in every version.
    text.split_whitespace().last().map(str::to_owned)
}
