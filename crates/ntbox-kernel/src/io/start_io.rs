//! `StartIo`: requests of a device go to the driver one at a time, through the
//! device queue in its device object.
//!
//! `IoSetStartIoAttributes` can ask that `StartIo` is not entered again while it
//! runs. What is due then waits here until it has returned.

use std::collections::{BTreeMap, VecDeque};

use ntbox_api::rules;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::kernel_cell::Exclusive;
use ntbox_host::routine::Routine;
use ntbox_host::{cpu, driver_mem};

use crate::base::call_context::Caller;
use crate::base::diag;
use crate::base::export::exports;
use crate::base::io_layout::{device, driver, irp};
use crate::ke::{device_queue, irp_cancel_lock};

/// What is to be done once `StartIo` has returned.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// Call it with this IRP.
    Packet(u64),
    /// Take the next one from the queue.
    Next { cancelable: bool, key: Option<u32> },
}

/// What the driver asked for of a device's `StartIo`, and where it is.
#[derive(Debug, Default)]
struct Attributes {
    deferred: bool,
    non_cancelable: bool,
    inside: bool,
    due: VecDeque<Due>,
}

static DEVICES: Exclusive<BTreeMap<u64, Attributes>> = Exclusive::new(BTreeMap::new());

fn with<T>(body: u64, work: impl FnOnce(&mut Attributes) -> T) -> T {
    let mut devices = DEVICES.lock();
    work(devices.entry(body).or_default())
}

/// A device is gone, and what was asked for it.
pub fn forget(body: u64) {
    DEVICES.lock().remove(&body);
}

/// Puts off what is due if `StartIo` must not be entered now.
fn put_off(body: u64, due: Due) -> bool {
    with(body, |attributes| {
        let later = attributes.deferred && attributes.inside;
        if later {
            attributes.due.push_back(due);
        }
        later
    })
}

/// Calls `StartIo`, and again with what became due meanwhile.
fn call_start_io(body: u64, packet: u64, caller: &Caller<'_>) -> Result<(), Stop> {
    if put_off(body, Due::Packet(packet)) {
        return Ok(());
    }
    let owner = driver_mem::read_u64(body + device::DRIVER_OBJECT)?;
    let routine = driver_mem::read_u64(owner + driver::START_IO)?;
    let outermost = with(body, |attributes| {
        !std::mem::replace(&mut attributes.inside, true)
    });
    let start_io = Routine::new(routine, "StartIo entry").held_by(owner, "DRIVER_OBJECT");
    caller.call(start_io, &[body, packet]);
    if !outermost {
        return Ok(());
    }
    while let Some(due) = with(body, |attributes| attributes.due.pop_front()) {
        let packet = match due {
            Due::Packet(packet) => Some(packet),
            Due::Next { cancelable, key } => take_next(body, cancelable, key, caller)?,
        };
        if let Some(packet) = packet {
            caller.call(start_io, &[body, packet]);
        }
    }
    with(body, |attributes| attributes.inside = false);
    Ok(())
}

fn start_packet(
    body: u64,
    packet: u64,
    key: Option<u32>,
    cancel_routine: u64,
    caller: &Caller<'_>,
) -> Result<(), Stop> {
    let before = cpu::set_irql(DISPATCH_LEVEL);
    let cancelable = cancel_routine != 0;
    let mut cancel_irql = DISPATCH_LEVEL;
    if cancelable {
        cancel_irql = irp_cancel_lock::acquire(caller.address())?;
        driver_mem::write_u64(packet + irp::CANCEL_ROUTINE, cancel_routine)?;
    }
    if device_queue::insert(
        body + device::DEVICE_QUEUE,
        packet + irp::DEVICE_QUEUE_ENTRY,
        key,
    )? {
        if cancelable && driver_mem::read_u8(packet + irp::CANCEL)? != 0 {
            // It was cancelled before it got here; the routine releases the lock.
            driver_mem::write_u8(packet + irp::CANCEL_IRQL, cancel_irql)?;
            driver_mem::write_u64(packet + irp::CANCEL_ROUTINE, 0)?;
            let routine = Routine::new(cancel_routine, "cancel routine").held_by(packet, "IRP");
            caller.call(routine, &[body, packet]);
        } else if cancelable {
            irp_cancel_lock::release(cancel_irql, caller.address())?;
        }
    } else {
        driver_mem::write_u64(body + device::CURRENT_IRP, packet)?;
        if cancelable {
            if with(body, |attributes| attributes.non_cancelable) {
                driver_mem::write_u64(packet + irp::CANCEL_ROUTINE, 0)?;
            }
            irp_cancel_lock::release(cancel_irql, caller.address())?;
        }
        call_start_io(body, packet, caller)?;
    }
    cpu::set_irql(before);
    Ok(())
}

/// Makes the next IRP of the queue the current one.
fn take_next(
    body: u64,
    cancelable: bool,
    key: Option<u32>,
    caller: &Caller<'_>,
) -> Result<Option<u64>, Stop> {
    let mut irql = DISPATCH_LEVEL;
    if cancelable {
        irql = irp_cancel_lock::acquire(caller.address())?;
    }
    let entry = device_queue::remove(body + device::DEVICE_QUEUE, key)?;
    let packet = entry.map(|entry| entry.wrapping_sub(irp::DEVICE_QUEUE_ENTRY));
    driver_mem::write_u64(body + device::CURRENT_IRP, packet.unwrap_or(0))?;
    if cancelable {
        if let Some(packet) = packet
            && with(body, |attributes| attributes.non_cancelable)
        {
            driver_mem::write_u64(packet + irp::CANCEL_ROUTINE, 0)?;
        }
        irp_cancel_lock::release(irql, caller.address())?;
    }
    Ok(packet)
}

fn start_next(
    body: u64,
    cancelable: bool,
    key: Option<u32>,
    function: &str,
    caller: &Caller<'_>,
) -> Result<(), Stop> {
    if cpu::irql() < DISPATCH_LEVEL {
        let what = format!("{function} called at IRQL {}, must be 2", cpu::irql());
        diag::violation(rules::IRQL_TOO_LOW, what, caller.address());
    }
    if put_off(body, Due::Next { cancelable, key }) {
        return Ok(());
    }
    match take_next(body, cancelable, key, caller)? {
        Some(packet) => call_start_io(body, packet, caller),
        None => Ok(()),
    }
}

exports! {
    /// `IoStartPacket`.
    fn IoStartPacket<call>(body: u64, packet: u64, key: u64, cancel_routine: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let key = if key == 0 { None } else { Some(driver_mem::read_u32(key)?) };
        start_packet(body, packet, key, cancel_routine, &Caller::of(call))
    }

    /// `IoStartNextPacket`.
    fn IoStartNextPacket<call>(body: u64, cancelable: bool) -> () [max DISPATCH_LEVEL, wdm] {
        start_next(body, cancelable, None, "IoStartNextPacket", &Caller::of(call))
    }

    /// `IoStartNextPacketByKey`.
    fn IoStartNextPacketByKey<call>(body: u64, cancelable: bool, key: u32) -> () [max DISPATCH_LEVEL, wdm] {
        start_next(body, cancelable, Some(key), "IoStartNextPacketByKey", &Caller::of(call))
    }

    /// `IoSetStartIoAttributes`.
    fn IoSetStartIoAttributes(body: u64, deferred: bool, non_cancelable: bool) -> () [max DISPATCH_LEVEL, wdm] {
        with(body, |attributes| {
            attributes.deferred = deferred;
            attributes.non_cancelable = non_cancelable;
        });
        Ok(())
    }
}
