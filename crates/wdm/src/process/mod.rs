//! Processes: the current one, references, attaching, and exit notification.
//!
//! DriverEntry runs in the System process, a dispatch routine in its caller's. Addresses
//! below the system range are per process. Resources of a process have to be released in
//! it, before it exits: [`Process`] attaches to a process, a [`ProcessObserver`] is called
//! when one exits.

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
