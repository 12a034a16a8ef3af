//! Capacity of the write queue, reserved by a flow for all its commits before it starts. New work is refused when the queue
//! is full; the answer of a provider or the trading server is always recorded, because its capacity was reserved.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most that a flow will write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub commits: u64,
    pub bytes: u64,
}

impl Estimate {
    /// Rows of one commit without bodies, an upper bound: a transaction with its texts, an operation, an event.
    const ROWS_BYTES: u64 = 4 * 1024;

    /// A deposit: opened, ended, its posting ended.
    pub const fn deposit(text_bytes: u64) -> Self {
        Self { commits: 3, bytes: 3 * (Self::ROWS_BYTES + text_bytes) }
    }

    /// A withdrawal or an edit: one commit.
    pub const fn single(text_bytes: u64) -> Self {
        Self { commits: 1, bytes: Self::ROWS_BYTES + text_bytes }
    }

    /// A webhook: the notice, its posting ended.
    pub const fn notice(body_bytes: u64) -> Self {
        Self { commits: 2, bytes: 2 * Self::ROWS_BYTES + body_bytes }
    }
}

/// How much may be reserved at once.
#[derive(Debug)]
pub struct Admission {
    limit: Estimate,
    commits: AtomicU64,
    bytes: AtomicU64,
}

/// Capacity that is held until the flow ends.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    estimate: Estimate,
}

impl Admission {
    /// About a second of the strand's work on a small machine, and memory that such a machine can spare.
    pub const DEFAULT_LIMIT: Estimate = Estimate { commits: 32 * 1024, bytes: 256 * 1024 * 1024 };

    pub const fn new(limit: Estimate) -> Self {
        Self { limit, commits: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    pub(super) fn admit(admission: &Arc<Self>, estimate: Estimate) -> Option<Admitted> {
        let commits = admission.commits.fetch_add(estimate.commits, Ordering::SeqCst) + estimate.commits;
        let bytes = admission.bytes.fetch_add(estimate.bytes, Ordering::SeqCst) + estimate.bytes;
        let admitted = Admitted { admission: Arc::clone(admission), estimate };
        let fits = commits <= admission.limit.commits && bytes <= admission.limit.bytes;
        fits.then_some(admitted)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.commits.fetch_sub(self.estimate.commits, Ordering::SeqCst);
        self.admission.bytes.fetch_sub(self.estimate.bytes, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_limited_in_commits_and_bytes_and_released_on_drop() {
        let admission = Arc::new(Admission::new(Estimate { commits: 4, bytes: 100 }));
        let admit = |commits, bytes| Admission::admit(&admission, Estimate { commits, bytes });
        let held = admit(3, 10);
        assert!(held.is_some());
        assert!(admit(2, 10).is_none(), "one commit too many");
        assert!(admit(1, 91).is_none(), "one byte too many");
        assert!(admit(1, 90).is_some());
        drop(held);
        assert!(admit(4, 100).is_some());
    }
}
