//! Reading and writing files.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::memory_map::{PAGE_SIZE, is_system};

use super::create::write_sizes;
use super::dir_tree::Kind;
use super::dispatch::IoResult;
use super::{Volume, with};
use crate::base::clock;
use crate::base::io_layout::stack::transfer as parameter;
use crate::base::io_layout::{file, irp, stack};
use crate::fsrtl::lock::Owner;
use crate::mm;
use crate::mm::mdl;
use crate::ramfs::dir_tree;
use crate::sections::file_data::CAPACITY;

/// `FILE_WRITE_TO_END_OF_FILE` and `FILE_USE_FILE_POINTER_POSITION`, as offsets.
const END_OF_FILE: u64 = u64::MAX;
const FILE_POINTER: u64 = u64::MAX - 1;

/// A read or a write.
struct TransferRequest {
    file: u64,
    buffer: u64,
    length: u64,
    offset: u64,
    key: u32,
    synchronous: bool,
}

impl TransferRequest {
    fn read(packet: u64, place: u64) -> Result<Self, Fault> {
        let object = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
        let flags = driver_mem::read_u32(object + file::FLAGS)?;
        Ok(Self {
            file: object,
            buffer: buffer_of(packet)?,
            length: u64::from(driver_mem::read_u32(place + parameter::LENGTH)?),
            offset: driver_mem::read_u64(place + parameter::BYTE_OFFSET)?,
            key: driver_mem::read_u32(place + parameter::KEY)?,
            synchronous: flags & file::flag::SYNCHRONOUS_IO != 0,
        })
    }

    fn owner(&self) -> Owner {
        Owner {
            process: 0,
            file: self.file,
            key: self.key,
        }
    }

    /// Moves the position of a file that keeps one.
    fn advance(&self, offset: u64, count: u64) -> Result<(), Fault> {
        if self.synchronous {
            driver_mem::write_u64(self.file + file::CURRENT_BYTE_OFFSET, offset + count)?;
        }
        Ok(())
    }
}

/// Where the data of a request is: behind its MDL, or where the caller has it.
pub fn buffer_of(packet: u64) -> Result<u64, Fault> {
    let list = driver_mem::read_u64(packet + irp::MDL_ADDRESS)?;
    if list == 0 {
        return driver_mem::read_u64(packet + irp::USER_BUFFER);
    }
    let view = mdl::View::read(list)?;
    if view.has(mdl::flag::MAPPED_TO_SYSTEM_VA) || view.has(mdl::flag::SOURCE_IS_NONPAGED_POOL) {
        return driver_mem::read_u64(list + mdl::offset::MAPPED_SYSTEM_VA);
    }
    let start = driver_mem::read_u64(list + mdl::offset::START_VA)?;
    Ok(start + u64::from(driver_mem::read_u32(list + mdl::offset::BYTE_OFFSET)?))
}

/// A buffer that is not there: a status for a user address, whose owner may free
/// it at any time; what the access is for a system address.
pub fn refuse(fault: Fault) -> Result<IoResult, Fault> {
    if is_system(fault.address) {
        Err(fault)
    } else {
        Ok((nt_status::STATUS_ACCESS_VIOLATION, 0))
    }
}

/// Carries out `IRP_MJ_READ`.
pub fn read(packet: u64, place: u64) -> Result<IoResult, Fault> {
    let wanted = TransferRequest::read(packet, place)?;
    let offset = match wanted.offset {
        FILE_POINTER => driver_mem::read_u64(wanted.file + file::CURRENT_BYTE_OFFSET)?,
        offset => offset,
    };
    let data = with(|volume| volume.read(&wanted, offset))
        .unwrap_or(Err(nt_status::STATUS_INVALID_PARAMETER));
    let bytes = match data {
        Ok(bytes) => bytes,
        Err(status) => return Ok((status, 0)),
    };
    if let Err(fault) = driver_mem::write_bytes(wanted.buffer, &bytes) {
        return refuse(fault);
    }
    wanted.advance(offset, bytes.len() as u64)?;
    Ok((nt_status::STATUS_SUCCESS, bytes.len() as u64))
}

