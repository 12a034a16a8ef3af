//! `cashier trading import` while a server runs: the roster goes to the running server and is applied whole or not at all.

use std::path::Path;

use cashier_core::ids::ManagerId;
use cashier_core::roster::{ImportReport, Tally};
use serde_json::Value;
use serde_json::value::RawValue;

use super::manager_client::{self, SentBy, ServerAnswer, foreign};
use super::terminal::CliError;
use crate::manager::{MESSAGE_LENGTH_MAX, roster};
use crate::settings::Settings;
use crate::text_file::read_text_up_to;
use crate::trading::import::FILE_BYTES_MAX;

/// Sends the roster of a file to the server of the settings.
pub(super) fn import(settings: &Settings, file: &Path, by: ManagerId) -> Result<ImportReport, CliError> {
    let text = read_text_up_to(file, FILE_BYTES_MAX).map_err(CliError)?;
    let message = message(&text).map_err(|problem| CliError(format!("{}: {problem}", file.display())))?;
    read_answer(&manager_client::call(settings, SentBy { manager: by, break_glass: false }, message)?)
}

/// The message of a roster; its lines stay as they are where it is small enough, so that mistakes name those of the file.
fn message(text: &str) -> Result<Vec<u8>, String> {
    let not_json = |error: serde_json::Error| format!("not a file of groups, customers and accounts: {error}");
    let raw: &RawValue = serde_json::from_str(text).map_err(not_json)?;
    let whole = |data: &str| format!("{{\"command\":\"{}\",\"data\":{data}}}", roster::IMPORT.name).into_bytes();
    let as_written = whole(raw.get());
    if as_written.len() <= MESSAGE_LENGTH_MAX {
        return Ok(as_written);
    }
    let compact = whole(&serde_json::from_str::<Value>(text).map_err(not_json)?.to_string());
    match compact.len() {
        0..=MESSAGE_LENGTH_MAX => Ok(compact),
        length => Err(format!(
            "{length} bytes are more than the {MESSAGE_LENGTH_MAX} that a running server takes at once: import it in parts, or \
             while the server is stopped"
        )),
    }
}

fn read_answer(answer: &ServerAnswer) -> Result<ImportReport, CliError> {
    if answer.status != 200 {
        let message = answer.message();
        return Err(CliError(message.replace("; line ", "\n  line ").replace("imported: line", "imported:\n  line")));
    }
    let tally = |name: &str| {
        let of = |count: &str| answer.data.get(name)?.get(count)?.as_u64();
        Some(Tally { added: of("added")?, updated: of("updated")?, unchanged: of("unchanged")? })
    };
    let report = || {
        let (groups, customers) = (tally("groups")?, tally("customers")?);
        Some(ImportReport { groups, customers, accounts: tally("accounts")?, rates: tally("rates")? })
    };
    report().ok_or_else(foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roster_is_sent_as_written_compact_or_not_at_all() {
        let small = "{\n  \"groups\": []\n}\n";
        let sent = |text: &str| message(text).map(|message| String::from_utf8(message).unwrap());
        let expected = "{\"command\":\"MngImportCashierRoster\",\"data\":{\n  \"groups\": []\n}}";
        assert_eq!(sent(small).as_deref(), Ok(expected));
        let padded = format!("{{\"groups\":{}[1.50]}}", " ".repeat(MESSAGE_LENGTH_MAX));
        let expected = "{\"command\":\"MngImportCashierRoster\",\"data\":{\"groups\":[1.50]}}";
        assert_eq!(sent(&padded).as_deref(), Ok(expected));
        let large = format!("{{\"groups\":\"{}\"}}", "x".repeat(MESSAGE_LENGTH_MAX));
        assert!(sent(&large).unwrap_err().contains("import it in parts"));
        assert!(sent("{} {}").unwrap_err().contains("not a file of groups"));
    }
}
