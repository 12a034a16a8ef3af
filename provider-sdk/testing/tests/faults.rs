//! Every conformance check fails for a provider with the fault that it checks: a test that cannot fail tests nothing.
#![expect(clippy::expect_used, reason = "some faults of the provider are panics")]

mod acme;

use std::path::Path;

use acme::{Acme, harness};
use cashier_provider_testing::{ConformanceError, calls, cases, hostile, notices, refunds, secrets};
use serde_json::{Value, json};

/// The check reports the fault with a text that identifies it, and passes for the provider without faults.
macro_rules! catches {
    ($($module:ident::$check:ident catches $($fault:ident with $text:literal),+;)*) => { $(
        #[test]
        fn $check() {
            assert_eq!($module::$check::<Acme<0>>(&harness()), Ok(()));
            $(
                fails_with($module::$check::<Acme<{ acme::$fault }>>(&harness()), $text);
            )+
        }
    )* };
}

catches! {
    calls::the_descriptor_is_complete catches HAS_A_DEFAULT_SECRET with "has a default";
    calls::the_configuration_is_accepted catches REFUSES_EVERY_CONFIG with "is never right";
    calls::the_canned_replies_create_a_payment catches
        NEVER_FINISHES with "with 1 of 1 canned replies";
    calls::requests_go_only_to_declared_hosts catches
        SENDS_ELSEWHERE with "evil.example",
        QUERIES_UNSAFELY with "not marked as safe to repeat";
    calls::a_creating_request_carries_key_and_reference catches
        OMITS_THE_KEY with "no request carries the key",
        MARKS_CREATION_AS_SAFE with "is marked as safe to repeat";
    calls::an_unreadable_reply_leaves_the_outcome_unknown catches
        DECLINES_UNREADABLE_REPLIES with "must leave the outcome unknown",
        PANICS_AT_REPLIES with "must leave the outcome unknown";
    calls::a_refund_carries_its_own_key catches
        MARKS_REFUNDS_AS_SAFE with "is marked as safe to repeat",
        KEYS_REFUNDS_BY_THEIR_PAYMENT with "does not carry the refund's reference",
        SENDS_THE_TIME_OF_A_REFUND with "a repeated refund is another request";
    calls::an_unreadable_reply_leaves_a_refund_unknown catches
        DECLINES_UNREADABLE_REFUNDS with "must leave the refund unknown";
    refunds::a_part_refund_states_its_amount catches
        REFUNDS_THE_WHOLE with "are refunded by one request";
    calls::an_undeclared_capability_is_unsupported catches
        DECLARES_TOO_MUCH with "cancel: declared is true",
        DECLARES_TOO_LITTLE with "query: declared is false";
    calls::equal_inputs_give_equal_outputs catches COUNTS_CALLS with "another result";
    notices::a_signed_notice_is_verified catches
        PANICS_AT_PINGS with "expected Verified";
    notices::a_previous_secret_still_verifies catches
        IGNORES_PREVIOUS_SECRETS with "one of several secrets",
        ACCEPTS_REMOVED_SECRETS with "a removed secret";
    notices::a_notice_is_undetermined_without_a_secret catches
        ACCEPTS_WITHOUT_A_SECRET with "expected Undetermined";
    notices::an_unsigned_notice_is_rejected catches
        ACCEPTS_EVERY_WEBHOOK with "no signature",
        IS_UNDETERMINED_WHEN_UNSIGNED with "no signature";
    notices::a_notice_signed_with_another_secret_is_rejected catches
        ACCEPTS_EVERY_WEBHOOK with "another secret";
    notices::a_truncated_notice_is_rejected catches ACCEPTS_ANY_SIGNATURE with "cut to";
    notices::a_modified_notice_is_rejected catches ACCEPTS_ANY_SIGNATURE with "changed";
    notices::a_reserialized_notice_is_rejected catches
        VERIFIES_REPARSED_JSON with "expected Rejected";
    notices::a_notice_outside_the_time_tolerance_is_rejected catches
        IGNORES_THE_TIME with "signed 301 s after receipt";
    notices::a_signed_notice_that_cannot_be_read_is_unreadable catches
        REJECTS_WHAT_IT_CANNOT_READ with "got Done(Rejected",
        CLAIMS_TO_COVER_FIELDS with "got Failed";
    notices::a_signed_notice_is_never_rejected_for_its_content catches
        REJECTS_WHAT_IT_CANNOT_READ with "got Done(Rejected";
    notices::an_odd_field_that_is_not_needed_changes_nothing catches
        PARSES_THE_BODY_AS_A_WHOLE with "an odd field";
    hostile::random_notice_bytes_never_panic catches PANICS_AT_BYTES with "panicked in normalize_status";
    hostile::mutated_signed_notices_never_panic catches
        PANICS_AT_NOTICES with "panicked in normalize_status";
    hostile::mutated_and_random_replies_never_panic catches PANICS_AT_REPLIES with "panicked in create_payment";
    secrets::no_secret_leaks catches
        LEAKS_ITS_KEY with "secret_key leaks",
        LEAKS_IN_THE_ACKNOWLEDGEMENT with "webhook_secret leaks";
}

