//! The two ways in which a request can end early: with a status for its caller,
//! or by stopping the caller itself.

use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;

/// Why a request is not carried out.
#[derive(Debug)]
pub enum Refusal {
    /// The caller gets this status.
    Status(u32),
    /// The call does not return.
    Stop(NoReturn),
}

impl From<u32> for Refusal {
    fn from(status: u32) -> Self {
        Self::Status(status)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Stop(fault.into())
    }
}

impl From<NoReturn> for Refusal {
    fn from(stop: NoReturn) -> Self {
        Self::Stop(stop)
    }
}

/// What a function that returns an NTSTATUS gives: `STATUS_SUCCESS`, or why not.
pub fn status(result: Result<(), Refusal>) -> Result<u32, NoReturn> {
    outcome(result.map(|()| nt_status::STATUS_SUCCESS))
}

/// The same where there is more than one kind of success.
pub fn outcome(result: Result<u32, Refusal>) -> Result<u32, NoReturn> {
    match result {
        Ok(status) | Err(Refusal::Status(status)) => Ok(status),
        Err(Refusal::Stop(stop)) => Err(stop),
    }
}
