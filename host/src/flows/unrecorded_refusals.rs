//! How many refused commands have no record: those of unknown callers, and those beyond the limits. It records nothing.

use std::sync::atomic::AtomicU64;

/// Refusals that have no record.
#[derive(Debug, Default)]
pub(super) struct UnrecordedRefusals {
    /// Messages without a valid token.
    pub(super) anonymous: AtomicU64,
    /// Those beyond the limits, or that could not be written.
    pub(super) beyond: AtomicU64,
    /// The same since the last one that was recorded for a session of every brand.
    pub(super) since: AtomicU64,
}
