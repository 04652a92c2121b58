//! I/O requests (`IRP`), from the dispatch routine to completion.
//!
//! A request is completed exactly once. Every method that completes a [`Request`]
//! consumes it and returns the [`Completion`] that a dispatch routine has to return. A
//! request that is dropped is completed with an error. A [`CancelSafeQueue`] holds
//! pending requests.

mod code;
mod data;
mod direct;
mod file;
mod queue;
mod raw;
mod read_write;
mod requestor;

use core::{cell::Cell, fmt, marker::PhantomData, ptr::NonNull};

use wdk_sys::FILE_OBJECT;
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub use self::{
    code::{ControlCode, Method},
    data::{DirectBuffer, RequestData, SystemBuffer, SystemBufferWriter, UserBuffers},
    direct::{DirectReader, DirectWriter},
    queue::{CancelSafeQueue, DequeuedRequest},
    read_write::{Direction, ReadWriteRequest},
    requestor::Requestor,
};
use self::{
    data::{DataState, RequestKind},
    raw::Irp,
};
use crate::{Result, Status};

/// The processor mode of a requestor: `KPROCESSOR_MODE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessorMode {
    /// A driver or the system.
    Kernel,
    /// A program.
    User,
}

/// Which open file a request is about: the same for all requests on a handle and
/// its duplicates, for as long as the file is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileId(usize);

impl FileId {
    pub(crate) fn of(irp: Irp) -> Self {
        Self(irp.file().addr())
    }
}

/// A device control request that has not been answered, with the data `F` of its
/// file.
///
/// The request keeps the file open. Once it is answered or waits in a queue,
/// another thread may close the file, so its data is borrowed from the request and
/// out of reach from then on.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
///
/// ```no_run
/// # use wdm::{Status, irp::{Completion, ControlCode, Request}, irql::Passive};
/// # const GET_VERSION: ControlCode = ControlCode::from_raw(0x8000_2000);
/// # const VERSION: u32 = 1;
/// # struct Sample;
/// # impl Sample {
/// fn control<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
///     match request.code() {
///         GET_VERSION => request.reply(&VERSION),
///         _ => request.fail(Status::INVALID_DEVICE_REQUEST),
///     }
/// }
/// # }
/// ```
pub struct Request<'r, F = ()> {
    irp: Irp,
    /// Of the file, which stays for as long as the request is not completed.
    file: NonNull<F>,
    data_state: DataState,
    /// Invariant, so that an answer belongs to the call that it was made in.
    call: PhantomData<Cell<&'r ()>>,
}

/// Proof that a request was completed or is pending. A dispatch routine returns
/// it.
#[derive(Debug)]
#[must_use = "a dispatch routine returns it"]
pub struct Completion<'r> {
    status: Status,
    call: PhantomData<Cell<&'r ()>>,
}

impl Completion<'_> {
    /// The status that the dispatch routine returns.
    pub(crate) const fn status(&self) -> Status {
        self.status
    }
}

impl<'r, F> Request<'r, F> {
    /// The request that the kernel has passed to a dispatch routine.
    ///
    /// # Safety
    ///
    /// `irp` is a request that the kernel has just passed to this driver, not
    /// completed and not in other hands. If it is no device control request, only
    /// [`ReadWriteRequest`] has it. `file` is what its file's context has, which is there
    /// until the file is closed.
    pub(crate) unsafe fn new(irp: Irp, file: NonNull<F>) -> Self {
        Self {
            irp,
            file,
            data_state: DataState::default(),
            call: PhantomData,
        }
    }

