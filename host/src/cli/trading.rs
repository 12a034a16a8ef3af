//! `cashier trading …`: imports rows into the embedded trading server, and decides about balances that were changed outside
//! the cashier.

use std::path::{Path, PathBuf};

use cashier_core::ids::{ID_MAX, Login, ManagerId, ServerName};
use cashier_core::roster::ImportReport;
use clap::Subcommand;

use super::bases;
use super::manager_client::{KEY_NEEDED, NOT_REACHED};
use super::roster_client;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use super::trading_check::{self, CheckArgs};
use crate::app::{self, UnrecordedOperations};
use crate::ports::{Fault, FaultKind};
use crate::settings::{TradingServerKind, TradingSettings};
use crate::trading::embedded::Embedded;
use crate::trading::http::InstanceFile;
use crate::trading::import;

#[derive(Debug, Subcommand)]
pub(super) enum TradingCommand {
    /// Import groups, customers and accounts from a JSON file. All of it is checked first; on any error nothing is
    /// written. A server that runs on the same folder is given the file over its manager listener.
    Import {
        /// {"groups":[…],"customers":[…],"accounts":[…]}
        file: PathBuf,
        /// The manager in whose name a running server records it.
        #[arg(long, default_value = "1", value_parser = clap::value_parser!(u64).range(1..=ID_MAX))]
        id: u64,
        #[command(flatten)]
        settings: SettingsArgs,
        /// The folder of trading.db; by default the settings'.
        #[arg(long, value_name = "FOLDER")]
        bases: Option<PathBuf>,
    },
    /// Ask a trading server of your own whether it keeps the protocol of docs/trading-server.md; the exit code is 1 where it does
    /// not.
    Check(CheckArgs),
    /// Accept that a trading server elsewhere has another database of postings than before: what the cashier posted earlier may
    /// not be in it. A running server takes it at its next call.
    AcceptInstance {
        /// The server's name in the settings.
        #[arg(value_parser = server_name)]
        server: ServerName,
        /// The instance that it states, as the log and /readyz?verbose say.
        instance: String,
        /// Also where operations without an outcome wait for that server: the former database may have posted them, and each is
        /// posted to the new one where that does not have its key. Look for the keys first.
        #[arg(long)]
        may_post_twice: bool,
        #[command(flatten)]
        settings: SettingsArgs,
        /// The folder of cashier.db; by default the settings'.
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
    match command {
        TradingCommand::Import { file, id, settings, bases } => {
            let folder = bases::chosen(bases.as_ref(), settings)?;
            bases::check_release(&folder, &[bases::BOOKS, bases::POSTINGS])?;
            let report = match Embedded::open(&folder) {
                Ok(trading) => import::import(file, &trading).map_err(|error| CliError(error.to_string()))?,
                Err(fault) if fault.kind == FaultKind::Busy => {
                    through_server(&fault, &folder, settings, file, ManagerId(*id))?
                }
                Err(fault) => return Err(fault.into()),
            };
            print_line(report.to_string().trim_end());
            Ok(())
        }
        TradingCommand::Check(args) => trading_check::check(args),
        TradingCommand::AcceptInstance { server, instance, may_post_twice, settings, bases } => {
            let folder = bases::existing(bases.as_ref(), settings, &[bases::BOOKS])?;
            let fixed = fixed_instance(&settings.read()?.trading, server)?;
            print_line(&accept_instance(&folder, server, (instance, fixed.as_deref()), *may_post_twice)?);
            Ok(())
        }
        TradingCommand::Accept { login, put_back, settings, bases } => {
            let folder = bases::existing(bases.as_ref(), settings, &[bases::POSTINGS])?;
            bases::check_release(&folder, &[bases::BOOKS, bases::POSTINGS])?;
            let trading = Embedded::open(&folder)?;
            accept(&trading, login.map(Login), *put_back)
        }
    }
}

/// The instance that the settings fix for a server; an error where they have no such server over HTTP.
fn fixed_instance(settings: &TradingSettings, server: &ServerName) -> Result<Option<Box<str>>, CliError> {
    let of_http = settings.servers.iter().filter_map(|known| match &known.kind {
        TradingServerKind::Http { instance, .. } => Some((&known.name, instance)),
        TradingServerKind::Embedded | TradingServerKind::Platform { .. } => None,
    });
    let of_http: Vec<_> = of_http.collect();
    match of_http.iter().find(|(name, _)| *name == server) {
        Some((_, instance)) => Ok((*instance).clone()),
        None if of_http.is_empty() => Err(CliError("the settings have no trading server over HTTP".into())),
        None => {
            let names: Vec<&str> = of_http.iter().map(|(name, _)| name.as_str()).collect();
            Err(CliError(format!("the settings have no trading server {server} over HTTP, but {}", names.join(", "))))
        }
    }
}

/// Records the instance, unless the settings fix another one. Where another database was posted to before, what has no outcome may
/// be in that one alone, and would be posted again: then a person must have looked for it.
fn accept_instance(
    folder: &Path,
    server: &ServerName,
    (instance, fixed): (&str, Option<&str>),
    may_post_twice: bool,
) -> Result<String, CliError> {
    if let Some(fixed) = fixed.filter(|fixed| *fixed != instance) {
        return Err(CliError(format!(
            "trading server {server}: `instance` is {fixed} in the settings: replace it there, stop the cashier, accept it, and start"
        )));
    }
    let file = InstanceFile::of(folder, server);
    let before = file.read()?;
    if before.as_deref().is_some_and(|before| before != instance) && !may_post_twice {
        let UnrecordedOperations { count, keys } = app::unrecorded_operations(folder, server)?;
        if count > 0 {
            let more = if count > keys.len() { format!(" and {} more", count - keys.len()) } else { String::new() };
            return Err(CliError(format!(
                "nothing was accepted: {count} operations at trading server {server} have no recorded outcome ({}{more}). What \
                 the former database posted of them is not known, and each would be posted to {instance} once more. Look for \
                 these keys in the former database, or in the accounts' histories, and record those that it posted in the new \
                 one, under the same keys; then say --may-post-twice",
                keys.join(", ")
            )));
        }
    }
    file.write(instance)?;
    Ok(format!("trading server {server}: instance {instance}, before {}", before.as_deref().unwrap_or("none")))
}

fn server_name(text: &str) -> Result<ServerName, &'static str> {
    ServerName::read(text).filter(|name| !name.is_embedded()).ok_or("is no name of a trading server elsewhere")
}

