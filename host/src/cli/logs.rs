//! Where logs go: readable lines on a terminal, JSON otherwise. The level is set by CASHIER_LOG (`info` by default).
//! JSON lines are written by a thread of their own, so that a reader that is far behind loses lines instead of stopping
//! deposits.

mod json;

use std::io::{BufWriter, IsTerminal, Write};
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;

use self::json::{Fields, JsonLine};

/// The variable that sets levels, such as `info` or `cashier_host::flows=debug`.
const LEVEL_VARIABLE: &str = "CASHIER_LOG";

/// Starts logging to standard error for this process. What is returned is held as long as anything logs: dropping it
/// waits until every line is written.
#[must_use = "lines still waiting are lost when the process ends without it"]
pub(super) fn start(default_level: &str) -> Option<WorkerGuard> {
    let filter = EnvFilter::try_from_env(LEVEL_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default_level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    // A second start in one process, as in tests, keeps the first.
    if std::io::stderr().is_terminal() {
        let _ = lines.with_writer(std::io::stderr).try_init();
        return None;
    }
    let (waiting, writing) = NonBlocking::new(Gathering(BufWriter::new(std::io::stderr())));
    let _ = lines.event_format(JsonLine).fmt_fields(Fields).with_writer(waiting).try_init();
    Some(writing)
}

/// Pause after a write, so that lines gather: a thread that is woken for each line costs more than the lines.
const GATHERING_PAUSE: Duration = Duration::from_millis(5);

/// Writes what came together, then lets more come. The log's thread flushes whenever no line waits.
struct Gathering<W>(W);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(GATHERING_PAUSE);
        Ok(())
    }
}
