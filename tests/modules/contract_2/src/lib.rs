//! A module of a future contract 2: its version symbol, and other symbols that differ from those of contract 1 or are
//! missing.
#![expect(unsafe_code, reason = "an exported name is a promise to the loader")]

#[unsafe(no_mangle)]
pub static cashier_provider_contract_version: u32 = 2;

/// One byte, where contract 1 has a text of 64.
#[unsafe(no_mangle)]
pub static cashier_provider_sdk_version: u8 = 2;
