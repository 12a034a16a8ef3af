//! From a private copy to a module that may be called. The same [`open`] runs first in the probe process and then in the
//! cashier (`opening`). Decides nothing about catalogs or generations, and does not know where copies are kept.

use std::path::Path;

use cashier_core::card_data::masked;
use cashier_core::lengths::CODE_LENGTH_MAX;
use cashier_core::printable::check_code;
use cashier_core::withdrawal::MANUAL_PROVIDER;
use cashier_provider_sdk::Descriptor;
use cashier_provider_sdk::export::{CONTRACT, SDK_VERSION};
use cashier_provider_sdk::host::{ModuleV1, OpenError};
use serde::{Deserialize, Serialize};

use super::symbols::Symbols;

/// A module opened in this process. Its library is never closed.
pub(super) struct OpenedModule {
    pub(super) symbols: Symbols,
    pub(super) module: ModuleV1,
    pub(super) descriptor: Descriptor,
}

/// Why a module cannot be loaded, with its contract version where that could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LoadError {
    pub(super) contract: Option<u32>,
    pub(super) reason: String,
    /// SHA-256 of a build that is refused because it ended the process; else empty.
    #[serde(default)]
    pub(super) quarantined: String,
}

impl LoadError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { contract: None, reason: reason.into(), quarantined: String::new() }
    }
}

/// Opens the library at `path` and checks in turn its plain symbols, its layout and its descriptor; each is trusted only
/// after the check before it. The path must have a slash and the file be private to this process, because opening a file that
/// is truncated or changed meanwhile ends the process.
///
/// # Errors
/// The first failed check, in one sentence.
pub(super) fn open(path: &Path) -> Result<OpenedModule, LoadError> {
    let symbols = Symbols::read(path).map_err(LoadError::new)?;
    let error = |reason: String| LoadError { contract: Some(symbols.contract), ..LoadError::new(reason) };
    if symbols.contract != CONTRACT {
        return Err(error(format!("it was built for contract {}, this host supports {CONTRACT}", symbols.contract)));
    }
    if !symbols.unwinds {
        return Err(error("it was built with panic = \"abort\": a panic in it would end the cashier".to_owned()));
    }
    let module = ModuleV1::open(path).map_err(|failed| error(with_cure(failed, &symbols)))?;
    let descriptor = module.descriptor().map_err(|failure| error(failure.message))?;
    check(&descriptor).map_err(error)?;
    Ok(OpenedModule { symbols, module, descriptor })
}

/// The reason in one line, with both versions and the cure where a build can mend it.
fn with_cure(OpenError { reason, rebuild }: OpenError, symbols: &Symbols) -> String {
    let built = match &*symbols.sdk_version {
        "" => "an unknown version of cashier-provider-sdk".to_owned(),
        version => format!("cashier-provider-sdk {version}"),
    };
    let cure =
        format!("it was built with {built}, this host has {SDK_VERSION}: rebuild it against cashier-provider-sdk");
    if rebuild { format!("{reason}; {cure} {SDK_VERSION}") } else { reason }
}

/// Checks the descriptor before anything is keyed by its code.
fn check(descriptor: &Descriptor) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let code = &descriptor.code;
    if code.is_empty() || code.len() > CODE_LENGTH_MAX || !code.bytes().all(plain) {
        return Err(format!("its provider code {code:?} is not 1 to {CODE_LENGTH_MAX} of a-z, 0-9 and _"));
    }
    if code == MANUAL_PROVIDER {
        return Err(format!("its provider code {code:?} belongs to the cashier"));
    }
    if descriptor.name.is_empty() {
        return Err("its descriptor has no name".to_owned());
    }
    if let Some(setting) = descriptor.settings.iter().find(|setting| setting.key.is_empty()) {
        return Err(format!("its setting {:?} has no key", setting.label));
    }
    let keys = descriptor.settings.iter().map(|setting| ("setting", &setting.key));
    let codes = descriptor.methods.iter().map(|method| ("method", method));
    let currencies = descriptor.currencies.iter().map(|currency| ("currency", currency));
    for (what, code) in codes.chain(currencies).chain(keys) {
        check_code(code).map_err(|problem| format!("its {what} {:?} {problem}", masked(code)))?;
    }
    Ok(())
}
