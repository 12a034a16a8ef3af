//! Which build a thread belongs to: its timer slack says so, because a thread hands it down to every thread that it starts,
//! also to those that a module starts without the cashier's knowing. A signal handler can read it. The slack itself differs
//! from what Linux gives by nanoseconds.
#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "timer slack is set by a system call"))]

/// The slack of the threads of build number 0, in nanoseconds; that of number 1 is one more. Linux gives 50,000, and no one
/// gives a service such a number.
#[cfg(target_os = "linux")]
const FIRST_SLACK: usize = 50_001;

/// Makes this thread, and what it starts from here on, one of the build's.
#[cfg(target_os = "linux")]
pub(super) fn belong_to(number: usize) {
    // SAFETY: the call takes a number. Where it fails, such a thread names no build.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, FIRST_SLACK.saturating_add(number)) };
}

/// The build whose thread this is. Safe in a signal handler.
#[cfg(target_os = "linux")]
pub(super) fn number_of_this_thread() -> Option<usize> {
    // SAFETY: the call takes nothing and returns a number.
    let slack = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
    usize::try_from(slack).ok()?.checked_sub(FIRST_SLACK)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn belong_to(_number: usize) {}

#[cfg(not(target_os = "linux"))]
pub(super) fn number_of_this_thread() -> Option<usize> {
    None
}
