//! Timers that the system allocates (`EX_TIMER`). Each begins with a kernel timer,
//! so that threads wait for it as for one, and has a DPC for its callback.

use std::collections::BTreeMap;

use nt_layout::ExtDeleteParameters;
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::note_registrar;

use super::{dpc, timer};
use crate::base::call_context::CallContext;
use crate::base::clock;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// `EX_TIMER_HIGH_RESOLUTION`.
const HIGH_RESOLUTION: u32 = 4;
/// `EX_TIMER_NO_WAKE`.
const NO_WAKE: u32 = 8;
/// `EX_TIMER_NOTIFICATION`.
const NOTIFICATION: u32 = 0x8000_0000;
/// Offset of the DPC behind the kernel timer.
const DPC: u64 = 0x40;
/// Bytes of both.
const SIZE: u64 = 0x80;
/// Pool tag.
const TAG: u32 = u32::from_le_bytes(*b"ExTm");
/// Units of 100 ns in a millisecond.
const MILLISECOND: u64 = 10_000;

/// What is known of a timer.
#[derive(Debug, Clone, Copy)]
struct Timer {
    callback: u64,
    context: u64,
    high_resolution: bool,
    /// A routine and its argument, if the timer is deleted once it has expired.
    deleted: Option<(u64, u64)>,
}

static TIMERS: KernelCell<BTreeMap<u64, Timer>> = KernelCell::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, Timer>) -> T) -> T {
    work(&mut TIMERS.lock())
}

/// The stop for what the reference says ends in a bug check.
fn invalid(timer: u64, what: &str) -> NoReturn {
    // TIMER_OR_DPC_INVALID; the reference does not name the code.
    NoReturn::bug_check(0xc7, [0, timer, 0, 0], what)
}

fn known(timer: u64, function: &str) -> Result<Timer, NoReturn> {
    let found = with(|timers| timers.get(&timer).copied());
    found
        .filter(|found| found.deleted.is_none())
        .ok_or_else(|| {
            let what = format!(
                "{function} was called for {timer:#018x}, which is no timer of ExAllocateTimer"
            );
            invalid(timer, &what)
        })
}

/// The routine of an `EX_TIMER`'s DPC and its arguments; `None` for other DPCs.
pub fn of_dpc(dpc: u64) -> Option<(u64, [u64; 2])> {
    let timer = dpc.wrapping_sub(DPC);
    let found = with(|timers| timers.get(&timer).copied())?;
    Some((found.callback, [timer, found.context]))
}

/// The DPC has run: a timer that was deleted meanwhile goes. What is to be called
/// then, and with what.
pub fn expired(dpc: u64) -> Option<(u64, u64)> {
    let timer = dpc.wrapping_sub(DPC);
    let deleted = with(|timers| {
        let deleted = timers.get(&timer)?.deleted?;
        timers.remove(&timer);
        Some(deleted)
    })?;
    pool::free(timer);
    Some(deleted)
}

/// Deletes a timer that is not set.
fn delete(timer: u64, routine: u64, argument: u64, caller: &CallContext<'_>) {
    with(|timers| timers.remove(&timer));
    pool::free(timer);
    if routine != 0 {
        caller.call(routine, &[argument]);
    }
}

exports! {
    /// `ExAllocateTimer`: NULL without memory.
    fn ExAllocateTimer<call>(callback: u64, context: u64, attributes: u32) -> u64
        [max DISPATCH_LEVEL, wdm, since WINDOWS_8_1] fails 0 {
        let both = HIGH_RESOLUTION | NO_WAKE;
        if attributes & both == both || attributes & !(both | NOTIFICATION) != 0 {
            return Err(invalid(0, &format!("ExAllocateTimer was called with the attributes {attributes:#x}")));
        }
        let Some(timer) = pool::allocate(PoolKind::NonPaged, SIZE, TAG) else { return Ok(0) };
        timer::initialize(timer, u32::from(attributes & NOTIFICATION == 0))?;
        dpc::initialize(timer + DPC, callback, context)?;
        note_registrar(timer, call.return_address());
        note_registrar(timer + DPC, call.return_address());
        let info = Timer {
            callback,
            context,
            high_resolution: attributes & HIGH_RESOLUTION != 0,
            deleted: None,
        };
        with(|timers| timers.insert(timer, info));
        Ok(timer)
    }

    /// `ExSetTimer`: whether it was set already. The period is rounded up to
    /// milliseconds.
    fn ExSetTimer(timer: u64, due: i64, period: i64, parameters: u64) -> bool
        [max DISPATCH_LEVEL, wdm, since WINDOWS_8_1] {
        let info = known(timer, "ExSetTimer")?;
        if info.high_resolution && due >= 0 {
            return Err(invalid(timer, "a high-resolution timer was set to an absolute time"));
        }
        let period = period.unsigned_abs().div_ceil(MILLISECOND);
        let period = u32::try_from(period).map_err(|_| invalid(timer, "the period of a timer is above MAXLONG"))?;
        Ok(timer::set(timer, due, period, timer + DPC)?)
    }

    /// `ExCancelTimer`: whether it was set.
    fn ExCancelTimer(timer: u64, parameters: u64) -> bool [max DISPATCH_LEVEL, wdm, since WINDOWS_8_1] {
        known(timer, "ExCancelTimer")?;
        Ok(timer::cancel(timer)?)
    }

    /// `ExDeleteTimer`: whether it was set and is cancelled. One that is set and not
    /// cancelled goes when it expires.
    fn ExDeleteTimer<call>(timer: u64, cancel: bool, wait: bool, parameters: u64) -> bool
        [max DISPATCH_LEVEL, wdm, since WINDOWS_8_1] {
        known(timer, "ExDeleteTimer")?;
        if wait && !cancel {
            return Err(invalid(timer, "ExDeleteTimer was told to wait for a timer and not to cancel it"));
        }
        let (routine, argument) = match parameters {
            0 => (0, 0),
            at => {
                let parameters: DriverPtr<ExtDeleteParameters> = DriverPtr::new(at);
                (parameters.get(|it| &it.delete_callback)?, parameters.get(|it| &it.delete_context)?)
            }
        };
        let caller = CallContext::of(call);
        if !cancel && (timer::is_set(timer) || dpc::is_queued(timer + DPC)?) {
            with(|timers| {
                if let Some(info) = timers.get_mut(&timer) {
                    info.deleted = Some((routine, argument));
                }
            });
            return Ok(false);
        }
        let cancelled = timer::cancel(timer)?;
        if dpc::is_queued(timer + DPC)? {
            dpc::remove(timer + DPC)?;
        }
        delete(timer, routine, argument, &caller);
        Ok(cancelled)
    }

    /// `ExQueryTimerResolution`: longest, shortest and present time between two
    /// interrupts of the clock, of which there is one here.
    fn ExQueryTimerResolution(longest: u64, shortest: u64, present: u64) -> () [max APC_LEVEL, wdm, since WINDOWS_8] {
        let tick = u32::try_from(clock::TICK).unwrap_or(u32::MAX);
        for to in [longest, shortest, present] {
            driver_mem::write_u32(to, tick)?;
        }
        Ok(())
    }

    /// `ExSetTimerResolution`: it cannot be changed; what it is.
    fn ExSetTimerResolution(desired: u32, set: bool) -> u32 [max APC_LEVEL, wdm] {
        Ok(u32::try_from(clock::TICK).unwrap_or(u32::MAX))
    }
}
