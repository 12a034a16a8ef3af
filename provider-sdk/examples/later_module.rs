//! A library that declares contract 2 and aborting panics; `tests/library.rs` reads its symbols.
#![forbid(unsafe_code)]

cashier_provider_sdk::export_symbols!(contract = 2, unwinds = false);
