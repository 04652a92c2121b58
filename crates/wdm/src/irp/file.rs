//! The per-file context: the driver's data, and a flag for `IRP_MJ_CLEANUP`.
//!
//! Only the driver completes requests that are pending when the last handle is closed. A
//! request can be on its way to a queue at that time. The queue checks the flag under its
//! lock: the request is either in the queue when the cleanup routine searches it, or is
//! not inserted.

use core::{
    ffi::c_void,
    mem::offset_of,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use wdk_sys::FILE_OBJECT;

use super::raw::Irp;

/// What `FsContext` of a device's files leads to. The first field is at the same
/// place whatever `F` is.
#[repr(C)]
pub(crate) struct FileContext<F> {
    is_closed: AtomicBool,
    pub(crate) data: F,
}

impl<F> FileContext<F> {
    /// The context of a file that is being opened.
    pub(crate) const fn new(data: F) -> Self {
        Self {
            is_closed: AtomicBool::new(false),
            data,
        }
    }

    /// Notes that the last handle is closed, before requests are looked for that
    /// wait.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }
}

/// Where a driver keeps what belongs to a file: `FsContext`.
///
/// # Safety
///
/// The file is there.
pub(crate) unsafe fn context(file: NonNull<FILE_OBJECT>) -> NonNull<*mut c_void> {
    // Not by a reference: several threads ask for the place at once.
    // SAFETY: the caller vouches for the file object, in which the field lies.
    unsafe { file.byte_add(offset_of!(FILE_OBJECT, FsContext)) }.cast()
}

/// Whether the last handle of a request's file is closed.
///
/// # Safety
///
/// The request is not completed, and its file was opened through a device of this
/// crate.
pub(super) unsafe fn is_closed(irp: Irp) -> bool {
    let Some(file) = NonNull::new(irp.file()) else {
        return false;
    };
    // SAFETY: a request that is not completed keeps its file.
    let place = unsafe { context(file) };
    // SAFETY: the context changes when the file is opened and closed only.
    let flag = unsafe { place.read() }.cast::<AtomicBool>();
    // SAFETY: the context of such a file begins with the flag, and is there for as
    // long as the file.
    unsafe { flag.as_ref() }.is_some_and(|flag| flag.load(Ordering::Acquire))
}
