//! I/O timers: one routine for each device that wants it, called once a second at
//! `DISPATCH_LEVEL` while its timer is started.
//!
//! One kernel timer serves all devices, and runs only while one of them wants it.
//! The reference forbids a routine to stop a timer: kernels call it under the lock
//! that stopping takes. Here it is reported, and stops the timer.

use nt_layout::{DeviceObject, IoTimer, Kdpc};
use ntbox_api::rules;
use ntbox_host::cpu;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::{Routine, note_registrar};

use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::{diag, export_table};
use crate::ke::{dpc, timer};
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// `IO_TYPE_TIMER`.
const TYPE: u16 = 9;
/// Bytes of the kernel timer. Its DPC follows it.
const TIMER_SIZE: u64 = 0x40;
/// A second, in milliseconds and as a relative time.
const PERIOD: u32 = 1000;
const DUE: i64 = -10_000_000;
/// Pool tag of both.
const TAG: u32 = u32::from_le_bytes(*b"IoTi");

#[derive(Debug, Default)]
struct IoTimers {
    /// The kernel timer; 0 until the first device has an I/O timer.
    timer: u64,
    /// `IO_TIMER`s that are started.
    started: Vec<u64>,
    /// The processor that is calling routines.
    calling: Option<usize>,
}

static TIMERS: KernelCell<IoTimers> = KernelCell::new(IoTimers {
    timer: 0,
    started: Vec::new(),
    calling: None,
});

fn with<T>(work: impl FnOnce(&mut IoTimers) -> T) -> T {
    work(&mut TIMERS.lock())
}

/// Whether a kernel timer is the one behind the I/O timers.
pub fn owns(timer: u64) -> bool {
    timer != 0 && with(|timers| timers.timer == timer)
}

/// The kernel timer, made if need be; 0 without memory.
fn kernel_timer() -> Result<u64, Fault> {
    let known = with(|timers| timers.timer);
    if known != 0 {
        return Ok(known);
    }
    let Some(made) = pool::allocate(
        PoolKind::NonPaged,
        TIMER_SIZE + DriverPtr::<Kdpc>::SIZE,
        TAG,
    ) else {
        return Ok(0);
    };
    timer::initialize(made, 0)?;
    let routine = export_table::resolve("IopTimerDispatch").unwrap_or(0);
    dpc::initialize(made + TIMER_SIZE, routine, 0)?;
    with(|timers| timers.timer = made);
    Ok(made)
}

fn start(object: u64) -> Result<(), Fault> {
    DriverPtr::<IoTimer>::new(object).set(|timer| &timer.timer_flag, 1)?;
    let first = with(|timers| {
        if !timers.started.contains(&object) {
            timers.started.push(object);
        }
        timers.started.len() == 1
    });
    let kernel = with(|timers| timers.timer);
    if first && !timer::is_set(kernel) {
        timer::set(kernel, DUE, PERIOD, kernel + TIMER_SIZE)?;
    }
    Ok(())
}

fn stop(object: u64) -> Result<(), Fault> {
    DriverPtr::<IoTimer>::new(object).set(|timer| &timer.timer_flag, 0)?;
    let (last, kernel) = with(|timers| {
        timers.started.retain(|started| *started != object);
        (timers.started.is_empty(), timers.timer)
    });
    if last && kernel != 0 {
        timer::cancel(kernel)?;
    }
    Ok(())
}

/// A device goes away, and its timer with it.
pub fn forget(device: u64) -> Result<(), Fault> {
    let device = DriverPtr::<DeviceObject>::new(device);
    let object = device.get(|device| &device.timer)?;
    if object != 0 {
        stop(object)?;
        device.set(|device| &device.timer, 0)?;
        pool::free(object);
    }
    Ok(())
}

/// The timer of a device; reading it where there is none is what it is on Windows.
fn timer_of(device: u64) -> Result<u64, NoReturn> {
    let object = DriverPtr::<DeviceObject>::new(device).get(|device| &device.timer)?;
    DriverPtr::<IoTimer>::new(object).get(|timer| &timer.kind)?;
    Ok(object)
}

exports! {
    /// `IoInitializeTimer`.
    fn IoInitializeTimer<call>(device: DriverPtr<DeviceObject>, routine: u64, context: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        if kernel_timer()? == 0 {
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        }
        note_registrar(device.address(), call.return_address());
        let mut timer = DriverPtr::<IoTimer>::new(device.get(|device| &device.timer)?);
        if timer.is_null() {
            let Some(made) = pool::allocate(PoolKind::NonPaged, DriverPtr::<IoTimer>::SIZE, TAG) else {
                return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
            };
            timer = DriverPtr::new(made);
            timer.set(|timer| &timer.kind, TYPE)?;
            timer.set(|timer| &timer.device_object, device.address())?;
            device.set(|device| &device.timer, made)?;
        }
        timer.set(|timer| &timer.timer_routine, routine)?;
        timer.set(|timer| &timer.context, context)?;
        Ok(0)
    }

    /// `IoStartTimer`.
    fn IoStartTimer(device: u64) -> () [max DISPATCH_LEVEL, wdm] {
        Ok(start(timer_of(device)?)?)
    }

    /// `IoStopTimer`.
    fn IoStopTimer<call>(device: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let object = timer_of(device)?;
        if with(|timers| timers.calling) == Some(cpu::index()) {
            let what = format!(
                "IoStopTimer called by an IoTimer routine, for the device {device:#018x}; Windows holds a spin lock over these routines that IoStopTimer acquires"
            );
            diag::violation(rules::IO_TIMER_STOPPED_INSIDE, what, call.return_address());
        }
        Ok(stop(object)?)
    }

    /// The DPC of the kernel timer: calls every routine whose timer is started.
    fn IopTimerDispatch<call>() -> () [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let caller = CallContext::of(call);
        with(|timers| timers.calling = Some(cpu::index()));
        for object in with(|timers| timers.started.clone()) {
            // One routine may have stopped the timer of another.
            if with(|timers| timers.started.contains(&object)) {
                let timer = DriverPtr::<IoTimer>::new(object);
                let device = timer.get(|timer| &timer.device_object)?;
                let context = timer.get(|timer| &timer.context)?;
                let routine = timer.get(|timer| &timer.timer_routine)?;
                let routine = Routine::new(routine, "I/O timer routine").held_by(device, "DEVICE_OBJECT");
                caller.call(routine, &[device, context]);
            }
        }
        with(|timers| timers.calling = None);
        Ok(())
    }
}
