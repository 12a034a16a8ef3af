//! How much is written at once and how much waits: limits of a batch, and the backlog. It writes nothing.

/// How much goes into one transaction, and so under one sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    pub commits: usize,
    pub bytes: usize,
}

impl Default for BatchLimits {
    /// 1,024 commits write in about 5 ms, beyond which waiting costs more than the shared sync saves; 8 MiB keeps a
    /// batch of large bodies within two of SQLite's default checkpoints.
    fn default() -> Self {
        Self { commits: 1024, bytes: 8 * 1024 * 1024 }
    }
}

/// Commits that wait to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    pub commits: usize,
    pub bytes: usize,
}
