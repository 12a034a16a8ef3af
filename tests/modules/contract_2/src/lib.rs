//! What a module of contract 2 may look like to this host: the symbol that says so, and others that mean something else
//! than they do in contract 1, or are not there.
#![expect(unsafe_code, reason = "an exported name is a promise to the loader")]

#[unsafe(no_mangle)]
pub static cashier_provider_contract_version: u32 = 2;

/// One byte, where contract 1 has a text of 64.
#[unsafe(no_mangle)]
pub static cashier_provider_sdk_version: u8 = 2;
