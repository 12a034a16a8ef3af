//! The plain C symbols of a module, read before any layout is trusted. All the unsafety of opening libraries is here.
#![expect(unsafe_code, reason = "opening a library runs its constructors, and a symbol's type is the reader's promise")]

use std::path::Path;

use cashier_provider_abi::symbols::{CONTRACT_VERSION, SDK_VERSION, SDK_VERSION_BYTES_MAX, UNWINDS};
use cashier_provider_sdk::export::CONTRACT;
use libloading::Library;

/// What a module says of itself in words that every host can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugins) struct Symbols {
    /// The contract it was built for.
    pub(super) contract: u32,
    /// Whether its panics unwind, so that a guard can catch them. Read of this host's contract alone.
    pub(super) unwinds: bool,
    /// The version of the kit it was written with; empty when it does not say, or is of another contract.
    pub(super) sdk_version: String,
}

impl Symbols {
    /// Opens the library at `path`, which is never closed, and reads its symbols.
    ///
    /// # Errors
    /// It cannot be opened, or it is a library but no module.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        // SAFETY: the constructors of this very file ended well in the probe process, or this is that process.
        let library =
            unsafe { Library::new(path) }.map_err(|error| format!("it cannot be opened: {}", told(&error)))?;
        let symbols = Self::of(&library);
        // Closing would unmap code that other threads may be in.
        std::mem::forget(library);
        symbols
    }

    fn of(library: &Library) -> Result<Self, String> {
        // SAFETY: a module exports this name as a static `u32`; the symbol's address is that of the static.
        let contract = unsafe { library.get::<*const u32>(CONTRACT_VERSION.as_bytes()) }
            .map_err(|_| format!("it is a library but no provider module: it has no symbol {CONTRACT_VERSION}"))?;
        // SAFETY: not null, or `get` had failed; aligned and static, as said above.
        let contract = unsafe { (*contract).read_unaligned() };
        if contract != CONTRACT {
            // What its other symbols are is that contract's to say: nothing is read by this one's types.
            return Ok(Self { contract, unwinds: false, sdk_version: String::new() });
        }
        // SAFETY: a module exports this name as a static `u8`.
        let unwinds = unsafe { library.get::<*const u8>(UNWINDS.as_bytes()) }
            .map_err(|_| format!("it does not say whether its panics unwind: it has no symbol {UNWINDS}"))?;
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

/// The loader's own words, without the library's path, which the catalog shows beside them.
fn told(error: &libloading::Error) -> String {
    let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    text.split_once(": ").map_or(text.clone(), |(_, words)| words.to_owned())
}
