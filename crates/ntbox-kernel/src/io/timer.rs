//! I/O timers: one routine for each device that wants it, called once a second at
//! `DISPATCH_LEVEL` while its timer is started.
//!
//! One kernel timer serves all devices, and runs only while one of them wants it.
//! The reference forbids a routine to stop a timer: kernels call it under the lock
//! that stopping takes. Here it is reported, and stops the timer.

use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::Exclusive;
use ntbox_host::routine::{Routine, note_registrar};
use ntbox_host::{cpu, driver_mem};

use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::io_layout::device;
use crate::base::{diag, export_table};
use crate::ke::{dpc, timer};
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// Offsets in an `IO_TIMER`, which drivers do not look at.
mod offset {
    pub const TYPE: u64 = 0x00;
    pub const STARTED: u64 = 0x02;
    pub const ROUTINE: u64 = 0x18;
    pub const CONTEXT: u64 = 0x20;
    pub const DEVICE: u64 = 0x28;
}

/// Bytes of an `IO_TIMER`.
const SIZE: u64 = 0x30;
/// `IO_TYPE_TIMER`.
const TYPE: u16 = 9;
/// Bytes of the kernel timer, behind which its DPC lies.
const TIMER_SIZE: u64 = 0x40;
/// Bytes of a DPC.
const DPC_SIZE: u64 = 0x40;
/// A second, in milliseconds and as a relative time.
const PERIOD: u32 = 1000;
const DUE: i64 = -10_000_000;
/// Pool tag of both.
const TAG: u32 = u32::from_le_bytes(*b"IoTi");

#[derive(Debug, Default)]
struct State {
    /// The kernel timer; 0 until the first device wants it.
    timer: u64,
    /// `IO_TIMER`s that are started.
    started: Vec<u64>,
    /// The processor that is calling routines.
    calling: Option<usize>,
}

static STATE: Exclusive<State> = Exclusive::new(State {
    timer: 0,
    started: Vec::new(),
    calling: None,
});

fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    work(&mut STATE.lock())
}

/// Whether a kernel timer is the one behind the I/O timers.
pub fn owns(timer: u64) -> bool {
    timer != 0 && with(|state| state.timer == timer)
}

/// The kernel timer, made if need be; 0 without memory.
fn kernel_timer() -> Result<u64, Fault> {
    let known = with(|state| state.timer);
    if known != 0 {
        return Ok(known);
    }
    let Some(made) = pool::allocate(PoolKind::NonPaged, TIMER_SIZE + DPC_SIZE, TAG) else {
        return Ok(0);
    };
    timer::initialize(made, 0)?;
    let routine = export_table::resolve("IopTimerDispatch").unwrap_or(0);
    dpc::initialize(made + TIMER_SIZE, routine, 0)?;
    with(|state| state.timer = made);
    Ok(made)
}

fn start(object: u64) -> Result<(), Fault> {
    driver_mem::write_u16(object + offset::STARTED, 1)?;
    let first = with(|state| {
        if !state.started.contains(&object) {
            state.started.push(object);
        }
        state.started.len() == 1
    });
    let kernel = with(|state| state.timer);
    if first && !timer::is_set(kernel) {
        timer::set(kernel, DUE, PERIOD, kernel + TIMER_SIZE)?;
    }
    Ok(())
}

fn stop(object: u64) -> Result<(), Fault> {
    driver_mem::write_u16(object + offset::STARTED, 0)?;
    let (last, kernel) = with(|state| {
        state.started.retain(|started| *started != object);
        (state.started.is_empty(), state.timer)
    });
    if last && kernel != 0 {
        timer::cancel(kernel)?;
    }
    Ok(())
}

/// A device goes away, and its timer with it.
pub fn forget(body: u64) -> Result<(), Fault> {
    let object = driver_mem::read_u64(body + device::TIMER)?;
    if object != 0 {
        stop(object)?;
        driver_mem::write_u64(body + device::TIMER, 0)?;
        pool::free(object);
    }
    Ok(())
}

/// The timer of a device; reading it where there is none is what it is on Windows.
fn timer_of(body: u64) -> Result<u64, Stop> {
    let object = driver_mem::read_u64(body + device::TIMER)?;
    driver_mem::read_u16(object.wrapping_add(offset::TYPE))?;
    Ok(object)
}

exports! {
    /// `IoInitializeTimer`.
    fn IoInitializeTimer<call>(body: u64, routine: u64, context: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        if kernel_timer()? == 0 {
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        }
        note_registrar(body, call.return_address());
        let mut object = driver_mem::read_u64(body + device::TIMER)?;
        if object == 0 {
            let Some(made) = pool::allocate(PoolKind::NonPaged, SIZE, TAG) else {
                return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
            };
            object = made;
            driver_mem::write_u16(object + offset::TYPE, TYPE)?;
            driver_mem::write_u64(object + offset::DEVICE, body)?;
            driver_mem::write_u64(body + device::TIMER, object)?;
        }
        driver_mem::write_u64(object + offset::ROUTINE, routine)?;
        driver_mem::write_u64(object + offset::CONTEXT, context)?;
        Ok(0)
    }

    /// `IoStartTimer`.
    fn IoStartTimer(body: u64) -> () [max DISPATCH_LEVEL, wdm] {
        Ok(start(timer_of(body)?)?)
    }

    /// `IoStopTimer`.
    fn IoStopTimer<call>(body: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let object = timer_of(body)?;
        if with(|state| state.calling) == Some(cpu::index()) {
            let what = format!(
                "IoStopTimer called by an IoTimer routine, for the device {body:#018x}; Windows holds a spin lock over these routines that IoStopTimer acquires"
            );
            diag::violation(rules::IO_TIMER_STOPPED_INSIDE, what, call.return_address());
        }
        Ok(stop(object)?)
    }

    /// The DPC of the kernel timer: calls every routine whose timer is started.
    fn IopTimerDispatch<call>() -> () [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let caller = Caller::of(call);
        with(|state| state.calling = Some(cpu::index()));
        for object in with(|state| state.started.clone()) {
            // One routine may have stopped the timer of another.
            if with(|state| state.started.contains(&object)) {
                let body = driver_mem::read_u64(object + offset::DEVICE)?;
                let context = driver_mem::read_u64(object + offset::CONTEXT)?;
                let routine = driver_mem::read_u64(object + offset::ROUTINE)?;
                let routine = Routine::new(routine, "I/O timer routine").held_by(body, "DEVICE_OBJECT");
                caller.call(routine, &[body, context]);
            }
        }
        with(|state| state.calling = None);
        Ok(())
    }
}
