//! Locking the pages of an MDL: they are probed for the access that is asked for,
//! made resident and kept so until they are unlocked.

use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::gate::{Call, NoReturn};
use ntbox_host::hook::{Event, Hook};
use ntbox_host::kernel_address_space::Use;
use ntbox_host::memory_map::{PAGE_SHIFT, is_system};
use ntbox_host::pfn::Pfn;
use ntbox_host::{cpu, driver_mem};

use super::mdl::{View, flag, offset};
use super::{Memory, force_irql, process_address_space, with};
use crate::base::export::exports;
use crate::base::{diag, thread_table};

impl Memory {
    /// Frame behind a page if an access of that kind is possible there. A page
    /// that is copied on write is copied for one.
    pub(super) fn lockable(&mut self, va: u64, write: bool) -> Option<Pfn> {
        if let Some((_, area)) = self.space.find(va)
            && matches!(area.used_for, Use::NonPagedPool | Use::PagedPool)
        {
            return self.pools.holds(va).then(|| self.space.frame(va))?;
        }
        if write {
            self.copy_on_write(va);
        }
        self.grow_stack(va);
        let (pfn, access) = self.page(va)?;
        (access.read && (access.write || !write)).then_some(pfn)
    }
}

/// A driver is about to lock pages: the range, whether for `UserMode`, and the call.
pub static PAGES_LOCKING: Event<fn(&View, bool, &Call<'_>)> = Event::new();

/// Whether an MDL belongs to an IRP whose buffer the I/O manager has locked.
pub static IS_IRP_MDL: Hook<fn(u64) -> bool> = Hook::new();

exports! {
    /// `MmProbeAndLockPages`: makes the pages resident and keeps them so; raises.
    fn MmProbeAndLockPages<call>(mdl: u64, mode: u8, operation: u32) -> ()
        [max DISPATCH_LEVEL, wdm, verifier 0xc4/0x70] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let view = View::read(mdl)?;
        PAGES_LOCKING.notify(|observer| observer(&view, mode != 0, call));
        probe_and_lock(mdl, mode != 0, operation != 0, call.return_address())
    }

    /// `MmProbeAndLockProcessPages`: of the memory of another process.
    fn MmProbeAndLockProcessPages<call>(mdl: u64, process: u64, mode: u8, operation: u32) -> ()
        [max DISPATCH_LEVEL, undocumented] raises nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let seen = process_address_space::see(process);
        let locked = probe_and_lock(mdl, mode != 0, operation != 0, call.return_address());
        process_address_space::see(seen);
        locked?;
        if !is_system(View::read(mdl)?.start) {
            driver_mem::write_u64(mdl + offset::PROCESS, process)?;
        }
        Ok(())
    }

    /// `MmProbeAndLockSelectedPages`: pages that need not lie side by side, from
    /// an array of their addresses.
    fn MmProbeAndLockSelectedPages<call>(mdl: u64, segments: u64, mode: u8, operation: u32) -> ()
        [max DISPATCH_LEVEL, wdm] raises nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let view = View::read(mdl)?;
        let pages: Vec<u64> = (0..view.pages())
            .map(|n| driver_mem::read_u64(segments.wrapping_add(8 * n)))
            .collect::<Result<_, Fault>>()?;
        lock_pages(view, &pages, mode != 0, operation != 0, call.return_address())
    }

    /// `MmUnlockPages`: ends the lock, and a system mapping before it.
    fn MmUnlockPages<call>(mdl: u64) -> () [max DISPATCH_LEVEL, wdm, verifier 0xc4/0x78] {
        let caller = call.return_address();
        let by_kernel = with(|memory| memory.mdls.get(mdl).is_some_and(|record| record.locked == Some(0)));
        if by_kernel && (IS_IRP_MDL.get())(mdl) {
            let what = format!(
                "MmUnlockPages called with the MDL at {mdl:#018x} of an IRP, whose pages the I/O manager locked and unlocks itself"
            );
            diag::violation(rules::IRP_MDL_UNLOCKED, what, caller);
            return Ok(());
        }
        unlock(mdl, caller)
    }
}

