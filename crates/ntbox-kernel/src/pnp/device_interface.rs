//! Device interfaces, which only devices of Plug and Play have. There are none
//! here, and the functions answer as Windows does for a device that is not one.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use crate::base::export::exports;
use crate::base::utf16::text;
use crate::mm;
use crate::mm::pool::{PoolKind, Request};

/// Pool tag of lists that the caller frees.
const TAG: u32 = u32::from_le_bytes(*b"IoDi");

/// Whether a name is a link's of an interface: `\??\` or `\\?\`, the device, the class
/// as a GUID in braces, and perhaps a reference string behind another backslash.
fn could_be_an_interface(name: &[u16]) -> bool {
    /// Units of a GUID in braces.
    const GUID: usize = 38;
    let text = text(name);
    let Some(rest) = text
        .strip_prefix(r"\??\")
        .or_else(|| text.strip_prefix(r"\\?\"))
    else {
        return false;
    };
    let device = rest.split('\\').next().unwrap_or_default();
    let class = device
        .len()
        .checked_sub(GUID)
        .and_then(|at| device.get(at..));
    class.is_some_and(|class| {
        class.bytes().enumerate().all(|(n, byte)| match n {
            0 => byte == b'{',
            9 | 14 | 19 | 24 => byte == b'-',
            37 => byte == b'}',
            _ => byte.is_ascii_hexdigit(),
        })
    })
}

exports! {
    /// `IoRegisterDeviceInterface`: refused, for no device is a physical device
    /// object.
    fn IoRegisterDeviceInterface(device: u64, class: u64, reference: u64, name: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(nt_status::STATUS_INVALID_DEVICE_REQUEST)
    }

    /// `IoSetDeviceInterfaceState`: no interface has the name, if it is one that an
    /// interface could have.
    fn IoSetDeviceInterfaceState(name: u64, enable: bool) -> u32 [max PASSIVE_LEVEL, wdm] {
        let name = if name == 0 { Vec::new() } else { UnicodeString::read(name)?.units()? };
        Ok(if could_be_an_interface(&name) {
            nt_status::STATUS_OBJECT_NAME_NOT_FOUND
        } else {
            nt_status::STATUS_INVALID_PARAMETER
        })
    }

    /// `IoGetDeviceInterfaceAlias`: no interface has the name, nor another one.
    fn IoGetDeviceInterfaceAlias(name: u64, class: u64, alias: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    }

    /// `IoOpenDeviceInterfaceRegistryKey`: no interface has the name, so none has a
    /// key.
    fn IoOpenDeviceInterfaceRegistryKey(name: u64, access: u32, key: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    }

    /// `IoGetDeviceInterfaces`: an empty list, which the caller frees.
    fn IoGetDeviceInterfaces<call>(class: u64, device: u64, flags: u32, list: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
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
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        };
        driver_mem::write_u64(list, empty)?;
        Ok(0)
    }
}
