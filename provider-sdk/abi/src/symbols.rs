//! The plain C symbols of a module, read with `dlsym` before any layout is trusted: they say what
//! the module was built for in words that every future host can read.

/// `u32`: the contract the module was built for.
pub const CONTRACT_VERSION: &str = "cashier_provider_contract_version";

/// `u8`: 1 where panics unwind in the module, 0 where they abort the process. A module of the
/// second kind cannot be guarded and is refused.
pub const UNWINDS: &str = "cashier_provider_unwinds";

/// Bytes ending in NUL: the version of the kit the module was written with. For people to read.
pub const SDK_VERSION: &str = "cashier_provider_sdk_version";

/// Longest SDK version text worth reading, NUL included: a semantic version with a build tag fits,
/// and a symbol that is something else is not followed through memory.
pub const SDK_VERSION_BYTES_MAX: usize = 64;

/// Fits [`SDK_VERSION_BYTES_MAX`] bytes around a version text, for the static behind the symbol.
pub const fn version_text(version: &str) -> [u8; SDK_VERSION_BYTES_MAX] {
    let mut text = [0; SDK_VERSION_BYTES_MAX];
    let mut rest = version.as_bytes();
    let mut left: &mut [u8] = &mut text;
    // The last byte stays NUL however long the version is.
    while left.len() > 1 {
        let (Some((byte, following)), Some((slot, behind))) = (rest.split_first(), left.split_first_mut()) else {
            break;
        };
        *slot = *byte;
        rest = following;
        left = behind;
    }
    text
}
