//! What file servers in the kernel ask before they make a request: whether rights
//! suffice, whether a buffer is well formed, whose thread it is; and what the I/O
//! manager knows of all devices.

use std::sync::OnceLock;

use nt_layout::{ConfigurationInformation, DeviceObject, DriverObject, FileFullEaInformation};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};

use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::list_walk::ListWalk;
use crate::base::thread_table;
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::ob::Type;
use crate::{ob, se};

/// Bytes of a `FILE_FULL_EA_INFORMATION` before its name.
const EA_HEADER: u64 = 8;
/// Pool tag of what the I/O manager shows to all.
const TAG: u32 = u32::from_le_bytes(*b"IoSh");

/// A block that is filled once and stays.
fn shown(
    cell: &'static OnceLock<u64>,
    size: u64,
    fill: impl FnOnce(u64) -> Result<(), Fault>,
) -> u64 {
    if let Some(block) = cell.get() {
        return *block;
    }
    // Without memory the next caller may have more luck.
    let block = pool::allocate(PoolKind::NonPaged, size, TAG);
    let Some(block) = block.filter(|block| fill(*block).is_ok()) else {
        return 0;
    };
    *cell.get_or_init(|| block)
}

/// The offset of the first entry of extended attributes that is wrong.
fn wrong_ea(buffer: u64, length: u32) -> Result<Option<u32>, Fault> {
    let length = u64::from(length);
    let mut at = 0;
    loop {
        let wrong = Ok(Some(u32::try_from(at).unwrap_or(u32::MAX)));
        if length - at < EA_HEADER {
            return wrong;
        }
        let entry = DriverPtr::<FileFullEaInformation>::new(buffer.wrapping_add(at));
        let next = u64::from(entry.get(|entry| &entry.next_entry_offset)?);
        let name = u64::from(entry.get(|entry| &entry.ea_name_length)?);
        let value = u64::from(entry.get(|entry| &entry.ea_value_length)?);
        let size = EA_HEADER + name + 1 + value;
        let terminator = entry.next(1).cast::<u8>().next(name);
        if size > length - at || terminator.read()? != 0 {
            return wrong;
        }
        match next {
            0 => return Ok(None),
            next if next == size.next_multiple_of(4) && next <= length - at => at += next,
            _ => return wrong,
        }
    }
}

/// The devices of a driver, the newest first.
fn devices_of(owner: u64) -> Result<Vec<u64>, NoReturn> {
    let mut list = Vec::new();
    let mut walk = ListWalk::from(owner);
    let mut at = DriverPtr::<DriverObject>::new(owner).get(|driver| &driver.device_object)?;
    while at != 0 {
        walk.visit(at)?;
        list.push(at);
        at = DriverPtr::<DeviceObject>::new(at).get(|device| &device.next_device)?;
    }
    Ok(list)
}

