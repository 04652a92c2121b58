//! Power requests that drivers ask the power manager to send to the top of their
//! own stack. The power manager frees them, after it has told the driver.

use std::collections::BTreeMap;

use nt_status::{STATUS_INSUFFICIENT_RESOURCES, STATUS_NOT_SUPPORTED, STATUS_PENDING};
use ntbox_host::driver_mem;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::kernel_cell::Exclusive;
use ntbox_host::routine::Routine;

use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::io_layout::{device, irp as offset, major, stack};
use crate::base::thread_table;
use crate::io;
use crate::io::irp;
use crate::io::irp::Owner;

/// `DevicePowerState` of `POWER_STATE_TYPE`.
const DEVICE_STATE: u32 = 1;

/// Minor functions of a power request.
mod minor {
    pub const WAIT_WAKE: u8 = 0;
    pub const SET_POWER: u8 = 2;
    pub const QUERY_POWER: u8 = 3;
}

/// Offsets in the parameters of a stack location.
mod parameter {
    /// `PowerState` of `IRP_MN_WAIT_WAKE`.
    pub const WAKE_STATE: u64 = 0x08;
    /// `Type` and `State` of the others.
    pub const TYPE: u64 = 0x10;
    pub const STATE: u64 = 0x18;
}

/// What a driver asked for, until it is told of its end.
#[derive(Debug, Clone, Copy)]
struct Asked {
    body: u64,
    minor: u8,
    state: u32,
    function: u64,
    context: u64,
}

static ASKED: Exclusive<BTreeMap<u64, Asked>> = Exclusive::new(BTreeMap::new());

/// A power request has passed its last stack location: the driver is told, and it
/// is freed.
pub fn finished(packet: u64, caller: &Caller<'_>) -> Result<(), Stop> {
    let asked = ASKED.lock().remove(&packet);
    if let Some(asked) = asked
        && asked.function != 0
    {
        let block = packet + offset::STATUS;
        let state = u64::from(asked.state);
        let arguments = [
            asked.body,
            u64::from(asked.minor),
            state,
            asked.context,
            block,
        ];
        let routine = Routine::new(asked.function, "completion routine of PoRequestPowerIrp");
        caller.call(routine, &arguments);
    }
    irp::free(packet, caller.address())
}

exports! {
    /// `PoRequestPowerIrp`: sends a power request to the top of a stack.
    fn PoRequestPowerIrp<call>(body: u64, minor: u8, state: u32, function: u64, context: u64, sent: u64) -> u32
        [max DISPATCH_LEVEL, wdm] fails STATUS_INSUFFICIENT_RESOURCES
    {
        if !matches!(minor, minor::WAIT_WAKE | minor::SET_POWER | minor::QUERY_POWER) {
            return Ok(nt_status::STATUS_INVALID_PARAMETER_2);
        }
        let top = io::device::top(body)?;
        let depth = driver_mem::read_u8(top + device::STACK_SIZE)?;
        let Some(packet) = irp::allocate(depth, Owner::Power, call.return_address())? else {
            return Ok(STATUS_INSUFFICIENT_RESOURCES);
        };
        driver_mem::write_u64(packet + offset::THREAD, thread_table::current_thread())?;
        driver_mem::write_u32(packet + offset::STATUS, STATUS_NOT_SUPPORTED)?;
        let place = irp::next_location(packet)?;
        driver_mem::write_u8(place + stack::MAJOR, major::POWER)?;
        driver_mem::write_u8(place + stack::MINOR, minor)?;
        if minor == minor::WAIT_WAKE {
            driver_mem::write_u32(place + parameter::WAKE_STATE, state)?;
        } else {
            driver_mem::write_u32(place + parameter::TYPE, DEVICE_STATE)?;
            driver_mem::write_u32(place + parameter::STATE, state)?;
        }
        if sent != 0 && minor == minor::WAIT_WAKE {
            driver_mem::write_u64(sent, packet)?;
        }
        ASKED.lock().insert(packet, Asked { body, minor, state, function, context });
        irp::call(top, packet, &Caller::of(call))?;
        Ok(STATUS_PENDING)
    }
}
