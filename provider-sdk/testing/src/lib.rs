//! The conformance tests that every provider must pass, run with one line in `tests/conformance.rs`.
//! All calls go through the real ABI and its guard. Nothing here is linked into a module.
//!
//! ```ignore
//! cashier_provider_testing::conformance!(cashier_provider_acme::Acme, harness::harness);
//! ```
//!
//! The harness is what these tests cannot know: a valid config, sample webhooks and how to sign them, and the replies
//! that create a payment.

pub mod calls;
pub mod cases;
mod harness;
pub mod hostile;
mod json;
pub mod notices;
pub mod refunds;
mod rendering;
pub mod secrets;

pub use harness::{
    CANARY_CHARS_MIN, ConformanceError, Harness, SigningSecret, sample_order, sample_payment, sample_refund,
    sign_timestamped,
};

/// Expands to one test per check; `$harness` is a function that returns the [`Harness`].
#[macro_export]
macro_rules! conformance {
    ($provider:ty, $harness:expr) => {
        $crate::conformance! { @tests $provider, $harness,
            calls::the_descriptor_is_complete,
            calls::the_configuration_is_accepted,
            calls::the_canned_replies_create_a_payment,
            calls::the_order_check_agrees_with_the_creation,
            calls::requests_go_only_to_declared_hosts,
            calls::a_creating_request_carries_key_and_reference,
            calls::an_unreadable_reply_leaves_the_outcome_unknown,
            calls::a_refund_carries_its_own_key,
            calls::an_unreadable_reply_leaves_a_refund_unknown,
            refunds::a_part_refund_states_its_amount,
            calls::an_undeclared_capability_is_unsupported,
            calls::equal_inputs_give_equal_outputs,
            notices::a_signed_notice_is_verified,
            notices::a_previous_secret_still_verifies,
            notices::a_notice_is_undetermined_without_a_secret,
            notices::an_unsigned_notice_is_rejected,
            notices::a_notice_signed_with_another_secret_is_rejected,
            notices::a_truncated_notice_is_rejected,
            notices::a_modified_notice_is_rejected,
            notices::a_reserialized_notice_is_rejected,
            notices::a_notice_outside_the_time_tolerance_is_rejected,
            notices::a_signed_notice_that_cannot_be_read_is_unreadable,
            notices::a_signed_notice_is_never_rejected_for_its_content,
            notices::an_odd_field_that_is_not_needed_changes_nothing,
            hostile::random_notice_bytes_never_panic,
            hostile::mutated_signed_notices_never_panic,
            hostile::mutated_and_random_replies_never_panic,
            secrets::no_secret_leaks,
        }
    };
    (@tests $provider:ty, $harness:expr, $($module:ident :: $check:ident,)*) => {
        $(
            #[test]
            fn $check() -> Result<(), $crate::ConformanceError> {
                $crate::$module::$check::<$provider>(&$harness())
            }
        )*
    };
}

/// Expands to one test that runs every file of a folder of cases; see the module `cases`.
#[macro_export]
macro_rules! cases {
    ($provider:ty, $harness:expr, $folder:expr) => {
        #[test]
        fn every_case_returns_what_it_expects() -> Result<(), $crate::ConformanceError> {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder);
            $crate::cases::run::<$provider>(&$harness(), std::path::Path::new(folder))
        }
    };
}
