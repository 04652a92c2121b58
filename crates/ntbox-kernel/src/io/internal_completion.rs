//! Completion routines that the I/O manager puts around a driver's own: one that
//! keeps the driver loaded while it runs, one that waits.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::routine::Routine;

use super::irp as packets;
use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::export_table;
use crate::base::io_layout::{irp, stack};
use crate::ke::object::Kind;
use crate::ke::wait::Patience;
use crate::ke::{object, wait};
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::ob;

/// Pool tag of what is kept for a routine.
const TAG: u32 = u32::from_le_bytes(*b"IoUs");
/// Bytes of a KEVENT.
const EVENT_SIZE: u64 = 0x18;

/// Offsets in what is kept for an unload-safe routine.
mod offset {
    pub const DEVICE: u64 = 0x00;
    pub const CONTEXT: u64 = 0x08;
    pub const ROUTINE: u64 = 0x10;
    pub const SIZE: u64 = 0x18;
}

/// Sets the completion routine of the location below the current one.
fn set(packet: u64, routine: u64, context: u64, control: u8) -> Result<(), Fault> {
    let place = packets::next_location(packet)?;
    driver_mem::write_u64(place + stack::COMPLETION_ROUTINE, routine)?;
    driver_mem::write_u64(place + stack::CONTEXT, context)?;
    driver_mem::write_u8(place + stack::CONTROL, control)
}

/// Copies the current location to the next one, without its completion routine.
fn copy_to_next(packet: u64) -> Result<(), Fault> {
    let place = packets::location(packet)?;
    let next = packets::next_location(packet)?;
    driver_mem::copy(next, place, stack::COMPLETION_ROUTINE)?;
    driver_mem::write_u8(next + stack::CONTROL, 0)
}

/// Sends an IRP on and waits until it has come back. False if there is no
/// location for the other driver.
fn forward(body: u64, packet: u64, caller: &Caller<'_>) -> Result<bool, Stop> {
    if driver_mem::read_u8(packet + irp::CURRENT_LOCATION)? <= 1 {
        return Ok(false);
    }
    let Some(event) = new_event()? else {
        return Ok(false);
    };
    copy_to_next(packet)?;
    wait_for(body, packet, event, caller)?;
    Ok(true)
}

/// Sends an IRP whose next location the driver has filled in, waits until it has come
/// back, and returns its status.
///
/// # Errors
/// Why the caller does not go on.
pub fn send_and_wait(body: u64, packet: u64, caller: &Caller<'_>) -> Result<u32, Stop> {
    let Some(event) = new_event()? else {
        return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
    };
    wait_for(body, packet, event, caller)?;
    Ok(driver_mem::read_u32(packet + irp::STATUS)?)
}

/// An event that [`wait_for`] frees; `None` without memory.
fn new_event() -> Result<Option<u64>, Fault> {
    let Some(event) = pool::allocate(PoolKind::NonPaged, EVENT_SIZE, TAG) else {
        return Ok(None);
    };
    object::initialize(event, Kind::NotificationEvent, EVENT_SIZE, 0)?;
    Ok(Some(event))
}

/// Sends an IRP on and waits for the event that its completion routine sets.
fn wait_for(body: u64, packet: u64, event: u64, caller: &Caller<'_>) -> Result<(), Stop> {
    let routine = export_table::resolve("IopForwardCompletion").unwrap_or(0);
    let always = stack::flag::INVOKE_ON_SUCCESS
        | stack::flag::INVOKE_ON_ERROR
        | stack::flag::INVOKE_ON_CANCEL;
    set(packet, routine, event, always)?;
    let status = packets::call(body, packet, caller)?;
    if status == packets::PENDING {
        wait::wait(vec![event], false, Patience::Forever)?;
    }
    pool::free(event);
    Ok(())
}

exports! {
    /// `IoSetCompletionRoutineEx`: the device object stays until the routine has
    /// returned.
    fn IoSetCompletionRoutineEx(
        body: u64, packet: u64, routine: u64, context: u64, success: bool, error: bool, cancel: bool,
    ) -> u32 [max DISPATCH_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let Some(kept) = pool::allocate(PoolKind::NonPaged, offset::SIZE, TAG) else {
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        };
        driver_mem::write_u64(kept + offset::DEVICE, body)?;
        driver_mem::write_u64(kept + offset::CONTEXT, context)?;
        driver_mem::write_u64(kept + offset::ROUTINE, routine)?;
        let control = [
            (success, stack::flag::INVOKE_ON_SUCCESS),
            (error, stack::flag::INVOKE_ON_ERROR),
            (cancel, stack::flag::INVOKE_ON_CANCEL),
        ];
        let control = control.into_iter().fold(0, |all, (wanted, flag)| if wanted { all | flag } else { all });
        ob::reference(body);
        set(packet, export_table::resolve("IopUnloadSafeCompletion").unwrap_or(0), kept, control)?;
        Ok(0)
    }

    /// The routine that `IoSetCompletionRoutineEx` sets.
    fn IopUnloadSafeCompletion<call>(above: u64, packet: u64, kept: u64) -> u32
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let caller = Caller::of(call);
        let body = driver_mem::read_u64(kept + offset::DEVICE)?;
        let context = driver_mem::read_u64(kept + offset::CONTEXT)?;
        let routine = driver_mem::read_u64(kept + offset::ROUTINE)?;
        pool::free(kept);
        let routine = Routine::new(routine, "completion routine").held_by(packet, "IRP");
        let status = caller.call(routine, &[above, packet, context]);
        ob::dereference(body, &caller);
        Ok(u32::try_from(status & 0xffff_ffff).unwrap_or(0))
    }

    /// `IoForwardIrpSynchronously`: FALSE if it was not sent.
    fn IoForwardIrpSynchronously<call>(body: u64, packet: u64) -> bool [max APC_LEVEL, wdm] {
        forward(body, packet, &Caller::of(call))
    }

    /// `IoForwardAndCatchIrp`: the older name.
    fn IoForwardAndCatchIrp<call>(body: u64, packet: u64) -> bool [max APC_LEVEL, undocumented] {
        forward(body, packet, &Caller::of(call))
    }

    /// The routine that ends the wait of `IoForwardIrpSynchronously`.
    fn IopForwardCompletion(above: u64, packet: u64, event: u64) -> u32
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        if driver_mem::read_u8(packet + irp::PENDING_RETURNED)? != 0 {
            object::set_state(event, 1)?;
            wait::signal(event)?;
        }
        Ok(nt_status::STATUS_MORE_PROCESSING_REQUIRED)
    }
}
