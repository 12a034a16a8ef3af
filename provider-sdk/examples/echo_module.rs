//! The echo provider as a library file without unsafe code of its own; `tests/library.rs` opens it.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "the echo panics on request of a test")]

#[path = "../tests/echo/mod.rs"]
mod echo;

cashier_provider_sdk::export_provider!(echo::Echo);