#[test]
fn a_secret_too_short_for_a_canary_is_reported() {
    let with_secret = |secret: &str| {
        let mut harness = harness();
        harness.config.secret_key = secret.into();
        secrets::no_secret_leaks::<Acme<0>>(&harness)
    };
    fails_with(with_secret("short"), "not a canary");
}

#[test]
fn a_differing_or_misspelt_case_is_reported() {
    let folder = tempdir("differs");
    let write = |text: &str| std::fs::write(folder.join("case.json"), text).expect("written");
    write(r#"{"name":"wrong","entry":"cancel","expect":{"update":{}}}"#);
    fails_with(run(&folder), "\"unsupported\"");
    write(r#"{"name":"misspelt","entry":"cancel","expects":"unsupported"}"#);
    fails_with(run(&folder), "expects");
    std::fs::remove_file(folder.join("case.json")).expect("removed");
    fails_with(run(&folder), "no cases in");
}

#[test]
fn a_query_of_a_paid_payment_that_states_nothing_of_refunds_is_reported() {
    const MISSING: &str = "states nothing of refunds";
    let folder = tempdir("refunds_of_a_query");
    let write = |raw: &str, status: &str, refund: Value| {
        let reply = json!({"id": "p_1", "order": "R1", "status": raw, "amount": 100, "currency": "EUR", "refunded": 0});
        let mut update = json!({
            "status": status, "raw_status": raw, "reference": "R1", "refs": ["payment p_1"], "payment_id": "p_1", "amount": "1.00 EUR"
        });
        if !refund.is_null() {
            update["refund"] = refund;
        }
        let (replies, expect) = (json!([{"status": 200, "body": reply}]), json!({"update": update}));
        let case = json!({"name": raw, "entry": "query", "replies": replies, "expect": expect});
        std::fs::write(folder.join("case.json"), case.to_string()).expect("written");
    };
    let none_refunded = json!({"amount": "0.00 EUR", "reach": "total_so_far"});
    let silent = || cases::run::<Acme<{ acme::STATES_NO_REFUNDS_TO_A_QUERY }>>(&harness(), &folder);
    let paid = [
        ("paid", "confirmed"),
        ("disputed", "chargeback"),
        ("dispute_won", "chargeback_reversed"),
        ("ask_us", "manual_review"),
    ];
    for (raw, status) in paid {
        write(raw, status, none_refunded.clone());
        assert_eq!(run(&folder), Ok(()), "{raw}");
        write(raw, status, Value::Null);
        fails_with(silent(), MISSING);
    }
    // Everything was refunded; the provider has not decided; nothing was paid.
    let others = [
        ("refunded", "refunded"),
        ("checking", "in_review"),
        ("open", "pending"),
        ("declined", "failed"),
        ("expired", "cancelled"),
        ("?", "unknown"),
    ];
    for (raw, status) in others {
        write(raw, status, Value::Null);
        assert_eq!(silent(), Ok(()), "{raw}");
    }
}

fn run(folder: &Path) -> Result<(), ConformanceError> {
    cases::run::<Acme<0>>(&harness(), folder)
}

fn tempdir(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

fn fails_with(result: Result<(), ConformanceError>, text: &str) {
    let error = result.expect_err("the check fails").to_string();
    assert!(error.contains(text), "{error}");
}
