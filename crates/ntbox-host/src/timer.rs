//! The host's interval timer: a signal every few milliseconds.

/// The signal of real time, and that of the processor's time.
pub const SIGNALS: [libc::c_int; 2] = [libc::SIGALRM, libc::SIGVTALRM];

/// Sends a signal every so many microseconds, of real time or of this process's own.
///
/// # Panics
/// The system refuses it.
pub fn start(microseconds: i64, of_process: bool) {
    let interval = libc::timeval {
        tv_sec: 0,
        tv_usec: microseconds,
    };
    let timer = libc::itimerval {
        it_interval: interval,
        it_value: interval,
    };
    let which = if of_process {
        libc::ITIMER_VIRTUAL
    } else {
        libc::ITIMER_REAL
    };
    // SAFETY: plain structures. Whether a handler is installed or not, the signal ends
    // the process at worst.
    let result = unsafe { libc::setitimer(which, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(result, 0, "setitimer failed");
}
