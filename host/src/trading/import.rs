//! `cashier trading import FILE`: groups, customers and accounts from JSON into the embedded trading server.
//! The whole file is read and checked before anything is written. Importing it again updates what changed, but a
//! `balance` counts only when the account is created: later, postings alone move it.

use std::fmt;
use std::path::Path;

use serde_json::value::RawValue;

use super::embedded::{Embedded, RosterError};
use super::entry::{AccountLine, CustomerEntry, GroupEntry};
use super::roster::{ImportReport, Mistake, Roster, Section};
use crate::json_object::{Members, Problem, RequestBody};
use crate::ports::Fault;
use crate::text_file::read_text_up_to;

/// Largest file: about two million accounts at 120 bytes each, held in memory once while it is read.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The most mistakes in one report: further ones often follow from the first.
pub const MISTAKES_MAX: usize = 50;

/// Why a file was not imported. Nothing of it was written.
#[derive(Debug)]
pub enum ImportError {
    /// The file cannot be read, or is larger than [`FILE_BYTES_MAX`].
    Unreadable(String),
    /// The file is not JSON, or not a roster.
    NotARoster(String),
    /// What is wrong with which entry, at most [`MISTAKES_MAX`].
    Mistakes(Vec<Mistake>),
    /// The trading server could not write.
    Fault(Fault),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(problem) | Self::NotARoster(problem) => f.write_str(problem),
            Self::Mistakes(mistakes) => {
                f.write_str("nothing was imported:")?;
                mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for ImportError {}

/// Imports a file. Blocks; not to be called on the runtime.
pub fn import(path: &Path, trading: &Embedded) -> Result<ImportReport, ImportError> {
    let text = read_text_up_to(path, FILE_BYTES_MAX).map_err(ImportError::Unreadable)?;
    import_text(&text, trading)
}

/// Imports the text of a file. Blocks; not to be called on the runtime.
pub fn import_text(text: &str, trading: &Embedded) -> Result<ImportReport, ImportError> {
    let lists = RosterLists::read(text)?;
    let mut mistakes = Vec::new();
    let roster = Roster {
        groups: entries::<GroupEntry, _>(Section::Groups, &lists.groups, &mut mistakes),
        customers: entries::<CustomerEntry, _>(Section::Customers, &lists.customers, &mut mistakes),
        accounts: entries::<AccountLine, _>(Section::Accounts, &lists.accounts, &mut mistakes),
    };
    let applied = if mistakes.is_empty() { trading.apply_roster(roster) } else { Err(RosterError::Mistakes(mistakes)) };
    applied.map_err(|error| match error {
        RosterError::Mistakes(mut mistakes) => {
            mistakes.truncate(MISTAKES_MAX);
            for mistake in &mut mistakes {
                mistake.line = lists.line(text, mistake.section, mistake.index);
            }
            ImportError::Mistakes(mistakes)
        }
        RosterError::Fault(fault) => ImportError::Fault(fault),
    })
}

/// The lists of the file, their entries unread. Every list may be missing.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RosterLists<'a> {
    #[serde(borrow, default)]
    groups: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    customers: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    accounts: Vec<&'a RawValue>,
}

impl<'a> RosterLists<'a> {
    fn read(text: &'a str) -> Result<Self, ImportError> {
        let not_a_roster = |problem: String| {
            ImportError::NotARoster(format!("not a file of groups, customers and accounts: {problem}"))
        };
        // Serde would read an array as the lists in their order.
        if !text.trim_start().starts_with('{') {
            return Err(not_a_roster("it is not a JSON object".into()));
        }
        serde_json::from_str(text).map_err(|error| not_a_roster(error.to_string()))
    }

    /// The line of an entry, counted from the beginning of `text`: only mistakes need it.
    fn line(&self, text: &str, section: Section, index: usize) -> usize {
        let entries = match section {
            Section::Groups => &self.groups,
            Section::Customers => &self.customers,
            Section::Accounts => &self.accounts,
        };
        let begin = entries.get(index).map_or(text.as_ptr(), |entry| entry.get().as_ptr());
        let before = text.as_bytes().get(..begin.addr().saturating_sub(text.as_ptr().addr())).unwrap_or_default();
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

fn entries<E: RequestBody, T: From<E>>(section: Section, raw: &[&RawValue], mistakes: &mut Vec<Mistake>) -> Vec<T> {
    let mut entries = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let mut mistake = |field: &str, problem: Problem| {
            if mistakes.len() < MISTAKES_MAX {
                mistakes.push(Mistake::new(section, index, field, problem));
            }
        };
        let Ok(mut members) = serde_json::from_str::<Members<'_>>(raw.get()) else {
            mistake("", "must be an object".into());
            continue;
        };
        entries.extend(E::take_from(&mut members, &mut mistake).map(T::from));
        for (name, _) in members.0 {
            mistake(&name, "is unknown or is given twice".into());
        }
    }
    entries
}
