//! `cashier clock …`: what an operator says about the system clock. The server reads it from the folder of the databases.

use std::path::PathBuf;

use clap::Subcommand;

use super::bases;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::clock_file::ClockFiles;
use crate::ports::Clock;
use crate::system::SystemClock;

#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Accept the system clock as it stands now, although it is far from the time that the server expects. What is past
    /// its expiry by this clock expires.
    ///
    /// A running server takes it within five seconds, a stopped one at its next start.
    Accept {
        #[command(flatten)]
        settings: SettingsArgs,
        /// The folder of cashier.db; by default the settings'.
        #[arg(long, value_name = "FOLDER")]
        bases: Option<PathBuf>,
    },
}

pub(super) fn clock(command: &ClockCommand) -> Result<(), CliError> {
    let ClockCommand::Accept { settings, bases } = command;
    let bases = bases::existing(bases.as_ref(), settings, &[bases::BOOKS])?;
    let now = SystemClock::new().now();
    ClockFiles::in_folder(&bases).accept(now)?;
    print_line(&format!("the system clock is accepted at {now} (Unix seconds)"));
    Ok(())
}
