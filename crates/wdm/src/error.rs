//! Errors: the kernel function that failed, and its status.

use core::fmt;

use crate::Status;

/// A call of the kernel that failed.
///
/// Usable at any IRQL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    call: &'static str,
    status: Status,
}

impl Error {
    /// The failure of `call`, a name of the reference, with `status`.
    #[must_use]
    pub const fn new(call: &'static str, status: Status) -> Self {
        Self { call, status }
    }

    /// The failure of a function that says so by returning NULL, which it does
    /// for want of memory or of page table entries.
    pub(crate) const fn out_of_resources(call: &'static str) -> Self {
        Self::new(call, Status::INSUFFICIENT_RESOURCES)
    }

    /// Success if `status` is one, otherwise the failure of `call`.
    pub(crate) fn check(call: &'static str, status: Status) -> Result<()> {
        if status.is_success() {
            Ok(())
        } else {
            Err(Self::new(call, status))
        }
    }

    /// Name of the kernel's function, as in the reference. A request that this
    /// crate refuses itself carries the name of the function that it would have
    /// called.
    #[must_use]
    pub const fn call(&self) -> &'static str {
        self.call
    }

    /// The status that the function returned or raised.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed with {:?}", self.call, self.status)
    }
}

impl core::error::Error for Error {}

/// The outcome of a call of the kernel.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// A step that takes a value and failed: the reason, and the value as it was, so
/// that the caller decides what happens to it.
#[derive(Debug)]
pub struct Rejected<T> {
    /// Why the step failed.
    pub error: Error,
    /// What was to be taken.
    pub returned: T,
}
