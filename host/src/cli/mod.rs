//! The command line: its commands and their `--help`. Only this module prints to a terminal; everything else logs.

mod approvals;
mod audit;
mod backup_instances;
mod bases;
mod clock;
mod customer;
mod db;
mod demo;
mod logs;
mod manager_client;
mod module;
mod modules;
mod reseal;
mod roster_client;
mod schema;
mod serve;
mod settings_args;
mod signals;
mod terminal;
mod token;
mod trading;
mod trading_check;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

pub use self::schema::schemas;
use self::settings_args::SettingsArgs;
use self::terminal::{CliError, LAST_WORDS_MAX, all_printed, print_beside, print_error};
use crate::plugins::{opening, probe};
use crate::process;

/// The payment cashier that brokers host themselves.
///
/// It loads payment provider modules, takes deposits through them, processes their webhooks, and credits the trading
/// account exactly once. Start with `cashier demo`: it sets up everything in a fresh folder, makes a deposit and keeps
/// serving.
#[derive(Debug, Parser)]
#[command(name = "cashier", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Serve customers, providers and BackOffice until stopped (SIGINT or SIGTERM).
    ///
    /// Refuses to start without its keys and says how to make them.
    Serve(SettingsArgs),
    /// Set up everything in a fresh folder, make a deposit from the first request to the credited account, keep serving.
    Demo(demo::DemoArgs),
    /// Print a session token, signed with the server's own key.
    ///
    /// Example: cashier token --role customer --id 5 --ttl 1h
    Token(token::TokenArgs),
    /// The two databases as a pair.
    #[command(subcommand)]
    Db(db::DbCommand),
    /// The trading servers.
    #[command(subcommand)]
    Trading(trading::TradingCommand),
    /// One customer, on a stopped server.
    #[command(subcommand)]
    Customer(customer::CustomerCommand),
    /// The system clock, where the server finds it implausible.
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// The record of who changed which field of a config.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// What waits for a second person at a running server.
    #[command(subcommand)]
    Approvals(approvals::ApprovalsCommand),
    /// Bring every encrypted column under the newest seal key, so that older keys can be removed.
    ///
    /// The server must not be running: a running one does this by itself.
    Reseal(reseal::ResealArgs),
    /// List the modules of plugins.toml: whether each would be loaded, and why not.
    Modules(SettingsArgs),
    /// A module that ended the process.
    #[command(subcommand)]
    Module(module::ModuleCommand),
    /// Print the JSON Schemas of the API's requests and answers, of cashier.toml and of the roster.
    Schema(schema::SchemaArgs),
    /// Open a module in this process and describe it; the server runs this as a child process, so that a broken file
    /// cannot crash the server.
    #[command(name = probe::SUBCOMMAND, hide = true)]
    ModuleProbe { path: PathBuf },
}

/// The commands and their flags, for tests and pages that list them.
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Prints the help, the version or what is wrong with the usage; help that could not be written is no success.
fn said(shown: &clap::Error) -> ExitCode {
    if shown.use_stderr() {
        // It repeats what was typed or pasted.
        print_error(shown.render().to_string().trim_end());
        return ExitCode::from(u8::try_from(shown.exit_code()).unwrap_or(1));
    }
    let written = shown.print().and_then(|()| std::io::stdout().flush());
    let mut code = shown.exit_code();
    if let Err(error) = written {
        print_beside(format!("cashier: standard output could not be written: {error}"), print_error, Duration::MAX);
        code = code.max(1);
    }
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(shown) => return said(&shown),
    };
    if !matches!(command, CliCommand::ModuleProbe { .. }) {
        process::harden();
        opening::supervise();
    }
    // A module's destructors run in an ordinary exit, and may not return.
    let opens_modules = matches!(command, CliCommand::Serve(_) | CliCommand::Demo(_));
    let serves = matches!(command, CliCommand::Serve(_));
    let done = match command {
        CliCommand::ModuleProbe { path } => return probe::main(&path),
        CliCommand::Serve(args) => serve::serve(&args),
        CliCommand::Db(command) => db::db(&command),
        CliCommand::Demo(args) => demo::demo(&args),
        CliCommand::Token(args) => token::token(&args),
        CliCommand::Trading(command) => trading::trading(&command),
        CliCommand::Customer(command) => customer::customer(&command),
        CliCommand::Clock(command) => clock::clock(&command),
        CliCommand::Audit(command) => audit::audit(&command),
        CliCommand::Approvals(command) => approvals::approvals(&command),
        CliCommand::Reseal(args) => reseal::reseal(&args),
        CliCommand::Modules(args) => modules::modules(&args),
        CliCommand::Module(command) => module::module(&command),
        CliCommand::Schema(args) => schema::schema(&args),
    };
    // The work of `serve` is not what it prints, so it does not fail with it.
    let code = match if serves { done } else { done.and_then(|()| all_printed()) } {
        Ok(()) => 0,
        Err(CliError(reason)) => {
            let patience = if opens_modules { LAST_WORDS_MAX } else { Duration::MAX };
            print_beside(format!("cashier: {reason}"), print_error, patience);
            1
        }
    };
    if opens_modules {
        process::end(code);
    }
    ExitCode::from(code)
}
