//! `cashier trading import FILE`: groups, customers and accounts from JSON into the embedded trading server.
//! The whole file is read and checked before anything is written. Importing it again updates what changed, but a
//! `balance` counts only when the account is created: later, postings alone move it.

use std::path::Path;

use cashier_core::roster::ImportReport;

use super::embedded::Embedded;
use super::roster_text::apply_text;
pub use super::roster_text::{ImportError, MISTAKES_MAX};
use crate::text_file::read_text_up_to;

/// Largest file: about two million accounts at 120 bytes each, held in memory once while it is read.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Imports a file. Blocks; not to be called on the runtime.
pub fn import(path: &Path, trading: &Embedded) -> Result<ImportReport, ImportError> {
    let text = read_text_up_to(path, FILE_BYTES_MAX).map_err(ImportError::Unreadable)?;
    import_text(&text, trading)
}

/// Imports the text of a file. Blocks; not to be called on the runtime.
pub fn import_text(text: &str, trading: &Embedded) -> Result<ImportReport, ImportError> {
    apply_text(text, |roster| trading.apply_roster(roster))
}
