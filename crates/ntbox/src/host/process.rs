//! The end of the kernel process, and the two flags that lead there.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::last_call;

/// Ends the process without running anything else.
pub fn end_process() -> ! {
    // SAFETY: ends the process at once; nothing is left to be cleaned up.
    unsafe { libc::_exit(0) }
}

/// Ends the process because this program failed. Why is for the caller to tell, or,
/// where there is none yet, for whoever reads standard error.
pub fn abandon(why: impl fmt::Display) -> ! {
    if !last_call::gives_up(&why) {
        let _ = writeln!(std::io::stderr(), "{why}");
    }
    // SAFETY: ends the process at once; what it leaves is for its caller to read.
    unsafe { libc::_exit(70) }
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
