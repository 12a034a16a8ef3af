//! Every question fails for a provider that is wrong in just that way: a test that cannot fail
//! tests nothing.
#![expect(clippy::expect_used, reason = "the faults of the provider are panics")]

mod acme;

use std::path::Path;

use acme::{Acme, harness};
use cashier_provider_testing::{Complaint, calls, cases, hostile, notices, secrets};

/// The question complains about the fault, in words that name it, and not about the right provider.
macro_rules! catches {
    ($($room:ident::$question:ident catches $($fault:ident saying $words:literal),+;)*) => { $(
        #[test]
        fn $question() {
            assert_eq!($room::$question::<Acme<0>>(&harness()), Ok(()));
            $(
                said($room::$question::<Acme<{ acme::$fault }>>(&harness()), $words);
            )+
        }
    )* };
}

catches! {
    calls::the_descriptor_is_complete catches HAS_A_DEFAULT_SECRET saying "has a default";
    calls::the_configuration_is_accepted catches REFUSES_TO_START saying "is never right";
    calls::a_payment_is_created_with_the_canned_replies catches
        NEVER_FINISHES saying "with 1 of 1 canned replies";
    calls::requests_go_where_the_descriptor_says catches
        GOES_ELSEWHERE saying "evil.example",
        ASKS_UNSAFELY saying "not marked as safe to repeat";
    calls::a_request_that_creates_carries_key_and_reference catches
        FORGETS_THE_KEY saying "no request carries the key",
        CREATES_SAFELY saying "is marked as safe to repeat";
    calls::an_answer_that_cannot_be_read_leaves_the_outcome_unknown catches
        TAKES_NOISE_FOR_NO saying "must leave the outcome unknown",
        PANICS_AT_REPLIES saying "must leave the outcome unknown";
    calls::what_is_not_offered_is_unsupported catches
        OFFERS_TOO_MUCH saying "refund: offered is true",
        OFFERS_TOO_LITTLE saying "query: offered is false";
    calls::equal_inputs_give_equal_outputs catches COUNTS saying "another answer";
    notices::a_genuine_notice_is_genuine catches
        PANICS_AT_PINGS saying "expected Genuine";
    notices::a_replaced_secret_still_verifies catches
        FORGETS_OLD_SECRETS saying "one of several secrets",
        REVOKES_NOTHING saying "revoked";
    notices::without_a_secret_nobody_can_tell catches
        TRUSTS_THE_EMPTY_SECRET saying "expected CannotTell";
    notices::an_unsigned_notice_is_not_genuine catches
        TRUSTS_EVERYONE saying "no signature",
        CANNOT_TELL_ANYTHING saying "no signature";
    notices::a_notice_signed_by_another_is_not_genuine catches
        TRUSTS_EVERYONE saying "another secret";
    notices::a_notice_cut_short_is_not_genuine catches TRUSTS_ANY_SIGNATURE saying "cut to";
    notices::an_edited_notice_is_not_genuine catches TRUSTS_ANY_SIGNATURE saying "changed";
    notices::a_notice_written_anew_is_not_genuine catches
        SIGNS_WHAT_IT_PARSED saying "expected NotGenuine";
    notices::a_notice_out_of_time_is_not_genuine catches
        KNOWS_NO_TIME saying "signed 301 s after receipt";
    hostile::no_bytes_in_a_notice_panic catches PANICS_AT_BYTES saying "panicked in normalize_status";
    hostile::no_value_in_a_signed_notice_panics catches
        PANICS_AT_NOTICES saying "panicked in normalize_status";
    hostile::no_reply_panics catches PANICS_AT_REPLIES saying "panicked in create_payment";
    secrets::no_secret_is_told catches
        TELLS_ITS_KEY saying "secret_key is told",
        ACKNOWLEDGES_WITH_ITS_SECRET saying "webhook_secret is told";
}

#[test]
fn a_harness_without_canaries_is_no_harness() {
    let planted = |secret: &str| {
        let mut harness = harness();
        harness.config.secret_key = secret.into();
        secrets::no_secret_is_told::<Acme<0>>(&harness)
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

fn run(folder: &Path) -> Result<(), Complaint> {
    cases::run::<Acme<0>>(&harness(), folder)
}

fn tempdir(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder for a test");
    folder
}

fn said(result: Result<(), Complaint>, words: &str) {
    let complaint = result.expect_err("the fault is caught").to_string();
    assert!(complaint.contains(words), "{complaint}");
}
