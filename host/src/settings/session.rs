//! What the settings say about session tokens, beside the secret keys that sign them.

use std::path::PathBuf;

use super::wrong::Wrong;

/// Further keys of tokens and what is asked of every token; each as [`super::SettingsFile`] describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    pub jwks_file: Option<PathBuf>,
    pub revoked_file: Option<PathBuf>,
    pub issuers: Vec<Box<str>>,
    pub audiences: Vec<Box<str>>,
    /// In seconds.
    pub lifetime_max: Option<u32>,
    pub require_brand: bool,
}

/// The longest life of a token, which some token must be able to have.
pub(super) fn lifetime(key: &'static str, written: Option<u32>) -> Result<Option<u32>, Wrong> {
    match written {
        Some(0) => Err(Wrong::new(key, "= 0 would refuse every token: it is at least 1")),
        seconds => Ok(seconds),
    }
}
