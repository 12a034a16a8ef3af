//! A failure of the cashier or its environment, and its kind: what can be done about it depends on the kind alone, never on
//! the words. Adapters derive the kind from the codes of what failed.

use std::fmt;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultKind {
    /// Another program holds what is needed: the same may be tried again.
    Busy,
    /// A row contradicts the database's rules: it fails again however often it is tried, and nothing else fails with it.
    Constraint,
    /// No space is left.
    Full,
    /// The disk could not read, write or sync: what it holds is not known until it was read again.
    Io,
    /// Anything else.
    #[default]
    Other,
}

/// For the operator's log: a full disk, a dead peer. It holds no secret and is never shown to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub what: String,
    pub kind: FaultKind,
}

impl Fault {
    pub fn new(what: impl Into<String>) -> Self {
        Self::of(FaultKind::Other, what)
    }

    pub fn of(kind: FaultKind, what: impl Into<String>) -> Self {
        Self { what: what.into(), kind }
    }

    /// The same failure with what was done before it, such as the step or the file.
    pub fn during(self, step: impl fmt::Display) -> Self {
        Self { what: format!("{step}: {}", self.what), kind: self.kind }
    }

    /// The same failure where its kind would be misleading.
    pub fn with_kind(self, kind: FaultKind) -> Self {
        Self { kind, ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_stays_whatever_is_said_about_it() {
        let fault = Fault::of(FaultKind::Busy, "locked").during("commit 7").during("cashier.db");
        assert_eq!((fault.to_string().as_str(), fault.kind), ("cashier.db: commit 7: locked", FaultKind::Busy));
        assert_eq!(fault.with_kind(FaultKind::Other).kind, FaultKind::Other);
        assert_eq!(Fault::new("anything").kind, FaultKind::Other);
    }
}
