//! `ZwQueryVirtualMemory`: what lies at an address of a process.

use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::memory_map::HIGHEST_USER_ADDRESS;
use ntbox_host::{driver_mem, protection};

use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::mm::vad::{Kind, Region};
use crate::mm::with;
use crate::ob;
use crate::ob::Type;

/// `PROCESS_QUERY_INFORMATION`.
const QUERY_INFORMATION: u32 = 0x400;
/// `MEMORY_INFORMATION_CLASS`: `MemoryBasicInformation`.
const BASIC: u32 = 0;
/// The first number that no version of Windows 10 knows.
const END_OF_CLASSES: u32 = 0xf;
/// `MEM_COMMIT`, `MEM_RESERVE` and `MEM_FREE`, as states.
const COMMIT: u32 = 0x1000;
const RESERVE: u32 = 0x2000;
const FREE: u32 = 0x1_0000;
/// `MEM_PRIVATE`, `MEM_MAPPED` and `MEM_IMAGE`, as types.
const PRIVATE: u32 = 0x2_0000;
const MAPPED: u32 = 0x4_0000;
const IMAGE: u32 = 0x100_0000;

exports! {
    /// `ZwQueryVirtualMemory`: `MemoryBasicInformation`.
    fn ZwQueryVirtualMemory(process: u64, address: u64, class: u32, buffer: u64, length: u64, returned: u64) -> u32
        [max PASSIVE_LEVEL, ntifs, since WINDOWS_10, partial "MemoryBasicInformation only"]
    {
        error::status(query(process, address, class, buffer, length, returned))
    }
}

fn query(
    process: u64,
    address: u64,
    class: u32,
    buffer: u64,
    length: u64,
    returned: u64,
) -> Result<(), Refusal> {
    /// Bytes of a `MEMORY_BASIC_INFORMATION`.
    const SIZE: u64 = 0x30;
    match class {
        BASIC => {}
        END_OF_CLASSES.. => return Err(nt_status::STATUS_INVALID_INFO_CLASS.into()),
        other => {
            let what = format!(
                "ZwQueryVirtualMemory was asked for class {other:#x}, which this kernel does not know"
            );
            return Err(NoReturn::bug_check(0xe2, [u64::from(other), 0, 0, 0], what).into());
        }
    }
    if length < SIZE {
        return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
    }
    if address > HIGHEST_USER_ADDRESS {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let process = ob::by_handle(process, QUERY_INFORMATION, Some(Type::Process), false)?.object;
    let region = with(|memory| memory.users.of(process).region(address));
    driver_mem::write_bytes(buffer, &basic(&region))?;
    if returned != 0 {
        driver_mem::write_u64(returned, SIZE)?;
    }
    Ok(())
}

/// `MEMORY_BASIC_INFORMATION`.
fn basic(region: &Region) -> Vec<u8> {
    let (allocation, initial, kind) = match region.allocation {
        None => (0, 0, 0),
        Some((start, protect, Kind::View { image: true, .. })) => (start, protect, IMAGE),
        Some((start, protect, Kind::View { .. })) => (start, protect, MAPPED),
        Some((start, protect, Kind::Private | Kind::Locked)) => (start, protect, PRIVATE),
    };
    let (state, protect) = match (region.allocation, region.committed) {
        (None, _) => (FREE, protection::NOACCESS),
        (Some(_), None) => (RESERVE, 0),
        (Some(_), Some(protect)) => (COMMIT, protect),
    };
    Information::default()
        .u64(region.base)
        .u64(allocation)
        .u32(initial)
        .u32(0)
        .u64(region.end - region.base)
        .u32(state)
        .u32(protect)
        .u32(kind)
        .u32(0)
        .finish()
}
