//! Which notices are Stripe's: the edges of `Stripe-Signature`, held against signatures that were
//! made by implementations that are not ours.

mod support;

use cashier_provider_sdk::serde_json::{self, Value};
use cashier_provider_sdk::{PaymentProvider, ProviderConfig, Secret, Step, WebhookNotice, WebhookVerdict};
use cashier_provider_stripe::Stripe;
use support::{NOW, configured, notice, openssl_hmac, row};

/// Signed by Stripe's own library with `whsec_test_secret` at `NOW`.
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

fn told(stripe: &Stripe, notice: &WebhookNotice) -> Option<Told> {
    match stripe.normalize_status(notice, &[]) {
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
        ..row()
    }
}

#[test]
fn the_header_is_read_as_stripe_writes_it() {
    let stripe = configured(&secrets(VECTOR_SECRET, &[]));
    let table = [
        ("as sent", format!("t={NOW},v1={V1}"), Genuine),
        ("with a v0 behind", format!("t={NOW},v1={V1},v0={OTHER}"), Genuine),
        ("a rolled secret's v1 first", format!("t={NOW},v1={OTHER},v1={V1}"), Genuine),
        ("a rolled secret's v1 last", format!("t={NOW},v1={V1},v1={OTHER}"), Genuine),
        ("v1 before t", format!("v1={V1},t={NOW}"), Genuine),
        ("spaces behind commas", format!("t={NOW}, v1={V1}"), Genuine),
        ("an unknown scheme beside", format!("t={NOW},v2={OTHER},v1={V1}"), Genuine),
        ("an unreadable v1 beside", format!("t={NOW},v1=zz,v1={V1}"), Genuine),
        // The bytes are compared, and upper case spells the same bytes.
        ("upper-case hex", format!("t={NOW},v1={}", V1.to_uppercase()), Genuine),
        ("only a v0, though it fits", format!("t={NOW},v0={V1}"), Not),
        ("only wrong v1", format!("t={NOW},v1={OTHER},v1={OTHER}"), Not),
        ("another t", format!("t={},v1={V1}", NOW + 1), Not),
        ("t spelled otherwise", format!("t=0{NOW},v1={V1}"), Not),
        ("t with a sign", format!("t=+{NOW},v1={V1}"), Not),
        ("two t, alike", format!("t={NOW},t={NOW},v1={V1}"), Not),
        ("two t, different", format!("t={},t={NOW},v1={V1}", NOW + 1), Not),
        ("t empty", format!("t=,v1={V1}"), Not),
        ("t missing", format!("v1={V1}"), Not),
        ("t no number", format!("t=now,v1={V1}"), Not),
        ("v1 missing", format!("t={NOW}"), Not),
        ("v1 empty", format!("t={NOW},v1="), Not),
        ("v1 cut by a byte", format!("t={NOW},v1={}", V1.get(..62).unwrap()), Not),
        ("v1 cut by a digit", format!("t={NOW},v1={}", V1.get(..63).unwrap()), Not),
        ("v1 too long", format!("t={NOW},v1={V1}00"), Not),
        ("v1 in a name of another case", format!("t={NOW},V1={V1}"), Not),
        ("nothing", String::new(), Not),
        ("commas", ",,,".into(), Not),
        ("17 v1", format!("t={NOW},v1={V1}{}", format!(",v1={OTHER}").repeat(16)), Not),
        ("16 v1", format!("t={NOW},v1={V1}{}", format!(",v1={OTHER}").repeat(15)), Genuine),
    ];
    for (label, header, expected) in table {
        let heard = told(&stripe, &notice(&header, BODY.as_bytes()));
        assert_eq!(heard, Some(expected), "{label}: {header}");
    }
}

