//! The folder of the databases, for commands that work on what is there. `serve`, `demo` and `trading import` alone create
//! databases: any other command would answer for new, empty ones that all is well. It writes nothing.

use std::path::{Path, PathBuf};

use super::settings_args::SettingsArgs;
use super::terminal::CliError;
use crate::app;
use crate::trading::embedded::Embedded;

pub(super) const BOOKS: &str = "cashier.db";
pub(super) const POSTINGS: &str = "trading.db";

/// The folder that an argument names, or else the settings, with these databases in it.
pub(super) fn existing(
    argument: Option<&PathBuf>,
    settings: &SettingsArgs,
    databases: &[&str],
) -> Result<PathBuf, CliError> {
    let bases = chosen(argument, settings)?;
    check_existing(&bases, databases)?;
    Ok(bases)
}

/// The folder, whatever is in it.
pub(super) fn chosen(argument: Option<&PathBuf>, settings: &SettingsArgs) -> Result<PathBuf, CliError> {
    match argument {
        Some(bases) if bases.to_str().is_some_and(|text| text.trim().is_empty()) => {
            Err(CliError("--bases is empty: it must name a folder, or be left out".into()))
        }
        Some(bases) => Ok(bases.clone()),
        None => Ok(settings.read()?.bases),
    }
}

/// Refuses a folder without these databases.
pub(super) fn check_existing(bases: &Path, databases: &[&str]) -> Result<(), CliError> {
    let missing: Vec<&str> = databases.iter().copied().filter(|name| !bases.join(name).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let folder = std::path::absolute(bases).unwrap_or_else(|_| bases.to_owned());
    Err(CliError(format!(
        "there is no {} in {}: nothing was done. The right folder is the one that `bases` names in the settings file of the \
         server. If this is it, put the missing file back from a backup; without one, `cashier serve` makes an empty one, \
         refuses to start where rows are missing, and `cashier db reconcile` then lists them",
        missing.join(" and no "),
        folder.display()
    )))
}

/// Refuses databases of another release, for a command that writes: one that is newer would be damaged, and one that is older
/// could never be opened by its own program again. What is missing is no matter.
pub(super) fn check_release(bases: &Path, databases: &[&str]) -> Result<(), CliError> {
    for name in databases.iter().filter(|name| bases.join(name).is_file()) {
        match *name {
            POSTINGS => Embedded::check_release(bases, false)?,
            name => app::check_release(&bases.join(name))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_refused_by_what_is_missing_in_it_and_nothing_is_created() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("bases");
        let refused = |databases: &[&str]| check_existing(&folder, databases).err().map(|CliError(reason)| reason);
        let starts = |databases: &[&str], missing: &str| {
            let expected = format!("there is no {missing} in {}:", folder.display());
            let reason = refused(databases).unwrap();
            assert!(reason.starts_with(&expected), "{reason}");
        };
        starts(&[BOOKS, POSTINGS], "cashier.db and no trading.db");
        assert!(!folder.exists());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(POSTINGS), "").unwrap();
        std::fs::create_dir(folder.join(BOOKS)).unwrap();
        starts(&[BOOKS, POSTINGS], "cashier.db");
        assert_eq!(refused(&[POSTINGS]), None);
    }
}
