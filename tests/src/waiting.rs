//! Waiting for a condition, and skipping what a machine cannot run.

use std::time::{Duration, Instant};

/// How long a condition may take on a busy machine; no assertion depends on how fast it was met.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Polls until there is a value, and fails with `what` after [`WAIT_MAX`].
pub async fn eventually<T>(what: &str, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = poll().await {
            return found;
        }
        assert!(began.elapsed() < WAIT_MAX, "timed out after {WAIT_MAX:?} waiting for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reports that a test was skipped and why; fails where nothing may be skipped (`CASHIER_TESTS_MUST_NOT_SKIP`).
pub fn skipped(why: &str) {
    let must_not = std::env::var_os("CASHIER_TESTS_MUST_NOT_SKIP").is_some_and(|value| !value.is_empty());
    assert!(!must_not, "CASHIER_TESTS_MUST_NOT_SKIP is set and there is {why}");
    eprintln!("skipped: {why}");
}
