//! The `--settings` argument that several commands share.

use std::path::PathBuf;

use clap::Args;

use super::terminal::CliError;
use crate::settings::Settings;

#[derive(Debug, Clone, Args)]
pub(super) struct SettingsArgs {
    /// The settings file; without one every setting has its default and the keys come from the environment.
    #[arg(long, short, value_name = "FILE", env = "CASHIER_SETTINGS")]
    settings: Option<PathBuf>,
}

impl SettingsArgs {
    pub(super) fn read(&self) -> Result<Settings, CliError> {
        let settings = match &self.settings {
            Some(path) => Settings::read(path),
            None => Settings::by_default(),
        };
        settings.map_err(CliError::from)
    }
}
