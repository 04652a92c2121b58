//! Proof that a request runs in the thread of the program that sent it. The process cannot
//! end while that thread is in the call.
//!
//! Code can run in a process without a request from it: handles are closed in an exiting
//! process after the notify routines were called, and other drivers send requests in
//! arbitrary process context.

use core::{fmt, marker::PhantomData};

use wdk_sys::{
    PETHREAD,
    ntddk::{IoGetCurrentProcess, PsGetProcessId},
};

use super::{ProcessorMode, Request, raw::Irp};
use crate::{Status, process::current_process_id};

unsafe extern "system" {
    /// Inline in the headers for x64; every kernel exports it too.
    fn KeGetCurrentThread() -> PETHREAD;
}

/// The program that makes a request, in whose thread the driver runs. Its process
/// does not end while this is there: a process ends with its last thread.
pub struct Requestor<'r> {
    request: PhantomData<&'r ()>,
    /// It means something to the thread of the request only.
    thread: PhantomData<*mut ()>,
}

impl<F> Request<'_, F> {
    /// The program that asks. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_NOT_SUPPORTED`: a driver asks, or the request was passed on to
    /// another thread or process.
    pub fn user_requestor(&self) -> Result<Requestor<'_>, Status> {
        Requestor::of(self.irp())
    }
}

impl Requestor<'_> {
    pub(super) fn of(irp: Irp) -> Result<Self, Status> {
        if irp.requestor() == ProcessorMode::Kernel || !is_here(irp) {
            return Err(Status::NOT_SUPPORTED);
        }
        Ok(Self {
            request: PhantomData,
            thread: PhantomData,
        })
    }
}

/// Whether the code runs in the thread that made a request, and that thread is in its
/// own process and not attached to another.
fn is_here(irp: Irp) -> bool {
    // SAFETY: the function has no precondition.
    let thread = unsafe { KeGetCurrentThread() };
    // SAFETY: the function has no precondition.
    let process = unsafe { IoGetCurrentProcess() };
    // SAFETY: the current process is there.
    let process = unsafe { PsGetProcessId(process) };
    irp.thread() == thread && process.addr() == current_process_id()
}

impl fmt::Debug for Requestor<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Requestor")
    }
}
