//! `cashier db …`: the two databases as a pair, compared, taken over and copied.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cashier_core::operation::OperationKey;
use clap::Subcommand;

use super::backup_instances;
use super::bases::{self, BOOKS, POSTINGS};
use super::logs;
use super::serve::runtime;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::app;
use crate::pair::offline::TakeOver;
use crate::pair::{self, Applied, Reconciliation, ServerReconciliation};
use crate::ports::Clock;
use crate::system::SystemClock;

const PAIR: [&str; 2] = [BOOKS, POSTINGS];

#[derive(Debug, Subcommand)]
pub(super) enum DbCommand {
    /// List every posting in which cashier.db and trading.db differ, and those of trading servers elsewhere. The server must not be
    /// running.
    ///
    /// Without --apply nothing is changed, and the exit code says whether they differ.
    Reconcile {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Import unknown postings as posted operations and put the rest under review; nothing is credited.
        #[arg(long)]
        apply: bool,
        /// With --apply: postings that a trading server elsewhere does not list are lost, though it does not say that it has not made
        /// them: those of these keys, or, without any, all. Only where it was restored without them for good.
        #[arg(long, requires = "apply", value_name = "KEY", num_args = 0..)]
        unlisted_is_lost: Option<Vec<String>>,
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
        DbCommand::Reconcile { settings, apply, unlisted_is_lost } => {
            let taken = match (apply, unlisted_is_lost) {
                (true, Some(keys)) => TakeOver::UnlistedToo { keys: read_keys(keys)? },
                (true, None) => TakeOver::Differences,
                (false, _) => TakeOver::Nothing,
            };
            reconcile(settings, taken)
        }
        DbCommand::Backup { folder, settings } => {
            let settings = settings.read()?;
            bases::check_existing(&settings.bases, &PAIR)?;
            let manifest = pair::backup::backup(&settings.bases, folder, SystemClock::new().now())?;
            print_line(&backup_instances::add(&settings.bases, folder, manifest)?);
            Ok(())
        }
    }
}

fn read_keys(keys: &[String]) -> Result<BTreeSet<OperationKey>, CliError> {
    let read = |text: &String| {
        let key = OperationKey::read(&text.to_ascii_lowercase());
        key.ok_or_else(|| {
            CliError(format!("{text:?} is no key of a posting: write it as it is listed, or leave it out"))
        })
    };
    keys.iter().map(read).collect()
}

fn reconcile(settings: &SettingsArgs, taken: TakeOver) -> Result<(), CliError> {
    // Reports an implausible clock, and each review that is made.
    let _guard = logs::start("warn");
    let settings = settings.read()?;
    bases::check_existing(&settings.bases, &PAIR)?;
    bases::check_release(&settings.bases, &PAIR)?;
    let work = app::reconcile(&settings, taken);
    let Reconciliation { differences, applied, elsewhere } = runtime()?.block_on(work)?;
    let is_match = differences.is_empty();
    print_line(if is_match { "cashier.db and trading.db match" } else { differences.trim_end() });
    let left = report_elsewhere(&elsewhere);
    match applied {
        Some(Applied { imported, recovered, lost }) => {
            print_line(&format!(
                "applied: {imported} postings imported, {recovered} more into recovered transactions, {lost} operations \
                 under review"
            ));
            left
        }
        None if is_match => left,
        None => {
            let left = left.err().map(|CliError(left)| format!("; {left}")).unwrap_or_default();
            let differ = "the databases differ; nothing was changed, --apply takes the differences over";
            Err(CliError(format!("{differ}{left}")))
        }
    }
}

/// What persons do about what is left, which no command of ours does.
const ELSEWHERE: &str = "nothing is posted or voided at a trading server by this command. A posting that is not there: bring back the \
                         server's newest copy; where that is lost, --apply puts the transaction under review (POSTING_LOST), and \
                         MngRetryCashierCredit posts it anew. One that is not so in cashier.db: --apply takes it over where the books \
                         have its transaction; else find at the server who made it, and correct it there. Any other: find at the server \
                         which is right, and correct it there; of two orders of one key, delete the one that the operation does not name. \
                         docs/settings.md, Trading servers elsewhere, says more";

/// Where the server does not say whether it has made a posting.
const UNSAID: &str = "of those that are not listed it is not known whether they were made: look at the server; only where it was restored \
                      without them for good, --apply --unlisted-is-lost KEY … puts their transactions under review (POSTING_LOST)";

/// Prints what was found of each trading server elsewhere; the error says that something is left.
fn report_elsewhere(elsewhere: &[ServerReconciliation]) -> Result<(), CliError> {
    let mut wrong = Vec::new();
    for ServerReconciliation { name, differences, left, unsaid: _ } in elsewhere {
        match differences {
            Ok(lines) if lines.is_empty() => print_line(&format!("cashier.db and trading server {name} match")),
            Ok(lines) => {
                print_line(lines.trim_end());
                if *left > 0 {
                    wrong.push(format!("{left} postings of trading server {name} differ"));
                }
            }
            Err(fault) => wrong.push(format!("trading server {name} was not compared: {fault}")),
        }
    }
    if elsewhere.iter().any(|server| server.left > 0) {
        wrong.push(ELSEWHERE.to_owned());
    }
    if elsewhere.iter().any(|server| server.left > 0 && server.unsaid > 0) {
        wrong.push(UNSAID.to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(CliError(wrong.join("; "))) }
}
