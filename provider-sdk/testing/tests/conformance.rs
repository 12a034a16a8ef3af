//! The kit's own provider passes every question and every case, as any provider's tests ask them.
#![expect(clippy::expect_used, reason = "the faults of the provider are panics")]
#![allow(dead_code, reason = "the faults are named for tests/faults.rs")]

mod acme;

cashier_provider_testing::conformance!(acme::Acme<0>, acme::harness);
cashier_provider_testing::cases!(acme::Acme<0>, acme::harness, "tests/cases");
