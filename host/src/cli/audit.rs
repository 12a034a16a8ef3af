//! `cashier audit …`: follows the chain of audit records. The server may be running.

use std::path::PathBuf;

use clap::Subcommand;

use super::bases;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::app;

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Print the newest record's hash without following the chain: noted elsewhere, it is the anchor of `audit verify`.
    Head {
        #[command(flatten)]
        settings: SettingsArgs,
        /// The folder of cashier.db; by default the settings'.
        #[arg(long, value_name = "FOLDER")]
        bases: Option<PathBuf>,
    },
    /// Check that no audit record was changed, removed or moved. Prints the newest record's hash: noted elsewhere, it is
    /// the anchor that finds a removed end.
    Verify {
        /// A hash that was printed or logged earlier; it must be in the chain.
        #[arg(long, value_name = "HASH")]
        anchor: Option<String>,
        #[command(flatten)]
        settings: SettingsArgs,
        /// The folder of cashier.db; by default the settings'.
        #[arg(long, value_name = "FOLDER")]
        bases: Option<PathBuf>,
    },
}

pub(super) fn audit(command: &AuditCommand) -> Result<(), CliError> {
    let (anchor, settings, bases) = match command {
        AuditCommand::Verify { anchor, settings, bases } => (anchor, settings, bases),
        AuditCommand::Head { settings, bases } => {
            let head = app::audit_head(&bases::existing(bases.as_ref(), settings, &[bases::BOOKS])?)?;
            print_line(&head.unwrap_or_else(|| "no audit records".to_owned()));
            return Ok(());
        }
    };
    let bases = bases::existing(bases.as_ref(), settings, &[bases::BOOKS])?;
    let anchor = anchor.as_deref().map(str::trim);
    if anchor.is_some_and(|text| text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(CliError(
            "--anchor is no hash: it has 64 hexadecimal digits, as `audit verify` prints them".into(),
        ));
    }
    let chain = app::verify_audit(&bases, anchor)?;
    print_line(&format!("{} audit records fit together", chain.records));
    if chain.records > 0 {
        print_line(&format!("newest hash {}", chain.newest));
    }
    Ok(())
}