#[test]
fn the_header_is_there_once() {
    let stripe = configured(&secrets(VECTOR_SECRET, &[]));
    let header = |name: &str, value: String| (name.to_owned(), value);
    let good = || format!("t={NOW},v1={V1}");
    let bad = || format!("t={NOW},v1={OTHER}");
    let table = [
        ("in Stripe's case", vec![header("Stripe-Signature", good())], Genuine),
        ("absent", vec![], Not),
        ("another header", vec![header("x-stripe-signature", good())], Not),
        ("twice, alike", vec![header("stripe-signature", good()), header("stripe-signature", good())], Not),
        ("twice, the good one first", vec![header("stripe-signature", good()), header("Stripe-Signature", bad())], Not),
        ("twice, the good one last", vec![header("stripe-signature", bad()), header("stripe-signature", good())], Not),
    ];
    for (label, headers, expected) in table {
        let notice = WebhookNotice { headers, ..notice("", BODY.as_bytes()) };
        assert_eq!(told(&stripe, &notice), Some(expected), "{label}");
    }
}

#[test]
fn a_notice_is_believed_within_five_minutes_of_its_signing_either_way() {
    let stripe = configured(&secrets(VECTOR_SECRET, &[]));
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
        let notice = WebhookNotice {
            received_unix: NOW.saturating_add(received_later),
            ..notice(&format!("t={NOW},v1={V1}"), BODY.as_bytes())
        };
        assert_eq!(told(&stripe, &notice), Some(expected), "received {received_later} s after signing");
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
        ("longer", secrets("whsec_test_secret1", &[]), Not),
        ("empty", secrets("", &[]), CannotTell),
        ("empty ones", secrets("", &["", ""]), CannotTell),
    ];
    let notice = notice(&format!("t={NOW},v1={V1}"), BODY.as_bytes());
    for (label, row, expected) in table {
        assert_eq!(told(&configured(&row), &notice), Some(expected), "{label}");
    }
}

#[test]
fn without_a_secret_nothing_is_ever_genuine() {
    let stripe = configured(&secrets("", &[]));
    for header in ["", "t=1", "v1=", &format!("t={NOW},v1={V1}")] {
        assert_eq!(told(&stripe, &notice(header, BODY.as_bytes())), Some(CannotTell), "{header}");
    }
}

#[test]
fn the_body_counts_byte_for_byte() {
    let stripe = configured(&secrets(VECTOR_SECRET, &[]));
    let value: Value = serde_json::from_str(BODY).unwrap();
    let table = [
        ("compact", value.to_string()),
        ("written anew with spaces", serde_json::to_string_pretty(&value).unwrap()),
        ("a line end behind", format!("{BODY}\n")),
        ("a space in front", format!(" {BODY}")),
        ("other line ends", BODY.replace('\n', "\r\n")),
        ("a larger amount", BODY.replace("25000", "95000")),
        ("the other mode", BODY.replace("false", "true")),
        ("a digit of the amount gone", BODY.replace("25000", "2500")),
        ("cut", BODY.get(..BODY.len() - 1).unwrap().to_owned()),
        ("empty", String::new()),
    ];
    for (label, body) in table {
        let heard = told(&stripe, &notice(&format!("t={NOW},v1={V1}"), body.as_bytes()));
        assert_eq!(heard, Some(Not), "{label}");
    }
}

#[test]
fn what_openssl_signed_is_genuine() {
    let body = |filler: &str| format!(r#"{{"id":"evt_1","type":"ping","livemode":false,"x":"{filler}"}}"#);
    let table = [
        ("whsec_1", body("")),
        ("whsec_a-key_with/other+letters=", body("ünïcödé ☂")),
        ("w", body("short key")),
        (&"whsec_longer_than_a_block_of_sha256_".repeat(4), body("long key")),
        ("whsec_1", body(&"x".repeat(100_000))),
    ];
    for (secret, body) in table {
        let Some(v1) = openssl_hmac(secret, format!("{NOW}.{body}").as_bytes()) else {
            println!("skipped: there is no openssl on this machine");
            return;
        };
        let stripe = configured(&secrets(secret, &[]));
        let header = format!("t={NOW},v1={v1}");
        assert_eq!(told(&stripe, &notice(&header, body.as_bytes())), Some(Genuine), "{secret}");
        assert_eq!(told(&stripe, &notice(&header, format!("{body} ").as_bytes())), Some(Not), "{secret}");
    }
}
