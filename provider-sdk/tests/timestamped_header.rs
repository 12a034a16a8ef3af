//! Which notices bear a genuine `t=<unix time>,v1=<hex>` header: its edges, held against signatures
//! made by implementations that are not ours.
#![expect(clippy::panic, reason = "a test may fail loudly")]

use std::io::Write;
use std::process::{Command, Stdio};

use cashier_provider_sdk::signature::{Keys, TimestampedHeader, Unverified};
use cashier_provider_sdk::{Secret, WebhookNotice};

const NOW: i64 = 1_795_160_000;
/// The worked vector of this form of signature: signed by another implementation with
/// `whsec_test_secret` at `NOW`.
const BODY: &str = "{\n  \"id\": \"evt_test_1\",\n  \"object\": \"event\",\n  \"type\": \"checkout.session.completed\",\n  \"created\": 1795160000,\n  \"livemode\": false,\n  \"api_version\": \"2025-01-27.acacia\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"cs_test_1\",\n      \"object\": \"checkout.session\",\n      \"amount_total\": 25000,\n      \"currency\": \"usd\",\n      \"payment_status\": \"paid\",\n      \"status\": \"complete\",\n      \"payment_intent\": \"pi_123\",\n      \"client_reference_id\": \"15\",\n      \"metadata\": {\n        \"transaction_id\": \"15\"\n      }\n    }\n  }\n}";
const V1: &str = "0ed0520adbd99f213ce0914d947c7be8beb49ee6046416b7ca707762fde327e1";
const VECTOR_SECRET: &str = "whsec_test_secret";
/// A signature of the right form that nothing made.
const OTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";

const THREE: TimestampedHeader = TimestampedHeader { name: "Acme-Signature", signatures_max: 3 };
const ONE: TimestampedHeader = TimestampedHeader { signatures_max: 1, ..THREE };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Genuine,
    Not,
    CannotTell,
}
use Told::{CannotTell, Genuine, Not};

