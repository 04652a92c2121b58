//! Requests to a device: `IRP` of the reference, from the moment that the driver
//! gets one to its completion.
//!
//! A request is completed once. [`Request`] is a value that every way of answering
//! consumes, and the answer that a dispatch routine has to return is made by no
//! other means; a request that is dropped unanswered is completed as failed. One
//! that has to wait goes into a [`PendingQueue`], from which it can be cancelled.

mod code;
mod cursor;
mod queue;
mod raw;
mod transfer;
mod transfer_request;

use core::{cell::Cell, fmt, marker::PhantomData};

use wdk_sys::FILE_OBJECT;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use self::raw::Irp;
pub use self::{
    code::{ControlCode, Method},
    cursor::{DirectReader, DirectWriter},
    queue::{Pended, PendingQueue},
    transfer::{Buffered, BufferedWriter, Direct, Neither, Written},
    transfer_request::{Direction, Transfer},
};
use crate::{Result, Status};

/// Who made a request: `KPROCESSOR_MODE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
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

/// A device control request that has not been answered.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
///
/// ```ignore
/// fn control<'r>(
///     &self,
///     file: &Self::File,
///     mut request: Request<'r>,
///     passive: &mut Passive,
/// ) -> Answer<'r> {
///     match request.code() {
///         GET_VERSION => request.reply(&VERSION),
///         _ => request.fail(Status::INVALID_DEVICE_REQUEST),
///     }
/// }
/// ```
pub struct Request<'r> {
    irp: Irp,
    /// Invariant, so that an answer belongs to the call that it was made in.
    call: PhantomData<Cell<&'r ()>>,
}

/// That a request has been answered, one way or another. A dispatch routine
/// returns it.
#[derive(Debug)]
#[must_use = "a dispatch routine returns it"]
pub struct Answer<'r> {
    status: Status,
    call: PhantomData<Cell<&'r ()>>,
}

impl Answer<'_> {
    /// What the dispatch routine returns to the kernel.
    pub(crate) const fn status(&self) -> Status {
        self.status
    }
}

impl<'r> Request<'r> {
    /// The request that the kernel has passed to a dispatch routine.
    ///
    /// # Safety
    ///
    /// `irp` is a request that the kernel has just passed to this driver, not
    /// completed and not in other hands. If it is no device control request, only
    /// [`Transfer`] has it.
    pub(crate) const unsafe fn new(irp: Irp) -> Self {
        Self {
            irp,
            call: PhantomData,
        }
    }

    /// What is asked for: `IoControlCode`. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn code(&self) -> ControlCode {
        self.irp.control().code
    }

    /// Whether a program or a driver asks: `RequestorMode`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn requestor(&self) -> Mode {
        self.irp.requestor()
    }

    /// The file that the caller has open. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn file(&self) -> FileId {
        FileId::of(self.irp)
    }

    /// Bytes that the caller passes in: `InputBufferLength`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.irp.control().input_len
    }

    /// Bytes that the caller has room for: `OutputBufferLength`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.irp.control().output_len
    }

    /// The caller's data in the kernel's copy: `METHOD_BUFFERED`, for input also
    /// `METHOD_IN_DIRECT` and `METHOD_OUT_DIRECT`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INVALID_DEVICE_REQUEST`: the code says `METHOD_NEITHER`.
    pub fn buffered(&mut self) -> Result<Buffered<'_>, Status> {
        // SAFETY: the request is not completed while it is borrowed, and nobody
        // else has it.
        unsafe { Buffered::of(self.irp) }
    }

    /// The caller's own pages, locked and mapped: the second buffer of
    /// `METHOD_IN_DIRECT` and `METHOD_OUT_DIRECT`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INVALID_DEVICE_REQUEST`: the code says another method.
    /// * `STATUS_INSUFFICIENT_RESOURCES`: the kernel has no page table entries
    ///   left.
    pub fn direct(&mut self) -> Result<Direct<'_>, Status> {
        // SAFETY: as above.
        unsafe { Direct::of(self.irp) }
    }

    /// The caller's memory as it is: `METHOD_NEITHER`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INVALID_DEVICE_REQUEST`: the code says another method.
    /// * `STATUS_NOT_SUPPORTED`: a driver asks, whose memory is not a program's.
    /// * `STATUS_ACCESS_VIOLATION`: an address lies beyond the user range.
    pub fn neither(&mut self) -> Result<Neither<'_>, Status> {
        Neither::of(self.irp)
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

    /// Answers with `value` as the output and `STATUS_SUCCESS`; with
    /// `STATUS_BUFFER_TOO_SMALL` if the caller has no room for it.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn reply<T: IntoBytes + Immutable>(mut self, value: &T) -> Answer<'r> {
        let written = self
            .buffered()
            .and_then(|mut buffer| buffer.write(value.as_bytes()));
        match written {
            Ok(written) => self.succeed(written),
            Err(status) => self.fail(status),
        }
    }

    /// Answers with `STATUS_SUCCESS` and what has been written:
    /// `IoCompleteRequest`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn succeed(self, written: Written) -> Answer<'r> {
        self.complete(Status::SUCCESS, written)
    }

    /// Answers with a status that is no success, and no output:
    /// `IoCompleteRequest`. A status that is one becomes `STATUS_UNSUCCESSFUL`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn fail(self, status: Status) -> Answer<'r> {
        let status = if status.is_success() {
            Status::UNSUCCESSFUL
        } else {
            status
        };
        self.complete(status, Written::NOTHING)
    }

    /// Leaves the request to wait in `queue`: `IoMarkIrpPending`. If it has been
    /// cancelled already, it is answered with `STATUS_CANCELLED` instead.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn pend(self, queue: &PendingQueue) -> Answer<'r> {
        let irp = self.into_irp();
        // SAFETY: the request has just left the one value that had it.
        unsafe { queue.insert(irp) };
        Answer {
            status: Status::PENDING,
            call: PhantomData,
        }
    }

    fn complete(self, status: Status, written: Written) -> Answer<'r> {
        let irp = self.into_irp();
        // SAFETY: the request has just left the one value that had it.
        unsafe { irp.complete(status, written.bytes()) };
        Answer {
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

impl Drop for Request<'_> {
    fn drop(&mut self) {
        // SAFETY: every answer forgets the value, so the request is not completed.
        unsafe { self.irp.complete(Status::UNSUCCESSFUL, 0) };
    }
}

impl fmt::Debug for Request<'_> {
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
    pub(crate) use super::raw::Irp;

    /// The file that a request is about.
    pub(crate) type File = super::FILE_OBJECT;
}
