//! The conformance tests of every provider, for both flows, and this provider's own cases.

mod harness;

cashier_provider_testing::conformance!(cashier_provider_stripe::Stripe, harness::checkout);
cashier_provider_testing::cases!(cashier_provider_stripe::Stripe, harness::checkout, "tests/cases");

mod payment_intents {
    use super::harness;
    cashier_provider_testing::conformance!(cashier_provider_stripe::Stripe, harness::payment_intents);
}
