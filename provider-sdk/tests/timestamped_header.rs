//! The `t=<unix time>,v1=<hex>` header with its edge cases, against signatures made by other implementations.
#![expect(clippy::panic, reason = "a test may panic")]

use std::io::Write;
use std::process::{Command, Stdio};

use cashier_provider_sdk::signature::{Digest, Keys, TimestampedHeader, Unverified, hmac, to_hex};
use cashier_provider_sdk::{Secret, WebhookNotice};

const NOW: i64 = 1_795_160_000;
/// The test vector of this scheme: signed by another implementation with `whsec_test_secret` at `NOW`.
const BODY: &str = "{\n  \"id\": \"evt_test_1\",\n  \"object\": \"event\",\n  \"type\": \"checkout.session.completed\",\n  \"created\": 1795160000,\n  \"livemode\": false,\n  \"api_version\": \"2025-01-27.acacia\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"cs_test_1\",\n      \"object\": \"checkout.session\",\n      \"amount_total\": 25000,\n      \"currency\": \"usd\",\n      \"payment_status\": \"paid\",\n      \"status\": \"complete\",\n      \"payment_intent\": \"pi_123\",\n      \"client_reference_id\": \"15\",\n      \"metadata\": {\n        \"transaction_id\": \"15\"\n      }\n    }\n  }\n}";
const V1: &str = "0ed0520adbd99f213ce0914d947c7be8beb49ee6046416b7ca707762fde327e1";
const VECTOR_SECRET: &str = "whsec_test_secret";
/// A well-formed signature that matches nothing.
const OTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";

const THREE: TimestampedHeader = TimestampedHeader { name: "Acme-Signature", signatures_max: 3 };
const ONE: TimestampedHeader = TimestampedHeader { signatures_max: 1, ..THREE };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Verified,
    Rejected,
    Untimely,
    Undetermined,
}
use Outcome::{Rejected, Undetermined, Untimely, Verified};

fn verify(header: TimestampedHeader, secrets: &[&str], notice: &WebhookNotice) -> Outcome {
    let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
    match header.verify(&Keys::text(&secrets), notice) {
        Ok(_) => Verified,
        Err(Unverified::Rejected(_)) => Rejected,
        Err(Unverified::Untimely(_)) => Untimely,
        Err(Unverified::Undetermined(_)) => Undetermined,
    }
}

fn notice(header: &str, body: &str) -> WebhookNotice {
    WebhookNotice {
        headers: vec![("acme-signature".into(), header.into())],
        body: body.as_bytes().to_vec(),
        received_unix: NOW,
        ..WebhookNotice::default()
    }
}

