//! The `--settings` argument that several commands share.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::Args;

use super::terminal::CliError;
use crate::settings::Settings;
use crate::text_file::trimmed;

#[derive(Debug, Clone, Args)]
pub(super) struct SettingsArgs {
    /// The settings file; without one every setting has its default and the keys come from the environment.
    #[arg(long, short, value_name = "FILE", env = "CASHIER_SETTINGS", value_parser = path)]
    settings: Option<PathBuf>,
}

impl SettingsArgs {
    pub(super) fn read(&self) -> Result<Settings, CliError> {
        let settings = match self.settings.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => Settings::read(path),
            None => Settings::by_default(),
        };
        settings.map_err(CliError::from)
    }
}

/// The path without the blanks and line ends around it; a variable that is blank is not set.
fn path(text: &str) -> Result<PathBuf, Infallible> {
    Ok(PathBuf::from(trimmed(text)))
}
