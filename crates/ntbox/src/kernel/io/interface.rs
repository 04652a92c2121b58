//! Device interfaces, which only devices of Plug and Play have. There are none
//! here, and the functions answer as Windows does for a device that is not one.

use crate::kernel::call::exports;
use crate::kernel::call::irql::PASSIVE_LEVEL;
use crate::kernel::guest;
use crate::kernel::mm;
use crate::kernel::mm::pool::{PoolKind, Request};

/// Pool tag of lists that the caller frees.
const TAG: u32 = u32::from_le_bytes(*b"IoDi");

exports! {
    /// `IoRegisterDeviceInterface`: refused, for no device is a physical device
    /// object.
    fn IoRegisterDeviceInterface(body: u64, class: u64, reference: u64, name: u64) -> u32 [max PASSIVE_LEVEL] {
        Ok(ntstatus::STATUS_INVALID_DEVICE_REQUEST)
    }

    /// `IoSetDeviceInterfaceState`: no interface has the name.
    fn IoSetDeviceInterfaceState(name: u64, enable: bool) -> u32 [max PASSIVE_LEVEL] {
        Ok(ntstatus::STATUS_OBJECT_NAME_NOT_FOUND)
    }

    /// `IoGetDeviceInterfaces`: an empty list, which the caller frees.
    fn IoGetDeviceInterfaces<call>(class: u64, body: u64, flags: u32, list: u64) -> u32
        [max PASSIVE_LEVEL] fails 0xc000_009a
    {
        let request = Request {
            kind: PoolKind::Paged,
            size: 2,
            tag: TAG,
            zeroed: true,
            cache_aligned: false,
            caller: call.return_address(),
        };
        let Some(empty) = mm::with(|memory| memory.pools.allocate(request)) else {
            return Ok(ntstatus::STATUS_INSUFFICIENT_RESOURCES);
        };
        guest::write_u64(list, empty)?;
        Ok(0)
    }
}
