//! Opens a module in a child process first, because a truncated file or a crashing constructor ends the process that opens
//! it. The child is this same program, started as `cashier module-probe <path>`; its answer is one line on standard output.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::library::{self, LoadError};

/// Opening takes milliseconds; a slow disk and a busy machine take seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a child that has answered is polled until it has exited.
const REAP_EVERY: Duration = Duration::from_millis(1);
/// The answer is one line of a few hundred bytes; other output of a module is cut here.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
/// Processor seconds for constructors, layout check and descriptor; all three together take milliseconds.
#[cfg(unix)]
const CPU_SECONDS: u64 = 5;
/// When the kernel kills: later than it sends SIGXCPU, the signal that states why, which needs time between the two.
#[cfg(unix)]
const CPU_SECONDS_HARD: u64 = CPU_SECONDS + 1;
/// Address space of the child. Modules with all debug information map tens of megabytes.
#[cfg(unix)]
const MEMORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Largest file the child may write: a constructor has nothing to write, and a person who runs the probe by hand may send
/// the answer to a file.
#[cfg(unix)]
const FILE_BYTES: u64 = 1024 * 1024;
/// Marks the answer among other output of a module.
const MARK: &str = "cashier-module-probe ";
/// The hidden subcommand.
pub const SUBCOMMAND: &str = "module-probe";

/// The child's answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProbeAnswer {
    Loadable { contract: u32, sdk_version: String, code: String },
    Refused(LoadError),
}

/// The child: opens the module at `path` under hard limits and prints the answer. For `main` alone.
pub fn main(path: &Path) -> ExitCode {
    limit_this_process();
    let answer = match library::open(path) {
        Ok(opened) => ProbeAnswer::Loadable {
            contract: opened.symbols.contract,
            sdk_version: opened.symbols.sdk_version,
            code: opened.descriptor.code,
        },
        Err(error) => ProbeAnswer::Refused(error),
    };
    let printed = serde_json::to_string(&answer)
        .map_err(std::io::Error::from)
        .and_then(|line| writeln!(std::io::stdout(), "\n{MARK}{line}"));
    if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Starts probe processes.
#[derive(Debug, Clone)]
pub(in crate::plugins) struct Probe {
    /// The executable that has [`SUBCOMMAND`]: this program.
    pub(in crate::plugins) program: PathBuf,
}

impl Probe {
    /// Checks in a child process that the library at `path` can be opened and is a module. Blocks.
    pub(super) fn check(&self, path: &Path) -> Result<(), LoadError> {
        let mut child =
            self.start(path).map_err(|error| LoadError::new(format!("the probe process cannot start: {error}")))?;
        let (output, status) = wait(&mut child).map_err(LoadError::new)?;
        let answer = output.lines().rev().find_map(|line| line.strip_prefix(MARK));
        match answer.map(serde_json::from_str::<ProbeAnswer>) {
            Some(Ok(ProbeAnswer::Loadable { .. })) if status.success() => Ok(()),
            Some(Ok(ProbeAnswer::Refused(error))) => Err(error),
            Some(Ok(ProbeAnswer::Loadable { .. }) | Err(_)) | None => Err(LoadError::new(end_of(status))),
        }
    }

    fn start(&self, path: &Path) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.arg(SUBCOMMAND).arg(path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // The environment may hold the key of the sealed columns: a module that is only probed sees none of it.
        command.env_clear();
        for needed in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SystemRoot"] {
            if let Some(value) = std::env::var_os(needed) {
                command.env(needed, value);
            }
        }
        command.spawn()
    }
}

/// The child's output and end; kills it when it takes too long.
fn wait(child: &mut Child) -> Result<(String, ExitStatus), String> {
    let until = Instant::now() + ANSWER_WITHIN;
    let output = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    // Ends when the pipe closes, with the child at the latest; a grandchild that holds the pipe blocks this thread only.
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(output) = output {
            // Output read before an error still counts.
            let _ = output.take(OUTPUT_BYTES_MAX).read_to_end(&mut text);
        }
        let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
    });
    let output = receiver.recv_timeout(ANSWER_WITHIN).ok();
    let end = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if output.is_some() && Instant::now() < until => std::thread::sleep(REAP_EVERY),
            Ok(None) | Err(_) => break None,
        }
    };
    if let (Some(output), Some(status)) = (output, end) {
        return Ok((output, status));
    }
    // Both fail only when the child has already exited.
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("opening it did not end within {} s", ANSWER_WITHIN.as_secs()))
}

/// How a child ended that did not answer.
fn end_of(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return match signal {
            libc::SIGBUS => "opening it ended the probe process with SIGBUS: the file is truncated".to_owned(),
            libc::SIGSEGV => "opening it ended the probe process with SIGSEGV: its constructor crashes".to_owned(),
            libc::SIGABRT => "opening it ended the probe process with SIGABRT: its constructor aborts".to_owned(),
            libc::SIGXCPU => format!("opening it took more than {CPU_SECONDS} s of processor time"),
            other => format!("opening it ended the probe process with signal {other}"),
        };
    }
    match status.code() {
        Some(code) => format!("opening it ended the probe process with exit code {code} and no answer"),
        None => "opening it ended the probe process without an answer".to_owned(),
    }
}

/// A constructor may loop, allocate without end, dump core or fill the disk: here it can do none of it for long.
#[cfg(unix)]
#[expect(unsafe_code, reason = "setrlimit is a C function; it reads the one record it is given")]
fn limit_this_process() {
    let limits = [
        (libc::RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS_HARD),
        (libc::RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES),
        (libc::RLIMIT_CORE, 0, 0),
        (libc::RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES),
    ];
    for (resource, soft, hard) in limits {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: the record lives for the call. A limit that cannot be set leaves the parent's timeout.
        unsafe { libc::setrlimit(resource, &raw const limit) };
    }
}

#[cfg(not(unix))]
fn limit_this_process() {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn reason(program: &str) -> String {
        Probe { program: program.into() }.check(Path::new("/no/module.so")).unwrap_err().reason
    }

    #[test]
    fn a_child_that_used_up_its_processor_time_is_reported_by_its_signal() {
        let ended: ExitStatus = std::os::unix::process::ExitStatusExt::from_raw(libc::SIGXCPU);
        assert_eq!(end_of(ended), "opening it took more than 5 s of processor time");
    }

    #[test]
    fn a_child_that_does_not_answer_is_reported_by_how_it_ended() {
        let table = [
            ("/bin/true", "opening it ended the probe process with exit code 0 and no answer"),
            ("/bin/false", "opening it ended the probe process with exit code 1 and no answer"),
            // Prints without end; its output is read up to the limit and then finds its pipe closed.
            ("/usr/bin/yes", "opening it ended the probe process with signal 13"),
            // Prints its arguments, which are no answer either.
            ("/bin/echo", "opening it ended the probe process with exit code 0 and no answer"),
        ];
        for (program, expected) in table {
            assert_eq!(reason(program), expected, "{program}");
        }
        assert!(reason("/no/such/program").starts_with("the probe process cannot start: "));
    }
}
