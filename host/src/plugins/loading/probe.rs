//! Opens a module in a caged child process first, because a truncated file or a crashing constructor ends the process that
//! opens it. The child is this same program, started as `cashier module-probe <path>`; it gets the module's descriptor as
//! standard error and a one-time token on standard input, and answers with lines that begin with the token. What the cage
//! is made of stands in `cage`.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::cage;
use super::copies::ModuleCopy;
use super::library::{self, LoadError, OpenedModule};

/// Opening takes milliseconds; a slow disk and a busy machine take seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What a child that has ended wrote is in the pipe already, unless a process it left has the pipe.
const OUTPUT_WITHIN: Duration = Duration::from_secs(1);
/// How often a child is polled until it has exited.
const REAP_EVERY: Duration = Duration::from_millis(1);
/// The answer is one line of a few hundred bytes; other output of a module is cut here.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
/// Names are for people, who read a line.
const NAME_CHARS_SHOWN: usize = 256;
/// Bytes of hosts in the answer: with everything else, and each byte escaped, within the output that is read.
const HOSTS_BYTES_SHOWN: usize = 8 * 1024;
/// Random bytes of a token: no constructor guesses it.
const TOKEN_BYTES: usize = 16;
/// The hidden subcommand.
pub const SUBCOMMAND: &str = "module-probe";

/// The child's lines.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProbeAnswer {
    /// Before the module is opened: what the system did not offer.
    Caged {
        missing: Vec<String>,
    },
    Loadable(Loadable),
    Refused(LoadError),
}

/// What the child found in a module that can be loaded.
#[derive(Serialize, Deserialize)]
pub(super) struct Loadable {
    pub(super) contract: u32,
    pub(super) code: String,
    /// Cut where it is longer than any name.
    pub(super) name: String,
    /// Without those beyond [`HOSTS_BYTES_SHOWN`].
    pub(super) hosts: Vec<String>,
}

impl Loadable {
    fn of(opened: OpenedModule) -> Self {
        let OpenedModule { symbols, descriptor, .. } = opened;
        let mut left = HOSTS_BYTES_SHOWN;
        let fits = |host: &String| {
            let rest = left.checked_sub(host.len());
            left = rest.unwrap_or_default();
            rest.is_some()
        };
        let name = descriptor.name.chars().take(NAME_CHARS_SHOWN).collect();
        let hosts = descriptor.hosts.into_iter().take_while(fits).collect();
        Self { contract: symbols.contract, code: descriptor.code, name, hosts }
    }
}

/// The child: enters the cage, opens the module and prints the answer. For `main` alone. `path` names the copy for people
/// who list processes; on Linux the module is opened by the descriptor that stands in for standard error.
pub fn main(#[cfg_attr(target_os = "linux", expect(unused_variables, reason = "see above"))] path: &Path) -> ExitCode {
    // Read to its end before the module is opened, so that its constructors find none of it.
    let mut token = String::new();
    let limit = (TOKEN_BYTES as u64).saturating_mul(2);
    let read = std::io::stdin().take(limit).read_to_string(&mut token);
    if read.is_err() || token.len() as u64 != limit {
        return ExitCode::FAILURE;
    }
    #[cfg(target_os = "linux")]
    let path = &super::copies::descriptor_path(&libc::STDERR_FILENO);
    let answer = |answer: &ProbeAnswer| {
        let line = serde_json::to_string(answer)?;
        writeln!(std::io::stdout(), "\n{token} {line}")
    };
    let answered = answer(&ProbeAnswer::Caged { missing: cage::enter() }).and_then(|()| {
        answer(&match library::open(path) {
            Ok(opened) => ProbeAnswer::Loadable(Loadable::of(opened)),
            Err(error) => ProbeAnswer::Refused(error),
        })
    });
    if answered.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Starts probe processes.
#[derive(Debug, Clone)]
pub(in crate::plugins) struct Probe {
    /// The executable that has [`SUBCOMMAND`]: this program.
    pub(in crate::plugins) program: PathBuf,
}

impl Probe {
    /// Checks in a child process that the copy can be opened and is a module. Blocks.
    pub(super) fn check(&self, copy: &ModuleCopy) -> Result<Loadable, LoadError> {
        let failed = |error: std::io::Error| LoadError::new(format!("the probe process cannot start: {error}"));
        let token = token().map_err(failed)?;
        let mut child = self.start(copy).map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // A child that has ended does not read; how it ended is the reason.
            let _ = input.write_all(token.as_bytes());
        }
        let (output, status) = wait(&mut child).map_err(LoadError::new)?;
        let answers = output.lines().filter_map(|line| line.strip_prefix(&*token)?.strip_prefix(' '));
        let mut last = None;
        for answer in answers.filter_map(|line| serde_json::from_str(line).ok()) {
            match answer {
                ProbeAnswer::Caged { missing } => report(&missing),
                ProbeAnswer::Loadable(_) | ProbeAnswer::Refused(_) => last = Some(answer),
            }
        }
        match last {
            Some(ProbeAnswer::Loadable(loadable)) if status.success() => Ok(loadable),
            Some(ProbeAnswer::Refused(error)) => Err(error),
            Some(ProbeAnswer::Loadable(_) | ProbeAnswer::Caged { .. }) | None => Err(LoadError::new(end_of(status))),
        }
    }

    fn start(&self, copy: &ModuleCopy) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.arg(SUBCOMMAND).arg(&copy.path).stdin(Stdio::piped()).stdout(Stdio::piped());
        #[cfg(target_os = "linux")]
        command.stderr(copy.file.try_clone()?);
        #[cfg(not(target_os = "linux"))]
        command.stderr(Stdio::null());
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

fn token() -> std::io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(hex::encode(bytes))
}

