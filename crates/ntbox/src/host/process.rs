//! The end of the kernel process.

use std::fmt;
use std::io::Write as _;

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