/// Locks the pages of an MDL for reading or writing; `user` is the access mode
/// to check the range for.
pub fn probe_and_lock(mdl: u64, user: bool, write: bool, caller: u64) -> Result<(), NoReturn> {
    let view = View::read(mdl)?;
    if view.has(flag::SOURCE_IS_NONPAGED_POOL) {
        let what = format!(
            "MmProbeAndLockPages called with the MDL at {mdl:#018x}, which is built for nonpaged pool"
        );
        diag::violation(rules::MDL_LOCK_NONPAGED, what, caller);
    }
    if view.has(flag::PAGES_LOCKED) {
        let what = format!(
            "MmProbeAndLockPages called with the MDL at {mdl:#018x}, whose pages are locked already"
        );
        diag::violation(rules::MDL_LOCK_TWICE, what, caller);
    }
    let base = view.start.wrapping_add(u64::from(view.offset));
    if user && (is_system(base) || is_system(base.wrapping_add(u64::from(view.bytes)))) {
        return Err(NoReturn::raise(nt_status::STATUS_ACCESS_VIOLATION));
    }
    let page = |n: u64| view.start.wrapping_add(n << PAGE_SHIFT);
    let pages: Vec<u64> = (0..view.pages()).map(page).collect();
    lock_pages(view, &pages, user, write, caller)
}

/// Locks pages at these addresses as those of an MDL.
fn lock_pages(
    mut view: View,
    pages: &[u64],
    user: bool,
    write: bool,
    caller: u64,
) -> Result<(), NoReturn> {
    let first = pages.first().copied().unwrap_or(0);
    let system = is_system(first);
    if user && pages.iter().any(|va| is_system(*va)) {
        return Err(NoReturn::raise(nt_status::STATUS_ACCESS_VIOLATION));
    }
    let (pageable, frames) = with(|memory| {
        let area = memory.space.find(first);
        let pageable = !system || area.is_some_and(|(_, area)| area.used_for == Use::PagedPool);
        let frames: Result<Vec<Pfn>, u64> = pages
            .iter()
            .map(|va| memory.lockable(*va, write).ok_or(*va))
            .collect();
        (pageable, frames)
    });
    if pageable && cpu::irql() > cpu::APC_LEVEL {
        let what = format!(
            "MmProbeAndLockPages called for pageable memory at IRQL {}, maximum is 1",
            cpu::irql()
        );
        diag::violation(rules::IRQL_TOO_HIGH, what, caller);
    }
    let frames =
        frames.map_err(|va| NoReturn::raise(process_address_space::status_of_touch(va)))?;
    view.set_frames(&frames)?;
    force_irql::lock(&frames, true);
    let process = if system {
        0
    } else {
        thread_table::current_process()
    };
    driver_mem::write_u64(view.va + offset::PROCESS, process)?;
    let direction = if write { flag::WRITE_OPERATION } else { 0 };
    view.set_flags(view.flags & !flag::WRITE_OPERATION | flag::PAGES_LOCKED | direction)?;
    with(|memory| memory.mdls.entry(view.va).locked = Some(caller));
    Ok(())
}

/// Unlocks the pages of an MDL.
pub fn unlock(mdl: u64, caller: u64) -> Result<(), NoReturn> {
    let mut view = View::read(mdl)?;
    if view.has(flag::SOURCE_IS_NONPAGED_POOL) {
        let what = format!(
            "MmUnlockPages called with the MDL at {mdl:#018x}, which is built for nonpaged pool"
        );
        diag::violation(rules::MDL_UNLOCK_NONPAGED, what, caller);
        return Ok(());
    }
    if !view.has(flag::PAGES_LOCKED) {
        let what =
            format!("MmUnlockPages called with the MDL at {mdl:#018x}, whose pages are not locked");
        diag::violation(rules::MDL_UNLOCK_NOT_LOCKED, what, caller);
        return Ok(());
    }
    if view.has(flag::MAPPED_TO_SYSTEM_VA) {
        super::mapping::unmap_system(&mut view)?;
    }
    force_irql::lock(&view.frames()?, false);
    // Windows leaves the direction of the last lock where it is.
    view.set_flags(view.flags & !flag::PAGES_LOCKED)?;
    with(|memory| memory.mdls.settle(mdl, |record| record.locked = None));
    Ok(())
}
