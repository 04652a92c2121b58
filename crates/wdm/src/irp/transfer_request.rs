//! Reading from a device and writing to it: `IRP_MJ_READ` and `IRP_MJ_WRITE`.

use core::fmt;

use crate::{
    Result, Status,
    irp::{Answer, Direct, Mode, Request, Written},
};

/// Which way the data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To the caller: `IRP_MJ_READ`.
    Read,
    /// From the caller: `IRP_MJ_WRITE`.
    Write,
}

/// A request to read or to write that has not been answered. The caller's pages are
/// locked: devices of this crate have `DO_DIRECT_IO`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub struct Transfer<'r> {
    request: Request<'r>,
    direction: Direction,
}

impl<'r> Transfer<'r> {
    /// # Safety
    ///
    /// The request is one of this kind.
    pub(crate) const unsafe fn new(request: Request<'r>, direction: Direction) -> Self {
        Self { request, direction }
    }

    /// Which way the data goes. IRQL: any.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether a program or a driver asks: `RequestorMode`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn requestor(&self) -> Mode {
        self.request.requestor()
    }

    /// Where to begin, in bytes: `ByteOffset`. A number below 0 is one that a
    /// caller made up, or one of the reference's special values.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.request.irp().byte_offset()
    }

    /// The caller's own pages, locked and mapped. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: the kernel has no page table entries left.
    pub fn direct(&mut self) -> Result<Direct<'_>, Status> {
        // SAFETY: the request is not completed while it is borrowed.
        unsafe { Direct::of_pages(self.request.irp(), self.direction == Direction::Read) }
    }

    /// Answers with `STATUS_SUCCESS` and how much was read or written:
    /// `IoCompleteRequest`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn succeed(self, moved: Written) -> Answer<'r> {
        self.request.succeed(moved)
    }

    /// Answers with a status that is no success: `IoCompleteRequest`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn fail(self, status: Status) -> Answer<'r> {
        self.request.fail(status)
    }
}

impl fmt::Debug for Transfer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} at {}", self.direction, self.offset())
    }
}
