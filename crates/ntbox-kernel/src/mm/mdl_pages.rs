//! Pages of physical memory that an MDL describes and nothing maps yet.

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::memory_map::{PAGE_SHIFT, PAGE_SIZE};
use ntbox_host::pfn::{Pfn, Physical};

use super::mdl::{MAX_BYTES, View, allocate, flag, offset};
use super::with;
use crate::base::diag;
use crate::base::export::exports;

/// `MM_DONT_ZERO_ALLOCATION`.
const DONT_ZERO: u32 = 1;
/// `MM_ALLOCATE_FULLY_REQUIRED`.
const FULLY_REQUIRED: u32 = 4;

exports! {
    /// `MmAllocatePagesForMdl`: pages of physical memory, zeroed, maybe fewer than
    /// asked for.
    fn MmAllocatePagesForMdl<call>(low: u64, high: u64, skip: u64, total: u64) -> u64 [max DISPATCH_LEVEL, wdm] fails 0 {
        allocate_pages(low, high, total, 0, call.return_address())
    }

    /// `MmAllocatePagesForMdlEx`: the same with a cache type and flags.
    fn MmAllocatePagesForMdlEx<call>(low: u64, high: u64, skip: u64, total: u64, cache: u32, flags: u32) -> u64
        [max DISPATCH_LEVEL, wdm] fails 0
    {
        allocate_pages(low, high, total, flags, call.return_address())
    }

    /// `MmFreePagesFromMdl`: frees the pages, not the list itself.
    fn MmFreePagesFromMdl<call>(mdl: u64) -> () [max DISPATCH_LEVEL, wdm] {
        free_pages(mdl, "MmFreePagesFromMdl", call.return_address())
    }

    /// `MmFreePagesFromMdlEx`: the flags say how pages are zeroed later.
    fn MmFreePagesFromMdlEx<call>(mdl: u64, flags: u32) -> () [max DISPATCH_LEVEL, undocumented] {
        free_pages(mdl, "MmFreePagesFromMdlEx", call.return_address())
    }

    /// `MmAllocateNodePagesForMdlEx`: there is one node.
    fn MmAllocateNodePagesForMdlEx<call>(
        low: u64, high: u64, skip: u64, total: u64, cache: u32, node: u32, flags: u32,
    ) -> u64 [max DISPATCH_LEVEL, wdm] fails 0 {
        allocate_pages(low, high, total, flags, call.return_address())
    }
}

/// Frees the pages of an MDL, which stays.
fn free_pages(mdl: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    let mut view = View::read(mdl)?;
    let pages = with(|memory| memory.mdls.settle(mdl, |record| record.pages.take())).flatten();
    let Some((pages, _)) = pages else {
        let what = format!(
            "{function} called with the MDL at {mdl:#018x}, which holds no allocated pages"
        );
        diag::violation(rules::MDL_FREE_PAGES_NOT_ALLOCATED, what, caller);
        return Ok(());
    };
    if view.has(flag::MAPPED_TO_SYSTEM_VA) {
        let what = format!("{function} called with the MDL at {mdl:#018x}, which is still mapped");
        diag::violation(rules::MDL_FREE_PAGES_MAPPED, what, caller);
        super::mapping::unmap_system(&mut view)?;
    }
    with(|memory| memory.physical.give(&pages));
    view.set_flags(view.flags & !flag::PAGES_LOCKED)?;
    Ok(())
}

/// Takes pages between two physical addresses and an MDL for them; 0 if there are
/// none.
fn allocate_pages(
    low: u64,
    high: u64,
    total: u64,
    flags: u32,
    caller: u64,
) -> Result<u64, NoReturn> {
    if total == 0 || total > MAX_BYTES || low > Physical::highest_address() || high < low {
        return Ok(0);
    }
    let wanted = total.div_ceil(PAGE_SIZE);
    let count = with(|memory| wanted.min(memory.physical.available()));
    if count == 0 || (count < wanted && flags & FULLY_REQUIRED != 0) {
        return Ok(0);
    }
    let Some(frames) = with(|memory| memory.physical.take(count)) else {
        return Ok(0);
    };
    // What lies outside of the range that the caller can use goes back.
    let (frames, outside): (Vec<Pfn>, Vec<Pfn>) = frames
        .into_iter()
        .partition(|pfn| pfn << PAGE_SHIFT >= low && (pfn << PAGE_SHIFT) + PAGE_SIZE - 1 <= high);
    with(|memory| memory.physical.give(&outside));
    let short = (frames.len() as u64) < wanted && flags & FULLY_REQUIRED != 0;
    let list = if frames.is_empty() || short {
        None
    } else {
        allocate(0, (frames.len() as u64) << PAGE_SHIFT, caller, 0)?
    };
    let Some(mdl) = list else {
        with(|memory| memory.physical.give(&frames));
        return Ok(0);
    };
    if flags & DONT_ZERO == 0 {
        with(|memory| frames.iter().for_each(|pfn| memory.physical.clear(*pfn)));
    }
    let mut view = View::read(mdl)?;
    view.set_frames(&frames)?;
    driver_mem::write_u64(mdl + offset::PROCESS, 0)?;
    view.set_flags(flag::PAGES_LOCKED)?;
    with(|memory| memory.mdls.entry(mdl).pages = Some((frames, caller)));
    Ok(mdl)
}
