//! `cashier modules`: the catalog that the server would load.

use super::logs;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::app;

pub(super) fn modules(args: &SettingsArgs) -> Result<(), CliError> {
    // What the system does not offer of the cage is a warning.
    let _guard = logs::start("warn");
    let settings = args.read()?;
    for line in app::catalog(&settings)?.iter() {
        if line.available {
            let sha = line.sha256.get(..12).unwrap_or(&line.sha256);
            print_line(&format!("{:<12} ready    contract {}  {}  {sha}", line.code, line.api_version, line.name));
        } else {
            print_line(&format!("{:<12} refused  {}", line.module_name, line.failure_reason));
        }
    }
    Ok(())
}