/// The server that holds the database is the one of the settings, unless they name another folder.
fn through_server(
    fault: &Fault,
    folder: &Path,
    settings: &SettingsArgs,
    file: &Path,
    by: ManagerId,
) -> Result<ImportReport, CliError> {
    let settings = settings.read().map_err(|CliError(what)| CliError(format!("{fault}; {what}")))?;
    let real = |folder: &Path| folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    if real(folder) != real(&settings.bases) {
        let theirs = settings.bases.display();
        return Err(CliError(format!("{fault}; the settings are of another server, whose folder is {theirs}")));
    }
    roster_client::import(&settings, file, by).map_err(|CliError(what)| {
        if what.starts_with(NOT_REACHED) {
            CliError(format!("{fault}; {what}"))
        } else if what.ends_with(KEY_NEEDED) {
            CliError(format!("{what}; without one, import while it is stopped"))
        } else {
            CliError(what)
        }
    })
}

fn accept(trading: &Embedded, login: Option<Login>, put_back: bool) -> Result<(), CliError> {
    match login {
        None => {
            let contested = trading.contested()?;
            if contested.is_empty() {
                print_line("no account was changed outside the cashier");
            }
            for (login, why) in contested {
                print_line(&format!("account {login}: {why}"));
            }
            Ok(())
        }
        Some(login) => decide(trading, login, put_back),
    }
}

fn decide(trading: &Embedded, login: Login, put_back: bool) -> Result<(), CliError> {
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
