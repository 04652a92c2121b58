//! What a program does with events: it makes them, gives their handles to drivers
//! that are to signal them, and waits.

use crate::kernel::call::Stop;
use crate::kernel::ke::clock;
use crate::kernel::ke::wait::Patience;
use crate::kernel::ob::{self, Caller, Refusal};
use crate::kernel::zw::mode::Mode;
use crate::kernel::zw::{event, wait};
use crate::request::{Handle, Reply};

/// `CreateEvent`.
pub fn create(manual_reset: bool, signaled: bool, caller: &Caller<'_>) -> Result<Reply, Stop> {
    match event::create_unnamed(manual_reset, signaled, caller) {
        Ok(handle) => Ok(Reply {
            handle: Some(Handle(handle)),
            ..Reply::status(0)
        }),
        Err(Refusal::Status(status)) => Ok(Reply::status(status)),
        Err(Refusal::Stop(stop)) => Err(stop),
    }
}

/// `SetEvent` and `ResetEvent`.
pub fn set(handle: Handle, signaled: bool) -> Result<Reply, Stop> {
    ob::status(event::set_by_program(handle.0, signaled)).map(Reply::status)
}

/// `WaitForSingleObject`.
pub fn wait_for(
    handle: Handle,
    milliseconds: Option<u32>,
    caller: &Caller<'_>,
) -> Result<Reply, Stop> {
    let patience = match milliseconds {
        None => Patience::Forever,
        Some(0) => Patience::None,
        Some(time) => Patience::Until(clock::deadline(-10_000 * i64::from(time))),
    };
    ob::outcome(wait::by_handle(handle.0, patience, Mode::User, caller)).map(Reply::status)
}
