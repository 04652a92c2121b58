//! What can be asked of a file.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

use super::dir_tree::{Id, Node};
use super::dispatch::IoResult;
use super::{Volume, with};
use crate::base::info_buffer::Information;
use crate::base::io_layout::stack::information as parameter;
use crate::base::io_layout::{file, irp, stack};
use crate::ramfs::volume;

/// `File…Information`, as far as there is an answer.
pub mod class {
    pub const DIRECTORY: u32 = 1;
    pub const FULL_DIRECTORY: u32 = 2;
    pub const BOTH_DIRECTORY: u32 = 3;
    pub const BASIC: u32 = 4;
    pub const STANDARD: u32 = 5;
    pub const INTERNAL: u32 = 6;
    pub const EA: u32 = 7;
    pub const NAME: u32 = 9;
    pub const RENAME: u32 = 10;
    pub const LINK: u32 = 11;
    pub const NAMES: u32 = 12;
    pub const DISPOSITION: u32 = 13;
    pub const POSITION: u32 = 14;
    pub const ALL: u32 = 18;
    pub const ALLOCATION: u32 = 19;
    pub const END_OF_FILE: u32 = 20;
    pub const ALTERNATE_NAME: u32 = 21;
    pub const STREAM: u32 = 22;
    pub const COMPRESSION: u32 = 28;
    pub const NETWORK_OPEN: u32 = 34;
    pub const ATTRIBUTE_TAG: u32 = 35;
    pub const ID_BOTH_DIRECTORY: u32 = 37;
    pub const ID_FULL_DIRECTORY: u32 = 38;
    pub const VALID_DATA_LENGTH: u32 = 39;
    pub const NORMALIZED_NAME: u32 = 48;
    pub const ID: u32 = 59;
    pub const DISPOSITION_EX: u32 = 64;
    pub const RENAME_EX: u32 = 65;
}

/// Bytes of a `FILE_NAME_INFORMATION` before the name.
const NAME_HEADER: usize = 4;
/// Bytes of a `FILE_ALL_INFORMATION` before the name.
const ALL_HEADER: usize = 0x64;

/// Carries out `IRP_MJ_QUERY_INFORMATION`.
pub fn query(packet: u64, place: u64) -> Result<IoResult, Fault> {
    let object = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
    let class = driver_mem::read_u32(place + parameter::CLASS)?;
    let length = driver_mem::read_u32(place + parameter::LENGTH)?;
    let buffer = driver_mem::read_u64(packet + irp::SYSTEM_BUFFER)?;
    let position = driver_mem::read_u64(object + file::CURRENT_BYTE_OFFSET)?;
    let answer = with(|volume| volume.answer(object, class, position))
        .unwrap_or(Err(nt_status::STATUS_INVALID_PARAMETER));
    let answer = match answer {
        Ok(answer) => answer,
        Err(status) => return Ok((status, 0)),
    };
    deliver(&answer, buffer, length)
}

/// What is asked, and how much of it must fit for an answer at all.
pub struct QueryOutput {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Bytes that must fit.
    pub fixed: usize,
}

impl QueryOutput {
    /// An answer that fits or does not.
    pub fn fixed(information: Information) -> Self {
        let bytes = information.finish();
        let fixed = bytes.len();
        Self { bytes, fixed }
    }
}

/// Writes an answer, or as much of its end as there is room for.
pub fn deliver(answer: &QueryOutput, buffer: u64, length: u32) -> Result<IoResult, Fault> {
    let room = usize::try_from(length).unwrap_or(usize::MAX);
    if room < answer.fixed {
        return Ok((nt_status::STATUS_INFO_LENGTH_MISMATCH, 0));
    }
    let count = room.min(answer.bytes.len());
    driver_mem::write_bytes(buffer, &answer.bytes[..count])?;
    let status = if count < answer.bytes.len() {
        nt_status::STATUS_BUFFER_OVERFLOW
    } else {
        nt_status::STATUS_SUCCESS
    };
    Ok((status, count as u64))
}

impl Volume {
    fn answer(&self, object: u64, class: u32, position: u64) -> Result<QueryOutput, u32> {
        let open = self
            .opens
            .get(&object)
            .ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        // The volume has no information of a file.
        let id = open.node.ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        let node = self
            .tree
            .get(id)
            .ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        let plain = |information| Ok(QueryOutput::fixed(information));
        let start = Information::default();
        match class {
            class::BASIC => plain(basic(start, node)),
            class::STANDARD => plain(standard(start, node)),
            class::INTERNAL => plain(start.u64(id)),
            class::EA => plain(start.u32(0)),
            class::POSITION => plain(start.u64(position)),
            class::NETWORK_OPEN => plain(network_open(node)),
            class::ATTRIBUTE_TAG => plain(start.u32(node.shown_attributes()).u32(0)),
            class::COMPRESSION => {
                // Neither compressed, nor any unit of it.
                plain(start.u64(node.sizes().0).u64(0))
            }
            class::ID => plain(start.u64(u64::from(volume::SERIAL)).u64(id).u64(0)),
            class::NAME | class::NORMALIZED_NAME => {
                let path = self.tree.path(id);
                Ok(QueryOutput {
                    bytes: start.size(2 * path.len()).name(&path).finish(),
                    fixed: NAME_HEADER,
                })
            }
            class::ALL => Ok(self.all(id, node, position)),
            class::STREAM if node.is_directory() => plain(start),
            class::STREAM => {
                let name: Vec<u16> = "::$DATA".encode_utf16().collect();
                let (size, allocation) = node.sizes();
                let header = start.u32(0).size(2 * name.len()).u64(size).u64(allocation);
                Ok(QueryOutput {
                    bytes: header.name(&name).finish(),
                    fixed: 0x18,
                })
            }
            class::ALTERNATE_NAME => Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND),
            _ => Err(nt_status::STATUS_INVALID_PARAMETER),
        }
    }

    /// `FILE_ALL_INFORMATION`; access, mode and alignment are filled in by the I/O
    /// manager afterwards.
    fn all(&self, id: Id, node: &Node, position: u64) -> QueryOutput {
        let path = self.tree.path(id);
        let information = standard(basic(Information::default(), node), node)
            .u64(id)
            .u32(0)
            .u32(0)
            .u64(position)
            .u32(0)
            .u32(0)
            .size(2 * path.len())
            .name(&path);
        QueryOutput {
            bytes: information.finish(),
            fixed: ALL_HEADER,
        }
    }
}

fn basic(information: Information, node: &Node) -> Information {
    times(information, node)
        .u32(node.shown_attributes())
        .align(8)
}

fn times(information: Information, node: &Node) -> Information {
    let times = node.times;
    information
        .u64(times.created)
        .u64(times.accessed)
        .u64(times.written)
        .u64(times.changed)
}

fn standard(information: Information, node: &Node) -> Information {
    let (size, allocation) = node.sizes();
    // A file that is to be deleted has no link left.
    let links = u32::from(!node.delete_pending);
    information
        .u64(allocation)
        .u64(size)
        .u32(links)
        .bytes(&[u8::from(node.delete_pending), u8::from(node.is_directory())])
        .align(8)
}

/// `FILE_NETWORK_OPEN_INFORMATION`.
pub fn network_open(node: &Node) -> Information {
    let (size, allocation) = node.sizes();
    times(Information::default(), node)
        .u64(allocation)
        .u64(size)
        .u32(node.shown_attributes())
        .align(8)
}
