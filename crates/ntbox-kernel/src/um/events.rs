//! What a program does with events: it makes them, gives their handles to drivers
//! that are to signal them, and waits.

use ntbox_api::request::{Handle, Reply};
use ntbox_host::gate::NoReturn;

use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::processor_mode::Mode;
use crate::base::{clock, error};
use crate::ex::nt_event;
use crate::ke::wait::Timeout;
use crate::ob::nt_wait;

/// `CreateEvent`.
pub fn create(
    manual_reset: bool,
    signaled: bool,
    caller: &CallContext<'_>,
) -> Result<Reply, NoReturn> {
    match nt_event::create_unnamed(manual_reset, signaled, caller) {
        Ok(handle) => Ok(Reply {
            handle: Some(Handle(handle)),
            ..Reply::status(0)
        }),
        Err(Refusal::Status(status)) => Ok(Reply::status(status)),
        Err(Refusal::Stop(stop)) => Err(stop),
    }
}

/// `SetEvent` and `ResetEvent`.
pub fn set(handle: Handle, signaled: bool) -> Result<Reply, NoReturn> {
    error::status(nt_event::set_by_program(handle.0, signaled)).map(Reply::status)
}

/// `WaitForSingleObject`.
pub fn wait_for(
    handle: Handle,
    milliseconds: Option<u32>,
    caller: &CallContext<'_>,
) -> Result<Reply, NoReturn> {
    let patience = match milliseconds {
        None => Timeout::Forever,
        Some(0) => Timeout::None,
        Some(time) => Timeout::Until(clock::deadline(-10_000 * i64::from(time))),
    };
    error::outcome(nt_wait::by_handle(handle.0, patience, Mode::User, caller)).map(Reply::status)
}
