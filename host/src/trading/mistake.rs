//! A mistake of a roster: in which list, entry, field and line, and what is wrong there. Pure.

use std::fmt;

use crate::ports::RosterMistake;

/// The lists of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Groups,
    Customers,
    Accounts,
    Rates,
}

impl Section {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Customers => "customers",
            Self::Accounts => "accounts",
            Self::Rates => "rates",
        }
    }
}

/// One thing wrong with a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub section: Section,
    /// Position in its list, from 0.
    pub index: usize,
    pub field: Box<str>,
    pub problem: String,
    /// Line in the file, from 1; 0 when the roster is from no file.
    pub line: usize,
}

impl Mistake {
    pub(super) fn new(section: Section, index: usize, field: &str, problem: impl Into<String>) -> Self {
        Self { section, index, field: field.into(), problem: problem.into(), line: 0 }
    }
}

impl Mistake {
    pub(super) fn shown(&self) -> RosterMistake {
        let what = match &*self.field {
            "" => self.problem.clone(),
            field => format!("{field} {}", self.problem),
        };
        RosterMistake { what, with_row: self.to_string() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        write!(f, "{}[{}]", self.section.name(), self.index)?;
        if !self.field.is_empty() {
            write!(f, ".{}", self.field)?;
        }
        write!(f, ": {}", self.problem)
    }
}
