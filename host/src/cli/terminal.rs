//! What the command line prints: lines for a person, and why a command failed. It runs no command.

use std::io::Write;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use cashier_core::printable::Printable;
use tokio::sync::oneshot;

use crate::ports::Fault;
use crate::settings::SettingsError;

/// Why a command failed, for the person who typed it.
#[derive(Debug)]
pub(super) struct CliError(pub(super) String);

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        Self(error.0)
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        Self(fault.what)
    }
}

/// How long the end of a program that serves waits for whoever reads what it says last.
pub(super) const LAST_WORDS_MAX: Duration = Duration::from_secs(2);

/// Why something that a command found was not printed. A command that could not say what it found did not succeed, whatever it found.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Prints lines on standard output.
pub(super) fn print_line(text: &str) {
    print(&mut std::io::stdout(), "standard output", text);
}

/// The same on standard error, for what a script does not take with the output.
pub(super) fn print_note(text: &str) {
    print(&mut std::io::stderr(), "standard error", text);
}

/// Why a command failed, on standard error; where that cannot be written, nobody is left to read it.
pub(super) fn print_error(text: &str) {
    let _ = write_lines(&mut std::io::stderr(), text);
}

/// The same where nobody may read it for a while: printed by a thread of its own, for which this waits no longer than so long.
pub(super) fn print_beside(text: String, print: fn(&str), patience: Duration) {
    let (done, printed) = mpsc::channel();
    let printing = thread::Builder::new().name("terminal".to_owned()).spawn(move || {
        print(&text);
        // Nobody may wait any more.
        let _ = done.send(());
    });
    if printing.is_ok() {
        let _ = printed.recv_timeout(patience);
    }
}

/// What is printed in its order by a thread of its own.
enum QueuedPrint {
    Lines(String),
    /// Dropped once everything before it is printed.
    End(oneshot::Sender<()>),
}

fn print_queue() -> &'static mpsc::Sender<QueuedPrint> {
    static QUEUE: OnceLock<mpsc::Sender<QueuedPrint>> = OnceLock::new();
    QUEUE.get_or_init(|| {
        let (sender, queued) = mpsc::channel();
        let printing = thread::Builder::new().name("terminal".to_owned()).spawn(move || {
            for next in queued {
                match next {
                    QueuedPrint::Lines(text) => print_line(&text),
                    QueuedPrint::End(sender) => drop(sender),
                }
            }
        });
        // Without the thread nothing takes from the queue, and whoever prints does it itself.
        drop(printing);
        sender
    })
}

/// Prints lines on standard output and waits for nobody who reads them: a program that obeys signals has a few dozen to say.
pub(super) fn print_queued(text: &str) {
    if print_queue().send(QueuedPrint::Lines(text.to_owned())).is_err() {
        print_line(text);
    }
}

/// Waits until what was queued is printed. Lines that nobody took in this time were not written.
pub(super) async fn finish_queued(patience: Duration) {
    let (end, printed) = oneshot::channel();
    // Without the thread it was printed.
    let _ = print_queue().send(QueuedPrint::End(end));
    if tokio::time::timeout(patience, printed).await.is_err() {
        let _ = UNWRITTEN.set("standard output could not be written: nobody reads it".to_owned());
    }
}

fn print(out: &mut impl Write, name: &str, text: &str) {
    if let Err(error) = write_lines(out, text) {
        let _ = UNWRITTEN.set(format!("{name} could not be written: {error}"));
    }
}

/// Lines as a terminal only shows them: names, addresses and reasons come from modules, files and providers.
fn write_lines(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    text.split('\n').try_for_each(|line| writeln!(out, "{}", Printable(line)))?;
    out.flush()
}

/// Whether everything was printed.
///
/// # Errors
/// What is missing could not be written.
pub(super) fn all_printed() -> Result<(), CliError> {
    match UNWRITTEN.get() {
        None => Ok(()),
        Some(error) => Err(CliError(error.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k9_what_a_terminal_would_obey_is_shown_escaped_line_by_line() {
        let mut out = Vec::new();
        write_lines(&mut out, "a\u{1b}[2J\nb\u{202e}c \u{9b}é").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\\u{1b}[2J\nb\\u{202e}c \\u{9b}é\n");
    }
}
