//! Descriptors that a driver keeps for objects of its own: asked for and changed as
//! those of the system's objects are.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::access::map_generic;
use super::sd::Descriptor;
use super::sd_self_relative::in_pool;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::{error, log};

/// `SE_SELF_RELATIVE`, and where the control bits are.
const SELF_RELATIVE: u16 = 0x8000;
const CONTROL: u64 = 2;

/// Writes the parts that are wanted to a buffer, as far as there is room.
fn query(wanted: u64, buffer: u64, length: u64, own: u64) -> Result<(), Refusal> {
    let parts = driver_mem::read_u32(wanted)?;
    let descriptor = match driver_mem::read_u64(own)? {
        0 => Descriptor::default(),
        at => Descriptor::read(at)?.ok_or(nt_status::STATUS_INVALID_SECURITY_DESCR)?,
    };
    let bytes = descriptor.only(parts).relative();
    let room = driver_mem::read_u32(length)?;
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    driver_mem::write_u32(length, size)?;
    if room < size {
        return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
    }
    Ok(driver_mem::write_bytes(buffer, &bytes)?)
}

/// Translates the generic rights in the entries of a list.
fn map_entries(list: &mut [u8], mapping: [u32; 4]) {
    /// Bytes of a list before its entries, and where an entry has its size and mask.
    const HEADER: usize = 8;
    const ENTRY_SIZE: usize = 2;
    const MASK: usize = 4;
    let mut at = HEADER;
    while let Some(entry) = list.get_mut(at..).filter(|rest| rest.len() >= HEADER) {
        let size = usize::from(u16::from_le_bytes([
            entry[ENTRY_SIZE],
            entry[ENTRY_SIZE + 1],
        ]));
        let mask = u32::from_le_bytes([
            entry[MASK],
            entry[MASK + 1],
            entry[MASK + 2],
            entry[MASK + 3],
        ]);
        entry[MASK..MASK + 4].copy_from_slice(&map_generic(mask, mapping).to_le_bytes());
        if size < HEADER {
            break;
        }
        at += size;
    }
}

/// Puts a changed copy in the place of the driver's descriptor, which stays the
/// driver's to free.
fn set(wanted: u64, change: u64, own: u64, mapping: u64, caller: u64) -> Result<(), Refusal> {
    let at = driver_mem::read_u64(own)?;
    if at == 0 {
        return Err(nt_status::STATUS_NO_SECURITY_ON_OBJECT.into());
    }
    if driver_mem::read_u16(at.wrapping_add(CONTROL))? & SELF_RELATIVE == 0 {
        return Err(nt_status::STATUS_BAD_DESCRIPTOR_FORMAT.into());
    }
    let read =
        |at| Descriptor::read(at)?.ok_or(Refusal::from(nt_status::STATUS_INVALID_SECURITY_DESCR));
    let (mut descriptor, mut new) = (read(at)?, read(change)?);
    let mut rights = [0; 4];
    for (n, right) in (0..).zip(rights.iter_mut()) {
        *right = driver_mem::read_u32(mapping.wrapping_add(4 * n))?;
    }
    for list in [&mut new.dacl, &mut new.sacl].into_iter().flatten() {
        map_entries(list, rights);
    }
    descriptor.replace(driver_mem::read_u32(wanted)?, &new);
    let block = in_pool(&descriptor.relative(), caller)?;
    Ok(driver_mem::write_u64(own, block)?)
}

exports! {
    /// `SeQuerySecurityDescriptorInfo`: the length is told in any case.
    fn SeQuerySecurityDescriptorInfo(wanted: u64, buffer: u64, length: u64, own: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] {
        error::status(query(wanted, buffer, length, own))
    }

    /// `SeSetSecurityDescriptorInfo`.
    fn SeSetSecurityDescriptorInfo<call>(object: u64, wanted: u64, change: u64, own: u64, pool: u32, mapping: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(set(wanted, change, own, mapping, call.return_address()))
    }

    /// `SeSetSecurityDescriptorInfoEx`, without inheritance by itself, which is refused.
    fn SeSetSecurityDescriptorInfoEx<call>(
        object: u64, wanted: u64, change: u64, own: u64, flags: u32, pool: u32, mapping: u64,
    ) -> u32 [max PASSIVE_LEVEL, ntifs, partial "no automatic inheritance: flags are refused"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        if flags != 0 {
            log::note("SeSetSecurityDescriptorInfoEx fails: entries are not inherited by themselves here");
            return Ok(nt_status::STATUS_NOT_SUPPORTED);
        }
        error::status(set(wanted, change, own, mapping, call.return_address()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::pool;
    use crate::se::sid::Sid;
    use crate::se::token_information::allow;
    use crate::test_support::{address, address_mut, processor, status};

    #[test]
    fn query_and_set_security_descriptor_parts() {
        processor();
        let first = Descriptor {
            owner: Some(Sid::administrators()),
            ..Descriptor::default()
        };
        let change = Descriptor {
            control: 4,
            owner: Some(Sid::local_system()),
            dacl: Some(allow(&[(&Sid::world(), 0x8000_0000)])),
            ..Descriptor::default()
        };
        let (first, change) = (first.relative(), change.relative());
        let mut own = address(first.as_slice());
        let place = address_mut(&mut own);
        let mut buffer = [0_u8; 64];
        let mut length = 4_u32;
        let arguments = [
            address(&1_u32),
            address_mut(&mut buffer),
            address_mut(&mut length),
            place,
        ];
        assert_eq!(
            status(SeQuerySecurityDescriptorInfo, &arguments),
            nt_status::STATUS_BUFFER_TOO_SMALL
        );
        assert_eq!(status(SeQuerySecurityDescriptorInfo, &arguments), 0);
        assert_eq!(buffer[..length as usize], first[..]);

        let mapping = [0x12_0089_u32, 0, 0, 0];
        let arguments = [
            0,
            address(&4_u32),
            address(change.as_slice()),
            place,
            1,
            address(&mapping),
        ];
        assert_eq!(status(SeSetSecurityDescriptorInfo, &arguments), 0);
        let new = Descriptor::read(driver_mem::read_u64(place).unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(new.owner, Some(Sid::administrators()), "not asked for");
        assert_eq!(new.dacl, Some(allow(&[(&Sid::world(), 0x12_0089)])));
        pool::free(driver_mem::read_u64(place).unwrap());
        driver_mem::write_u64(place, 0).unwrap();
        assert_eq!(
            status(SeSetSecurityDescriptorInfo, &arguments),
            nt_status::STATUS_NO_SECURITY_ON_OBJECT
        );
    }
}
