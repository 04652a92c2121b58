//! Who a service works for. `Zw…` always works for the kernel and trusts its
//! caller; `Nt…` works for whoever the thread came from, so that a driver that
//! calls it on behalf of a program must pass what a program may pass: handles of
//! the process and addresses of the user range.

use ntbox_host::gate::NoReturn;
use ntbox_host::memory_map::USER_PROBE_ADDRESS;

use super::error::Refusal;
use super::{error, thread_table};

/// The mode of the caller that a service answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Trusted.
    Kernel,
    /// Checked.
    User,
}

impl Mode {
    /// The previous mode of the current thread.
    pub fn previous() -> Self {
        if thread_table::current().is_some_and(|thread| thread.user_mode) {
            Self::User
        } else {
            Self::Kernel
        }
    }

    /// Whether arguments are checked.
    pub fn is_user(self) -> bool {
        self == Self::User
    }

    /// Checks an address that the service reads from or writes to; NULL only if
    /// the argument must be there.
    ///
    /// # Errors
    /// `STATUS_DATATYPE_MISALIGNMENT`, `STATUS_ACCESS_VIOLATION`.
    pub fn probe(self, va: u64, bytes: u64, alignment: u64) -> Result<(), u32> {
        if !self.is_user() || bytes == 0 {
            return Ok(());
        }
        if !va.is_multiple_of(alignment) {
            return Err(nt_status::STATUS_DATATYPE_MISALIGNMENT);
        }
        let end = va.checked_add(bytes);
        if end.is_some_and(|end| end <= USER_PROBE_ADDRESS) {
            Ok(())
        } else {
            Err(nt_status::STATUS_ACCESS_VIOLATION)
        }
    }

    /// The same for an argument that may be NULL.
    ///
    /// # Errors
    /// As for [`Mode::probe`].
    pub fn probe_optional(self, va: u64, bytes: u64, alignment: u64) -> Result<(), u32> {
        if va == 0 {
            Ok(())
        } else {
            self.probe(va, bytes, alignment)
        }
    }

    /// What the service returns. A fault on an argument of a program is a status
    /// for it; on one of a driver, the fault that it is.
    ///
    /// # Errors
    /// Why the caller does not go on.
    pub fn outcome(self, result: Result<u32, Refusal>) -> Result<u32, NoReturn> {
        match result {
            Err(Refusal::Stop(NoReturn::Fault(_))) if self.is_user() => {
                Ok(nt_status::STATUS_ACCESS_VIOLATION)
            }
            other => error::outcome(other),
        }
    }

    /// The same where there is one kind of success.
    ///
    /// # Errors
    /// Why the caller does not go on.
    pub fn status(self, result: Result<(), Refusal>) -> Result<u32, NoReturn> {
        self.outcome(result.map(|()| nt_status::STATUS_SUCCESS))
    }
}
