//! Opens a module in the cashier after the probe: on a thread of its own, under a deadline. A constructor that does not return
//! holds the system loader's lock for ever, so that nothing else opens in this process and an ordinary exit waits too; then
//! the process starts again without that build ([`start_again`]). What opening means is in `library`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use super::copies::ModuleCopy;
use super::library::{self, LoadError, OpenedModule};

/// Opening takes milliseconds, and the probe has read the file from disk just before.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// Hashes of the builds that did not open in the processes before this one, which became this one.
const NOT_OPENED: &str = "CASHIER_MODULES_NOT_OPENED";

/// A build whose constructor has not returned.
struct Stuck {
    module: String,
    sha256: String,
}

/// The loader is one for the process, and so is what holds it.
static STUCK: Mutex<Vec<Stuck>> = Mutex::new(Vec::new());

/// Whether a constructor holds the loader of this process.
pub(crate) fn is_stuck() -> bool {
    !STUCK.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// Opens the copy for the module `name`. What `enter` gives is held by the thread that opens, while it opens.
pub(super) fn open<G>(
    name: &str,
    copy: &ModuleCopy,
    enter: impl FnOnce() -> G + Send + 'static,
) -> Result<OpenedModule, LoadError> {
    if not_opened().iter().any(|sha256| *sha256 == copy.sha256) {
        return Err(late());
    }
    if let Some(Stuck { module, .. }) = STUCK.lock().unwrap_or_else(PoisonError::into_inner).first() {
        let reason = format!("it was not opened: module {module:?} holds the system's loader; start the cashier again");
        return Err(LoadError::new(reason));
    }
    tracing::info!(module = name, sha256 = copy.sha256, "opening module");
    let (sender, receiver) = mpsc::channel();
    let held = copy.clone();
    let opener = std::thread::Builder::new().name("module-open".to_owned()).spawn(move || {
        let entered = enter();
        let opened = library::open(&held.loader_path());
        drop(entered);
        // The loader knows the library by the descriptor's number, which no other file may get.
        std::mem::forget(held);
        // Nobody waits any more when it was too late.
        let _ = sender.send(opened);
    });
    let failed = |error| LoadError::new(format!("the thread that opens it cannot start: {error}"));
    let _detached = opener.map_err(failed)?;
    match receiver.recv_timeout(OPEN_WITHIN) {
        Ok(opened) => opened,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            let stuck = Stuck { module: name.to_owned(), sha256: copy.sha256.clone() };
            STUCK.lock().unwrap_or_else(PoisonError::into_inner).push(stuck);
            Err(late())
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(LoadError::new("opening it panicked")),
    }
}

fn late() -> LoadError {
    LoadError::new(format!("it did not open within {} s", OPEN_WITHIN.as_secs()))
}

fn not_opened() -> Vec<String> {
    let listed = std::env::var(NOT_OPENED).unwrap_or_default();
    listed.split(',').filter(|sha256| !sha256.is_empty()).map(str::to_owned).collect()
}

/// Replaces this process by the same program with the same arguments, which leaves out what is stuck.
///
/// # Returns
/// Only if the program cannot be started: why.
#[cfg(unix)]
pub(crate) fn start_again() -> std::io::Error {
    let mut builds = not_opened();
    builds.extend(STUCK.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|stuck| stuck.sha256.clone()));
    let program: PathBuf = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(NOT_OPENED, builds.join(","));
    std::os::unix::process::CommandExt::exec(&mut command)
}

#[cfg(not(unix))]
pub(crate) fn start_again() -> std::io::Error {
    std::io::ErrorKind::Unsupported.into()
}
