//! References to process objects, and attaching to a process.

use core::{
    ffi::c_void,
    fmt,
    ptr::{NonNull, null_mut, without_provenance_mut},
};

use wdk_sys::{
    KAPC_STATE, PEPROCESS, PKPROCESS,
    ntddk::{
        IoGetCurrentProcess, KeStackAttachProcess, KeUnstackDetachProcess, ObfDereferenceObject,
        ObfReferenceObject, PsLookupProcessByProcessId,
    },
};

use crate::{Error, Result, Status, irql::Apc};

/// A reference to a process object. The object stays for as long as this; the
/// process may end all the same. Dereferenced when dropped: `ObDereferenceObject`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
#[derive(PartialEq, Eq)]
pub struct Process(NonNull<c_void>);

// SAFETY: references to objects belong to no thread.
unsafe impl Send for Process {}
// SAFETY: nothing is changed through one.
unsafe impl Sync for Process {}

impl Process {
    /// The process whose addresses are seen now: `IoGetCurrentProcess` and
    /// `ObReferenceObject`. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn current() -> Option<Self> {
        // SAFETY: the function has no precondition.
        let object = NonNull::new(unsafe { IoGetCurrentProcess() })?.cast();
        // SAFETY: the current process is there while code runs in it.
        unsafe { ObfReferenceObject(object.as_ptr()) };
        Some(Self(object))
    }

    /// The process with this identifier: `PsLookupProcessByProcessId`.
    ///
    /// IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INVALID_CID`, or on some kernels `STATUS_INVALID_PARAMETER`: there is
    /// none.
    pub fn by_id(id: usize, _: &Apc) -> Result<Self> {
        const CALL: &str = "PsLookupProcessByProcessId";
        let mut process: PEPROCESS = null_mut();
        // SAFETY: an identifier is a number in the form of a handle, any of which
        // may be asked for; the object goes into a variable of ours.
        let status =
            unsafe { PsLookupProcessByProcessId(without_provenance_mut(id), &raw mut process) };
        Error::check(CALL, Status::from_raw(status))?;
        // The reference that the call has taken is this value's.
        let object = NonNull::new(process.cast());
        object
            .map(Self)
            .ok_or(Error::new(CALL, Status::UNSUCCESSFUL))
    }

    /// The object.
    pub(super) const fn object(&self) -> NonNull<c_void> {
        self.0
    }

    /// Whether this is the process whose addresses are seen now. IRQL: any.
    #[must_use]
    pub fn is_current(&self) -> bool {
        // SAFETY: the function has no precondition.
        let current: *mut c_void = unsafe { IoGetCurrentProcess() }.cast();
        current == self.0.as_ptr()
    }

    /// Runs `work` with this process's addresses in view: `KeStackAttachProcess`
    /// and `KeUnstackDetachProcess`.
    ///
    /// IRQL: `<= APC_LEVEL`.
    ///
    /// # Safety
    ///
    /// The process has not got so far in ending that its address space is gone, and
    /// will not while `work` runs.
    pub(crate) unsafe fn attached<R>(&self, _: &Apc, work: impl FnOnce() -> R) -> R {
        let mut state = KAPC_STATE::default();
        let process: PKPROCESS = self.0.as_ptr().cast();
        // SAFETY: the object is a process, referenced, whose address space is there;
        // the state is ours and stays where it is until it is used below.
        unsafe { KeStackAttachProcess(process, &raw mut state) };
        let result = work();
        // SAFETY: the state is that of the call above, by the same thread.
        unsafe { KeUnstackDetachProcess(&raw mut state) };
        result
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: this value is the reference.
        unsafe { ObfDereferenceObject(self.0.as_ptr()) };
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process at {:p}", self.0)
    }
}
