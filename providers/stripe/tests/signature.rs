//! Which notices are Stripe's: what is particular about `Stripe-Signature`, held against a signature
//! that Stripe's own library made. The edges of this form of header are the kit's to hold.

mod support;

use cashier_provider_sdk::{PaymentProvider, ProviderConfig, Secret, Step, WebhookNotice, WebhookVerdict};
use cashier_provider_stripe::Stripe;
use support::{NOW, configured, notice, row};

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
        ("only a v0, though it fits", format!("t={NOW},v0={V1}"), Not),
        ("only wrong v1", format!("t={NOW},v1={OTHER},v1={OTHER}"), Not),
        ("another t", format!("t={},v1={V1}", NOW + 1), Not),
        ("16 v1", format!("t={NOW},v1={V1}{}", format!(",v1={OTHER}").repeat(15)), Genuine),
        ("17 v1", format!("t={NOW},v1={V1}{}", format!(",v1={OTHER}").repeat(16)), Not),
    ];
    for (label, header, expected) in table {
        let heard = told(&stripe, &notice(&header, BODY.as_bytes()));
        assert_eq!(heard, Some(expected), "{label}: {header}");
    }
}

#[test]
fn the_header_is_stripes_own_and_there_once() {
    let stripe = configured(&secrets(VECTOR_SECRET, &[]));
    let header = |name: &str| (name.to_owned(), format!("t={NOW},v1={V1}"));
    let table = [
        ("in Stripe's case", vec![header("Stripe-Signature")], Genuine),
        ("another header", vec![header("x-stripe-signature")], Not),
        ("twice", vec![header("stripe-signature"), header("Stripe-Signature")], Not),
    ];
    for (label, headers, expected) in table {
        let notice = WebhookNotice { headers, ..notice("", BODY.as_bytes()) };
        assert_eq!(told(&stripe, &notice), Some(expected), "{label}");
    }
}

#[test]
fn a_notice_is_believed_within_five_minutes_of_its_signing_either_way() {
    let stripe = configured(&secrets(VECTOR_SECRET, &[]));
    for (received_later, expected) in [(0, Genuine), (300, Genuine), (301, Not), (-300, Genuine), (-301, Not)] {
        let received_unix = NOW + received_later;
        let notice = WebhookNotice { received_unix, ..notice(&format!("t={NOW},v1={V1}"), BODY.as_bytes()) };
        assert_eq!(told(&stripe, &notice), Some(expected), "received {received_later} s after signing");
    }
}

/// The key is the whole text, `whsec_` included.
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
