//! Who is told that the system shuts down: devices, each by an
//! `IRP_MJ_SHUTDOWN`, the one registered last first; and those that asked for
//! the last chance after all others.

use nt_layout::DeviceObject;
use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use super::{device as devices, file};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout::device::flag as device_flag;
use crate::base::io_layout::major;
use crate::base::leak_check::Leak;
use crate::base::{diag, thread_table};
use crate::ob;

/// Registered devices in the order of registration, each with the address in the
/// driver of the call that registered it: those of the first round, those of the
/// last chance.
#[derive(Debug, Default)]
struct ShutdownRegistration {
    first: Vec<(u64, u64)>,
    last: Vec<(u64, u64)>,
}

static REGISTERED: KernelCell<ShutdownRegistration> = KernelCell::new(ShutdownRegistration {
    first: Vec::new(),
    last: Vec::new(),
});

fn with<T>(work: impl FnOnce(&mut ShutdownRegistration) -> T) -> T {
    work(&mut REGISTERED.lock())
}

fn register(
    device: u64,
    list: fn(&mut ShutdownRegistration) -> &mut Vec<(u64, u64)>,
    caller: u64,
) -> Result<u32, Fault> {
    let device = DriverPtr::<DeviceObject>::new(device);
    let flags = device.at(|device| &device.flags);
    flags.update(|flags| flags | device_flag::SHUTDOWN_REGISTERED)?;
    ob::reference(device.address());
    with(|registered| list(registered).push((device.address(), caller)));
    Ok(0)
}

/// Takes a device out of both lists.
pub fn unregister(device: u64, caller: &CallContext<'_>) -> Result<(), Fault> {
    let device = DriverPtr::<DeviceObject>::new(device);
    let entries = with(|registered| {
        let before = registered.first.len() + registered.last.len();
        registered
            .first
            .retain(|(other, _)| *other != device.address());
        registered
            .last
            .retain(|(other, _)| *other != device.address());
        before - registered.first.len() - registered.last.len()
    });
    if entries > 0 {
        let flags = device.at(|device| &device.flags);
        flags.update(|flags| flags & !device_flag::SHUTDOWN_REGISTERED)?;
    }
    for _ in 0..entries {
        ob::dereference(device.address(), caller);
    }
    Ok(())
}

/// A device is deleted: its registration, which the driver should have taken back,
/// goes with it.
pub fn forget(device: u64, caller: &CallContext<'_>) -> Result<(), Fault> {
    let registered = with(|registered| {
        let mut all = registered.first.iter().chain(&registered.last);
        all.find(|(other, _)| *other == device).map(|(_, by)| *by)
    });
    if let Some(by) = registered {
        let what = format!(
            "the {} deleted while it is registered for the shutdown of the system; IoUnregisterShutdownNotification comes first",
            ob::describe(device)
        );
        diag::violation(rules::SHUTDOWN_NOTIFICATION_NOT_UNREGISTERED, what, by);
    }
    unregister(device, caller)
}

/// Devices that are still registered.
pub fn leaks() -> Vec<Leak> {
    let devices: Vec<(u64, u64)> = with(|registered| {
        let all = registered.first.iter().chain(&registered.last);
        all.copied().collect()
    });
    let leak = |(device, caller)| {
        let message = format!(
            "the {} is not unregistered for the shutdown of the system",
            ob::describe(device)
        );
        Leak::new(
            rules::SHUTDOWN_NOTIFICATION_NOT_UNREGISTERED,
            message,
            caller,
        )
    };
    devices.into_iter().map(leak).collect()
}

/// Shuts the system down, as far as drivers are told. False if no device was
/// registered.
pub fn shut_down() -> bool {
    let stack = thread_table::current().map_or(0, |thread| thread.stack.1);
    let caller = CallContext::kernel(stack);
    let mut any = false;
    while let Some((device, _)) =
        with(|registered| registered.first.pop().or_else(|| registered.last.pop()))
    {
        any = true;
        // A device that was deleted meanwhile is only held by its entry here.
        if devices::can_be_opened(device).unwrap_or(false)
            && let Err(refusal) = file::tell_device(device, major::SHUTDOWN, &caller)
        {
            caller.end(refusal);
        }
        ob::dereference(device, &caller);
    }
    any
}

exports! {
    /// `IoRegisterShutdownNotification`.
    fn IoRegisterShutdownNotification<call>(device: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Ok(register(device, |registered| &mut registered.first, call.return_address())?)
    }

    /// `IoRegisterLastChanceShutdownNotification`.
    fn IoRegisterLastChanceShutdownNotification<call>(device: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Ok(register(device, |registered| &mut registered.last, call.return_address())?)
    }

    /// `IoUnregisterShutdownNotification`.
    fn IoUnregisterShutdownNotification<call>(device: u64) -> () [max PASSIVE_LEVEL, wdm] {
        Ok(unregister(device, &CallContext::of(call))?)
    }
}
