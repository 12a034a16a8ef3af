//! Opens a module in the cashier after the probe: on a thread of its own, under a deadline. A constructor that does not return
//! holds the system loader's lock for ever. Then nothing else opens in this process, a thread that first registers a
//! thread-local destructor waits, and so does an ordinary exit. So a watchdog that needs none of these starts the program
//! again without that build, or ends it where a signal asked for that. What opening means is in `library`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use super::copies::ModuleCopy;
use super::library::{self, LoadError, OpenedModule};
use crate::plugins::crash::{self, About, CallEntry, CallSite};
use crate::process;

/// Opening takes milliseconds, and the probe has read the file from disk just before.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// How long a start that a signal ends may take while a module is being opened: longer than an undisturbed one needs.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Hashes of the builds that did not open in the processes before this one, which became this one.
const NOT_OPENED: &str = "CASHIER_MODULES_NOT_OPENED";

/// Set in a program that may be started again; raised by a signal that ends it.
static SUPERVISED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Lets this program be started again without a build that does not open. Never called in a test's own process.
pub(crate) fn supervise() {
    SUPERVISED.get_or_init(Arc::default);
}

/// The same for a program that handles SIGTERM, SIGINT and SIGQUIT by ending in order, which it cannot while a module is stuck.
///
/// # Errors
/// The system refuses the handlers.
#[cfg(unix)]
pub(crate) fn supervise_signals() -> std::io::Result<()> {
    let ended = SUPERVISED.get_or_init(Arc::default);
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        signal_hook::flag::register(signal, Arc::clone(ended))?;
    }
    Ok(())
}

/// Opens the copy for the module `name`. What runs of it until the thread that opens is gone is recorded at `site`.
pub(super) fn open(name: &str, copy: &ModuleCopy, site: CallSite) -> Result<OpenedModule, LoadError> {
    let mut builds = not_opened();
    if builds.contains(&copy.sha256) {
        return Err(late());
    }
    builds.push(copy.sha256.clone());
    tracing::info!(module = name, sha256 = copy.sha256, "opening module");
    let failed = |error| LoadError::new(format!("the threads that open it cannot start: {error}"));
    let returned = watch(&builds).map_err(failed)?;
    let (sender, receiver) = mpsc::channel();
    let held = copy.clone();
    let opener = std::thread::Builder::new().name("module-open".to_owned()).spawn(move || {
        crash::on_module_thread(&site, || {
            // The thread that ends the process marks its own slot.
            let entered = site.enter(CallEntry::Open, &About::default());
            let path = held.loader_path();
            // The loader knows the library by the descriptor's number, which no other file may get.
            std::mem::forget(held);
            let opened = catch_unwind(AssertUnwindSafe(|| library::open(&path)));
            returned.store(true, Ordering::SeqCst);
            drop(entered);
            // Nobody waits any more when it was too late.
            let _ = sender.send(opened.unwrap_or_else(|_| Err(LoadError::new("opening it panicked"))));
        });
    });
    let _detached = opener.map_err(failed)?;
    match receiver.recv_timeout(OPEN_WITHIN) {
        Ok(opened) => opened,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(late()),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(LoadError::new("the thread that opens it ended")),
    }
}

/// Starts the watchdog of one opening; it ends once what it returns is set.
fn watch(builds: &[String]) -> std::io::Result<Arc<AtomicBool>> {
    let returned = Arc::new(AtomicBool::new(false));
    let Some(ended) = SUPERVISED.get().cloned() else { return Ok(returned) };
    // Everything is made before the opening begins: afterwards it may wait for the loader.
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1)).env(NOT_OPENED, builds.join(","));
    let (ready, begun) = mpsc::channel();
    let seen = Arc::clone(&returned);
    std::thread::Builder::new().name("module-watch".to_owned()).spawn(move || {
        // The opener waits for it.
        let _ = ready.send(());
        let (mut waited, mut ending) = (Duration::ZERO, Duration::ZERO);
        while !seen.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK_EVERY);
            waited += LOOK_EVERY;
            ending += if ended.load(Ordering::SeqCst) { LOOK_EVERY } else { Duration::ZERO };
            if ending >= END_WITHIN {
                process::end(0);
            }
            if waited >= OPEN_WITHIN && !seen.load(Ordering::SeqCst) {
                start_again(&mut again);
            }
        }
    })?;
    // Without an answer the thread has ended, which it does once the opening returned.
    let _ = begun.recv();
    Ok(returned)
}

fn late() -> LoadError {
    LoadError::new(format!("it did not open within {} s", OPEN_WITHIN.as_secs()))
}

fn not_opened() -> Vec<String> {
    let listed = std::env::var(NOT_OPENED).unwrap_or_default();
    listed.split(',').filter(|sha256| !sha256.is_empty()).map(str::to_owned).collect()
}

/// Replaces this process by the same program with the same arguments. If the program cannot be started, a supervisor must.
fn start_again(again: &mut Command) -> ! {
    #[cfg(unix)]
    let _ = std::os::unix::process::CommandExt::exec(again);
    #[cfg(not(unix))]
    let _ = again.spawn();
    process::end(1)
}
