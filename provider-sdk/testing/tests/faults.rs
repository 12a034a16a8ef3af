//! Every question fails for a provider that is wrong in just that way: a test that cannot fail
//! tests nothing.
#![expect(clippy::expect_used, reason = "the faults of the provider are panics")]

mod acme;

use std::path::Path;

use acme::{Acme, harness};
use cashier_provider_testing::{ConformanceError, calls, cases, hostile, notices, secrets};

/// The question complains about the fault, in words that name it, and not about the right provider.
macro_rules! catches {
    ($($module:ident::$check:ident catches $($fault:ident saying $words:literal),+;)*) => { $(
        #[test]
        fn $check() {
            assert_eq!($module::$check::<Acme<0>>(&harness()), Ok(()));
            $(
                said($module::$check::<Acme<{ acme::$fault }>>(&harness()), $words);
            )+
        }
    )* };
}

catches! {
    calls::the_descriptor_is_complete catches HAS_A_DEFAULT_SECRET saying "has a default";
    calls::the_configuration_is_accepted catches REFUSES_TO_START saying "is never right";
    calls::the_canned_replies_create_a_payment catches
        NEVER_FINISHES saying "with 1 of 1 canned replies";
    calls::requests_go_only_to_declared_hosts catches
        GOES_ELSEWHERE saying "evil.example",
        ASKS_UNSAFELY saying "not marked as safe to repeat";
    calls::a_creating_request_carries_key_and_reference catches
        FORGETS_THE_KEY saying "no request carries the key",
        CREATES_SAFELY saying "is marked as safe to repeat";
    calls::an_unreadable_reply_leaves_the_outcome_unknown catches
        TAKES_NOISE_FOR_NO saying "must leave the outcome unknown",
        PANICS_AT_REPLIES saying "must leave the outcome unknown";
    calls::an_undeclared_capability_is_unsupported catches
        OFFERS_TOO_MUCH saying "refund: offered is true",
        OFFERS_TOO_LITTLE saying "query: offered is false";
    calls::equal_inputs_give_equal_outputs catches COUNTS saying "another answer";
    notices::a_signed_notice_is_verified catches
        PANICS_AT_PINGS saying "expected Verified";
    notices::a_previous_secret_still_verifies catches
        FORGETS_OLD_SECRETS saying "one of several secrets",
        REVOKES_NOTHING saying "revoked";
    notices::a_notice_is_undetermined_without_a_secret catches
        TRUSTS_THE_EMPTY_SECRET saying "expected Undetermined";
    notices::an_unsigned_notice_is_rejected catches
        TRUSTS_EVERYONE saying "no signature",
        CANNOT_TELL_ANYTHING saying "no signature";
    notices::a_notice_signed_with_another_secret_is_rejected catches
        TRUSTS_EVERYONE saying "another secret";
    notices::a_truncated_notice_is_rejected catches TRUSTS_ANY_SIGNATURE saying "cut to";
    notices::a_modified_notice_is_rejected catches TRUSTS_ANY_SIGNATURE saying "changed";
    notices::a_reserialized_notice_is_rejected catches
        SIGNS_WHAT_IT_PARSED saying "expected Rejected";
    notices::a_notice_outside_the_time_tolerance_is_rejected catches
        KNOWS_NO_TIME saying "signed 301 s after receipt";
    hostile::random_notice_bytes_never_panic catches PANICS_AT_BYTES saying "panicked in normalize_status";
    hostile::mutated_signed_notices_never_panic catches
        PANICS_AT_NOTICES saying "panicked in normalize_status";
    hostile::mutated_and_random_replies_never_panic catches PANICS_AT_REPLIES saying "panicked in create_payment";
    secrets::no_secret_leaks catches
        TELLS_ITS_KEY saying "secret_key is told",
        ACKNOWLEDGES_WITH_ITS_SECRET saying "webhook_secret is told";
}

#[test]
fn a_harness_without_canaries_is_no_harness() {
    let planted = |secret: &str| {
        let mut harness = harness();
        harness.config.secret_key = secret.into();
        secrets::no_secret_leaks::<Acme<0>>(&harness)
    };
    said(planted("short"), "it is no canary");
}

#[test]
fn a_case_that_differs_is_told_with_both_answers() {
    let folder = tempdir("differs");
    let write = |text: &str| std::fs::write(folder.join("case.json"), text).expect("written");
    write(r#"{"name":"wrong","entry":"refund","expect":{"update":{}}}"#);
    said(run(&folder), "\"unsupported\"");
    write(r#"{"name":"misspelt","entry":"refund","expects":"unsupported"}"#);
    said(run(&folder), "expects");
    std::fs::remove_file(folder.join("case.json")).expect("removed");
    said(run(&folder), "no cases in");
}

fn run(folder: &Path) -> Result<(), ConformanceError> {
    cases::run::<Acme<0>>(&harness(), folder)
}

fn tempdir(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder for a test");
    folder
}

fn said(result: Result<(), ConformanceError>, words: &str) {
    let complaint = result.expect_err("the fault is caught").to_string();
    assert!(complaint.contains(words), "{complaint}");
}