#[test]
fn the_header_is_parsed_with_all_edge_cases() {
    // case, header, outcome with up to three v1 allowed, with one
    let table = [
        ("as sent", format!("t={NOW},v1={V1}"), Verified, Verified),
        ("v1 before t", format!("v1={V1},t={NOW}"), Verified, Verified),
        ("m35: a space after a comma", format!("t={NOW}, v1={V1}"), Rejected, Rejected),
        ("m35: a space before a comma", format!("t={NOW} ,v1={V1}"), Rejected, Rejected),
        ("m35: a tab in front", format!("\tt={NOW},v1={V1}"), Rejected, Rejected),
        ("m35: a space after the hex", format!("t={NOW},v1={V1} "), Rejected, Rejected),
        ("followed by a v0", format!("t={NOW},v1={V1},v0={OTHER}"), Verified, Verified),
        ("with an unknown scheme", format!("t={NOW},v2={OTHER},v1={V1}"), Verified, Verified),
        ("m35: upper-case hex", format!("t={NOW},v1={}", V1.to_uppercase()), Rejected, Rejected),
        ("m35: one digit in upper case", format!("t={NOW},v1={}", V1.replacen('e', "E", 1)), Rejected, Rejected),
        ("a rolled secret's v1 first", format!("t={NOW},v1={OTHER},v1={V1}"), Verified, Rejected),
        ("a rolled secret's v1 last", format!("t={NOW},v1={V1},v1={OTHER}"), Verified, Rejected),
        ("two equal v1", format!("t={NOW},v1={V1},v1={V1}"), Verified, Rejected),
        ("with a malformed v1", format!("t={NOW},v1=zz,v1={V1}"), Verified, Rejected),
        ("the maximum of v1", format!("t={NOW},v1={OTHER},v1={OTHER},v1={V1}"), Verified, Rejected),
        ("one v1 too many", format!("t={NOW},v1={V1},v1={OTHER},v1={OTHER},v1={OTHER}"), Rejected, Rejected),
        ("one v1 too many, malformed", format!("t={NOW},v1={V1},v1=zz,v1=zz,v1=zz"), Rejected, Rejected),
        ("only a v0 with a valid signature", format!("t={NOW},v0={V1}"), Rejected, Rejected),
        ("a wrong v1", format!("t={NOW},v1={OTHER}"), Rejected, Rejected),
        ("another t", format!("t={},v1={V1}", NOW + 1), Rejected, Rejected),
        ("t with a leading zero", format!("t=0{NOW},v1={V1}"), Rejected, Rejected),
        ("t with a sign", format!("t=+{NOW},v1={V1}"), Rejected, Rejected),
        ("two equal t", format!("t={NOW},t={NOW},v1={V1}"), Rejected, Rejected),
        ("two different t", format!("t={},t={NOW},v1={V1}", NOW + 1), Rejected, Rejected),
        ("two t, one empty", format!("t=,t={NOW},v1={V1}"), Rejected, Rejected),
        ("t empty", format!("t=,v1={V1}"), Rejected, Rejected),
        ("t missing", format!("v1={V1}"), Rejected, Rejected),
        ("t is not a number", format!("t=now,v1={V1}"), Rejected, Rejected),
        ("v1 missing", format!("t={NOW}"), Rejected, Rejected),
        ("v1 empty", format!("t={NOW},v1="), Rejected, Rejected),
        ("v1 shorter by a byte", format!("t={NOW},v1={}", &V1[..62]), Rejected, Rejected),
        ("v1 shorter by a digit", format!("t={NOW},v1={}", &V1[..63]), Rejected, Rejected),
        ("v1 too long", format!("t={NOW},v1={V1}00"), Rejected, Rejected),
        ("V1 in upper case", format!("t={NOW},V1={V1}"), Rejected, Rejected),
        ("empty", String::new(), Rejected, Rejected),
        ("only commas", ",,,".into(), Rejected, Rejected),
    ];
    for (label, header, of_three, of_one) in table {
        let notice = notice(&header, BODY);
        assert_eq!(verify(THREE, &[VECTOR_SECRET], &notice), of_three, "{label}: {header}");
        assert_eq!(verify(ONE, &[VECTOR_SECRET], &notice), of_one, "{label}: {header}");
    }
}

/// The official verifiers sign the number, whose digits have no leading zero and no sign.
#[test]
fn m35_a_time_that_is_not_written_as_a_number_is_rejected_even_where_its_text_was_signed() {
    let signed = |time: &str| {
        let mac = hmac(Digest::Sha256, VECTOR_SECRET.as_bytes(), &[time.as_bytes(), b".", BODY.as_bytes()]);
        format!("t={time},v1={}", to_hex(&mac))
    };
    for (time, expected) in [
        (format!("{NOW}"), Verified),
        (format!("0{NOW}"), Rejected),
        (format!("000{NOW}"), Rejected),
        (format!("+{NOW}"), Rejected),
        (format!(" {NOW}"), Rejected),
        (format!("{NOW}.0"), Rejected),
    ] {
        assert_eq!(verify(ONE, &[VECTOR_SECRET], &notice(&signed(&time), BODY)), expected, "{time:?}");
    }
}

#[test]
fn the_header_must_be_present_once() {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let good = || format!("t={NOW},v1={V1}");
    let bad = || format!("t={NOW},v1={OTHER}");
    let table = [
        ("in the provider's case", vec![header("Acme-Signature", good())], Verified),
        ("absent", vec![], Rejected),
        ("another header", vec![header("x-acme-signature", good())], Rejected),
        ("twice, equal", vec![header("acme-signature", good()), header("acme-signature", good())], Rejected),
        (
            "twice, the good one first",
            vec![header("acme-signature", good()), header("Acme-Signature", bad())],
            Rejected,
        ),
        ("twice, the good one last", vec![header("acme-signature", bad()), header("acme-signature", good())], Rejected),
    ];
    for (label, headers, expected) in table {
        let notice = WebhookNotice { headers, ..notice("", BODY) };
        assert_eq!(verify(THREE, &[VECTOR_SECRET], &notice), expected, "{label}");
    }
}