/// Says once per process what the cage lacks.
fn report(missing: &[String]) {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    if !missing.is_empty() && !REPORTED.swap(true, Ordering::Relaxed) {
        tracing::warn!(missing = missing.join(", "), "modules are probed with fewer limits than this program has");
    }
}

/// The child's output and end; kills it when it takes too long, and in any case what it left in its session.
fn wait(child: &mut Child) -> Result<(String, ExitStatus), String> {
    let until = Instant::now() + ANSWER_WITHIN;
    let output = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    // Ends when the pipe closes; a process that left the session and holds the pipe blocks this thread only.
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(output) = output {
            // Output read before an error still counts.
            let _ = output.take(OUTPUT_BYTES_MAX).read_to_end(&mut text);
        }
        let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
    });
    let ended = loop {
        match has_ended(child) {
            Ok(true) => break true,
            Ok(false) if Instant::now() < until => std::thread::sleep(REAP_EVERY),
            Ok(false) | Err(_) => break false,
        }
    };
    // Before the child is reaped, so that its number is nobody else's.
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    // Fails only when the child has already exited.
    let _ = child.kill();
    let status = child.wait();
    match (ended, status, receiver.recv_timeout(OUTPUT_WITHIN)) {
        (true, Ok(status), Ok(output)) => Ok((output, status)),
        (true, Ok(_), Err(_)) => Err("opening it left a process that holds its output".to_owned()),
        (true | false, _, _) => Err(format!("opening it did not end within {} s", ANSWER_WITHIN.as_secs())),
    }
}

/// Whether the child has exited; it stays a process until it is waited for.
#[cfg(unix)]
fn has_ended(child: &Child) -> std::io::Result<bool> {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(Pid::from_child(child)), options)?.is_some())
}

#[cfg(not(unix))]
fn has_ended(child: &mut Child) -> std::io::Result<bool> {
    Ok(child.try_wait()?.is_some())
}

/// How a child ended that did not answer.
fn end_of(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return match signal {
            libc::SIGBUS => "opening it ended the probe process with SIGBUS: the file is truncated".to_owned(),
            libc::SIGSEGV => "opening it ended the probe process with SIGSEGV: its constructor crashes".to_owned(),
            libc::SIGABRT => "opening it ended the probe process with SIGABRT: its constructor aborts".to_owned(),
            libc::SIGXCPU => format!("opening it took more than {} s of processor time", cage::CPU_TIME.as_secs()),
            libc::SIGSYS => {
                "opening it ended the probe process with SIGSYS: its constructor tried to start a process, reach the \
                             network, signal a process or change a file"
                    .to_owned()
            }
            other => format!("opening it ended the probe process with signal {other}"),
        };
    }
    match status.code() {
        Some(code) => format!("opening it ended the probe process with exit code {code} and no answer"),
        None => "opening it ended the probe process without an answer".to_owned(),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn reason(program: &str) -> String {
        let file = std::fs::File::open("/dev/null").unwrap().into();
        let copy = ModuleCopy { path: "/no/module.so".into(), file, sha256: String::new() };
        Probe { program: program.into() }.check(&copy).err().unwrap().reason
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
