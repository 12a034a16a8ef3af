//! `cashier reseal`: brings every encrypted column under the newest seal key, and says which keys nothing needs any more.

use clap::Args;

use super::bases::{self, BOOKS};
use super::logs;
use super::serve::runtime;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::app::{self, ResealReport};

#[derive(Debug, Args)]
pub(super) struct ResealArgs {
    /// Change nothing, also beside a running server; the exit code is 1 while a key other than the newest is needed.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn reseal(args: &ResealArgs) -> Result<(), CliError> {
    let _guard = logs::start("warn");
    let settings = args.settings.read()?;
    bases::check_existing(&settings.bases, &[BOOKS])?;
    bases::check_release(&settings.bases, &[BOOKS])?;
    let report = if args.check { app::seal_use(&settings)? } else { runtime()?.block_on(app::reseal(&settings))? };
    if !args.check {
        print_line(&format!("{} rows were resealed with key {}", report.rows, report.newest));
    }
    for (key, columns) in &report.used.by_key {
        print_line(&format!("key {key}: {columns} encrypted columns"));
    }
    for key in &report.idle {
        print_line(&format!("key {key} is not used any more: its line can be removed from the seal key file"));
    }
    report.unreadable.iter().for_each(|row| print_line(row));
    for row in &report.lost {
        print_line(&format!("{row}: it is lost, and a newer one is in its place; nothing is to be done"));
    }
    if report.is_all_newest() { Ok(()) } else { Err(CliError(reason(&report))) }
}

fn reason(report: &ResealReport) -> String {
    match report.unreadable.len() {
        0 => format!(
            "not every encrypted column is under key {} yet ({}): `cashier reseal`, or a running server, brings them there",
            report.newest, report.used
        ),
        rows => format!(
            "{rows} rows do not open: put the missing key back, or save these configs again with their secrets and reject \
             these approvals"
        ),
    }
}
