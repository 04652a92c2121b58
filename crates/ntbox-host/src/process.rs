//! The processes that this crate starts, seen from inside: how they begin, which limits
//! they have, how they end, and the two flags of the kernel process that lead there.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::last_call;
use crate::signals;

/// Ends the process because this program failed. The process that started it reads the
/// reason in the shared memory; before that exists, it goes to standard error.
pub fn abandon(why: impl fmt::Display) -> ! {
    if !last_call::gives_up(&why) {
        let _ = writeln!(std::io::stderr(), "{why}");
    }
    exit(70)
}

/// Whether the process that started this one has given up waiting.
static OVERDUE: AtomicBool = AtomicBool::new(false);
/// Whether the system stops.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Whether the driver is stopped when its call into the kernel is done: the process
/// that started this one has given up waiting.
pub fn is_overdue() -> bool {
    OVERDUE.load(Ordering::Relaxed)
}

/// Records that the process that started this one has given up waiting.
pub fn set_overdue() {
    OVERDUE.store(true, Ordering::Relaxed);
}

/// Whether the system stops. Other processors run nothing any more.
pub fn is_stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}

/// Records that the system stops.
pub fn set_stopping() {
    STOPPING.store(true, Ordering::Relaxed);
}

/// Prepares this process to run a driver, before `main`: interrupts of the terminal and
/// limits of files do not end it, the end of the process that started it does.
pub fn prepare() {
    // The terminal's interrupt is for the process that started this one, which ends it.
    // SAFETY: sets a disposition; nothing else of this process depends on it.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    // A limit on the size of files is an error of the call that meets it.
    // SAFETY: sets a disposition; every writer of files looks at the result.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    end_with_parent();
}

/// Ends this process when the one that started it ends.
pub fn end_with_parent() {
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Sets both limits of a resource. A limit that cannot be set stays as it is.
pub fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: the structure is valid for the call.
    let _ = unsafe { libc::setrlimit(resource, &raw const limit) };
}

/// Ends the process at once with an exit status.
pub fn exit(status: i32) -> ! {
    // SAFETY: ends the process; nothing is left to be cleaned up.
    unsafe { libc::_exit(status) }
}

/// Sends the signal that ends a driver's run to the kernel process with an id.
pub fn send_overdue(process: i32) {
    // SAFETY: a signal to a child process; the worst is that it has ended already.
    unsafe { libc::kill(process, signals::OVERDUE) };
}
