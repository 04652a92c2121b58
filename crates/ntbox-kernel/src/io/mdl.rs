//! MDLs as the I/O manager hands them out.

use nt_layout::{Irp, Mdl};
use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::memory_map::{PAGE_SHIFT, PAGE_SIZE, pages_spanned};

use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::mm::mdl::{View, flag};
use crate::mm::{mapping, mdl};
use crate::{ex, mm};

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
    fn IoBuildPartialMdl(source: DriverPtr<Mdl>, target: DriverPtr<Mdl>, base: u64, length: u32) -> () [max DISPATCH_LEVEL, wdm] {
        let parent = View::read(source.address())?;
        let start = parent.start.wrapping_add(u64::from(parent.offset));
        let skipped = base.wrapping_sub(start);
        let available = u64::from(parent.bytes).checked_sub(skipped);
        let bytes = match (available, u64::from(length)) {
            (Some(rest), 0) => rest,
            (Some(rest), wanted) if wanted <= rest => wanted,
            _ => return Err(target_too_large(source.address(), base, length)),
        };
        let mut part = View::read(target.address())?;
        let size = u64::from(target.get(|mdl| &mdl.size)?);
        let page_offset = base & (PAGE_SIZE - 1);
        let room = if part.has(flag::ALLOCATED_FIXED_SIZE) { 0x17 } else { (size.saturating_sub(DriverPtr::<Mdl>::SIZE)) / 8 };
        if pages_spanned(page_offset, bytes) > room {
            return Err(target_too_large(source.address(), base, length));
        }
        target.set(|mdl| &mdl.start_va, base & !(PAGE_SIZE - 1))?;
        target.set(|mdl| &mdl.byte_offset, u32::try_from(page_offset).unwrap_or(0))?;
        target.set(|mdl| &mdl.byte_count, u32::try_from(bytes).unwrap_or(u32::MAX))?;
        let process = source.get(|mdl| &mdl.process)?;
        target.set(|mdl| &mdl.process, process)?;
        // What is mapped stays mapped for the part: it uses the parent's address.
        let keep = part.flags & flag::ALLOCATED_FIXED_SIZE;
        let inherited = parent.flags
            & (flag::SOURCE_IS_NONPAGED_POOL | flag::MAPPED_TO_SYSTEM_VA | flag::IO_PAGE_READ | flag::IO_SPACE);
        if inherited & (flag::SOURCE_IS_NONPAGED_POOL | flag::MAPPED_TO_SYSTEM_VA) != 0 {
            let system = source.get(|mdl| &mdl.mapped_system_va)?;
            target.set(|mdl| &mdl.mapped_system_va, system.wrapping_add(skipped))?;
        }
        let first = (base & !(PAGE_SIZE - 1)).wrapping_sub(parent.start) >> PAGE_SHIFT;
        for n in 0..pages_spanned(page_offset, bytes) {
            let frame = frames(source).next(first + n).read()?;
            frames(target).next(n).write(frame)?;
        }
        part.set_flags(keep | inherited | flag::PARTIAL)?;
        Ok(())
    }
}

/// The page frame numbers of an MDL, which follow it.
fn frames(mdl: DriverPtr<Mdl>) -> DriverPtr<u64> {
    mdl.next(1).cast()
}

/// `TARGET_MDL_TOO_SMALL`.
const TARGET_MDL_TOO_SMALL: u32 = 0x40;

/// The stop of `IoBuildPartialMdl` for a range that does not fit.
fn target_too_large(source: u64, base: u64, length: u32) -> NoReturn {
    NoReturn::bug_check(
        TARGET_MDL_TOO_SMALL,
        [source, base, u64::from(length), 0],
        format!(
            "IoBuildPartialMdl was asked for {length:#x} bytes at {base:#018x}, which the MDL at {source:#018x} \
             does not describe or the target cannot hold (TARGET_MDL_TOO_SMALL)"
        ),
    )
}

/// Makes an MDL that of an IRP, or appends it to the IRP's chain.
fn attach(irp: u64, list: u64, secondary: bool) -> Result<(), NoReturn> {
    let mut link = DriverPtr::<Irp>::new(irp).at(|irp| &irp.mdl_address);
    if !secondary {
        return Ok(link.write(list)?);
    }
    for _ in 0..MAX_CHAIN {
        let next = link.read()?;
        if next == 0 {
            return Ok(link.write(list)?);
        }
        link = DriverPtr::<Mdl>::new(next).at(|mdl| &mdl.next);
    }
    Err(NoReturn::bug_check(
        0x44,
        [irp, 0, 0, 0],
        "the MDL chain of an IRP has no end",
    ))
}