fn told(header: TimestampedHeader, secrets: &[&str], notice: &WebhookNotice) -> Told {
    let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
    match header.verify(&Keys::text(&secrets), notice) {
        Ok(_) => Genuine,
        Err(Unverified::Rejected(_)) => Not,
        Err(Unverified::Undetermined(_)) => CannotTell,
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
fn the_header_is_read_with_all_its_edges() {
    // what, header, where up to three v1 are written, where one is
    let table = [
        ("as sent", format!("t={NOW},v1={V1}"), Genuine, Genuine),
        ("v1 before t", format!("v1={V1},t={NOW}"), Genuine, Genuine),
        ("spaces behind commas", format!("t={NOW}, v1={V1}"), Genuine, Genuine),
        ("with a v0 behind", format!("t={NOW},v1={V1},v0={OTHER}"), Genuine, Genuine),
        ("an unknown scheme beside", format!("t={NOW},v2={OTHER},v1={V1}"), Genuine, Genuine),
        // The bytes are compared, and upper case spells the same bytes.
        ("upper-case hex", format!("t={NOW},v1={}", V1.to_uppercase()), Genuine, Genuine),
        ("a rolled secret's v1 first", format!("t={NOW},v1={OTHER},v1={V1}"), Genuine, Not),
        ("a rolled secret's v1 last", format!("t={NOW},v1={V1},v1={OTHER}"), Genuine, Not),
        ("two v1, alike", format!("t={NOW},v1={V1},v1={V1}"), Genuine, Not),
        ("an unreadable v1 beside", format!("t={NOW},v1=zz,v1={V1}"), Genuine, Not),
        ("as many v1 as there may be", format!("t={NOW},v1={OTHER},v1={OTHER},v1={V1}"), Genuine, Not),
        ("one v1 more", format!("t={NOW},v1={V1},v1={OTHER},v1={OTHER},v1={OTHER}"), Not, Not),
        ("one v1 more, unreadable", format!("t={NOW},v1={V1},v1=zz,v1=zz,v1=zz"), Not, Not),
        ("only a v0, though it fits", format!("t={NOW},v0={V1}"), Not, Not),
        ("a wrong v1", format!("t={NOW},v1={OTHER}"), Not, Not),
        ("another t", format!("t={},v1={V1}", NOW + 1), Not, Not),
        ("t spelled otherwise", format!("t=0{NOW},v1={V1}"), Not, Not),
        ("t with a sign", format!("t=+{NOW},v1={V1}"), Not, Not),
        ("two t, alike", format!("t={NOW},t={NOW},v1={V1}"), Not, Not),
        ("two t, different", format!("t={},t={NOW},v1={V1}", NOW + 1), Not, Not),
        ("two t, one empty", format!("t=,t={NOW},v1={V1}"), Not, Not),
        ("t empty", format!("t=,v1={V1}"), Not, Not),
        ("t missing", format!("v1={V1}"), Not, Not),
        ("t no number", format!("t=now,v1={V1}"), Not, Not),
        ("v1 missing", format!("t={NOW}"), Not, Not),
        ("v1 empty", format!("t={NOW},v1="), Not, Not),
        ("v1 cut by a byte", format!("t={NOW},v1={}", &V1[..62]), Not, Not),
        ("v1 cut by a digit", format!("t={NOW},v1={}", &V1[..63]), Not, Not),
        ("v1 too long", format!("t={NOW},v1={V1}00"), Not, Not),
        ("v1 in a name of another case", format!("t={NOW},V1={V1}"), Not, Not),
        ("nothing", String::new(), Not, Not),
        ("commas", ",,,".into(), Not, Not),
    ];
    for (label, header, of_three, of_one) in table {
        let notice = notice(&header, BODY);
        assert_eq!(told(THREE, &[VECTOR_SECRET], &notice), of_three, "{label}: {header}");
        assert_eq!(told(ONE, &[VECTOR_SECRET], &notice), of_one, "{label}: {header}");
    }
}

#[test]
fn the_header_is_there_once() {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let good = || format!("t={NOW},v1={V1}");
    let bad = || format!("t={NOW},v1={OTHER}");
    let table = [
        ("in the provider's case", vec![header("Acme-Signature", good())], Genuine),
        ("absent", vec![], Not),
        ("another header", vec![header("x-acme-signature", good())], Not),
        ("twice, alike", vec![header("acme-signature", good()), header("acme-signature", good())], Not),
        ("twice, the good one first", vec![header("acme-signature", good()), header("Acme-Signature", bad())], Not),
        ("twice, the good one last", vec![header("acme-signature", bad()), header("acme-signature", good())], Not),
    ];
    for (label, headers, expected) in table {
        let notice = WebhookNotice { headers, ..notice("", BODY) };
        assert_eq!(told(THREE, &[VECTOR_SECRET], &notice), expected, "{label}");
    }
}

#[test]
fn a_notice_is_believed_within_five_minutes_of_its_signing_either_way() {
    let table = [
        (0, Genuine),
        (300, Genuine),
        (301, Not),
        (86_400, Not),
        (-300, Genuine),
        (-301, Not),
        (i64::MAX - NOW, Not),
        (i64::MIN + NOW, Not),
    ];
    for (received_later, expected) in table {
        let received_unix = NOW.saturating_add(received_later);
        let notice = WebhookNotice { received_unix, ..notice(&format!("t={NOW},v1={V1}"), BODY) };
        assert_eq!(told(ONE, &[VECTOR_SECRET], &notice), expected, "received {received_later} s after signing");
    }
}

#[test]
fn only_the_configured_secrets_verify() {
    let table: [(&str, &[&str], Told); 7] = [
        ("present", &[VECTOR_SECRET], Genuine),
        ("replaced twice", &["whsec_new", "whsec_between", VECTOR_SECRET], Genuine),
        ("another", &["whsec_new"], Not),
        ("without its prefix", &["test_secret"], Not),
        ("longer", &["whsec_test_secret1"], Not),
        ("none", &[], CannotTell),
        ("empty ones", &["", ""], CannotTell),
    ];
    for (label, secrets, expected) in table {
        for header in [format!("t={NOW},v1={V1}"), String::new(), "t=1".into(), "v1=".into()] {
            let expected = if expected == Genuine && !header.ends_with(V1) { Not } else { expected };
            assert_eq!(told(ONE, secrets, &notice(&header, BODY)), expected, "{label}: {header}");
        }
    }
}

#[test]
fn the_body_counts_byte_for_byte() {
    let table = [
        ("compact", BODY.replace(['\n', ' '], "")),
        ("a line end behind", format!("{BODY}\n")),
        ("a space in front", format!(" {BODY}")),
        ("other line ends", BODY.replace('\n', "\r\n")),
        ("a larger amount", BODY.replace("25000", "95000")),
        ("the other mode", BODY.replace("false", "true")),
        ("a digit of the amount gone", BODY.replace("25000", "2500")),
        ("cut", BODY[..BODY.len() - 1].to_owned()),
        ("empty", String::new()),
    ];
    for (label, body) in table {
        assert_eq!(told(ONE, &[VECTOR_SECRET], &notice(&format!("t={NOW},v1={V1}"), &body)), Not, "{label}");
    }
}

#[test]
fn what_openssl_signed_is_genuine() {
    let body = |filler: &str| format!(r#"{{"id":"evt_1","type":"ping","livemode":false,"x":"{filler}"}}"#);
    let table = [
        ("whsec_1", body("")),
        ("a-key_with/other+letters=", body("ünïcödé ☂")),
        ("w", body("short key")),
        (&"whsec_longer_than_a_block_of_sha256_".repeat(4), body("long key")),
        ("whsec_1", body(&"x".repeat(60_000))),
    ];
    for (secret, body) in table {
        let Some(v1) = openssl_hmac(secret, format!("{NOW}.{body}").as_bytes()) else {
            println!("skipped: there is no openssl on this machine");
            return;
        };
        let header = format!("t={NOW},v1={v1}");
        assert_eq!(told(ONE, &[secret], &notice(&header, &body)), Genuine, "{secret}");
        assert_eq!(told(ONE, &[secret], &notice(&header, &format!("{body} "))), Not, "{secret}");
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
    if !output.status.success() {
        panic!("openssl is here and failed");
    }
    let text = String::from_utf8(output.stdout).ok()?;
    // `SHA2-256(stdin)= <hex>`, or the hex alone: it is the last word in every version.
    text.split_whitespace().last().map(str::to_owned)
}
