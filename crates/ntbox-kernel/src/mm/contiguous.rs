//! Physically contiguous and noncached memory.
//!
//! The simulated machine has no caches that a driver could see, so noncached
//! memory differs in nothing but its name.

use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::kernel_address_space::{Area, Frames, Protection, Use};
use ntbox_host::memory_map::{PAGE_SHIFT, PAGE_SIZE, SYSTEM_PTES};
use ntbox_host::pfn::Physical;
use ntbox_host::{driver_mem, protection};

use super::pool::UNINITIALIZED;
use super::{resource_ledger, with};
use crate::base::export::exports;

/// `BAD_POOL_CALLER`.
const BAD_POOL_CALLER: u32 = 0xc2;
/// `MmMaximumCacheType`.
const MAXIMUM_CACHE_TYPE: u32 = 6;

/// A request for contiguous memory, in bytes and physical addresses.
struct ContiguousRequest {
    bytes: u64,
    lowest: u64,
    highest: u64,
    boundary: u64,
    access: Protection,
    caller: u64,
}

exports! {
    /// `MmAllocateContiguousMemory`: executable, as it always was.
    fn MmAllocateContiguousMemory<call>(bytes: u64, highest: u64) -> u64 [max DISPATCH_LEVEL, wdm] fails 0 {
        let access = Protection::ALL;
        let caller = call.return_address();
        allocate(&ContiguousRequest { bytes, lowest: 0, highest, boundary: 0, access, caller })
    }

    /// `MmAllocateContiguousMemorySpecifyCache`.
    fn MmAllocateContiguousMemorySpecifyCache<call>(bytes: u64, lowest: u64, highest: u64, boundary: u64, cache: u32) -> u64
        [max DISPATCH_LEVEL, wdm] fails 0
    {
        let access = Protection::ALL;
        let caller = call.return_address();
        if cache >= MAXIMUM_CACHE_TYPE { return Ok(0) }
        allocate(&ContiguousRequest { bytes, lowest, highest, boundary, access, caller })
    }

    /// `MmAllocateContiguousMemorySpecifyCacheNode`: there is one node.
    fn MmAllocateContiguousMemorySpecifyCacheNode<call>(
        bytes: u64, lowest: u64, highest: u64, boundary: u64, cache: u32, node: u32,
    ) -> u64 [max DISPATCH_LEVEL, wdm] fails 0 {
        let access = Protection::ALL;
        let caller = call.return_address();
        if cache >= MAXIMUM_CACHE_TYPE { return Ok(0) }
        allocate(&ContiguousRequest { bytes, lowest, highest, boundary, access, caller })
    }

    /// `MmAllocateContiguousNodeMemory`: with a protection.
    fn MmAllocateContiguousNodeMemory<call>(
        bytes: u64, lowest: u64, highest: u64, boundary: u64, protect: u32, node: u32,
    ) -> u64 [max DISPATCH_LEVEL, wdm, since WINDOWS_8] fails 0 {
        let caller = call.return_address();
        let kind = protection::kind(protect);
        if !protection::is_valid(protect) || !matches!(kind, protection::READWRITE | protection::EXECUTE_READWRITE) {
            return Ok(0);
        }
        let access = protection::access(kind);
        allocate(&ContiguousRequest { bytes, lowest, highest, boundary, access, caller })
    }

    /// `MmFreeContiguousMemory`.
    fn MmFreeContiguousMemory(base: u64) -> () [max DISPATCH_LEVEL, wdm] {
        free(base, None, "MmFreeContiguousMemory")
    }

    /// `MmFreeContiguousMemorySpecifyCache`.
    fn MmFreeContiguousMemorySpecifyCache(base: u64, bytes: u64, cache: u32) -> () [max DISPATCH_LEVEL, wdm] {
        free(base, Some(bytes), "MmFreeContiguousMemorySpecifyCache")
    }

    /// `MmAllocateNonCachedMemory`.
    fn MmAllocateNonCachedMemory<call>(bytes: u64) -> u64 [max APC_LEVEL, ntddk] fails 0 {
        let access = Protection::READ_WRITE;
        let caller = call.return_address();
        allocate(&ContiguousRequest { bytes, lowest: 0, highest: u64::MAX, boundary: 0, access, caller })
    }

    /// `MmFreeNonCachedMemory`.
    fn MmFreeNonCachedMemory(base: u64, bytes: u64) -> () [max APC_LEVEL, ntddk] {
        free(base, Some(bytes), "MmFreeNonCachedMemory")
    }
}

fn allocate(wanted: &ContiguousRequest) -> Result<u64, NoReturn> {
    if wanted.bytes == 0 || !(wanted.boundary == 0 || wanted.boundary.is_power_of_two()) {
        return Ok(0);
    }
    let pages = wanted.bytes.div_ceil(PAGE_SIZE);
    let highest = wanted.highest.min(Physical::highest_address());
    // Whole pages between the two addresses.
    let end = (highest + 1) >> PAGE_SHIFT;
    let frames = (wanted.lowest.div_ceil(PAGE_SIZE), end.saturating_sub(1));
    let va = with(|memory| {
        let frames =
            memory
                .physical
                .take_contiguous(pages, frames, wanted.boundary >> PAGE_SHIFT)?;
        let area = Area {
            pages,
            frames: Frames::List(frames.clone()),
            protection: wanted.access,
            used_for: Use::Contiguous,
        };
        let mapped = memory.space.room(SYSTEM_PTES, pages).and_then(|va| {
            memory.space.map(&memory.physical, va, area)?;
            Ok(va)
        });
        if mapped.is_err() {
            memory.physical.give(&frames);
        }
        mapped.ok()
    });
    let Some(va) = va else { return Ok(0) };
    driver_mem::fill(va, UNINITIALIZED, pages * PAGE_SIZE)?;
    let what = format!(
        "{} bytes of contiguous memory at {va:#018x} are not freed",
        wanted.bytes
    );
    resource_ledger::take(va, rules::CONTIGUOUS_LEAK, what, wanted.caller);
    Ok(va)
}

/// Frees an allocation, whose size must be the right one if it is given.
fn free(base: u64, bytes: Option<u64>, function: &str) -> Result<(), NoReturn> {
    let known = with(|memory| {
        let (start, area) = memory.space.find(base)?;
        (start == base && area.used_for == Use::Contiguous).then_some(area.pages)
    });
    let fits = known.filter(|pages| bytes.is_none_or(|bytes| bytes.div_ceil(PAGE_SIZE) == *pages));
    if fits.is_none() {
        let what = format!("{function} was given {base:#018x}, where no such allocation begins");
        return Err(NoReturn::bug_check(
            BAD_POOL_CALLER,
            [0x60, base, 0, 0],
            what,
        ));
    }
    with(|memory| memory.unmap_and_release(base));
    resource_ledger::give(base);
    Ok(())
}
