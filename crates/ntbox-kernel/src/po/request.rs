//! Power requests that drivers ask the power manager to send to the top of their
//! own stack. The power manager frees them, after it has told the driver.

use std::collections::BTreeMap;

use nt_layout::{DeviceObject, IoStackLocation, Irp, PowerParameters, WaitWakeParameters};
use nt_status::{STATUS_INSUFFICIENT_RESOURCES, STATUS_NOT_SUPPORTED, STATUS_PENDING};
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;

use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout::major;
use crate::base::thread_table;
use crate::io;
use crate::io::irp;
use crate::io::irp::IrpOwner;

/// `DevicePowerState` of `POWER_STATE_TYPE`.
const DEVICE_STATE: u32 = 1;

/// Minor functions of a power request.
mod minor {
    pub const WAIT_WAKE: u8 = 0;
    pub const SET_POWER: u8 = 2;
    pub const QUERY_POWER: u8 = 3;
}

/// A power request whose completion routine has not been called yet.
#[derive(Debug, Clone, Copy)]
struct PowerRequest {
    device: u64,
    minor: u8,
    state: u32,
    function: u64,
    context: u64,
}

static REQUESTS: KernelCell<BTreeMap<u64, PowerRequest>> = KernelCell::new(BTreeMap::new());

/// A power request has passed its last stack location: the driver is told, and it
/// is freed.
pub fn finished(irp: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let request = REQUESTS.lock().remove(&irp);
    if let Some(request) = request
        && request.function != 0
    {
        let block = DriverPtr::<Irp>::new(irp)
            .at(|irp| &irp.io_status.status)
            .address();
        let state = u64::from(request.state);
        let arguments = [
            request.device,
            u64::from(request.minor),
            state,
            request.context,
            block,
        ];
        let routine = Routine::new(request.function, "completion routine of PoRequestPowerIrp");
        caller.call(routine, &arguments);
    }
    irp::free(irp, caller.address())
}

exports! {
    /// `PoRequestPowerIrp`: sends a power request to the top of a stack.
    fn PoRequestPowerIrp<call>(device: u64, minor: u8, state: u32, function: u64, context: u64, sent: u64) -> u32
        [max DISPATCH_LEVEL, wdm] fails STATUS_INSUFFICIENT_RESOURCES
    {
        if !matches!(minor, minor::WAIT_WAKE | minor::SET_POWER | minor::QUERY_POWER) {
            return Ok(nt_status::STATUS_INVALID_PARAMETER_2);
        }
        let top = io::device::top(device)?;
        let depth = DriverPtr::<DeviceObject>::new(top).get(|device| &device.stack_size)?;
        let Some(irp) = irp::allocate(depth, IrpOwner::Power, call.return_address())? else {
            return Ok(STATUS_INSUFFICIENT_RESOURCES);
        };
        let fields = DriverPtr::<Irp>::new(irp);
        fields.set(|irp| &irp.thread, thread_table::current_thread())?;
        fields.set(|irp| &irp.io_status.status, STATUS_NOT_SUPPORTED)?;
        let stack_location = DriverPtr::<IoStackLocation>::new(irp::next_location(irp)?);
        stack_location.set(|location| &location.major_function, major::POWER)?;
        stack_location.set(|location| &location.minor_function, minor)?;
        if minor == minor::WAIT_WAKE {
            stack_location.parameters::<WaitWakeParameters>().set(|parameters| &parameters.power_state, state)?;
        } else {
            let parameters = stack_location.parameters::<PowerParameters>();
            parameters.set(|parameters| &parameters.kind, DEVICE_STATE)?;
            parameters.set(|parameters| &parameters.state, state)?;
        }
        if sent != 0 && minor == minor::WAIT_WAKE {
            driver_mem::write_u64(sent, irp)?;
        }
        REQUESTS.lock().insert(irp, PowerRequest { device, minor, state, function, context });
        irp::call(top, irp, &CallContext::of(call))?;
        Ok(STATUS_PENDING)
    }
}
