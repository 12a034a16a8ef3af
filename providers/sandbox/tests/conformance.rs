//! The conformance tests of every provider, and this provider's own cases.

mod harness;

cashier_provider_testing::conformance!(cashier_provider_sandbox::Sandbox, harness::harness);
cashier_provider_testing::cases!(cashier_provider_sandbox::Sandbox, harness::harness, "tests/cases");
