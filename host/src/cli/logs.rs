//! Where logs go: readable lines on a terminal, JSON otherwise. The level is set by CASHIER_LOG (`info` by default).

mod json;
mod lines;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use self::json::{Fields, JsonLine};
use self::lines::{Lines, Writing};

/// The variable that sets levels, such as `info` or `cashier_host::flows=debug`.
const LEVEL_VARIABLE: &str = "CASHIER_LOG";

/// Starts logging to standard error for this process. What is returned is held as long as anything logs: dropping it
/// waits until every line is written.
#[must_use = "lines still waiting are lost when the process ends without it"]
pub(super) fn start(default_level: &str) -> Option<Writing> {
    let filter = EnvFilter::try_from_env(LEVEL_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default_level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    // A second start in one process, as in tests, keeps the first.
    if std::io::stderr().is_terminal() {
        let _ = lines.with_writer(std::io::stderr).try_init();
        return None;
    }
    let (waiting, writing) = Lines::start(std::io::stderr());
    let _ = lines.event_format(JsonLine).fmt_fields(Fields).with_writer(waiting).try_init();
    Some(writing)
}
