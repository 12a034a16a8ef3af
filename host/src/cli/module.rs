//! `cashier module …`: what an operator decides about a module that ended the process.

use clap::Subcommand;

use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::plugins;

#[derive(Debug, Subcommand)]
pub(super) enum ModuleCommand {
    /// End the quarantine of a provider's builds, and of the notices that are barred for them. A running server takes it at its
    /// next start.
    Release {
        /// The provider code; for a module that ended the process when it was opened, its name in plugins.toml.
        code: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

pub(super) fn module(command: &ModuleCommand) -> Result<(), CliError> {
    let ModuleCommand::Release { code, settings } = command;
    let settings = settings.read()?;
    let released = plugins::release(&settings.var, code)?;
    if released.is_empty() {
        return Err(CliError(format!("no build of {code} is in quarantine in {}", settings.var.display())));
    }
    for call in released {
        print_line(&format!("released: {call}"));
    }
    print_line("the next start opens the module again");
    Ok(())
}
