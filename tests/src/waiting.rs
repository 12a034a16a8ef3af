//! Waiting for a condition, and skipping what a machine cannot run.

use std::time::{Duration, Instant};

/// How long a condition may take on a busy machine; no assertion depends on how fast it was met. What failed once is tried again
/// after a minute, such as a query.
pub const WAIT_MAX: Duration = Duration::from_secs(240);

/// Polls until there is a value, and fails with `what` after [`WAIT_MAX`].
pub async fn eventually<T>(what: &str, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(WAIT_MAX, what, async || poll().await.ok_or(String::new())).await
}

/// The same for what takes long by itself: `longest` is far beyond that. Until there is a value, the poll says what it misses:
/// the last of that is in the failure.
pub async fn eventually_within<T>(
    longest: Duration,
    what: &str,
    mut poll: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let began = Instant::now();
    loop {
        let missed = match poll().await {
            Ok(found) => return found,
            Err(missed) => missed,
        };
        assert!(began.elapsed() < longest, "timed out after {longest:?} waiting for {what} {missed}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reports that a test was skipped and why; fails where nothing may be skipped (`CASHIER_TESTS_MUST_NOT_SKIP`).
pub fn skipped(why: &str) {
    let must_not = std::env::var_os("CASHIER_TESTS_MUST_NOT_SKIP").is_some_and(|value| !value.is_empty());
    assert!(!must_not, "CASHIER_TESTS_MUST_NOT_SKIP is set and there is {why}");
    eprintln!("skipped: {why}");
}
