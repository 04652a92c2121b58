//! Cancels IRPs, and implements the cancel spin lock.

use std::sync::atomic::{AtomicBool, Ordering};

use nt_layout::{IoStackLocation, Irp};
use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;
use ntbox_host::{cpu, driver_mem};

use super::sched::{Spin, SpinWait};
use super::{ipi, wait};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::lock_class::LockClass;
use crate::base::{diag, events, lock_class};

/// The holder of the cancel spin lock: the return address of the call that acquired
/// it, and the processor that called.
static HOLDER: KernelCell<Option<(u64, u32)>> = KernelCell::new(None);

fn holder<T>(work: impl FnOnce(&mut Option<(u64, u32)>) -> T) -> T {
    work(&mut HOLDER.lock())
}

/// Acquires the cancel spin lock. Returns the IRQL before.
pub fn acquire(caller: u64) -> Result<u8, NoReturn> {
    let before = cpu::set_irql(cpu::irql().max(DISPATCH_LEVEL));
    events::lock_acquiring(lock_class::CANCEL_LOCK, LockClass::SpinLock, caller);
    if holder(|holder| holder.is_some()) {
        let spinning = SpinWait::on(Spin::CancelLock(caller));
        while let Some((by, processor)) = holder(|holder| *holder) {
            if processor == cpu::number() {
                return Err(NoReturn::bug_check(
                    0x0f,
                    [by, caller, 0, 0],
                    "the cancel spin lock was acquired by the processor that holds it (SPIN_LOCK_ALREADY_OWNED)",
                ));
            }
            spinning.turn().map_err(|why| ipi::locked_up(&why))?;
        }
    }
    holder(|holder| *holder = Some((caller, cpu::number())));
    events::lock_acquired(lock_class::CANCEL_LOCK, LockClass::SpinLock, caller);
    Ok(before)
}

/// Whether a processor holds it.
pub fn is_held() -> bool {
    holder(|holder| holder.is_some())
}

/// Whether this processor holds it.
fn is_held_here() -> bool {
    holder(|holder| holder.is_some_and(|(_, processor)| processor == cpu::number()))
}

/// Releases it.
pub fn release(irql: u8, caller: u64) -> Result<(), NoReturn> {
    if holder(Option::take).is_none() {
        return Err(NoReturn::bug_check(
            0x10,
            [caller, 0, 0, 0],
            "the cancel spin lock was released and is not held (SPIN_LOCK_NOT_OWNED)",
        ));
    }
    events::lock_released(lock_class::CANCEL_LOCK);
    cpu::set_irql(irql);
    Ok(())
}

/// Whether a cancel routine was called.
static IS_CANCELLED: AtomicBool = AtomicBool::new(false);

/// Whether any cancel routine was called: the driver may complete the IRP a second time.
pub fn is_any_cancelled() -> bool {
    IS_CANCELLED.load(Ordering::Relaxed)
}

/// `IoCancelIrp`: whether a cancel routine was called.
pub fn cancel(irp: u64, caller: &CallContext<'_>) -> Result<bool, NoReturn> {
    let before = acquire(caller.address())?;
    let fields: DriverPtr<Irp> = DriverPtr::new(irp);
    fields.set(|irp| &irp.cancel, 1)?;
    wait::cancelled(irp);
    let routine = fields.get(|irp| &irp.cancel_routine)?;
    fields.set(|irp| &irp.cancel_routine, 0)?;
    if routine == 0 {
        release(before, caller.address())?;
        return Ok(false);
    }
    fields.set(|irp| &irp.cancel_irql, before)?;
    let stack_location = fields.get(|irp| &irp.current_stack_location)?;
    let stack_location: DriverPtr<IoStackLocation> = DriverPtr::new(stack_location);
    let device = stack_location.get(|location| &location.device_object)?;
    IS_CANCELLED.store(true, Ordering::Relaxed);
    // The routine releases the lock first.
    let entry = Routine::new(routine, "cancel routine").held_by(irp, "IRP");
    caller.call(entry, &[device, irp]);
    if is_held_here() {
        let what = format!(
            "the cancel routine of the IRP at {irp:#018x} returned without releasing the cancel spin lock"
        );
        diag::violation_of(routine, rules::CANCEL_LOCK_HELD, what);
        release(before, caller.address())?;
    }
    cpu::set_irql(before);
    Ok(true)
}

exports! {
    /// `IoAcquireCancelSpinLock`.
    fn IoAcquireCancelSpinLock<call>(irql: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let before = acquire(call.return_address())?;
        driver_mem::write_u8(irql, before)?;
        Ok(())
    }

    /// `IoReleaseCancelSpinLock`.
    fn IoReleaseCancelSpinLock<call>(irql: u8) -> () [max DISPATCH_LEVEL, wdm] {
        release(irql, call.return_address())
    }

    /// `IoCancelIrp`.
    fn IoCancelIrp<call>(irp: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        cancel(irp, &CallContext::of(call))
    }
}
