//! Whose context code runs in. DriverEntry runs in the System process, a dispatch
//! routine in that of its caller; what lies below the system range differs
//! between the two.
//!
//! What a driver leaves in a process has to be undone there, and before the
//! process is gone: [`Process`] attaches to it, [`ProcessObserver`] is told of its end.

mod address_space;
mod notify;
mod object;

use wdk_sys::ntddk::{PsGetCurrentProcessId, PsGetCurrentThreadId};

pub use self::{
    address_space::{AddressSpace, Region},
    notify::{ProcessNotify, ProcessObserver},
    object::Process,
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
