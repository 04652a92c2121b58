//! What is behind an address, and where a routine is.

use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_address_space::Use;
use ntbox_host::memory_map::{PAGE_SHIFT, PAGE_SIZE};
use ntbox_host::pfn::Physical;
use ntbox_host::{driver_mem, pfn};

use super::pool::{PoolKind, Request};
use super::with;
use crate::base::export::exports;
use crate::base::export_table;

/// Whether an access to `va` would find a page.
fn is_valid(va: u64) -> bool {
    with(|memory| {
        let pool = memory
            .space
            .find(va)
            .is_some_and(|(_, area)| matches!(area.used_for, Use::NonPagedPool | Use::PagedPool));
        if pool {
            return memory.pools.holds(va);
        }
        memory.page(va).is_some_and(|(_, access)| access.read)
    })
}

exports! {
    /// `MmGetPhysicalAddress`: 0 where nothing is.
    fn MmGetPhysicalAddress(va: u64) -> u64 [max HIGH_LEVEL, ntddk] {
        if !is_valid(va) {
            return Ok(0);
        }
        let page = with(|memory| memory.page(va));
        Ok(page.map_or(0, |(pfn, _)| (pfn << PAGE_SHIFT) | (va & (PAGE_SIZE - 1))))
    }

    /// `MmIsAddressValid`.
    fn MmIsAddressValid(va: u64) -> bool [max DISPATCH_LEVEL, ntddk] {
        Ok(is_valid(va))
    }

    /// `MmGetVirtualForPhysical`: an address in system space; 0 if there is none.
    fn MmGetVirtualForPhysical(physical: u64) -> u64 [max HIGH_LEVEL, undocumented] {
        let va = with(|memory| memory.space.address_of(physical >> PAGE_SHIFT));
        Ok(va.map_or(0, |va| va | physical & (PAGE_SIZE - 1)))
    }

    /// `MmCopyMemory`: from a virtual or a physical address, whatever is there.
    fn MmCopyMemory(target: u64, source: u64, bytes: u64, flags: u32, transferred: u64) -> u32
        [max APC_LEVEL, ntddk, since WINDOWS_8_1] {
        let copied = match flags {
            COPY_PHYSICAL => copy_physical(target, source, bytes)?,
            COPY_VIRTUAL => copy_virtual(target, source, bytes)?,
            _ => {
                driver_mem::write_u64(transferred, 0)?;
                return Ok(nt_status::STATUS_INVALID_PARAMETER_4);
            }
        };
        driver_mem::write_u64(transferred, copied)?;
        Ok(match (copied == bytes, flags) {
            (true, _) => nt_status::STATUS_SUCCESS,
            (false, COPY_PHYSICAL) => nt_status::STATUS_INVALID_ADDRESS,
            (false, _) => nt_status::STATUS_ACCESS_VIOLATION,
        })
    }

    /// `MmGetSystemRoutineAddress`: NULL for what is not exported, or not by this
    /// version of Windows.
    fn MmGetSystemRoutineAddress(name: u64) -> u64 [max PASSIVE_LEVEL, wdm] fails 0 {
        let name = UnicodeString::read(name)?.text()?;
        Ok(export_table::resolve_for_driver(&name).unwrap_or(0))
    }
}

/// `MM_COPY_MEMORY_PHYSICAL` and `MM_COPY_MEMORY_VIRTUAL`.
const COPY_PHYSICAL: u32 = 1;
const COPY_VIRTUAL: u32 = 2;
/// Pool tag of what the memory manager hands out.
const TAG: u32 = u32::from_le_bytes(*b"Mm  ");

/// Pieces of a range that lie in one page each: addresses and lengths.
fn pieces(start: u64, bytes: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut at = start;
    let end = start.saturating_add(bytes);
    std::iter::from_fn(move || {
        let next = end.min((at & !(PAGE_SIZE - 1)).saturating_add(PAGE_SIZE));
        let piece = (next > at).then_some((at, next - at));
        at = next;
        piece
    })
}

/// Copies as far as frames reach; returns how many bytes.
fn copy_physical(target: u64, source: u64, bytes: u64) -> Result<u64, NoReturn> {
    let mut copied = 0;
    for (at, length) in pieces(source, bytes) {
        let pfn = at >> PAGE_SHIFT;
        if !Physical::exists(pfn) {
            break;
        }
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        with(|memory| memory.physical.read(pfn, at & (PAGE_SIZE - 1), &mut piece));
        driver_mem::write_bytes(target.wrapping_add(copied), &piece)?;
        copied += length;
    }
    Ok(copied)
}

/// Copies as far as there is something to read; returns how many bytes.
fn copy_virtual(target: u64, source: u64, bytes: u64) -> Result<u64, NoReturn> {
    let mut copied = 0;
    for (at, length) in pieces(source, bytes) {
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        if driver_mem::read_bytes(at, &mut piece).is_err() {
            break;
        }
        driver_mem::write_bytes(target.wrapping_add(copied), &piece)?;
        copied += length;
    }
    Ok(copied)
}

/// An array of `PHYSICAL_MEMORY_RANGE`, ended by an empty one; NULL without pool.
pub fn physical_ranges(caller: u64) -> Result<u64, NoReturn> {
    let request = Request {
        kind: PoolKind::NonPaged,
        size: 0x20,
        tag: TAG,
        zeroed: true,
        cache_aligned: false,
        caller,
    };
    let Some(array) = with(|memory| memory.pools.allocate(request)) else {
        return Ok(0);
    };
    driver_mem::write_u64(array, pfn::FIRST_PFN << PAGE_SHIFT)?;
    driver_mem::write_u64(array + 8, pfn::SIZE)?;
    Ok(array)
}
