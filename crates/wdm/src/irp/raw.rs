//! Access to the fields of an IRP and its stack location, with the inline functions of the
//! WDK headers.

use core::{
    ffi::c_void,
    mem::offset_of,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicPtr, AtomicU8, Ordering},
};

use wdk_sys::{
    FILE_OBJECT, IO_NO_INCREMENT, IO_STACK_LOCATION, IRP, KIRQL, LIST_ENTRY, MDL, PDRIVER_CANCEL,
    PETHREAD, SL_PENDING_RETURNED, ntddk::IofCompleteRequest,
};

use crate::{
    Status,
    irp::{ControlCode, ProcessorMode},
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

    /// A field of the request by its offset: the fields lie in unions in unions.
    const fn field<T>(self, offset: usize) -> *mut T {
        self.0.as_ptr().cast::<T>().wrapping_byte_add(offset)
    }

    /// A field of the driver's stack location, by its offset:
    /// `IoGetCurrentIrpStackLocation`.
    fn stack_field<T>(self, offset: usize) -> *mut T {
        let stack: *mut *mut T = self.field(offset_of!(
            IRP,
            Tail.Overlay
                .__bindgen_anon_2
                .__bindgen_anon_1
                .CurrentStackLocation
        ));
        // SAFETY: a request in the driver's hands is valid memory.
        let stack = unsafe { stack.read() };
        stack.wrapping_byte_add(offset)
    }

    /// The file that the request is about.
    pub(crate) fn file(self) -> *mut FILE_OBJECT {
        let file: *mut *mut FILE_OBJECT =
            self.stack_field(offset_of!(IO_STACK_LOCATION, FileObject));
        // SAFETY: the current stack location is the driver's own.
        unsafe { file.read() }
    }

    /// What a device control request asks for.
    pub(crate) fn control(self) -> Control {
        let number = |offset| {
            let number: *mut u32 = self.stack_field(offset);
            // SAFETY: the current stack location is the driver's own.
            unsafe { number.read() }
        };
        // An address has more bits than a length.
        let length = |offset| usize::try_from(number(offset)).unwrap_or(0);
        let code = number(offset_of!(
            IO_STACK_LOCATION,
            Parameters.DeviceIoControl.IoControlCode
        ));
        Control {
            code: ControlCode::from_raw(code),
            input_len: length(offset_of!(
                IO_STACK_LOCATION,
                Parameters.DeviceIoControl.InputBufferLength
            )),
            output_len: length(offset_of!(
                IO_STACK_LOCATION,
                Parameters.DeviceIoControl.OutputBufferLength
            )),
        }
    }

    /// Where a request to read or to write begins. Both have it at one place.
    pub(crate) fn byte_offset(self) -> i64 {
        let offset: *mut i64 =
            self.stack_field(offset_of!(IO_STACK_LOCATION, Parameters.Read.ByteOffset));
        // SAFETY: the current stack location is the driver's own.
        unsafe { offset.read() }
    }

    /// The thread that made the request: `Tail.Overlay.Thread`. Null for one that a
    /// driver made for no thread.
    pub(crate) fn thread(self) -> PETHREAD {
        let thread: *mut PETHREAD = self.field(offset_of!(IRP, Tail.Overlay.Thread));
        // SAFETY: the request is valid memory.
        unsafe { thread.read() }
    }

    pub(crate) fn requestor(self) -> ProcessorMode {
        // SAFETY: the request is valid memory.
        match unsafe { (*self.as_ptr()).RequestorMode } {
            0 => ProcessorMode::Kernel,
            _ => ProcessorMode::User,
        }
    }

    /// The kernel's copy of the input, with room for the output of
    /// `METHOD_BUFFERED`; `None` if there is neither.
    pub(crate) fn system_buffer(self) -> Option<NonNull<u8>> {
        let buffer: *mut *mut u8 = self.field(offset_of!(IRP, AssociatedIrp.SystemBuffer));
        // SAFETY: the request is valid memory.
        NonNull::new(unsafe { buffer.read() })
    }

    /// The addresses that a caller of `METHOD_NEITHER` gave, input and output.
    pub(crate) fn user_addresses(self) -> (usize, usize) {
        let input: *mut *mut c_void = self.stack_field(offset_of!(
            IO_STACK_LOCATION,
            Parameters.DeviceIoControl.Type3InputBuffer
        ));
        // SAFETY: the current stack location is the driver's own.
        let input = unsafe { input.read() };
        // SAFETY: the request is valid memory.
        let output = unsafe { (*self.as_ptr()).UserBuffer };
        (input.addr(), output.addr())
    }

    /// The caller's locked pages.
    pub(crate) fn mdl(self) -> Option<NonNull<MDL>> {
        // SAFETY: the request is valid memory.
        NonNull::new(unsafe { (*self.as_ptr()).MdlAddress })
    }

    /// `IoMarkIrpPending`.
    pub(crate) fn mark_pending(self) {
        let control: *mut u8 = self.stack_field(offset_of!(IO_STACK_LOCATION, Control));
        // SAFETY: the current stack location is the driver's own.
        let control = unsafe { &mut *control };
        *control |= u8::try_from(SL_PENDING_RETURNED).unwrap_or(0);
    }

    /// `IoSetCancelRoutine`: returns whether there was one before.
    pub(crate) fn set_cancel_routine(self, routine: PDRIVER_CANCEL) -> bool {
        let new = routine.map_or(null_mut(), |routine| routine as *mut c_void);
        let field = self.field(offset_of!(IRP, CancelRoutine));
        // SAFETY: the field is an aligned pointer in valid memory, which the kernel
        // too exchanges with interlocked instructions only.
        let field = unsafe { AtomicPtr::<c_void>::from_ptr(field) };
        !field.swap(new, Ordering::SeqCst).is_null()
    }

    /// Whether the request is cancelled.
    pub(crate) fn is_cancelled(self) -> bool {
        let field = self.field(offset_of!(IRP, Cancel));
        // SAFETY: the field is a byte in valid memory, which the kernel writes while
        // others read.
        let field = unsafe { AtomicU8::from_ptr(field) };
        field.load(Ordering::SeqCst) != 0
    }

    /// The level to go back to when a cancel routine releases the cancel lock.
    pub(crate) fn cancel_irql(self) -> KIRQL {
        // SAFETY: the request is valid memory.
        unsafe { (*self.as_ptr()).CancelIrql }
    }

    /// The driver's own words of the request: `Tail.Overlay.DriverContext[0]`.
    pub(crate) const fn context(self) -> *mut *mut c_void {
        self.field(offset_of!(
            IRP,
            Tail.Overlay.__bindgen_anon_1.__bindgen_anon_1.DriverContext
        ))
    }

    /// The entry by which a driver keeps requests in lists: `Tail.Overlay.ListEntry`.
    pub(crate) const fn entry(self) -> *mut LIST_ENTRY {
        self.field(offset_of!(IRP, Tail.Overlay.__bindgen_anon_2.ListEntry))
    }

    /// `IoCompleteRequest` with these results.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// The request is not completed, and it is not used afterwards. `information`
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
