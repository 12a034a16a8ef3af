//! `cashier db …`: the two databases as a pair, compared, taken over and copied.

use std::path::PathBuf;

use clap::Subcommand;

use super::backup_instances;
use super::bases::{self, BOOKS, POSTINGS};
use super::logs;
use super::serve::runtime;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::app;
use crate::pair::{self, Applied, Reconciliation};
use crate::ports::Clock;
use crate::system::SystemClock;

const PAIR: [&str; 2] = [BOOKS, POSTINGS];

#[derive(Debug, Subcommand)]
pub(super) enum DbCommand {
    /// List every posting in which cashier.db and trading.db differ. The server must not be running.
    ///
    /// Without --apply nothing is changed, and the exit code says whether they differ.
    Reconcile {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Import unknown postings as posted operations and put the rest under review; nothing is credited.
        #[arg(long)]
        apply: bool,
    },
    /// Copy both databases at one point into a new folder, with a manifest, also while the server runs; and which database of
    /// postings each trading server elsewhere had.
    Backup {
        /// A folder that is empty or does not exist.
        folder: PathBuf,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

pub(super) fn db(command: &DbCommand) -> Result<(), CliError> {
    match command {
        DbCommand::Reconcile { settings, apply } => reconcile(settings, *apply),
        DbCommand::Backup { folder, settings } => {
            let settings = settings.read()?;
            bases::check_existing(&settings.bases, &PAIR)?;
            let manifest = pair::backup::backup(&settings.bases, folder, SystemClock::new().now())?;
            print_line(&backup_instances::add(&settings.bases, folder, manifest)?);
            Ok(())
        }
    }
}

fn reconcile(settings: &SettingsArgs, apply: bool) -> Result<(), CliError> {
    // Reports an implausible clock, and each review that is made.
    let _guard = logs::start("warn");
    let settings = settings.read()?;
    bases::check_existing(&settings.bases, &PAIR)?;
    bases::check_release(&settings.bases, &PAIR)?;
    let work = app::reconcile(&settings, apply);
    let Reconciliation { differences, applied } = runtime()?.block_on(work)?;
    print_line(differences.trim_end());
    match applied {
        Some(Applied { imported, recovered, lost }) => {
            print_line(&format!(
                "applied: {imported} postings imported, {recovered} more into recovered transactions, {lost} operations \
                 under review"
            ));
            Ok(())
        }
        None if differences.is_empty() => {
            print_line("cashier.db and trading.db match");
            Ok(())
        }
        None => Err(CliError("the databases differ; nothing was changed, --apply takes the differences over".into())),
    }
}
