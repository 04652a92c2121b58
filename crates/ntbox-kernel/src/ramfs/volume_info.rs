//! What can be asked of the volume: its label, its size, and what its file system
//! can do.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};

use super::dispatch::IoResult;
use super::query_info::{QueryOutput, deliver};
use super::volume::{DISK, SECTOR, SERIAL};
use super::{Volume, path, with};
use crate::base::driver_ptr::DriverPtr;
use crate::base::info_buffer::Information;
use crate::base::io_layout::stack::information as parameter;
use crate::base::io_layout::{file, irp, stack};
use crate::ramfs::volume;
use crate::sections::file_data::{CAPACITY, CLUSTER};

/// `FileFs…Information`.
mod class {
    pub const VOLUME: u32 = 1;
    pub const LABEL: u32 = 2;
    pub const SIZE: u32 = 3;
    pub const DEVICE: u32 = 4;
    pub const ATTRIBUTE: u32 = 5;
    pub const FULL_SIZE: u32 = 7;
    pub const SECTOR_SIZE: u32 = 11;
}

/// `FILE_CASE_PRESERVED_NAMES`, `FILE_UNICODE_ON_DISK` and
/// `FILE_SUPPORTS_OPEN_BY_FILE_ID`: the rest of what NTFS can do is not here.
const ATTRIBUTES: u32 = 0x2 | 0x4 | 0x0100_0000;
/// What the file system calls itself.
const FILE_SYSTEM: &str = "NTFS";
/// `FILE_DEVICE_IS_MOUNTED`.
const MOUNTED: u32 = 0x20;
/// Most units of a label.
const MAX_LABEL: usize = 32;

/// Carries out `IRP_MJ_QUERY_VOLUME_INFORMATION`.
pub fn query(packet: u64, place: u64) -> Result<IoResult, Fault> {
    let class = driver_mem::read_u32(place + parameter::CLASS)?;
    let length = driver_mem::read_u32(place + parameter::LENGTH)?;
    let buffer = driver_mem::read_u64(packet + irp::SYSTEM_BUFFER)?;
    let answer =
        with(|volume| volume.about(class)).unwrap_or(Err(nt_status::STATUS_INVALID_PARAMETER));
    match answer {
        Ok(answer) => deliver(&answer, buffer, length),
        Err(status) => Ok((status, 0)),
    }
}

impl Volume {
    fn about(&self, class: u32) -> Result<QueryOutput, u32> {
        let start = Information::default();
        let total = CAPACITY / CLUSTER;
        let free = (CAPACITY - self.used()) / CLUSTER;
        let sector = u32::from(SECTOR);
        let sectors = u32::try_from(CLUSTER).unwrap_or(0) / sector;
        let plain = |information| Ok(QueryOutput::fixed(information));
        match class {
            class::VOLUME => {
                let header = start
                    .u64(self.created)
                    .u32(SERIAL)
                    .size(2 * self.label.len())
                    .bytes(&[0, 0]);
                Ok(QueryOutput {
                    bytes: header.name(&self.label).finish(),
                    fixed: 0x12,
                })
            }
            class::SIZE => plain(start.u64(total).u64(free).u32(sectors).u32(sector)),
            class::FULL_SIZE => plain(
                start
                    .u64(total)
                    .u64(free)
                    .u64(free)
                    .u32(sectors)
                    .u32(sector),
            ),
            class::DEVICE => plain(start.u32(DISK).u32(MOUNTED)),
            class::ATTRIBUTE => {
                let name: Vec<u16> = FILE_SYSTEM.encode_utf16().collect();
                let header = start
                    .u32(ATTRIBUTES)
                    .size(path::MAX_COMPONENT)
                    .size(2 * name.len());
                Ok(QueryOutput {
                    bytes: header.name(&name).finish(),
                    fixed: 0xc,
                })
            }
            class::SECTOR_SIZE => plain(
                start
                    .u32(sector)
                    .u32(sector)
                    .u32(sector)
                    .u32(sector)
                    // Aligned, and no seek penalty.
                    .u32(3 | 4)
                    .u32(0)
                    .u32(0),
            ),
            _ => Err(nt_status::STATUS_INVALID_PARAMETER),
        }
    }
}

/// Carries out `IRP_MJ_SET_VOLUME_INFORMATION`: only the label can be set.
pub fn set(packet: u64, place: u64) -> Result<IoResult, Fault> {
    let class = driver_mem::read_u32(place + parameter::CLASS)?;
    let length = driver_mem::read_u32(place + parameter::LENGTH)?;
    let buffer = driver_mem::read_u64(packet + irp::SYSTEM_BUFFER)?;
    if class != class::LABEL {
        return Ok((nt_status::STATUS_INVALID_PARAMETER, 0));
    }
    if length < 4 {
        return Ok((nt_status::STATUS_INFO_LENGTH_MISMATCH, 0));
    }
    let bytes = driver_mem::read_u32(buffer)?;
    let units = usize::try_from(bytes / 2).unwrap_or(usize::MAX);
    if bytes > length - 4 || units > MAX_LABEL {
        return Ok((nt_status::STATUS_INVALID_VOLUME_LABEL, 0));
    }
    let string = UnicodeString {
        length: u16::try_from(bytes).unwrap_or(0),
        maximum_length: u16::MAX,
        buffer: buffer + 4,
    };
    let label = string.units()?;
    let object = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
    let volume = driver_mem::read_u64(object + file::VPB)?;
    volume::set_label(DriverPtr::new(volume), &label)?;
    with(|volume| volume.label = label);
    Ok((nt_status::STATUS_SUCCESS, 0))
}
