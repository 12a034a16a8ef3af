//! What the command line prints: lines for a person, and why a command failed. It runs no command.

use std::io::Write;

use crate::ports::Fault;
use crate::settings::SettingsError;

/// Why a command failed, for the person who typed it.
#[derive(Debug)]
pub(super) struct CliError(pub(super) String);

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        Self(error.0)
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        Self(fault.what)
    }
}

/// Prints a line on standard output; a reader that has closed it is no failure of the command.
pub(super) fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The same on standard error.
pub(super) fn print_error(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
