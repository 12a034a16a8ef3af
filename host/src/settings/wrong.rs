//! What is wrong with the settings, and where: every error names the key and, where the file has it, its line.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::de::DeTable;

use crate::text_file::{line_at, trimmed};

/// What is wrong with the settings, as a sentence for the operator.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingsError(pub String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

/// What is wrong with the value of a key.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The tables around the key, from the outside in.
    tables: Vec<Box<str>>,
    key: &'static str,
    /// The key of the table that it is, where it is about one of them.
    within: Option<Box<str>>,
    /// Continues a sentence that begins with the key.
    what: String,
}

impl Wrong {
    pub(super) fn new(key: &'static str, what: impl Into<String>) -> Self {
        Self { tables: Vec::new(), key, within: None, what: what.into() }
    }

    /// The same of a key within the table.
    pub(super) fn of(self, inner: &str) -> Self {
        Self { within: Some(inner.into()), ..self }
    }

    /// The same of a key of a table within others.
    pub(super) fn under(self, tables: &[&str]) -> Self {
        Self { tables: tables.iter().copied().map(Box::from).collect(), ..self }
    }

    /// The error, with the line on which the text has the key, or else the innermost of its tables.
    pub(super) fn in_text(&self, text: &str) -> SettingsError {
        let (table, _) = DeTable::parse_recoverable(text);
        let mut around = Some(table.get_ref());
        let mut at_table = None;
        for name in &self.tables {
            let Some((key, value)) = around.and_then(|table| table.get_key_value(&**name)) else {
                around = None;
                break;
            };
            at_table = Some(key.span().start);
            around = value.get_ref().as_table();
        }
        let written = around.and_then(|table| table.get_key_value(self.key));
        let inner = written.and_then(|(_, value)| {
            value.get_ref().as_table()?.get_key_value(self.within.as_deref()?).map(|(key, _)| key.span().start)
        });
        let written = inner.or(written.map(|(key, _)| key.span().start)).or(at_table);
        let key = self.tables.iter().map(|table| format!("{table}.")).collect::<String>() + self.key;
        SettingsError(match written {
            Some(at) => format!("line {}: {key} {}", line_at(text.as_bytes(), at), self.what),
            None => format!("{key} {}", self.what),
        })
    }
}

/// Reads TOML; the error names the line, and the key at the top of the file that it is about.
pub(super) fn read_toml<T: DeserializeOwned>(text: &str) -> Result<T, SettingsError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let Some(span) = error.span() else { return SettingsError(error.message().to_owned()) };
        let line = line_at(text.as_bytes(), span.start);
        let what = match key_at(text, span.start) {
            // An unknown key is named by the message itself.
            Some(key) if !error.message().contains(&format!("`{key}`")) => format!("{key}: {}", error.message()),
            _ => error.message().to_owned(),
        };
        SettingsError(format!("line {line}: {what}"))
    })
}

/// The key whose value has this place; where the text is no TOML there, what its line has before `=`.
fn key_at(text: &str, at: usize) -> Option<String> {
    let (table, _) = DeTable::parse_recoverable(text);
    // The value of a table begins before its key, with the bracket.
    let around = table
        .get_ref()
        .iter()
        .find(|(key, value)| key.span().start.min(value.span().start) <= at && at < value.span().end);
    if let Some((key, _)) = around {
        return Some(key.get_ref().to_string());
    }
    let line = text.lines().nth(line_at(text.as_bytes(), at).checked_sub(1)?)?;
    let key = trimmed(line.split_once('=')?.0);
    let plain = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '-';
    (!key.is_empty() && key.chars().all(plain)).then(|| key.to_owned())
}
