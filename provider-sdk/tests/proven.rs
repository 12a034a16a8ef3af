//! What the guard makes of a webhook by what was proven of it: a failure over proven bytes is an authentic webhook that was
//! not understood, and nothing else is.
#![expect(clippy::panic, reason = "a test may panic")]

use cashier_provider_sdk::host::{Instance, ModuleV1, PROVEN_BEFORE};
use cashier_provider_sdk::signature::{Covers, Digest, Keys, Signature, SignatureProof, hmac, to_hex, verify_hmac};
use cashier_provider_sdk::{
    ConfigError, Descriptor, FailureKind, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, ProviderConfig,
    ProviderFailure, Step, WebhookNotice, WebhookVerdict,
};

const SECRET: &str = "whsec_canary_4Tz8";

/// Verifies the body's HMAC in the header `signature`, and then does what the path says.
struct Scripted(Keys);

impl PaymentProvider for Scripted {
    fn descriptor() -> Descriptor {
        Descriptor { code: "scripted".into(), ..Descriptor::default() }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        Ok(Self(Keys::text(&config.webhook_secrets())))
    }

    fn create_payment(&self, _: &PaymentOrder, _: &[HttpReply]) -> Step<PaymentCreated> {
        Step::Unsupported
    }

    fn normalize_status(&self, notice: &WebhookNotice, _: &[HttpReply]) -> Step<WebhookVerdict> {
        let covers = if notice.raw_query == "fields" { Covers::Fields } else { Covers::EveryByte };
        let signatures: Vec<Signature> = notice.header("signature").and_then(Signature::hex).into_iter().collect();
        let proof = match notice.raw_query.as_str() {
            "asked" => Ok(SignatureProof::stated_by_provider()),
            _ => verify_hmac(Digest::Sha256, &self.0, covers, &[&notice.body], &signatures),
        };
        let kind = match notice.path.as_str() {
            "panics" => panic!("{SECRET}"),
            "says" => {
                return match proof {
                    Ok(proof) => Step::Done(WebhookVerdict::unreadable(&proof, "no amount at /amount")),
                    Err(_) => Step::Done(WebhookVerdict::unreadable(&of_another_message(), "no amount at /amount")),
                };
            }
            "declined" => FailureKind::Declined,
            "refused" => FailureKind::RefusedRequest,
            "not found" => FailureKind::NotFound,
            "temporary" => FailureKind::Temporary,
            "stale" => FailureKind::StaleReply,
            _ => FailureKind::UnreadableAnswer,
        };
        match proof {
            Ok(_) => Step::Failed(ProviderFailure::new(kind, "code", format!("no type, and the key is {SECRET}"))),
            Err(unverified) => Step::Done(unverified.into()),
        }
    }
}

/// A proof that covers nothing of this webhook.
fn of_another_message() -> SignatureProof {
    let key = Keys::text(&["k".into()]);
    let signed = Signature::hex(&to_hex(&hmac(Digest::Sha256, b"k", &[b"other"])));
    match verify_hmac(Digest::Sha256, &key, Covers::Fields, &[b"other"], &signed.into_iter().collect::<Vec<_>>()) {
        Ok(proof) => proof,
        Err(unverified) => panic!("{unverified:?}"),
    }
}

fn instance() -> Instance {
    let config = ProviderConfig { webhook_secret: SECRET.into(), ..ProviderConfig::default() };
    ModuleV1::of::<Scripted>().configure(&config).unwrap_or_else(|error| panic!("{error}"))
}

fn notice(path: &str, query: &str, secret: &str) -> WebhookNotice {
    let body = b"{".to_vec();
    let signature = to_hex(&hmac(Digest::Sha256, secret.as_bytes(), &[&body]));
    WebhookNotice {
        path: path.into(),
        raw_query: query.into(),
        headers: vec![("signature".into(), signature)],
        body,
        ..WebhookNotice::default()
    }
}

