//! The sample provider without faults passes every conformance check and every case.
#![expect(clippy::expect_used, reason = "some faults of the provider are panics")]
#![allow(dead_code, reason = "tests/faults.rs uses the faults")]

mod acme;

cashier_provider_testing::conformance!(acme::Acme<0>, acme::harness);
cashier_provider_testing::cases!(acme::Acme<0>, acme::harness, "tests/cases");
