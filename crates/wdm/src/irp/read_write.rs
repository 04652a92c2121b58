//! Read and write requests: `IRP_MJ_READ` and `IRP_MJ_WRITE`.

use core::fmt;

use crate::{
    Result, Status,
    irp::{
        Completion, DirectBuffer, ProcessorMode, Request, RequestData, Requestor, data::RequestKind,
    },
};

/// Which way the data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To the caller: `IRP_MJ_READ`.
    Read,
    /// From the caller: `IRP_MJ_WRITE`.
    Write,
}

/// A request to read or to write that has not been answered, with the data `F` of
/// its file. The caller's pages are locked: devices of this crate have
/// `DO_DIRECT_IO`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub struct ReadWriteRequest<'r, F = ()> {
    request: Request<'r, F>,
    direction: Direction,
}

impl<'r, F> ReadWriteRequest<'r, F> {
    /// # Safety
    ///
    /// The request is one of this kind.
    pub(crate) const unsafe fn new(request: Request<'r, F>, direction: Direction) -> Self {
        Self { request, direction }
    }

    /// Which way the data goes. IRQL: any.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// The requestor mode: `RequestorMode`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn requestor(&self) -> ProcessorMode {
        self.request.requestor()
    }

    /// What belongs to the file, which is there while the request is.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub const fn file(&self) -> &F {
        self.request.file()
    }

    /// The program that asks. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Request::user_requestor`].
    pub fn user_requestor(&self) -> Result<Requestor<'_>, Status> {
        self.request.user_requestor()
    }

    /// Where to begin, in bytes: `ByteOffset`. A number below 0 is one that a
    /// caller made up, or one of the reference's special values.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.request.irp().byte_offset()
    }

    /// The caller's locked pages, mapped, once. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: the kernel has no page table entries left.
    /// * `STATUS_INVALID_DEVICE_STATE`: they have been asked for before.
    pub fn direct(&mut self) -> Result<DirectBuffer<'_>, Status> {
        self.split().1.direct()
    }

    /// What belongs to the file, and the way to the data beside it.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub const fn split(&mut self) -> (&F, RequestData<'_>) {
        let kind = RequestKind::ReadWrite(self.direction);
        // SAFETY: the caller of the constructor vouched for the request's kind.
        unsafe { self.request.split_as(kind) }
    }

    /// Completes the request with `STATUS_SUCCESS` and how much was read or written:
    /// `IoCompleteRequest`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn succeed(self) -> Completion<'r> {
        self.request.succeed()
    }

    /// Completes the request with an error status: `IoCompleteRequest`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn fail(self, status: Status) -> Completion<'r> {
        self.request.fail(status)
    }
}

impl<F> fmt::Debug for ReadWriteRequest<'_, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} at {}", self.direction, self.offset())
    }
}
