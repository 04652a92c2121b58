//! `StartIo`: requests of a device go to the driver one at a time, through the
//! device queue in its device object.
//!
//! `IoSetStartIoAttributes` can ask that `StartIo` is not entered again while it
//! runs. What is due then waits here until it has returned.

use std::collections::{BTreeMap, VecDeque};

use nt_layout::{DeviceObject, DriverObject, Irp};
use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;
use ntbox_host::{cpu, driver_mem};

use crate::base::call_context::CallContext;
use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::ke::{device_queue, irp_cancel_lock};

/// What to do after `StartIo` has returned.
#[derive(Debug, Clone, Copy)]
enum NextAction {
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
    due: VecDeque<NextAction>,
}

static DEVICES: KernelCell<BTreeMap<u64, Attributes>> = KernelCell::new(BTreeMap::new());

fn with<T>(device: u64, work: impl FnOnce(&mut Attributes) -> T) -> T {
    let mut devices = DEVICES.lock();
    work(devices.entry(device).or_default())
}

/// A device is gone, and what was asked for it.
pub fn forget(device: u64) {
    DEVICES.lock().remove(&device);
}

/// Puts off what is due if `StartIo` must not be entered now.
fn put_off(device: u64, due: NextAction) -> bool {
    with(device, |attributes| {
        let later = attributes.deferred && attributes.inside;
        if later {
            attributes.due.push_back(due);
        }
        later
    })
}

/// Calls `StartIo`, and again with what became due meanwhile.
fn call_start_io(device: u64, irp: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    if put_off(device, NextAction::Packet(irp)) {
        return Ok(());
    }
    let owner = DriverPtr::<DeviceObject>::new(device).get(|device| &device.driver_object)?;
    let routine = DriverPtr::<DriverObject>::new(owner).get(|driver| &driver.driver_start_io)?;
    let outermost = with(device, |attributes| {
        !std::mem::replace(&mut attributes.inside, true)
    });
    let start_io = Routine::new(routine, "StartIo entry").held_by(owner, "DRIVER_OBJECT");
    caller.call(start_io, &[device, irp]);
    if !outermost {
        return Ok(());
    }
    while let Some(due) = with(device, |attributes| attributes.due.pop_front()) {
        let irp = match due {
            NextAction::Packet(irp) => Some(irp),
            NextAction::Next { cancelable, key } => take_next(device, cancelable, key, caller)?,
        };
        if let Some(irp) = irp {
            caller.call(start_io, &[device, irp]);
        }
    }
    with(device, |attributes| attributes.inside = false);
    Ok(())
}

fn start_packet(
    device: u64,
    irp: u64,
    key: Option<u32>,
    cancel_routine: u64,
    caller: &CallContext<'_>,
) -> Result<(), NoReturn> {
    let irp = DriverPtr::<Irp>::new(irp);
    let device = DriverPtr::<DeviceObject>::new(device);
    let before = cpu::set_irql(DISPATCH_LEVEL);
    let cancelable = cancel_routine != 0;
    let mut cancel_irql = DISPATCH_LEVEL;
    if cancelable {
        cancel_irql = irp_cancel_lock::acquire(caller.address())?;
        irp.set(|irp| &irp.cancel_routine, cancel_routine)?;
    }
    if device_queue::insert(
        device.at(|device| &device.device_queue).address(),
        irp.at(|irp| &irp.driver_context).address(),
        key,
    )? {
        if cancelable && irp.get(|irp| &irp.cancel)? != 0 {
            // It was cancelled before it got here; the routine releases the lock.
            irp.set(|irp| &irp.cancel_irql, cancel_irql)?;
            irp.set(|irp| &irp.cancel_routine, 0)?;
            let routine =
                Routine::new(cancel_routine, "cancel routine").held_by(irp.address(), "IRP");
            caller.call(routine, &[device.address(), irp.address()]);
        } else if cancelable {
            irp_cancel_lock::release(cancel_irql, caller.address())?;
        }
    } else {
        device.set(|device| &device.current_irp, irp.address())?;
        if cancelable {
            if with(device.address(), |attributes| attributes.non_cancelable) {
                irp.set(|irp| &irp.cancel_routine, 0)?;
            }
            irp_cancel_lock::release(cancel_irql, caller.address())?;
        }
        call_start_io(device.address(), irp.address(), caller)?;
    }
    cpu::set_irql(before);
    Ok(())
}

/// Makes the next IRP of the queue the current one.
fn take_next(
    device: u64,
    cancelable: bool,
    key: Option<u32>,
    caller: &CallContext<'_>,
) -> Result<Option<u64>, NoReturn> {
    let device = DriverPtr::<DeviceObject>::new(device);
    let mut irql = DISPATCH_LEVEL;
    if cancelable {
        irql = irp_cancel_lock::acquire(caller.address())?;
    }
    let entry = device_queue::remove(device.at(|device| &device.device_queue).address(), key)?;
    let irp = entry.map(|entry| {
        DriverPtr::new(entry)
            .containing(|irp: &Irp| &irp.driver_context)
            .address()
    });
    device.set(|device| &device.current_irp, irp.unwrap_or(0))?;
    if cancelable {
        if let Some(irp) = irp
            && with(device.address(), |attributes| attributes.non_cancelable)
        {
            DriverPtr::<Irp>::new(irp).set(|irp| &irp.cancel_routine, 0)?;
        }
        irp_cancel_lock::release(irql, caller.address())?;
    }
    Ok(irp)
}

fn start_next(
    device: u64,
    cancelable: bool,
    key: Option<u32>,
    function: &str,
    caller: &CallContext<'_>,
) -> Result<(), NoReturn> {
    if cpu::irql() < DISPATCH_LEVEL {
        let what = format!("{function} called at IRQL {}, must be 2", cpu::irql());
        diag::violation(rules::IRQL_TOO_LOW, what, caller.address());
    }
    if put_off(device, NextAction::Next { cancelable, key }) {
        return Ok(());
    }
    match take_next(device, cancelable, key, caller)? {
        Some(irp) => call_start_io(device, irp, caller),
        None => Ok(()),
    }
}

exports! {
    /// `IoStartPacket`.
    fn IoStartPacket<call>(device: u64, irp: u64, key: u64, cancel_routine: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let key = if key == 0 { None } else { Some(driver_mem::read_u32(key)?) };
        start_packet(device, irp, key, cancel_routine, &CallContext::of(call))
    }

    /// `IoStartNextPacket`.
    fn IoStartNextPacket<call>(device: u64, cancelable: bool) -> () [max DISPATCH_LEVEL, wdm] {
        start_next(device, cancelable, None, "IoStartNextPacket", &CallContext::of(call))
    }

    /// `IoStartNextPacketByKey`.
    fn IoStartNextPacketByKey<call>(device: u64, cancelable: bool, key: u32) -> () [max DISPATCH_LEVEL, wdm] {
        start_next(device, cancelable, Some(key), "IoStartNextPacketByKey", &CallContext::of(call))
    }

    /// `IoSetStartIoAttributes`.
    fn IoSetStartIoAttributes(device: u64, deferred: bool, non_cancelable: bool) -> () [max DISPATCH_LEVEL, wdm] {
        with(device, |attributes| {
            attributes.deferred = deferred;
            attributes.non_cancelable = non_cancelable;
        });
        Ok(())
    }
}
