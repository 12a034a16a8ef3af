//! Where logs go: readable lines on a terminal, JSON otherwise. The level is set by CASHIER_LOG (`info` by default). Lines
//! are written by a thread of their own (`log_lines`), so that a slow reader loses lines instead of blocking deposits.

#[cfg(test)]
mod captured;
mod escaping;
mod json;
mod levels;
mod report;
mod terminal;

use std::io::IsTerminal;
use std::path::PathBuf;

use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::json::{JsonFields, JsonLine};
use self::terminal::TerminalFields;
use crate::log_lines::{LineKind, LineWriter, LogGuard, LogQueue};
use crate::security_log;

/// The variable that sets levels, such as `info` or `cashier_host::flows=debug`.
const LEVEL_VARIABLE: &str = "CASHIER_LOG";

/// The logging of this process.
#[must_use = "queued lines are lost when the process ends without the guard"]
pub(super) struct Logs {
    queue: LogQueue,
    _guard: LogGuard,
}

impl Logs {
    /// Names the folder for security events that the reader of the log does not take.
    pub(super) fn keep_security_events_in(&self, var: &std::path::Path) {
        let file: PathBuf = var.join("security.log");
        if std::fs::metadata(&file).is_ok_and(|metadata| metadata.len() > 0) {
            security_log::overflow_file_found(&file);
        }
        self.queue.overflow_to(file);
    }
}

/// Starts logging to standard error for this process, for as long as the value is held: dropping it waits until every line
/// is written, as long as the reader takes any.
pub(super) fn start(default_level: &str) -> Logs {
    let written = std::env::var_os(LEVEL_VARIABLE).map(|value| value.to_string_lossy().into_owned());
    let (mut filter, problem) = levels::filter(written.as_deref(), default_level);
    // A level for everything is no wish to lose evidence.
    if written.as_ref().is_some_and(|written| !levels::names_target(written, security_log::TARGET))
        && let Ok(directive) = format!("{}=info", security_log::TARGET).parse()
    {
        filter = filter.add_directive(directive);
    }
    let logs = start_with(filter);
    if let Some(problem) = problem {
        let value = written.unwrap_or_default();
        tracing::warn!(value, problem, default_level, "CASHIER_LOG was not understood, the default level applies");
    }
    logs
}

fn start_with(filter: EnvFilter) -> Logs {
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    let is_terminal = std::io::stderr().is_terminal();
    let report = if is_terminal { report::as_text } else { report::as_json };
    let (queue, guard) = LogQueue::start(std::io::stderr(), report);
    let writer = ToQueue(queue.clone());
    // A second start in one process, as in tests, keeps the first.
    let _ = match is_terminal {
        true => lines.with_writer(writer).with_ansi(true).fmt_fields(TerminalFields).try_init(),
        false => lines.event_format(JsonLine).fmt_fields(JsonFields).with_writer(writer).try_init(),
    };
    // The default one writes to standard error itself, and waits for its reader.
    std::panic::set_hook(Box::new(|panic| {
        let (at, thread) = (panic.location().map(ToString::to_string), std::thread::current());
        let (at, thread) = (at.unwrap_or_default(), thread.name().unwrap_or_default());
        let what = panic.payload_as_str().unwrap_or_default();
        tracing::error!(at, thread, what, "a thread panicked");
    }));
    Logs { queue, _guard: guard }
}

/// Puts each event into the queue, by what it is.
struct ToQueue(LogQueue);

impl<'a> MakeWriter<'a> for ToQueue {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter { queue: &self.0, kind: LineKind::Ordinary }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        let kind = match metadata.target() {
            security_log::TARGET => LineKind::Security,
            "access" => LineKind::Access,
            _ => LineKind::Ordinary,
        };
        LineWriter { queue: &self.0, kind }
    }
}