    /// The control code: `IoControlCode`. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn code(&self) -> ControlCode {
        self.irp.control().code
    }

    /// The requestor mode: `RequestorMode`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn requestor(&self) -> ProcessorMode {
        self.irp.requestor()
    }

    /// What belongs to the file that the caller has open, which is there while the
    /// request is. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub const fn file(&self) -> &F {
        // SAFETY: the request is not completed while it is borrowed, and keeps its
        // file; only shared references lead to the file's data until it is closed.
        unsafe { self.file.as_ref() }
    }

    /// Which file the caller has open. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn file_id(&self) -> FileId {
        FileId::of(self.irp)
    }

    /// What belongs to the file, and the way to the caller's data beside it.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub const fn split(&mut self) -> (&F, RequestData<'_>) {
        // SAFETY: a request that is no device control request is in a `ReadWriteRequest`,
        // which calls the other function.
        unsafe { self.split_as(RequestKind::Control) }
    }

    /// # Safety
    ///
    /// The request is of this kind.
    const unsafe fn split_as(&mut self, kind: RequestKind) -> (&F, RequestData<'_>) {
        // SAFETY: as for `file`.
        let file = unsafe { self.file.as_ref() };
        // SAFETY: the request is not completed while it is borrowed, and this
        // value, which is borrowed mutably, is all that leads to its data.
        let data = unsafe { RequestData::new(self.irp, kind, &mut self.data_state) };
        (file, data)
    }

    /// The length of the input: `InputBufferLength`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.irp.control().input_len
    }

    /// The length of the output buffer: `OutputBufferLength`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.irp.control().output_len
    }

    /// The system buffer: `METHOD_BUFFERED`, for input also
    /// `METHOD_IN_DIRECT` and `METHOD_OUT_DIRECT`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INVALID_DEVICE_REQUEST`: the code says `METHOD_NEITHER`.
    pub fn buffered(&mut self) -> Result<SystemBuffer<'_>, Status> {
        self.split().1.buffered()
    }

    /// The caller's locked pages, mapped, once: the second buffer of
    /// `METHOD_IN_DIRECT` and `METHOD_OUT_DIRECT`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INVALID_DEVICE_REQUEST`: the code says another method.
    /// * `STATUS_INSUFFICIENT_RESOURCES`: the kernel has no page table entries
    ///   left.
    /// * `STATUS_INVALID_DEVICE_STATE`: they have been asked for before.
    pub fn direct(&mut self) -> Result<DirectBuffer<'_>, Status> {
        self.split().1.direct()
    }

    /// The caller's user addresses, once: `METHOD_NEITHER`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INVALID_DEVICE_REQUEST`: the code says another method.
    /// * `STATUS_NOT_SUPPORTED`: a driver asks, whose memory is not a program's, or
    ///   the request was passed on to another thread or process.
    /// * `STATUS_ACCESS_VIOLATION`: an address lies beyond the user range.
    /// * `STATUS_INVALID_DEVICE_STATE`: it has been asked for before.
    pub fn neither(&mut self) -> Result<UserBuffers<'_>, Status> {
        self.split().1.neither()
    }

    /// The input as a `T`, copied. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INFO_LENGTH_MISMATCH`: the input is not as long as a `T`.
    /// * `STATUS_INVALID_DEVICE_REQUEST`: the code says `METHOD_NEITHER`.
    pub fn input<T: FromBytes>(&mut self) -> Result<T, Status> {
        self.buffered()?.read()
    }

    /// Completes the request with `value` as the output and `STATUS_SUCCESS`; with
    /// `STATUS_BUFFER_TOO_SMALL` if the caller has no room for it.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn reply<T: IntoBytes + Immutable>(mut self, value: &T) -> Completion<'r> {
        let written = self
            .buffered()
            .and_then(|mut buffer| buffer.write(value.as_bytes()));
        match written {
            Ok(()) => self.succeed(),
            Err(status) => self.fail(status),
        }
    }

    /// Completes the request with `STATUS_SUCCESS` and with as much output as has been written
    /// through this request's buffers; for `METHOD_IN_DIRECT`, as much as was read:
    /// `IoCompleteRequest`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn succeed(self) -> Completion<'r> {
        let moved = self.data_state.moved;
        self.complete(Status::SUCCESS, moved)
    }

    /// Completes the request with an error status, and no output:
    /// `IoCompleteRequest`. A success status becomes `STATUS_UNSUCCESSFUL`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn fail(self, status: Status) -> Completion<'r> {
        self.complete(status.as_failure(), 0)
    }

    /// Leaves the request to wait in `queue`: `IoMarkIrpPending`. If it has been
    /// cancelled already, or the last handle of its file is closed, it is answered
    /// with `STATUS_CANCELLED` instead.
    ///
    /// Whoever takes it from the queue may complete it before this function
    /// returns, and with it its file may be closed.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn pend(self, queue: &CancelSafeQueue) -> Completion<'r> {
        let irp = self.into_irp();
        // SAFETY: the request has just left the one value that had it, and its file
        // is one of a device of this crate, since it has data.
        unsafe { queue.insert(irp) };
        Completion {
            status: Status::PENDING,
            call: PhantomData,
        }
    }

    fn complete(self, status: Status, moved: usize) -> Completion<'r> {
        let irp = self.into_irp();
        // SAFETY: the request has just left the one value that had it, and so many
        // bytes have been moved through its buffers.
        unsafe { irp.complete(status, moved) };
        Completion {
            status,
            call: PhantomData,
        }
    }

    /// The request's structure.
    pub(crate) const fn irp(&self) -> Irp {
        self.irp
    }

    const fn into_irp(self) -> Irp {
        let irp = self.irp;
        core::mem::forget(self);
        irp
    }
}

impl<F> Drop for Request<'_, F> {
    fn drop(&mut self) {
        // SAFETY: every answer forgets the value, so the request is not completed.
        unsafe { self.irp.complete(Status::UNSUCCESSFUL, 0) };
    }
}

impl<F> fmt::Debug for Request<'_, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} with {} bytes in and room for {}",
            self.code(),
            self.input_len(),
            self.output_len()
        )
    }
}

/// The kernel's side of dispatch routines: what is in a request, and its end.
pub(crate) mod kernel {
    pub(crate) use super::{
        file::{FileContext, context},
        raw::Irp,
    };

    /// The file that a request is about.
    pub(crate) type File = super::FILE_OBJECT;
}
