//! The structure that the kernel passes around, with the inline functions of the
//! headers that work on it.

use core::{
    ffi::c_void,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicPtr, AtomicU8, Ordering},
};

use wdk_sys::{
    FILE_OBJECT, IO_NO_INCREMENT, IO_STACK_LOCATION, IRP, KIRQL, LIST_ENTRY, MDL, PDRIVER_CANCEL,
    SL_PENDING_RETURNED, ntddk::IofCompleteRequest,
};

use crate::{
    Status,
    irp::{ControlCode, Mode},
};

/// A request that the driver has been passed, by its address.
///
/// Whoever has one has taken over from the kernel that the request is not
/// completed yet; that is what the functions that make one ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Irp(NonNull<IRP>);

/// What a device control request asks for.
pub(crate) struct Control {
    pub code: ControlCode,
    pub input_len: usize,
    pub output_len: usize,
}

impl Irp {
    /// # Safety
    ///
    /// `irp` is a request that the kernel has passed to this driver. While the
    /// value is used, apart from the list entry's functions, it is not completed.
    pub(crate) const unsafe fn new(irp: NonNull<IRP>) -> Self {
        Self(irp)
    }

    pub(crate) const fn as_ptr(self) -> *mut IRP {
        self.0.as_ptr()
    }

    /// `IoGetCurrentIrpStackLocation`.
    fn stack(self) -> *mut IO_STACK_LOCATION {
        // SAFETY: a request in the driver's hands is valid memory, and its overlay
        // is the member of the union that requests use.
        unsafe {
            (*self.as_ptr())
                .Tail
                .Overlay
                .__bindgen_anon_2
                .__bindgen_anon_1
                .CurrentStackLocation
        }
    }

    /// The file that the request is about.
    pub(crate) fn file(self) -> *mut FILE_OBJECT {
        // SAFETY: the current stack location is the driver's own.
        unsafe { (*self.stack()).FileObject }
    }

    /// What a device control request asks for.
    pub(crate) fn control(self) -> Control {
        // SAFETY: as above; every bit pattern is valid for the members of the
        // union that are numbers.
        let control = unsafe { (*self.stack()).Parameters.DeviceIoControl };
        // An address has more bits than a length.
        let length = |bytes: u32| usize::try_from(bytes).unwrap_or(0);
        Control {
            code: ControlCode::from_raw(control.IoControlCode),
            input_len: length(control.InputBufferLength),
            output_len: length(control.OutputBufferLength),
        }
    }

    pub(crate) fn requestor(self) -> Mode {
        // SAFETY: the request is valid memory.
        match unsafe { (*self.as_ptr()).RequestorMode } {
            0 => Mode::Kernel,
            _ => Mode::User,
        }
    }

    /// The kernel's copy of the input, with room for the output of
    /// `METHOD_BUFFERED`; `None` if there is neither.
    pub(crate) fn system_buffer(self) -> Option<NonNull<u8>> {
        // SAFETY: the request is valid memory, and a device control request uses
        // this member.
        let buffer = unsafe { (*self.as_ptr()).AssociatedIrp.SystemBuffer };
        NonNull::new(buffer.cast())
    }

    /// The caller's locked pages.
    pub(crate) fn mdl(self) -> Option<NonNull<MDL>> {
        // SAFETY: the request is valid memory.
        NonNull::new(unsafe { (*self.as_ptr()).MdlAddress })
    }

    /// `IoMarkIrpPending`.
    pub(crate) fn mark_pending(self) {
        let pending = u8::try_from(SL_PENDING_RETURNED).unwrap_or(0);
        // SAFETY: the current stack location is the driver's own.
        unsafe { (*self.stack()).Control |= pending };
    }

    /// `IoSetCancelRoutine`: returns whether there was one before.
    pub(crate) fn set_cancel_routine(self, routine: PDRIVER_CANCEL) -> bool {
        let new = routine.map_or(null_mut(), |routine| routine as *mut c_void);
        // SAFETY: the field is an aligned pointer in valid memory, which the kernel
        // too exchanges with interlocked instructions only.
        let field =
            unsafe { AtomicPtr::from_ptr((&raw mut (*self.as_ptr()).CancelRoutine).cast()) };
        !field.swap(new, Ordering::AcqRel).is_null()
    }

    /// Whether somebody has cancelled the request.
    pub(crate) fn is_cancelled(self) -> bool {
        // SAFETY: the field is a byte in valid memory, which the kernel writes while
        // others read.
        let field = unsafe { AtomicU8::from_ptr(&raw mut (*self.as_ptr()).Cancel) };
        field.load(Ordering::Acquire) != 0
    }

    /// The level to go back to when a cancel routine releases the cancel lock.
    pub(crate) fn cancel_irql(self) -> KIRQL {
        // SAFETY: the request is valid memory.
        unsafe { (*self.as_ptr()).CancelIrql }
    }

    /// The driver's own words of the request: `Tail.Overlay.DriverContext[0]`.
    pub(crate) fn context(self) -> *mut *mut c_void {
        // SAFETY: the request is valid memory, and its overlay is the member of the
        // union that requests use.
        unsafe {
            (&raw mut (*self.as_ptr())
                .Tail
                .Overlay
                .__bindgen_anon_1
                .__bindgen_anon_1
                .DriverContext)
                .cast()
        }
    }

    /// The entry by which a driver keeps requests in lists: `Tail.Overlay.ListEntry`.
    pub(crate) fn entry(self) -> *mut LIST_ENTRY {
        // SAFETY: as above.
        unsafe { &raw mut (*self.as_ptr()).Tail.Overlay.__bindgen_anon_2.ListEntry }
    }

    /// `IoCompleteRequest` with these results.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// The request is not completed, and nobody uses it afterwards. `information`
    /// counts bytes of output that are written, or is 0.
    pub(crate) unsafe fn complete(self, status: Status, information: usize) {
        // SAFETY: the request is valid memory and the driver's.
        let result = unsafe { &mut (*self.as_ptr()).IoStatus };
        result.__bindgen_anon_1.Status = status.raw();
        // An address has as many bits as a length.
        result.Information = u64::try_from(information).unwrap_or(0);
        // The boost is 0 for a request that nothing was waited for.
        let boost = i8::try_from(IO_NO_INCREMENT).unwrap_or(0);
        // SAFETY: the caller vouches for the request.
        unsafe { IofCompleteRequest(self.as_ptr(), boost) };
    }
}
