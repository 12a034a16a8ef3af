//! `cashier customer …`: what an operator does about one customer on a stopped server.

use std::path::Path;

use cashier_core::ids::CustomerId;
use clap::Subcommand;

use super::bases::{self, BOOKS};
use super::logs;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::app;

#[derive(Debug, Subcommand)]
pub(super) enum CustomerCommand {
    /// Erase what a customer wrote and was shown, and the webhooks about the customer's payments. Amounts, ids and states stay,
    /// and the audit records say what was erased. The server must not be running.
    ///
    /// The database is written anew, which takes as much free disk again, and as much in the folder for temporary files
    /// (SQLITE_TMPDIR, TMPDIR, else /var/tmp or /tmp) until it ends. Deposits that are not paid yet keep their texts: then
    /// the exit code is 1, and the command is run again once they have ended. Backups made before keep the texts too.
    Erase {
        /// The customer's id.
        id: u64,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

pub(super) fn customer(command: &CustomerCommand) -> Result<(), CliError> {
    let CustomerCommand::Erase { id, settings } = command;
    // Reports the audit record with its hash.
    let logs = logs::start("info");
    let settings = settings.read()?;
    logs.keep_security_events_in(&settings.var);
    bases::check_existing(&settings.bases, &[BOOKS])?;
    bases::check_release(&settings.bases, &[BOOKS])?;
    let erased = app::erase_customer(&settings, CustomerId(*id), &operator())?;
    if erased.is_nothing() {
        print_line(&format!("customer {id}: nothing was left to erase, the database was written anew"));
    } else {
        print_line(&format!(
            "customer {id}, {} transactions: erased comment and metadata of {}, {} stored answers, return URLs and address of {} \
             orders, bodies of {} webhooks, {} comments of overrides, ids of {} requests",
            erased.transactions,
            erased.texts,
            erased.answers,
            erased.orders,
            erased.notices,
            erased.overrides,
            erased.requests
        ));
    }
    print_line("backups and copies of cashier.db that were made before still hold them");
    match (erased.open, erased.waiting) {
        (0, 0) => Ok(()),
        (open, waiting) => Err(CliError(format!(
            "{open} transactions of customer {id} have not ended and {waiting} webhooks are still needed: their texts stay. \
             Run it again once they have ended"
        ))),
    }
}

/// Who runs this, as the system knows it.
fn operator() -> String {
    match owner(Path::new("/proc/self")) {
        Some(user) => format!("command line, user {user}"),
        None => "command line".to_owned(),
    }
}

#[cfg(unix)]
fn owner(path: &Path) -> Option<u32> {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path).ok()?).into()
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<u32> {
    None
}