exports! {
    /// `IoCheckDesiredAccess`: translates generic rights in place.
    fn IoCheckDesiredAccess(desired: u64, granted: u32) -> u32 [max APC_LEVEL, ntifs] {
        let wanted = se::map_generic(driver_mem::read_u32(desired)?, Type::File.generic_mapping());
        driver_mem::write_u32(desired, wanted)?;
        Ok(match wanted & !granted {
            0 => nt_status::STATUS_SUCCESS,
            _ => nt_status::STATUS_ACCESS_DENIED,
        })
    }

    /// `IoGetFileObjectGenericMapping`.
    fn IoGetFileObjectGenericMapping() -> u64 [max PASSIVE_LEVEL, ntddk] {
        static MAPPING: OnceLock<u64> = OnceLock::new();
        let fill = |block: u64| {
            let fields = (0..).zip(Type::File.generic_mapping());
            fields.into_iter().try_for_each(|(n, rights)| driver_mem::write_u32(block + 4 * n, rights))
        };
        Ok(shown(&MAPPING, 0x10, fill))
    }

    /// `IoCheckEaBufferValidity`: where an entry is wrong, if one is.
    fn IoCheckEaBufferValidity(buffer: u64, length: u32, offset: u64) -> u32 [max APC_LEVEL, ntifs] {
        match wrong_ea(buffer, length)? {
            None => Ok(nt_status::STATUS_SUCCESS),
            Some(at) => {
                driver_mem::write_u32(offset, at)?;
                Ok(nt_status::STATUS_EA_LIST_INCONSISTENT)
            }
        }
    }

    /// `IoIsSystemThread`.
    fn IoIsSystemThread(thread: u64) -> bool [max DISPATCH_LEVEL, ntifs] {
        Ok(thread_table::thread(thread).is_some_and(|thread| thread.system))
    }

    /// `IoEnumerateDeviceObjectList`: as many as fit, each referenced.
    fn IoEnumerateDeviceObjectList<call>(owner: u64, list: u64, size: u32, actual: u64) -> u32
        [max DISPATCH_LEVEL, ntifs] {
        let found = devices_of(owner)?;
        driver_mem::write_u32(actual, u32::try_from(found.len()).unwrap_or(u32::MAX))?;
        let room = usize::try_from(size / 8).unwrap_or(0);
        for (n, device) in (0..).zip(found.iter().take(room)) {
            ob::reference_for(*device, &CallContext::of(call));
            driver_mem::write_u64(list.wrapping_add(8 * n), *device)?;
        }
        Ok(if found.len() <= room { nt_status::STATUS_SUCCESS } else { nt_status::STATUS_BUFFER_TOO_SMALL })
    }

    /// `IoGetConfigurationInformation`: no hardware is counted until drivers do.
    fn IoGetConfigurationInformation() -> u64 [max PASSIVE_LEVEL, ntddk] {
        static CONFIGURATION: OnceLock<u64> = OnceLock::new();
        let fill = |block: u64| DriverPtr::<ConfigurationInformation>::new(block)
            .set(|configuration| &configuration.version, DriverPtr::<ConfigurationInformation>::SIZE_FIELD.into());
        Ok(shown(&CONFIGURATION, DriverPtr::<ConfigurationInformation>::SIZE, fill))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, status, value};

    #[test]
    fn check_desired_access_maps_generic_rights() {
        let mut desired = 0x8000_0000_u32;
        let at = address_mut(&mut desired);
        assert_eq!(status(IoCheckDesiredAccess, &[at, 0x12_0089]), 0);
        assert_eq!(desired, 0x12_0089);
        let mut desired = 2_u32;
        let arguments = [address_mut(&mut desired), 0x12_0089];
        let refused = status(IoCheckDesiredAccess, &arguments);
        assert_eq!(refused, nt_status::STATUS_ACCESS_DENIED);
        let mapping = value(IoGetFileObjectGenericMapping, &[]);
        let fields = [0, 4, 8, 12].map(|at| driver_mem::read_u32(mapping + at).unwrap());
        assert_eq!(fields, [0x12_0089, 0x12_0116, 0x12_00a0, 0x1f_01ff]);
    }

    /// An entry with a name and so many bytes of value.
    fn entry(next: u32, name: &str, value: u16) -> Vec<u8> {
        let mut bytes = next.to_le_bytes().to_vec();
        bytes.extend([0, u8::try_from(name.len()).unwrap()]);
        bytes.extend(value.to_le_bytes());
        bytes.extend(name.bytes().chain([0]));
        bytes.resize(bytes.len() + usize::from(value), 7);
        bytes
    }

    #[test]
    fn check_ea_buffer_finds_the_invalid_offset() {
        let check = |bytes: &[u8], length: usize| {
            let mut offset = 77_u32;
            let arguments = [address(bytes), length as u64, address_mut(&mut offset)];
            match status(IoCheckEaBufferValidity, &arguments) {
                0 => None,
                status => {
                    assert_eq!(status, nt_status::STATUS_EA_LIST_INCONSISTENT);
                    Some(offset)
                }
            }
        };
        let mut list = entry(16, "abc", 2);
        list.resize(16, 0);
        list.extend(entry(0, "d", 1));
        assert_eq!(check(&list, list.len()), None);
        assert_eq!(
            check(&list, list.len() - 1),
            Some(16),
            "the last one does not fit"
        );
        assert_eq!(check(&list, 0), Some(0));
        list[11] = 1;
        assert_eq!(check(&list, list.len()), Some(0), "no NUL");
        list[11] = 0;
        list[0] = 20;
        assert_eq!(
            check(&list, list.len()),
            Some(0),
            "not where the next one is"
        );
    }

    #[test]
    fn configuration_information_is_persistent() {
        let block = value(IoGetConfigurationInformation, &[]);
        assert_eq!(
            DriverPtr::<ConfigurationInformation>::new(block)
                .get(|configuration| &configuration.version),
            Ok(DriverPtr::<ConfigurationInformation>::SIZE_FIELD.into())
        );
        assert_eq!(driver_mem::read_u32(block), Ok(0));
        driver_mem::write_u32(block, 1).unwrap();
        assert_eq!(value(IoGetConfigurationInformation, &[]), block);
        driver_mem::write_u32(block, 0).unwrap();
    }
}
