//! Waiting for something that must come, and skipping what a machine cannot do.

use std::time::{Duration, Instant};

/// How long anything that must happen may take on a busy machine; verdicts never depend on how fast it was.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until there is something, and fails with `what` when nothing comes.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Says that a test was skipped and why; fails where nothing may be skipped (`CASHIER_TESTS_MUST_NOT_SKIP`).
pub fn skipped(why: &str) {
    let must_not = std::env::var_os("CASHIER_TESTS_MUST_NOT_SKIP").is_some_and(|value| !value.is_empty());
    assert!(!must_not, "CASHIER_TESTS_MUST_NOT_SKIP is set and there is {why}");
    eprintln!("skipped: {why}");
}
