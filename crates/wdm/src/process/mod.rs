//! Whose context code runs in. DriverEntry runs in the System process, a dispatch
//! routine in that of its caller; what lies below the system range differs
//! between the two.
//!
//! What a driver leaves in a process has to be undone there, and before the
//! process is gone: [`Process`] attaches to it, [`Observer`] is told of its end.

mod reference;
mod watch;

use wdk_sys::ntddk::{ExGetPreviousMode, PsGetCurrentProcessId, PsGetCurrentThreadId};

use crate::irp::Mode;

pub use self::{
    reference::Process,
    watch::{Observer, Watch},
};

/// Identifier of the current process; 4 is the System process:
/// `PsGetCurrentProcessId`. IRQL: any.
#[must_use]
pub fn current_process_id() -> usize {
    // SAFETY: the function has no precondition.
    unsafe { PsGetCurrentProcessId() }.addr()
}

/// Identifier of the current thread: `PsGetCurrentThreadId`. IRQL: any.
#[must_use]
pub fn current_thread_id() -> usize {
    // SAFETY: the function has no precondition.
    unsafe { PsGetCurrentThreadId() }.addr()
}

/// Whose call the current thread carries out, a program's or a driver's:
/// `ExGetPreviousMode`. IRQL: any.
#[must_use]
pub fn previous_mode() -> Mode {
    // SAFETY: the function has no precondition.
    match unsafe { ExGetPreviousMode() } {
        0 => Mode::Kernel,
        _ => Mode::User,
    }
}
