//! MDLs as the I/O manager hands them out.

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::memory_map::{PAGE_SHIFT, PAGE_SIZE, pages_spanned};

use crate::base::diag;
use crate::base::export::exports;
use crate::mm::mdl::{View, flag, offset};
use crate::mm::{mapping, mdl};
use crate::{ex, mm};

/// Offset of `MdlAddress` in an IRP.
const IRP_MDL_ADDRESS: u64 = 8;
/// Lists that a chain may have before it is taken for a ring.
const MAX_CHAIN: usize = 0x1_0000;

exports! {
    /// `IoAllocateMdl`: describes a range; NULL on failure.
    fn IoAllocateMdl<call>(base: u64, length: u32, secondary: bool, charge_quota: bool, irp: u64) -> u64
        [max DISPATCH_LEVEL, wdm] fails 0
    {
        let caller = call.return_address();
        let Some(list) = mdl::allocate(base, u64::from(length), 0, caller)? else { return Ok(0) };
        mm::with(|memory| memory.mdls.entry(list).allocated = Some(caller));
        if irp != 0 {
            attach(irp, list, secondary)?;
        }
        Ok(list)
    }

    /// `IoFreeMdl`.
    fn IoFreeMdl<call>(list: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let caller = call.return_address();
        let known = mm::with(|memory| memory.mdls.get(list).is_some_and(|record| record.allocated.is_some()));
        if !known {
            return Err(ex::pool::bad_free(list, 0, "IoFreeMdl"));
        }
        let mut view = View::read(list)?;
        let borrowed = view.has(flag::PARTIAL) && !view.has(flag::PARTIAL_HAS_BEEN_MAPPED);
        if view.has(flag::MAPPED_TO_SYSTEM_VA) && !borrowed {
            // A part that was mapped on its own is unmapped here, as documented
            // for MmPrepareMdlForReuse, which this function does first.
            if !view.has(flag::PARTIAL_HAS_BEEN_MAPPED) {
                let what = format!("IoFreeMdl called with the MDL at {list:#018x}, which is still mapped");
                diag::violation(rules::MDL_FREE_MAPPED, what, caller);
            }
            mapping::unmap_system(&mut view)?;
        }
        let locked = mm::with(|memory| memory.mdls.get(list).is_some_and(|record| record.locked.is_some()));
        if locked {
            let what = format!("IoFreeMdl called with the MDL at {list:#018x}, whose pages are still locked");
            diag::violation(rules::MDL_FREE_LOCKED, what, caller);
        }
        mm::with(|memory| memory.mdls.settle(list, |record| {
            record.allocated = None;
            record.locked = None;
        }));
        mdl::release(list, caller)
    }

    /// `IoBuildPartialMdl`: describes a part of what another list describes;
    /// length 0 means the rest.
    fn IoBuildPartialMdl(source: u64, target: u64, base: u64, length: u32) -> () [max DISPATCH_LEVEL, wdm] {
        let parent = View::read(source)?;
        let start = parent.start.wrapping_add(u64::from(parent.offset));
        let skipped = base.wrapping_sub(start);
        let available = u64::from(parent.bytes).checked_sub(skipped);
        let bytes = match (available, u64::from(length)) {
            (Some(rest), 0) => rest,
            (Some(rest), wanted) if wanted <= rest => wanted,
            _ => return Err(target_too_large(source, base, length)),
        };
        let mut part = View::read(target)?;
        let size = u64::from(driver_mem::read_u16(target + offset::SIZE)?);
        let page_offset = base & (PAGE_SIZE - 1);
        let room = if part.has(flag::ALLOCATED_FIXED_SIZE) { 0x17 } else { (size.saturating_sub(offset::FRAMES)) / 8 };
        if pages_spanned(page_offset, bytes) > room {
            return Err(target_too_large(source, base, length));
        }
        driver_mem::write_u64(target + offset::START_VA, base & !(PAGE_SIZE - 1))?;
        driver_mem::write_u32(target + offset::BYTE_OFFSET, u32::try_from(page_offset).unwrap_or(0))?;
        driver_mem::write_u32(target + offset::BYTE_COUNT, u32::try_from(bytes).unwrap_or(u32::MAX))?;
        let process = driver_mem::read_u64(source + offset::PROCESS)?;
        driver_mem::write_u64(target + offset::PROCESS, process)?;
        // What is mapped stays mapped for the part: it uses the parent's address.
        let keep = part.flags & flag::ALLOCATED_FIXED_SIZE;
        let inherited = parent.flags
            & (flag::SOURCE_IS_NONPAGED_POOL | flag::MAPPED_TO_SYSTEM_VA | flag::IO_PAGE_READ | flag::IO_SPACE);
        if inherited & (flag::SOURCE_IS_NONPAGED_POOL | flag::MAPPED_TO_SYSTEM_VA) != 0 {
            let system = driver_mem::read_u64(source + offset::MAPPED_SYSTEM_VA)?;
            driver_mem::write_u64(target + offset::MAPPED_SYSTEM_VA, system.wrapping_add(skipped))?;
        }
        let first = (base & !(PAGE_SIZE - 1)).wrapping_sub(parent.start) >> PAGE_SHIFT;
        for n in 0..pages_spanned(page_offset, bytes) {
            let frame = driver_mem::read_u64(source + offset::FRAMES + 8 * (first + n))?;
            driver_mem::write_u64(target + offset::FRAMES + 8 * n, frame)?;
        }
        part.set_flags(keep | inherited | flag::PARTIAL)?;
        Ok(())
    }
}

/// `TARGET_MDL_TOO_SMALL`.
const TARGET_MDL_TOO_SMALL: u32 = 0x40;

/// The stop of `IoBuildPartialMdl` for a range that does not fit.
fn target_too_large(source: u64, base: u64, length: u32) -> Stop {
    Stop::bug_check(
        TARGET_MDL_TOO_SMALL,
        [source, base, u64::from(length), 0],
        format!(
            "IoBuildPartialMdl was asked for {length:#x} bytes at {base:#018x}, which the MDL at {source:#018x} \
             does not describe or the target cannot hold (TARGET_MDL_TOO_SMALL)"
        ),
    )
}

/// Makes an MDL that of an IRP, or appends it to the IRP's chain.
fn attach(irp: u64, list: u64, secondary: bool) -> Result<(), Stop> {
    if !secondary {
        driver_mem::write_u64(irp + IRP_MDL_ADDRESS, list)?;
        return Ok(());
    }
    let mut at = irp + IRP_MDL_ADDRESS;
    for _ in 0..MAX_CHAIN {
        let next = driver_mem::read_u64(at)?;
        if next == 0 {
            driver_mem::write_u64(at, list)?;
            return Ok(());
        }
        at = next + offset::NEXT;
    }
    Err(Stop::bug_check(
        0x44,
        [irp, 0, 0, 0],
        "the MDL chain of an IRP has no end",
    ))
}
