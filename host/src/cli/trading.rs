//! `cashier trading …`: imports rows into the embedded trading server, and decides about balances that were changed outside
//! the cashier.

use std::path::PathBuf;

use cashier_core::ids::Login;
use clap::Subcommand;

use super::bases;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::trading::embedded::Embedded;
use crate::trading::import;

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
    /// List the accounts that were changed outside the cashier, or decide about one: the balance that was found becomes its
    /// balance. The server must not be running on the same folder.
    Accept {
        /// The account whose balance is decided about; none lists all.
        login: Option<u64>,
        /// Put back the balance that the cashier recorded instead.
        #[arg(long, requires = "login")]
        put_back: bool,
        #[command(flatten)]
        settings: SettingsArgs,
        /// The folder of trading.db; by default the settings'.
        #[arg(long, value_name = "FOLDER")]
        bases: Option<PathBuf>,
    },
}

pub(super) fn trading(command: &TradingCommand) -> Result<(), CliError> {
    let bases = match command {
        TradingCommand::Import { settings, bases, .. } => bases::chosen(bases.as_ref(), settings)?,
        TradingCommand::Accept { settings, bases, .. } => {
            bases::existing(bases.as_ref(), settings, &[bases::POSTINGS])?
        }
    };
    let trading = Embedded::open(&bases)?;
    match command {
        TradingCommand::Import { file, .. } => {
            let report = import::import(file, &trading).map_err(|error| CliError(error.to_string()))?;
            print_line(report.to_string().trim_end());
        }
        TradingCommand::Accept { login: None, .. } => {
            let contested = trading.contested()?;
            if contested.is_empty() {
                print_line("no account was changed outside the cashier");
            }
            for (login, why) in contested {
                print_line(&format!("account {login}: {why}"));
            }
        }
        TradingCommand::Accept { login: Some(login), put_back, .. } => accept(&trading, Login(*login), *put_back)?,
    }
    trading.close();
    Ok(())
}

fn accept(trading: &Embedded, login: Login, put_back: bool) -> Result<(), CliError> {
    let before = trading.contested()?.into_iter().find(|(known, _)| *known == login);
    match (trading.settle_balance(login, put_back)?, before) {
        (Some(balance), Some((_, why))) => print_line(&format!("account {login}: {why}; it is {balance} now")),
        (_, Some((_, why))) => {
            return Err(CliError(format!("account {login}: {why}: repair its row, then start again")));
        }
        (_, None) => {
            return Err(CliError(format!("the balance of account {login} was not changed outside the cashier")));
        }
    }
    Ok(())
}
