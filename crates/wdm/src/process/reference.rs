//! A process that is remembered, and gone back to.

use core::{ffi::c_void, fmt, ptr::NonNull};

use wdk_sys::{
    KAPC_STATE, PKPROCESS,
    ntddk::{
        IoGetCurrentProcess, KeStackAttachProcess, KeUnstackDetachProcess, ObfDereferenceObject,
        ObfReferenceObject,
    },
};

use crate::irql::Apc;

/// A reference to a process object. The object stays for as long as this; the
/// process may end all the same. Given back when dropped: `ObDereferenceObject`.
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
