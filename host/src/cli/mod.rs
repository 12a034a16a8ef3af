//! The command line: what an operator types, and what it teaches with `--help`. It is the only room that speaks to a
//! terminal; everything else logs.

mod demo;
mod logs;
mod modules;
mod serve;
mod token;
mod trading;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::plugins::probe;
use crate::ports::Fault;
use crate::settings::{Settings, SettingsError};

/// The payment cashier that brokers host themselves.
///
/// It loads payment provider modules, takes deposits through them, hears their webhooks, and credits the trading account
/// exactly once. Start with `cashier demo`: it builds a small world, makes a deposit in it and keeps serving.
#[derive(Debug, Parser)]
#[command(name = "cashier", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve customers, providers and BackOffice until stopped (SIGINT or SIGTERM).
    ///
    /// Refuses to start without its keys and says how to make them.
    Serve(SettingsArgs),
    /// Build a world in a fresh folder, make a deposit in it from the first call to the credited account, keep serving.
    Demo(demo::DemoArgs),
    /// Print a session token, signed with the server's own key.
    ///
    /// Example: cashier token --role customer --id 5 --ttl 1h
    Token(token::TokenArgs),
    /// The embedded trading server.
    #[command(subcommand)]
    Trading(trading::TradingCommand),
    /// Show what plugins.toml offers: each module, whether it would be loaded, and why not.
    Modules(SettingsArgs),
    /// Open a module in this process and say what it is; the server runs this as a child, so that a broken file breaks
    /// nothing else.
    #[command(name = probe::SUBCOMMAND, hide = true)]
    ModuleProbe { path: PathBuf },
}

#[derive(Debug, Clone, Args)]
struct SettingsArgs {
    /// The settings file; without one everything has its default and the keys come from the environment.
    #[arg(long, short, value_name = "FILE", env = "CASHIER_SETTINGS")]
    settings: Option<PathBuf>,
}

impl SettingsArgs {
    fn read(&self) -> Result<Settings, CliError> {
        let settings = match &self.settings {
            Some(path) => Settings::read(path),
            None => Settings::by_default(),
        };
        settings.map_err(CliError::from)
    }
}

/// Why a command could not do what it was asked, for the person who typed it.
#[derive(Debug)]
struct CliError(String);

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        Self(error.0)
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        Self(fault.0)
    }
}

/// The commands and their flags, for what describes them.
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::ModuleProbe { path } => return probe::main(&path),
        Command::Serve(args) => serve::serve(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Token(args) => token::token(&args),
        Command::Trading(command) => trading::trading(&command),
        Command::Modules(args) => modules::modules(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError(what)) => {
            say_error(&format!("cashier: {what}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for the person at the terminal. A reader that went away is nobody to tell.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The same on standard error.
fn say_error(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
