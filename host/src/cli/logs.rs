//! Where logs go: readable lines on a terminal, JSON otherwise. The level is set by CASHIER_LOG (`info` by default).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The variable that sets levels, such as `info` or `cashier_host::flows=debug`.
const LEVEL_VARIABLE: &str = "CASHIER_LOG";

/// Starts logging to standard error for this process.
pub(super) fn start(default_level: &str) {
    let filter = EnvFilter::try_from_env(LEVEL_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default_level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process, as in tests, keeps the first.
    let _ = if std::io::stderr().is_terminal() { lines.try_init() } else { lines.json().try_init() };
}
