//! How much is written at once and how much waits: limits of a batch, the backlog, and what a commit counts for. It writes
//! nothing.

use cashier_core::change::{Body, Commit};

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

/// The bytes that a row counts for in a batch and in the queue: its content with the page overhead.
const ROW_BYTES: usize = 1024;

/// Commits that wait to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    pub commits: usize,
    pub bytes: usize,
}

/// The estimated bytes of a commit, for batching.
pub(super) fn commit_bytes(commit: &Commit) -> usize {
    let bodies = commit.bodies.iter().map(|body| match body {
        Body::Notice { body, headers_json, .. } => body.len() + headers_json.len(),
        Body::Answer { redirect_url, instructions_json, .. } => redirect_url.len() + instructions_json.len(),
        Body::Texts { texts, .. } => texts.len(),
        Body::Audit(_) => 0,
        Body::Order { details, .. } => details.success_url.len() + details.failure_url.len() + details.notify_url.len(),
    });
    (commit.changes.len() + commit.bodies.len()).saturating_mul(ROW_BYTES).saturating_add(bodies.sum())
}
