//! Power states: of devices, as their drivers report them, and of the system,
//! which drivers ask to stay awake.

use nt_layout::{DeviceObject, DevobjExtension};
use ntbox_api::rules;
use ntbox_host::cpu;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use crate::base::call_context::CallContext;
use crate::base::cookie_table::Registrations;
use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::io::irp;

/// `DevicePowerState` of `POWER_STATE_TYPE`; the other one is of the system.
const DEVICE: u32 = 1;
/// `PowerDeviceD0`.
const D0: u32 = 1;
/// Where the power flags of a device have its state, and how wide.
const SHIFT: u32 = 4;
const MASK: u32 = 0xf;

/// Where the handles of reports begin.
const FIRST: u64 = 0xffff_fb10_0000_0040;

/// Reports of who is busy: the calls that made them.
static BUSY: KernelCell<Registrations<u64>> = KernelCell::new(Registrations::new(FIRST));

/// Reports that a driver has not withdrawn. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let busy = BUSY.lock().take();
    busy.map(|(handle, caller)| {
        let message = format!("the system state {handle:#018x} is not unregistered");
        Leak::new(rules::SYSTEM_STATE_NOT_UNREGISTERED, message, caller)
    })
    .collect()
}

exports! {
    /// `PoCallDriver`: since Windows Vista, what `IoCallDriver` does.
    fn PoCallDriver<caller>(device: u64, irp: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        irp::call(device, irp, &CallContext::of(caller))
    }

    /// `PoStartNextPowerIrp`: since Windows Vista, nothing.
    fn PoStartNextPowerIrp(irp: u64) -> () [max DISPATCH_LEVEL, wdm] {
        Ok(())
    }

    /// `PoSetPowerState`: the state of a device is kept; gives the one before. At
    /// `DISPATCH_LEVEL` only a device that works may be reported.
    fn PoSetPowerState<call>(device: DriverPtr<DeviceObject>, kind: u32, state: u32) -> u32 [max DISPATCH_LEVEL, wdm] {
        if cpu::irql() > APC_LEVEL && !(kind == DEVICE && state == D0) {
            let what = "PoSetPowerState called for another state than D0 at DISPATCH_LEVEL, maximum is APC_LEVEL";
            diag::violation(rules::IRQL_TOO_HIGH, what.to_owned(), call.return_address());
        }
        let extension = DriverPtr::<DevobjExtension>::new(device.get(|device| &device.device_object_extension)?);
        let flags = extension.get(|extension| &extension.power_flags)?;
        let shift = if kind == DEVICE { SHIFT } else { 0 };
        let kept = flags & !(MASK << shift) | (state & MASK) << shift;
        extension.set(|extension| &extension.power_flags, kept)?;
        Ok(flags >> shift & MASK)
    }

    /// `PoSetSystemState`: the machine does not fall asleep.
    fn PoSetSystemState(flags: u32) -> () [max DISPATCH_LEVEL, wdm] {
        Ok(())
    }

    /// `PoRegisterSystemState`: NULL without memory.
    fn PoRegisterSystemState<call>(handle: u64, flags: u32) -> u64 [max APC_LEVEL, wdm] fails 0 {
        let mut busy = BUSY.lock();
        if busy.contains(handle) {
            return Ok(handle);
        }
        Ok(busy.add(call.return_address()))
    }

    /// `PoUnregisterSystemState`.
    fn PoUnregisterSystemState(handle: u64) -> () [max APC_LEVEL, wdm] {
        BUSY.lock().remove(handle);
        Ok(())
    }

    /// `PoRegisterDeviceForIdleDetection`: NULL, for nothing is detected.
    fn PoRegisterDeviceForIdleDetection(device: u64, conservation: u32, performance: u32, state: u32) -> u64
        [max PASSIVE_LEVEL, wdm, partial "NULL: nothing is detected"]
    {
        Ok(0)
    }

    /// `PoGetSystemWake`: no device has woken the system.
    fn PoGetSystemWake(irp: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        Ok(false)
    }

    /// `PoQueryWatchdogTime`: no power request is watched.
    fn PoQueryWatchdogTime(device: u64, seconds: u64) -> bool [max DISPATCH_LEVEL, wdm, since WINDOWS_7] {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;
    use crate::test_support::{address_mut, processor, value};

    #[test]
    fn set_power_state_returns_previous() {
        processor();
        let mut extension = [0_u64; 16];
        let mut device = DeviceObject::new_zeroed();
        device.device_object_extension = address_mut(&mut extension);
        let at = address_mut(&mut device);
        let set = |state| value(PoSetPowerState, &[at, 1, state]);
        assert_eq!(set(1), 0, "unspecified");
        assert_eq!(set(4), 1, "D0");
        assert_eq!(value(PoSetPowerState, &[at, 0, 1]), 0);
        assert_eq!(set(1), 4, "D3");
    }

    #[test]
    fn register_system_state_left_is_a_leak() {
        processor();
        let handle = value(PoRegisterSystemState, &[0, 1]);
        assert_ne!(handle, 0);
        assert_eq!(value(PoRegisterSystemState, &[handle, 3]), handle);
        value(PoUnregisterSystemState, &[handle]);
        assert_eq!(leaks(), []);
        value(PoRegisterSystemState, &[0, 1]);
        assert_eq!(leaks().len(), 1);
    }
}