fn reason(step: Step<WebhookVerdict>) -> Option<String> {
    match step {
        Step::Done(WebhookVerdict::Unreadable(unreadable)) => Some(unreadable.reason),
        _ => None,
    }
}

#[test]
fn m10_a_failure_after_every_byte_was_proven_is_an_unreadable_notice() {
    let module = instance();
    for path in ["unreadable", "declined", "refused", "not found"] {
        for query in ["", "asked"] {
            let step = module.normalize_status(&notice(path, query, SECRET), &[]);
            assert_eq!(reason(step).as_deref(), Some("no type, and the key is ***"), "{path} {query}");
        }
    }
    assert_eq!(
        reason(module.normalize_status(&notice("says", "", SECRET), &[])).as_deref(),
        Some("no amount at /amount")
    );
}

#[test]
fn m10_a_panic_after_every_byte_was_proven_is_an_unreadable_notice_without_its_message() {
    let reason = reason(instance().normalize_status(&notice("panics", "", SECRET), &[]));
    let reason = reason.unwrap_or_else(|| panic!("it is unreadable"));
    assert!(reason.starts_with("the module panicked in normalize_status at "), "{reason}");
    assert!(!reason.contains(SECRET));
}

#[test]
fn m10_a_failure_that_may_pass_stays_a_failure_so_that_the_provider_sends_again() {
    for (path, kind) in [("temporary", FailureKind::Temporary), ("stale", FailureKind::StaleReply)] {
        let step = instance().normalize_status(&notice(path, "", SECRET), &[]);
        assert!(matches!(&step, Step::Failed(failure) if failure.kind == kind), "{step:?}");
    }
}

#[test]
fn m10_nothing_is_unreadable_where_not_every_byte_was_proven() {
    let module = instance();
    let failed = |step: &Step<WebhookVerdict>, kind| matches!(step, Step::Failed(failure) if failure.kind == kind);
    for path in ["unreadable", "says"] {
        let step = module.normalize_status(&notice(path, "fields", SECRET), &[]);
        assert!(failed(&step, FailureKind::UnreadableAnswer), "{path} {step:?}");
    }
    let step = module.normalize_status(&notice("panics", "fields", SECRET), &[]);
    assert!(failed(&step, FailureKind::Panicked), "{step:?}");
    let step = module.normalize_status(&notice("unreadable", "", "another secret"), &[]);
    assert!(matches!(&step, Step::Done(WebhookVerdict::Rejected(_))), "{step:?}");
    let step = module.normalize_status(&notice("says", "", "another secret"), &[]);
    assert!(failed(&step, FailureKind::UnreadableAnswer), "{step:?}");
}

#[test]
fn m10_a_proof_of_an_earlier_call_proves_nothing_of_the_next_notice() {
    let module = instance();
    assert!(reason(module.normalize_status(&notice("unreadable", "", SECRET), &[])).is_some());
    let step = module.normalize_status(&notice("panics", "fields", "another secret"), &[]);
    assert!(matches!(&step, Step::Failed(failure) if failure.kind == FailureKind::Panicked), "{step:?}");
}

#[test]
fn m3_a_notice_that_the_host_proved_before_is_read_without_its_secret_and_whenever_it_was_signed() {
    let again = |path: &str| WebhookNotice {
        bag: vec![(PROVEN_BEFORE.to_owned(), String::new())],
        ..notice(path, "", "a secret that is gone")
    };
    let without_secret = ModuleV1::of::<Scripted>().configure(&ProviderConfig::default());
    let without_secret = without_secret.unwrap_or_else(|error| panic!("{error}"));
    for module in [&instance(), &without_secret] {
        assert!(reason(module.normalize_status(&again("unreadable"), &[])).is_some(), "the module reads it");
        // Of the next one nothing is proven.
        let step = module.normalize_status(&notice("unreadable", "", "a secret that is gone"), &[]);
        assert!(matches!(&step, Step::Done(WebhookVerdict::Rejected(_) | WebhookVerdict::Undetermined(_))), "{step:?}");
    }
}
