//! The newer forms of routines for IRPs, which take the device that the IRP is for.
//! IRPs for one device are not larger here than those for another.

use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL};

use super::{internal_completion, irp};
use crate::base::call_context::CallContext;
use crate::base::export::exports;

exports! {
    /// `IoSizeOfIrpEx`.
    fn IoSizeOfIrpEx(device: u64, locations: u8) -> u16 [max HIGH_LEVEL, undocumented, since WINDOWS_10] {
        Ok(u16::try_from(irp::size_of(locations)).unwrap_or(u16::MAX))
    }

    /// `IoInitializeIrpEx`: for memory of the caller's own.
    fn IoInitializeIrpEx<call>(irp: u64, device: u64, size: u16, locations: u8) -> ()
        [max DISPATCH_LEVEL, undocumented, since WINDOWS_10] {
        irp::initialize_for_driver(irp, size, locations, call.return_address())
    }

    /// `IoMakeAssociatedIrpEx`: NULL without memory. The caller counts them in the
    /// master.
    fn IoMakeAssociatedIrpEx<call>(master: u64, device: u64, locations: u8) -> u64
        [max DISPATCH_LEVEL, undocumented, since WINDOWS_10] fails 0 {
        irp::make_associated(master, locations, call.return_address())
    }

    /// `IoSynchronousCallDriver`: sends an IRP whose next location is filled in, and
    /// waits until it has come back. It is the caller's again then.
    fn IoSynchronousCallDriver<call>(device: u64, irp: u64) -> u32 [max APC_LEVEL, undocumented] {
        internal_completion::send_and_wait(device, irp, &CallContext::of(call))
    }
}