#[test]
fn a_webhook_verifies_within_five_minutes_of_its_signing() {
    let table = [
        (0, Verified),
        (300, Verified),
        (301, Untimely),
        (86_400, Untimely),
        (-300, Verified),
        (-301, Untimely),
        (i64::MAX - NOW, Untimely),
        (i64::MIN + NOW, Untimely),
    ];
    for (received_later, expected) in table {
        let received_unix = NOW.saturating_add(received_later);
        let notice = WebhookNotice { received_unix, ..notice(&format!("t={NOW},v1={V1}"), BODY) };
        assert_eq!(verify(ONE, &[VECTOR_SECRET], &notice), expected, "received {received_later} s after signing");
    }
}

#[test]
fn only_the_configured_secrets_verify() {
    let table: [(&str, &[&str], Outcome); 7] = [
        ("present", &[VECTOR_SECRET], Verified),
        ("the oldest of three", &["whsec_new", "whsec_between", VECTOR_SECRET], Verified),
        ("another", &["whsec_new"], Rejected),
        ("without its prefix", &["test_secret"], Rejected),
        ("longer", &["whsec_test_secret1"], Rejected),
        ("none", &[], Undetermined),
        ("empty ones", &["", ""], Undetermined),
    ];
    for (label, secrets, expected) in table {
        for header in [format!("t={NOW},v1={V1}"), String::new(), "t=1".into(), "v1=".into()] {
            let expected = if expected == Verified && !header.ends_with(V1) { Rejected } else { expected };
            assert_eq!(verify(ONE, secrets, &notice(&header, BODY)), expected, "{label}: {header}");
        }
    }
}

#[test]
fn a_body_that_differs_in_one_byte_is_rejected() {
    let table = [
        ("compact", BODY.replace(['\n', ' '], "")),
        ("a line end appended", format!("{BODY}\n")),
        ("a space prepended", format!(" {BODY}")),
        ("other line ends", BODY.replace('\n', "\r\n")),
        ("a larger amount", BODY.replace("25000", "95000")),
        ("the other mode", BODY.replace("false", "true")),
        ("a digit of the amount removed", BODY.replace("25000", "2500")),
        ("cut", BODY[..BODY.len() - 1].to_owned()),
        ("empty", String::new()),
    ];
    for (label, body) in table {
        assert_eq!(verify(ONE, &[VECTOR_SECRET], &notice(&format!("t={NOW},v1={V1}"), &body)), Rejected, "{label}");
    }
}

#[test]
fn a_signature_made_by_openssl_verifies() {
    let body = |filler: &str| format!(r#"{{"id":"evt_1","type":"ping","livemode":false,"x":"{filler}"}}"#);
    let table = [
        ("whsec_1", body("")),
        ("a-key_with/other+characters=", body("ünïcödé ☂")),
        ("w", body("short key")),
        (&"whsec_longer_than_a_block_of_sha256_".repeat(4), body("long key")),
        ("whsec_1", body(&"x".repeat(60_000))),
    ];
    for (secret, body) in table {
        let Some(v1) = openssl_hmac(secret, format!("{NOW}.{body}").as_bytes()) else {
            println!("skipped: openssl is not installed");
            return;
        };
        let header = format!("t={NOW},v1={v1}");
        assert_eq!(verify(ONE, &[secret], &notice(&header, &body)), Verified, "{secret}");
        assert_eq!(verify(ONE, &[secret], &notice(&header, &format!("{body} "))), Rejected, "{secret}");
    }
}

/// HMAC-SHA256 in hex, computed by OpenSSL; `None` if openssl is not installed.
fn openssl_hmac(key: &str, message: &[u8]) -> Option<String> {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(message).ok()?;
    let output = child.wait_with_output().ok()?;
    if !output.status.success() {
        panic!("openssl is installed and failed");
    }
    let text = String::from_utf8(output.stdout).ok()?;
    // `SHA2-256(stdin)= <hex>` or only the hex: it is the last field in every version.
    text.split_whitespace().last().map(str::to_owned)
}
