//! `cashier trading import FILE`: groups, customers and accounts from JSON into the embedded trading server.
//! The whole file is read and checked before anything is written. Importing it again updates what changed, but a
//! `balance` counts only when the account is created: later, postings alone move it.

use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::value::RawValue;

use super::embedded::{Embedded, RosterError};
use super::entry::{AccountLine, CustomerEntry, GroupEntry};
use super::roster::{ImportReport, Mistake, Roster, Section};
use crate::json_object::{Members, Problem, RequestBody};
use crate::ports::Fault;

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
    let unreadable = |problem: String| ImportError::Unreadable(format!("{}: {problem}", path.display()));
    let size = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(format!("{size} bytes are more than the {FILE_BYTES_MAX} that are read")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    import_text(&text, trading)
}

/// Imports the text of a file. Blocks; not to be called on the runtime.
pub fn import_text(text: &str, trading: &Embedded) -> Result<ImportReport, ImportError> {
    let (roster, lines) = read(text)?;
    trading.apply_roster_blocking(roster).map_err(|error| match error {
        RosterError::Mistakes(mut mistakes) => {
            mistakes.truncate(MISTAKES_MAX);
            for mistake in &mut mistakes {
                mistake.line = lines.of(mistake.section, mistake.index);
            }
            ImportError::Mistakes(mistakes)
        }
        RosterError::Fault(fault) => ImportError::Fault(fault),
    })
}

/// Where each entry begins.
#[derive(Default)]
struct Lines {
    groups: Vec<usize>,
    customers: Vec<usize>,
    accounts: Vec<usize>,
}

impl Lines {
    fn of(&self, section: Section, index: usize) -> usize {
        let lines = match section {
            Section::Groups => &self.groups,
            Section::Customers => &self.customers,
            Section::Accounts => &self.accounts,
        };
        lines.get(index).copied().unwrap_or(0)
    }
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

fn read(text: &str) -> Result<(Roster, Lines), ImportError> {
    let not_a_roster =
        |problem: &str| ImportError::NotARoster(format!("not a file of groups, customers and accounts: {problem}"));
    // Serde would read an array as the lists in their order.
    if !text.trim_start().starts_with('{') {
        return Err(not_a_roster("it is not a JSON object"));
    }
    let written: RosterLists<'_> = serde_json::from_str(text).map_err(|error| not_a_roster(&error.to_string()))?;
    let mut lines = Lines::default();
    let mut mistakes = Vec::new();
    let mut counter = LineCounter { text, offset: 0, line: 1 };
    // Line numbers are counted forward, so the lists are visited in the order of the file.
    let mut order = [
        (Section::Groups, &written.groups),
        (Section::Customers, &written.customers),
        (Section::Accounts, &written.accounts),
    ];
    order.sort_by_key(|(_, entries)| entries.first().map(|entry| offset_in(text, entry)));
    for (section, entries) in order {
        let lines = match section {
            Section::Groups => &mut lines.groups,
            Section::Customers => &mut lines.customers,
            Section::Accounts => &mut lines.accounts,
        };
        lines.extend(entries.iter().map(|entry| counter.line_at(offset_in(text, entry))));
    }
    let roster = Roster {
        groups: entries::<GroupEntry, _>(Section::Groups, &written.groups, &lines.groups, &mut mistakes),
        customers: entries::<CustomerEntry, _>(Section::Customers, &written.customers, &lines.customers, &mut mistakes),
        accounts: entries::<AccountLine, _>(Section::Accounts, &written.accounts, &lines.accounts, &mut mistakes),
    };
    if mistakes.is_empty() { Ok((roster, lines)) } else { Err(ImportError::Mistakes(mistakes)) }
}

fn entries<E: RequestBody, T: From<E>>(
    section: Section,
    written: &[&RawValue],
    lines: &[usize],
    mistakes: &mut Vec<Mistake>,
) -> Vec<T> {
    let mut entries = Vec::with_capacity(written.len());
    for ((index, raw), line) in written.iter().enumerate().zip(lines) {
        let mut mistake = |field: &str, problem: Problem| {
            if mistakes.len() < MISTAKES_MAX {
                let (field, problem) = (field.into(), problem.into_owned());
                mistakes.push(Mistake { section, index, field, problem, line: *line });
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

/// The offset of a borrowed value in the text it was read from.
fn offset_in(text: &str, raw: &RawValue) -> usize {
    raw.get().as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

struct LineCounter<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
}

impl LineCounter<'_> {
    /// The line of an offset that is not before the last one.
    fn line_at(&mut self, offset: usize) -> usize {
        let passed = self.text.as_bytes().get(self.offset..offset).unwrap_or_default();
        self.line += passed.iter().filter(|&&byte| byte == b'\n').count();
        self.offset = self.offset.max(offset);
        self.line
    }
}
