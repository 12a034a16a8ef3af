//! The plain C symbols of a module, read before any layout is trusted. The unsafe code of opening libraries is here.
#![expect(unsafe_code, reason = "opening a library runs its constructors, and a symbol's type is the reader's promise")]

use std::path::Path;

use cashier_provider_abi::symbols::{CONTRACT_VERSION, SDK_VERSION, SDK_VERSION_BYTES_MAX, UNWINDS};
use cashier_provider_sdk::export::CONTRACT;
use libloading::Library;

/// What a module states about itself in a form that every host can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbols {
    /// The contract it was built for.
    pub(super) contract: u32,
    /// Whether its panics unwind, so that a guard can catch them. Read only under this host's contract.
    pub(super) unwinds: bool,
    /// The version of the SDK it was written with; empty when it is not stated, or under another contract.
    pub(super) sdk_version: String,
}

impl Symbols {
    /// Opens the library at `path`, which is never closed, and reads its symbols.
    ///
    /// # Errors
    /// It cannot be opened, or it is a library but not a module.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        // SAFETY: the constructors of this same file returned in the probe process, or this is that process.
        let library = unsafe { Library::new(path) }
            .map_err(|error| format!("it cannot be opened: {}", loader_message(&error)))?;
        let symbols = Self::of(&library);
        // Closing would unmap code that other threads may run.
        std::mem::forget(library);
        symbols
    }

    fn of(library: &Library) -> Result<Self, String> {
        // SAFETY: a module exports this name as a static `u32`; the symbol's address is that of the static.
        let contract = unsafe { library.get::<*const u32>(CONTRACT_VERSION.as_bytes()) }
            .map_err(|_| format!("it is a library but not a provider module: it has no symbol {CONTRACT_VERSION}"))?;
        // SAFETY: not null, or `get` had failed; static, as stated above.
        let contract = unsafe { (*contract).read_unaligned() };
        if contract != CONTRACT {
            // Another contract may give its other symbols other types, so they are not read.
            return Ok(Self { contract, unwinds: false, sdk_version: String::new() });
        }
        // SAFETY: a module exports this name as a static `u8`.
        let unwinds = unsafe { library.get::<*const u8>(UNWINDS.as_bytes()) }
            .map_err(|_| format!("it does not state whether its panics unwind: it has no symbol {UNWINDS}"))?;
        // SAFETY: as above.
        let unwinds = unsafe { (*unwinds).read() } == 1;
        // SAFETY: a module exports this name as a static of exactly this many bytes.
        let version = unsafe { library.get::<*const [u8; SDK_VERSION_BYTES_MAX]>(SDK_VERSION.as_bytes()) };
        let sdk_version = version.map_or_else(
            |_| String::new(),
            |text| {
                // SAFETY: as above.
                let bytes = unsafe { (*text).read() };
                let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                String::from_utf8_lossy(text).into_owned()
            },
        );
        Ok(Self { contract, unwinds, sdk_version })
    }
}

/// The loader's message, without the library's path, which the catalog shows beside it.
fn loader_message(error: &libloading::Error) -> String {
    let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    text.split_once(": ").map_or(text.clone(), |(_, message)| message.to_owned())
}
