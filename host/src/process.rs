//! This process as others of the machine see it: what may be read of it, and how it ends where an ordinary exit would wait.

/// Leaves no core file and lets no other process of the same user read the memory or the environment, both of which hold keys.
/// Debuggers need root.
pub(crate) fn harden() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit};
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        if let Err(error) = rustix::process::setrlimit(Resource::Core, none) {
            tracing::warn!(%error, "core files cannot be turned off");
        }
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the memory of this process can be read by other processes of its user");
    }
}

/// Raises the limit of open files to what the system allows this process, and returns it; `None` where it cannot be known.
pub(crate) fn raise_open_files() -> Option<usize> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if limit.current != limit.maximum
            && let Err(error) = setrlimit(Resource::Nofile, raised)
        {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
        // Without a number there is no limit.
        let open_files = getrlimit(Resource::Nofile).current;
        Some(open_files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX)))
    }
    #[cfg(not(unix))]
    None
}

/// In the background of a terminal, writing to it passes and reading from it fails. Caught, these signals would be sent for ever,
/// because the system tries again what they interrupt, and would stop the other processes of the group.
///
/// # Errors
/// The system cannot.
#[cfg(unix)]
#[expect(unsafe_code, reason = "signal is a C function")]
pub(crate) fn ignore_terminal_access() -> std::io::Result<()> {
    for signal in [libc::SIGTTIN, libc::SIGTTOU] {
        // SAFETY: it takes two numbers, and no handler is installed.
        if unsafe { libc::signal(signal, libc::SIG_IGN) } == libc::SIG_ERR {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Closes every open file beside the three of standard input, output and error: what this process inherited and does not know.
///
/// # Errors
/// The system cannot.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "close_range is a system call without a wrapper")]
pub(crate) fn close_inherited() -> std::io::Result<()> {
    let (first, last, no_flags) = (libc::STDERR_FILENO.unsigned_abs().saturating_add(1), u32::MAX, 0u32);
    // SAFETY: the caller owns no open file yet, so none is closed under its owner.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, no_flags) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Ends the process without what an ordinary exit runs: exit handlers wait for the loader, which a constructor may hold, and
/// run what modules left there. What was printed as whole lines is out.
pub(crate) fn end(code: u8) -> ! {
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "_exit is a C function")]
    // SAFETY: it takes a number and does not return.
    unsafe {
        libc::_exit(i32::from(code))
    }
    #[cfg(not(unix))]
    std::process::exit(i32::from(code))
}
