//! `cashier modules`: the catalog as the server would see it.

use super::{CliError, SettingsArgs, say};
use crate::app;

pub(super) fn modules(args: &SettingsArgs) -> Result<(), CliError> {
    let settings = args.read()?;
    for line in app::catalog(&settings)?.iter() {
        if line.available {
            let sha = line.sha256.get(..12).unwrap_or(&line.sha256);
            say(&format!("{:<12} ready    contract {}  {}  {sha}", line.code, line.api_version, line.name));
        } else {
            say(&format!("{:<12} refused  {}", line.module_name, line.failure_reason));
        }
    }
    Ok(())
}
