//! Completion routines that the I/O manager puts around a driver's own: one that
//! keeps the driver loaded while it runs, one that waits.

use std::mem::offset_of;

use nt_layout::{IoStackLocation, IoUnloadSafeCompletionContext, Irp, Kevent};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::routine::Routine;

use super::irp;
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::export_table;
use crate::base::io_layout::stack::flag as stack_flag;
use crate::ke::object::Kind;
use crate::ke::wait::Timeout;
use crate::ke::{object, wait};
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::ob;

/// Pool tag of what is kept for a routine.
const TAG: u32 = u32::from_le_bytes(*b"IoUs");

/// Sets the completion routine of the location below the current one.
fn set(irp: u64, routine: u64, context: u64, control: u8) -> Result<(), Fault> {
    let stack_location = DriverPtr::<IoStackLocation>::new(irp::next_location(irp)?);
    stack_location.set(|location| &location.completion_routine, routine)?;
    stack_location.set(|location| &location.context, context)?;
    stack_location.set(|location| &location.control, control)
}

/// Copies the current location to the next one, without its completion routine.
fn copy_to_next(irp: u64) -> Result<(), Fault> {
    let stack_location = irp::location(irp)?;
    let next = irp::next_location(irp)?;
    driver_mem::copy(
        next,
        stack_location,
        offset_of!(IoStackLocation, completion_routine) as u64,
    )?;
    DriverPtr::<IoStackLocation>::new(next).set(|location| &location.control, 0)
}

/// Sends an IRP on and waits until it has come back. False if there is no
/// location for the other driver.
fn forward(device: u64, irp: u64, caller: &CallContext<'_>) -> Result<bool, NoReturn> {
    if DriverPtr::<Irp>::new(irp).get(|irp| &irp.current_location)? <= 1 {
        return Ok(false);
    }
    let Some(event) = new_event()? else {
        return Ok(false);
    };
    copy_to_next(irp)?;
    wait_for(device, irp, event, caller)?;
    Ok(true)
}

/// Sends an IRP whose next location the driver has filled in, waits until it has come
/// back, and returns its status.
///
/// # Errors
/// Why the caller does not go on.
pub fn send_and_wait(device: u64, irp: u64, caller: &CallContext<'_>) -> Result<u32, NoReturn> {
    let Some(event) = new_event()? else {
        return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
    };
    wait_for(device, irp, event, caller)?;
    Ok(DriverPtr::<Irp>::new(irp).get(|irp| &irp.io_status.status)?)
}

/// An event that [`wait_for`] frees; `None` without memory.
fn new_event() -> Result<Option<u64>, Fault> {
    let Some(event) = pool::allocate(PoolKind::NonPaged, DriverPtr::<Kevent>::SIZE, TAG) else {
        return Ok(None);
    };
    object::initialize(event, Kind::NotificationEvent, DriverPtr::<Kevent>::SIZE, 0)?;
    Ok(Some(event))
}

/// Sends an IRP on and waits for the event that its completion routine sets.
fn wait_for(device: u64, irp: u64, event: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let routine = export_table::resolve("IopForwardCompletion").unwrap_or(0);
    let always =
        stack_flag::INVOKE_ON_SUCCESS | stack_flag::INVOKE_ON_ERROR | stack_flag::INVOKE_ON_CANCEL;
    set(irp, routine, event, always)?;
    let status = irp::call(device, irp, caller)?;
    if status == irp::PENDING {
        wait::wait(vec![event], false, Timeout::Forever)?;
    }
    pool::free(event);
    Ok(())
}

exports! {
    /// `IoSetCompletionRoutineEx`: the device object stays until the routine has
    /// returned.
    fn IoSetCompletionRoutineEx(
        device: u64, irp: u64, routine: u64, context: u64, success: bool, error: bool, cancel: bool,
    ) -> u32 [max DISPATCH_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let Some(kept) = pool::allocate(PoolKind::NonPaged, DriverPtr::<IoUnloadSafeCompletionContext>::SIZE, TAG) else {
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        };
        let kept = DriverPtr::<IoUnloadSafeCompletionContext>::new(kept);
        kept.set(|kept| &kept.device_object, device)?;
        kept.set(|kept| &kept.context, context)?;
        kept.set(|kept| &kept.completion_routine, routine)?;
        let control = [
            (success, stack_flag::INVOKE_ON_SUCCESS),
            (error, stack_flag::INVOKE_ON_ERROR),
            (cancel, stack_flag::INVOKE_ON_CANCEL),
        ];
        let control = control.into_iter().fold(0, |all, (wanted, flag)| if wanted { all | flag } else { all });
        ob::reference(device);
        set(irp, export_table::resolve("IopUnloadSafeCompletion").unwrap_or(0), kept.address(), control)?;
        Ok(0)
    }

    /// The routine that `IoSetCompletionRoutineEx` sets.
    fn IopUnloadSafeCompletion<call>(above: u64, irp: u64, kept: DriverPtr<IoUnloadSafeCompletionContext>) -> u32
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let caller = CallContext::of(call);
        let device = kept.get(|kept| &kept.device_object)?;
        let context = kept.get(|kept| &kept.context)?;
        let routine = kept.get(|kept| &kept.completion_routine)?;
        pool::free(kept.address());
        let routine = Routine::new(routine, "completion routine").held_by(irp, "IRP");
        let status = caller.call(routine, &[above, irp, context]);
        ob::dereference(device, &caller);
        Ok(u32::try_from(status & 0xffff_ffff).unwrap_or(0))
    }

    /// `IoForwardIrpSynchronously`: FALSE if it was not sent.
    fn IoForwardIrpSynchronously<call>(device: u64, irp: u64) -> bool [max APC_LEVEL, wdm] {
        forward(device, irp, &CallContext::of(call))
    }

    /// `IoForwardAndCatchIrp`: the older name.
    fn IoForwardAndCatchIrp<call>(device: u64, irp: u64) -> bool [max APC_LEVEL, undocumented] {
        forward(device, irp, &CallContext::of(call))
    }

    /// The routine that ends the wait of `IoForwardIrpSynchronously`.
    fn IopForwardCompletion(above: u64, irp: DriverPtr<Irp>, event: u64) -> u32
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        if irp.get(|irp| &irp.pending_returned)? != 0 {
            object::set_state(event, 1)?;
            wait::signal(event)?;
        }
        Ok(nt_status::STATUS_MORE_PROCESSING_REQUIRED)
    }
}
