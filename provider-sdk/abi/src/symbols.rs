//! The plain C symbols of a module, read with `dlsym` before the layout check: they state what the module was built
//! for, in a form that every future host can read.

/// `u32`: the contract the module was built for.
pub const CONTRACT_VERSION: &str = "cashier_provider_contract_version";

/// `u8`: 1 if panics unwind in the module, 0 if they abort the process. The host refuses a module with 0, because
/// no guard can catch its panics.
pub const UNWINDS: &str = "cashier_provider_unwinds";

/// NUL-terminated bytes: the SDK version the module was built with, for people to read.
pub const SDK_VERSION: &str = "cashier_provider_sdk_version";

/// Longest SDK version text that is read, NUL included: a semantic version with a build tag fits, and the host does
/// not read on through memory if the symbol is something else.
pub const SDK_VERSION_BYTES_MAX: usize = 64;

/// A version text as [`SDK_VERSION_BYTES_MAX`] bytes for the static behind the symbol, padded with NUL or cut.
pub const fn version_text(version: &str) -> [u8; SDK_VERSION_BYTES_MAX] {
    let mut text = [0; SDK_VERSION_BYTES_MAX];
    let mut rest = version.as_bytes();
    let mut left: &mut [u8] = &mut text;
    // The last byte stays NUL, however long the version is.
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