/// Carries out `IRP_MJ_WRITE`.
pub fn write(packet: u64, place: u64) -> Result<IoResult, Fault> {
    let wanted = TransferRequest::read(packet, place)?;
    if wanted.length > CAPACITY {
        return Ok((nt_status::STATUS_DISK_FULL, 0));
    }
    let mut bytes = vec![0; usize::try_from(wanted.length).unwrap_or(0)];
    if let Err(fault) = driver_mem::read_bytes(wanted.buffer, &mut bytes) {
        return refuse(fault);
    }
    let position = match wanted.offset {
        FILE_POINTER => driver_mem::read_u64(wanted.file + file::CURRENT_BYTE_OFFSET)?,
        offset => offset,
    };
    let written = with(|volume| volume.write(&wanted, position, &bytes))
        .unwrap_or(Ok(Err(nt_status::STATUS_INVALID_PARAMETER)))?;
    let offset = match written {
        Ok(offset) => offset,
        Err(status) => return Ok((status, 0)),
    };
    wanted.advance(offset, wanted.length)?;
    let flags = driver_mem::read_u32(wanted.file + file::FLAGS)?;
    driver_mem::write_u32(wanted.file + file::FLAGS, flags | file::flag::FILE_MODIFIED)?;
    Ok((nt_status::STATUS_SUCCESS, wanted.length))
}

impl Volume {
    fn read(&mut self, wanted: &TransferRequest, offset: u64) -> Result<Vec<u8>, u32> {
        let open = self.opens.get(&wanted.file);
        let id = open.and_then(|open| open.node);
        let node = id.and_then(|id| self.tree.get_mut(id));
        let node = node.ok_or(nt_status::STATUS_INVALID_DEVICE_REQUEST)?;
        let content = node
            .content()
            .ok_or(nt_status::STATUS_INVALID_DEVICE_REQUEST)?;
        if wanted.length == 0 {
            return Ok(Vec::new());
        }
        if offset.cast_signed() < 0 {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        }
        if !node.locks.may_read(wanted.owner(), offset, wanted.length) {
            return Err(nt_status::STATUS_FILE_LOCK_CONFLICT);
        }
        if offset >= content.size {
            return Err(nt_status::STATUS_END_OF_FILE);
        }
        node.times.accessed = clock::system_time();
        Ok(content.read(offset, wanted.length))
    }

    /// Writes; the offset at which it was.
    fn write(
        &mut self,
        wanted: &TransferRequest,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Result<u64, u32>, Fault> {
        let open = self.opens.get(&wanted.file);
        let id = open.and_then(|open| open.node);
        let used = self.used();
        let node = id.and_then(|id| self.tree.get_mut(id));
        let Some((content, node)) = node.and_then(|node| Some((node.content()?, node))) else {
            return Ok(Err(nt_status::STATUS_INVALID_DEVICE_REQUEST));
        };
        let offset = if offset == END_OF_FILE {
            content.size
        } else {
            offset
        };
        let end = offset.checked_add(wanted.length);
        let Some(end) = end.filter(|end| end.cast_signed() >= 0) else {
            return Ok(Err(nt_status::STATUS_INVALID_PARAMETER));
        };
        if wanted.length == 0 {
            return Ok(Ok(offset));
        }
        if !node.locks.may_write(wanted.owner(), offset, wanted.length) {
            return Ok(Err(nt_status::STATUS_FILE_LOCK_CONFLICT));
        }
        let pages = end.div_ceil(PAGE_SIZE) - offset / PAGE_SIZE;
        let Kind::File(content) = &mut node.kind else {
            return Ok(Err(nt_status::STATUS_INVALID_DEVICE_REQUEST));
        };
        if end > CAPACITY || used + pages * PAGE_SIZE > CAPACITY || !content.write(offset, bytes) {
            return Ok(Err(nt_status::STATUS_DISK_FULL));
        }
        node.touch();
        write_sizes(node)?;
        Ok(Ok(offset))
    }

    /// Bytes that the data of all files takes.
    pub(crate) fn used(&self) -> u64 {
        let contents = self.tree.iter().filter_map(dir_tree::Node::content);
        mm::with(|memory| {
            let pages = contents.map(|content| memory.segments.committed(content.segment));
            pages.sum::<u64>() * PAGE_SIZE
        })
    }
}
