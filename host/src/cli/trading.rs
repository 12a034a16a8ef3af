//! `cashier trading …`: imports rows into the embedded trading server.

use std::path::PathBuf;

use clap::Subcommand;

use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::trading;

#[derive(Debug, Subcommand)]
pub(super) enum TradingCommand {
    /// Import groups, customers and accounts from a JSON file. All of it is checked first; on any error nothing is
    /// written. The server must not be running on the same folder.
    Import {
        /// {"groups":[…],"customers":[…],"accounts":[…]}
        file: PathBuf,
        #[command(flatten)]
        settings: SettingsArgs,
        /// The folder of trading.db; by default the settings'.
        #[arg(long, value_name = "FOLDER")]
        bases: Option<PathBuf>,
    },
}

pub(super) fn trading(command: &TradingCommand) -> Result<(), CliError> {
    let TradingCommand::Import { file, settings, bases } = command;
    let bases = match bases {
        Some(bases) => bases.clone(),
        None => settings.read()?.bases,
    };
    let trading = trading::embedded::Embedded::open(&bases)?;
    let report = trading::import::import(file, &trading).map_err(|error| CliError(error.to_string()))?;
    trading.close();
    print_line(report.to_string().trim_end());
    Ok(())
}
