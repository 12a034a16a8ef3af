//! The questions every provider must answer well, run with one line in `tests/conformance.rs`.
//! Everything goes through the real border and its guard; nothing here is linked into a module.
//!
//! ```ignore
//! cashier_provider_testing::conformance!(cashier_provider_acme::Acme, harness::harness);
//! ```
//!
//! The harness is the little that the kit cannot know: a valid configuration, genuine notices and
//! how to sign them, and the replies with which a payment is created.

pub mod calls;
pub mod cases;
mod harness;
pub mod hostile;
mod json;
pub mod notices;
mod rendering;
pub mod secrets;

pub use harness::{
    CANARY_CHARS_MIN, Complaint, Harness, SigningSecret, sample_order, sample_payment, sample_refund, sign_stamped,
};

/// Writes one test for each question; `$harness` is a function that gives the [`Harness`].
#[macro_export]
macro_rules! conformance {
    ($provider:ty, $harness:expr) => {
        $crate::conformance! { @tests $provider, $harness,
            calls::the_descriptor_is_complete,
            calls::the_configuration_is_accepted,
            calls::a_payment_is_created_with_the_canned_replies,
            calls::requests_go_where_the_descriptor_says,
            calls::a_request_that_creates_carries_key_and_reference,
            calls::an_answer_that_cannot_be_read_leaves_the_outcome_unknown,
            calls::what_is_not_offered_is_unsupported,
            calls::equal_inputs_give_equal_outputs,
            notices::a_genuine_notice_is_genuine,
            notices::a_replaced_secret_still_verifies,
            notices::without_a_secret_nobody_can_tell,
            notices::an_unsigned_notice_is_not_genuine,
            notices::a_notice_signed_by_another_is_not_genuine,
            notices::a_notice_cut_short_is_not_genuine,
            notices::an_edited_notice_is_not_genuine,
            notices::a_notice_written_anew_is_not_genuine,
            notices::a_notice_out_of_time_is_not_genuine,
            hostile::no_bytes_in_a_notice_panic,
            hostile::no_value_in_a_signed_notice_panics,
            hostile::no_reply_panics,
            secrets::no_secret_is_told,
        }
    };
    (@tests $provider:ty, $harness:expr, $($room:ident :: $question:ident,)*) => {
        $(
            #[test]
            fn $question() -> Result<(), $crate::Complaint> {
                $crate::$room::$question::<$provider>(&$harness())
            }
        )*
    };
}

/// Writes one test that runs every file of a folder of cases; see the module `cases`.
#[macro_export]
macro_rules! cases {
    ($provider:ty, $harness:expr, $folder:expr) => {
        #[test]
        fn every_case_gives_what_it_says() -> Result<(), $crate::Complaint> {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder);
            $crate::cases::run::<$provider>(&$harness(), std::path::Path::new(folder))
        }
    };
}
