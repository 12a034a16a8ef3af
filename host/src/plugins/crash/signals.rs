//! Marks the slot of the call during which the process ends: by a fatal signal that this very thread caused, or by `exit`. A
//! signal from outside marks nothing. What the process does about the signal beyond that is as before.
#![expect(unsafe_code, reason = "signal handlers are installed and chained by the C library")]

use std::ffi::{c_int, c_void};
use std::mem::{transmute, zeroed};
use std::ptr::null_mut;
use std::sync::{Once, OnceLock};

use super::slots::{self, EXITED};

/// The signals of a fault, and of an abort.
pub(super) const FATAL: [(c_int, &str); 7] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGSYS, "SIGSYS"),
];

/// The exit code where a module called `exit`, whatever it said: a supervisor must start the cashier again.
const EXIT_CODE: c_int = 1;

/// What was to be done about each signal before, in the order of [`FATAL`].
static BEFORE: [OnceLock<libc::sigaction>; FATAL.len()] = [const { OnceLock::new() }; FATAL.len()];

/// Installs the handlers, once for the process. They run on the alternate stack that Rust gives each thread it starts.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for ((signal, _), before) in FATAL.iter().zip(&BEFORE) {
            // SAFETY: an action of zeros is a valid one; the handler has the signature that SA_SIGINFO asks for and does
            // only what a handler may.
            unsafe {
                let mut former: libc::sigaction = zeroed();
                if libc::sigaction(*signal, null_mut(), &raw mut former) != 0 {
                    continue;
                }
                // Before the handler is there: it reads this.
                let _ = before.set(former);
                let mut action: libc::sigaction = zeroed();
                action.sa_sigaction = handle as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(*signal, &raw const action, null_mut());
            }
        }
        // SAFETY: the function lives as long as the program. Where it cannot be registered, an exit marks nothing.
        unsafe { libc::atexit(at_exit) };
    });
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system hands a valid record to a handler with SA_SIGINFO.
    let own = unsafe { is_own(&*info) };
    if own && let Ok(number) = u32::try_from(signal) {
        slots::mark(number);
    }
    let before = FATAL.iter().zip(&BEFORE).find(|((known, _), _)| *known == signal).and_then(|(_, it)| it.get());
    let action = before.map_or(libc::SIG_DFL, |before| before.sa_sigaction);
    match action {
        libc::SIG_IGN if !own => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: both are allowed in a handler. A fault comes again when the handler returns, a sent signal is sent again.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
        }
        action if before.is_some_and(|before| before.sa_flags & libc::SA_SIGINFO != 0) => {
            // SAFETY: with SA_SIGINFO the address is that of a function of this type.
            let chained: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = unsafe { transmute(action) };
            chained(signal, info, context);
        }
        action => {
            // SAFETY: without SA_SIGINFO the address is that of a function of this type.
            let chained: extern "C" fn(c_int) = unsafe { transmute(action) };
            chained(signal);
        }
    }
}

/// Whether this thread caused the signal: the processor reported a fault, or the process aborted.
unsafe fn is_own(info: &libc::siginfo_t) -> bool {
    // SAFETY: the caller's record is valid, and records of sent signals have the sender.
    info.si_code > 0 || info.si_code == libc::SI_TKILL && unsafe { info.si_pid() == libc::getpid() }
}

extern "C" fn at_exit() {
    if slots::mark(EXITED) {
        // SAFETY: ends the process at once; its threads run, so nothing may be torn down under them.
        unsafe { libc::_exit(EXIT_CODE) };
    }
}
