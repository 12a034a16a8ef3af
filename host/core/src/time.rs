//! Times as on the wire: whole Unix seconds. The clock itself is a port of the host.

use std::fmt;

/// Seconds since 1970-01-01 UTC; 0 means "not set".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime(pub i64);

impl UnixTime {
    pub const UNSET: Self = Self(0);

    pub fn is_set(self) -> bool {
        self.0 != 0
    }

    /// This time plus whole seconds, clamped at the ends of the range.
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
