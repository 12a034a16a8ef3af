//! Where logs go: readable lines on a terminal, JSON otherwise. The level is set by CASHIER_LOG (`info` by default).
//! JSON lines are written by a thread of their own, so that a slow reader loses lines instead of blocking deposits.

mod json;
mod levels;

use std::io::{BufWriter, IsTerminal, Write};
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;

use self::json::{JsonFields, JsonLine};

/// The variable that sets levels, such as `info` or `cashier_host::flows=debug`.
const LEVEL_VARIABLE: &str = "CASHIER_LOG";

/// Starts logging to standard error for this process. The guard is held as long as anything logs: dropping it waits until
/// every line is written.
#[must_use = "queued lines are lost when the process ends without the guard"]
pub(super) fn start(default_level: &str) -> Option<WorkerGuard> {
    let written = std::env::var_os(LEVEL_VARIABLE).map(|value| value.to_string_lossy().into_owned());
    let (filter, problem) = levels::filter(written.as_deref(), default_level);
    let guard = start_with(filter);
    if let Some(problem) = problem {
        let value = written.unwrap_or_default();
        tracing::warn!(value, problem, default_level, "CASHIER_LOG was not understood, the default level applies");
    }
    guard
}

fn start_with(filter: EnvFilter) -> Option<WorkerGuard> {
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    // A second start in one process, as in tests, keeps the first.
    if std::io::stderr().is_terminal() {
        let _ = lines.with_writer(std::io::stderr).try_init();
        return None;
    }
    let (queue, guard) = NonBlocking::new(Batching(BufWriter::new(std::io::stderr())));
    let _ = lines.event_format(JsonLine).fmt_fields(JsonFields).with_writer(queue).try_init();
    Some(guard)
}

/// Pause after a write, so that lines are written in batches: waking a thread for each line costs more than the line.
const BATCH_PAUSE: Duration = Duration::from_millis(5);

/// Writes the lines of a batch, then waits for the next. The log's thread flushes whenever its queue is empty.
struct Batching<W>(W);

impl<W: Write> Write for Batching<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(BATCH_PAUSE);
        Ok(())
    }
}
