//! Plug and Play, as it is for drivers without devices of the bus: nothing arrives
//! and nothing leaves, so whoever wants to hear of that waits for ever, and what
//! asks for a physical device object stops the kernel, for there is none.

pub mod device_interface;

use nt_layout::IoDisconnectInterruptParameters;
use nt_status::{STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{Export, ExportResult, NoReturn};
use ntbox_host::kernel_cell::KernelCell;

use super::base::cookie_table::Registrations;
use super::base::leak_check::{Leak, LeakCheck};
use super::base::{diag, log};
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

/// `IO_NOTIFICATION_EVENT_CATEGORY`.
mod category {
    pub const HARDWARE_PROFILE: u32 = 1;
    pub const DEVICE_INTERFACE: u32 = 2;
    pub const TARGET_DEVICE: u32 = 3;
}

/// Where the handles of registrations begin.
const FIRST: u64 = 0xffff_fb30_0000_0040;

/// Routines, with the calls that registered them.
static ROUTINES: KernelCell<Registrations<(u64, u64)>> = KernelCell::new(Registrations::new(FIRST));

/// Notification routines that are still registered. All of them are forgotten.
fn leaks() -> Vec<Leak> {
    let routines = ROUTINES.lock().take();
    routines
        .map(|(_, (routine, caller))| {
            let message = format!(
                "the Plug and Play notification routine at {routine:#018x} is not unregistered"
            );
            Leak::new(rules::PNP_NOTIFICATION_NOT_UNREGISTERED, message, caller)
        })
        .collect()
}

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[leaks];

fn unregister(handle: u64) -> u32 {
    let known = ROUTINES.lock().remove(handle);
    known.map_or(STATUS_INVALID_PARAMETER, |_| STATUS_SUCCESS)
}

/// Windows stops, too, where a physical device object is needed and something else
/// is given: `PNP_DETECTED_FATAL_ERROR`.
fn stop(function: &str, device: u64) -> ExportResult {
    let what = format!(
        "{function} was given {device:#018x}, which is no physical device object; there are none here (PNP_DETECTED_FATAL_ERROR)"
    );
    Err(NoReturn::bug_check(0xca, [2, device, 0, 0], what))
}

/// Refuses an interrupt, and says why.
fn no_interrupt(function: &str) -> u32 {
    log::note(&format!(
        "{function} fails: this machine has no devices, so nothing interrupts; a driver for hardware cannot be tried here"
    ));
    STATUS_INVALID_PARAMETER
}

/// A driver disconnects what it was refused.
fn not_connected(function: &str, interrupt: u64, caller: u64) {
    let what = format!(
        "{function} called with {interrupt:#018x}, which is no interrupt object: none was connected"
    );
    diag::violation(rules::INTERRUPT_NOT_CONNECTED, what, caller);
}

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[EXPORTS, device_interface::EXPORTS];

exports! {
    /// `IoRegisterPlugPlayNotification`: of target devices nobody hears, for none is
    /// of Plug and Play.
    fn IoRegisterPlugPlayNotification<call>(
        category: u32, flags: u32, data: u64, driver: u64, routine: u64, context: u64, entry: u64,
    ) -> u32 [max PASSIVE_LEVEL, wdm, partial "nothing arrives or leaves"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        match category {
            category::HARDWARE_PROFILE | category::DEVICE_INTERFACE => {}
            category::TARGET_DEVICE => return Ok(STATUS_INVALID_DEVICE_REQUEST),
            _ => return Ok(STATUS_INVALID_PARAMETER),
        }
        let mut routines = ROUTINES.lock();
        driver_mem::write_u64(entry, routines.upcoming())?;
        routines.add((routine, call.return_address()));
        Ok(STATUS_SUCCESS)
    }

    /// `IoUnregisterPlugPlayNotification`.
    fn IoUnregisterPlugPlayNotification(entry: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(unregister(entry))
    }

    /// `IoUnregisterPlugPlayNotificationEx`.
    fn IoUnregisterPlugPlayNotificationEx(entry: u64) -> u32 [max PASSIVE_LEVEL, wdm, since WINDOWS_7] {
        Ok(unregister(entry))
    }

    /// `IoGetDeviceProperty`: no device is a physical one.
    fn IoGetDeviceProperty(device: u64, property: u32, length: u32, buffer: u64, needed: u64) -> u64
        [max PASSIVE_LEVEL, wdm]
    {
        stop("IoGetDeviceProperty", device)
    }

    /// `IoGetDevicePropertyData`: no device is a physical one.
    fn IoGetDevicePropertyData(
        device: u64, key: u64, locale: u32, flags: u32, size: u32, data: u64, needed: u64, kind: u64,
    ) -> u64 [max APC_LEVEL, wdm] {
        stop("IoGetDevicePropertyData", device)
    }

    /// `IoSetDevicePropertyData`: no device is a physical one.
    fn IoSetDevicePropertyData(device: u64, key: u64, locale: u32, flags: u32, kind: u32, size: u32, data: u64) -> u64
        [max APC_LEVEL, wdm]
    {
        stop("IoSetDevicePropertyData", device)
    }

    /// `IoInvalidateDeviceRelations`: no device is a physical one.
    fn IoInvalidateDeviceRelations(device: u64, kind: u32) -> u64 [max DISPATCH_LEVEL, wdm] {
        stop("IoInvalidateDeviceRelations", device)
    }

    /// `IoInvalidateDeviceState`: no device is a physical one.
    fn IoInvalidateDeviceState(device: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        stop("IoInvalidateDeviceState", device)
    }

    /// `IoRequestDeviceEject`: no device is a physical one.
    fn IoRequestDeviceEject(device: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        stop("IoRequestDeviceEject", device)
    }

    /// `IoRequestDeviceEjectEx`: no device is a physical one.
    fn IoRequestDeviceEjectEx(device: u64, routine: u64, context: u64, driver: u64) -> u64
        [max APC_LEVEL, undocumented] {
        stop("IoRequestDeviceEjectEx", device)
    }

    /// `IoGetDeviceNumaNode`: no device is a physical one.
    fn IoGetDeviceNumaNode(device: u64, node: u64) -> u64 [max PASSIVE_LEVEL, wdm] {
        stop("IoGetDeviceNumaNode", device)
    }

    /// `IoReportTargetDeviceChangeAsynchronous`: no device is a physical one.
    fn IoReportTargetDeviceChangeAsynchronous(device: u64, notification: u64, routine: u64, context: u64) -> u64
        [max DISPATCH_LEVEL, wdm]
    {
        stop("IoReportTargetDeviceChangeAsynchronous", device)
    }

    /// `IoReportTargetDeviceChange`: no device is a physical one.
    fn IoReportTargetDeviceChange(device: u64, notification: u64) -> u64 [max PASSIVE_LEVEL, wdm] {
        stop("IoReportTargetDeviceChange", device)
    }

    /// `IoOpenDeviceRegistryKey`: no device is a physical one, which Windows refuses.
    fn IoOpenDeviceRegistryKey(device: u64, kind: u32, access: u32, key: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(STATUS_INVALID_DEVICE_REQUEST)
    }

    /// `IoIsWdmVersionAvailable`: 1.0 and 1.16 (0x10) of Windows 2000, up to 1.48 of
    /// Windows XP and 6.0 of what came later.
    fn IoIsWdmVersionAvailable(major: u8, minor: u8) -> bool [max PASSIVE_LEVEL, wdm] {
        Ok((major, minor) <= (6, 0))
    }

    /// `IoConnectInterrupt`: refused, for there is no hardware.
    fn IoConnectInterrupt(
        object: u64, routine: u64, context: u64, lock: u64, vector: u32, irql: u8, synchronize: u8, mode: u32,
        shared: bool, affinity: u64, floating: bool,
    ) -> u32 [max PASSIVE_LEVEL, wdm, partial "always fails: there is no hardware"] {
        Ok(no_interrupt("IoConnectInterrupt"))
    }

    /// `IoConnectInterruptEx`: refused, for there is no hardware.
    fn IoConnectInterruptEx(parameters: u64) -> u32
        [max PASSIVE_LEVEL, wdm, partial "always fails: there is no hardware"] {
        Ok(no_interrupt("IoConnectInterruptEx"))
    }

    /// `IoDisconnectInterrupt`: there is no interrupt object, for none was connected.
    fn IoDisconnectInterrupt<call>(interrupt: u64) -> () [max PASSIVE_LEVEL, wdm] {
        not_connected("IoDisconnectInterrupt", interrupt, call.return_address());
        Ok(())
    }

    /// `IoDisconnectInterruptEx`: its parameters are a version and the context that
    /// `IoConnectInterruptEx` gave.
    fn IoDisconnectInterruptEx<call>(parameters: DriverPtr<IoDisconnectInterruptParameters>) -> () [max PASSIVE_LEVEL, wdm] {
        let context = parameters.get(|parameters| &parameters.connection_context)?;
        not_connected("IoDisconnectInterruptEx", context, call.return_address());
        Ok(())
    }
}
