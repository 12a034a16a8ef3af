//! A library that claims contract 2 and says that its panics abort: `tests/library.rs` reads it.
#![forbid(unsafe_code)]

cashier_provider_sdk::export_symbols!(contract = 2, unwinds = false);
