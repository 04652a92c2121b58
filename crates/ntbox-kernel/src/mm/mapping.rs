//! Mapping the pages of an MDL: a second address for the same page frames.

use ntbox_api::rules::{self, Broken};
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::gate::{Call, ExportResult, NoReturn, Register as _};
use ntbox_host::kernel_address_space::{Area, Frames, Protection, Use};
use ntbox_host::memory_map::{PAGE_SIZE, SYSTEM_PTES, is_system};
use ntbox_host::pfn::Physical;
use ntbox_host::{cpu, driver_mem, kernel_address_space};

use super::mdl::{Mapping, View, flag, offset};
use super::{process_address_space, with};
use crate::base::export::exports;
use crate::base::{diag, os_version, stack_trace_db, thread_table};

/// `MdlMappingNoWrite`.
const NO_WRITE: u32 = 0x8000_0000;
/// `MdlMappingNoExecute`.
const NO_EXECUTE: u32 = 0x4000_0000;
/// `MmMaximumCacheType`.
const MAXIMUM_CACHE_TYPE: u32 = 6;

/// Ends the system mapping that an MDL names.
pub fn unmap_system(view: &mut View) -> Result<(), Fault> {
    let va = driver_mem::read_u64(view.va + offset::MAPPED_SYSTEM_VA)? & !(PAGE_SIZE - 1);
    with(|memory| {
        memory.mdls.settle(view.va, |record| {
            record.system.retain(|mapping| mapping.va != va);
        });
        memory.space.unmap(va);
    });
    view.set_flags(view.flags & !(flag::MAPPED_TO_SYSTEM_VA | flag::PARTIAL_HAS_BEEN_MAPPED))
}

/// A request to map.
struct MapRequest {
    mdl: u64,
    user: bool,
    cache: u32,
    at: u64,
    bug_check: bool,
    priority: u32,
}

fn map(wanted: &MapRequest, caller: u64) -> ExportResult {
    let mut view = View::read(wanted.mdl)?;
    check(wanted, &view, caller);
    let frames = view.frames()?;
    if let Some(wrong) = frames.iter().find(|pfn| !Physical::exists(**pfn)) {
        return Err(NoReturn::bug_check(
            0xc4,
            [0xb3, wanted.mdl, u64::from(view.flags), 0],
            format!(
                "the MDL at {:#018x} was mapped and holds {wrong:#x}, which is no page frame: \
                 its pages were never locked and it was not built for nonpaged pool",
                wanted.mdl
            ),
        ));
    }
    if wanted.user {
        map_user(wanted, &view, &frames, caller)
    } else {
        map_kernel(wanted, &mut view, frames, caller)
    }
}

/// Rules of the caller's that do not decide whether the mapping succeeds.
fn check(wanted: &MapRequest, view: &View, caller: u64) {
    let report = |broken: Broken, message: String| diag::violation(broken, message, caller);
    let mdl = wanted.mdl;
    if wanted.user && cpu::irql() > APC_LEVEL {
        report(
            rules::IRQL_TOO_HIGH.with_stop(0xc4, 0x77),
            format!(
                "MmMapLockedPagesSpecifyCache called for a user mapping at IRQL {}, maximum is 1",
                cpu::irql()
            ),
        );
    }
    if !view.has(flag::PAGES_LOCKED | flag::SOURCE_IS_NONPAGED_POOL | flag::PARTIAL) {
        report(
            rules::MDL_MAP_NOT_LOCKED.into(),
            format!("the MDL at {mdl:#018x} mapped before its pages were locked"),
        );
    }
    if wanted.user {
        return;
    }
    if wanted.bug_check {
        report(
            rules::MDL_MAP_BUGCHECK_ON_FAILURE.into(),
            format!("the MDL at {mdl:#018x} mapped with BugCheckOnFailure TRUE"),
        );
    }
    if wanted.priority & NO_EXECUTE == 0 && stack_trace_db::is_on() && os_version::has_no_execute()
    {
        let what = format!(
            "the MDL at {mdl:#018x} mapped into system space with execute access; the priority lacks MdlMappingNoExecute"
        );
        report(rules::EXECUTABLE_MAPPING.into(), what);
    }
    if view.has(flag::MAPPED_TO_SYSTEM_VA) {
        report(
            rules::MDL_MAP_TWICE.into(),
            format!("the MDL at {mdl:#018x} mapped into system space, where it is mapped already"),
        );
    } else if view.has(flag::SOURCE_IS_NONPAGED_POOL) {
        let what = format!(
            "the MDL at {mdl:#018x}, which is built for nonpaged pool, mapped into system space; the reference leaves the behavior undefined, use MmGetSystemAddressForMdlSafe"
        );
        diag::violation(rules::MDL_MAP_NONPAGED, what, caller);
    }
}

fn map_kernel(wanted: &MapRequest, view: &mut View, frames: Vec<u64>, caller: u64) -> ExportResult {
    if wanted.cache >= MAXIMUM_CACHE_TYPE {
        return Ok(0);
    }
    let protection = Protection {
        read: true,
        write: wanted.priority & NO_WRITE == 0,
        execute: wanted.priority & NO_EXECUTE == 0,
    };
    let mapped = with(|memory| {
        let pages = frames.len() as u64;
        let va = memory.space.room(SYSTEM_PTES, pages)?;
        let area = Area {
            pages,
            frames: Frames::List(frames),
            protection,
            used_for: Use::SystemMapping,
        };
        memory.space.map(&memory.physical, va, area)?;
        memory.mdls.entry(wanted.mdl).system.push(Mapping {
            va,
            caller,
            process: thread_table::system_process(),
        });
        Ok::<u64, kernel_address_space::NoSpace>(va)
    });
    let Ok(va) = mapped else { return Ok(0) };
    let address = va + u64::from(view.offset);
    driver_mem::write_u64(wanted.mdl + offset::MAPPED_SYSTEM_VA, address)?;
    let part = if view.has(flag::PARTIAL) {
        flag::PARTIAL_HAS_BEEN_MAPPED
    } else {
        0
    };
    view.set_flags(view.flags | flag::MAPPED_TO_SYSTEM_VA | part)?;
    Ok(address)
}

fn map_user(wanted: &MapRequest, view: &View, frames: &[u64], caller: u64) -> ExportResult {
    if wanted.cache >= MAXIMUM_CACHE_TYPE {
        return Err(NoReturn::raise(nt_status::STATUS_INVALID_PARAMETER));
    }
    let protection = Protection {
        read: true,
        write: wanted.priority & NO_WRITE == 0,
        execute: false,
    };
    let process = thread_table::current_process();
    if !wanted.at.is_multiple_of(PAGE_SIZE) {
        return Err(NoReturn::raise(nt_status::STATUS_INVALID_ADDRESS));
    }
    let at = Some(wanted.at).filter(|at| *at != 0);
    let va = process_address_space::map_frames(process, at, frames, protection)
        .map_err(NoReturn::raise)?;
    with(|memory| {
        memory.mdls.entry(wanted.mdl).user.push(Mapping {
            va,
            caller,
            process,
        });
    });
    Ok(va + u64::from(view.offset))
}

/// How a mapping fails: with NULL in system space, by raising in user space.
fn failure(call: &mut Call<'_>) -> ExportResult {
    let user = bool::from_register(call.argument(1)?);
    if user {
        Err(NoReturn::raise(nt_status::STATUS_INSUFFICIENT_RESOURCES))
    } else {
        Ok(0)
    }
}

exports! {
    /// `MmMapLockedPages`: the older form, cached, which stops the system when a
    /// system mapping fails.
    fn MmMapLockedPages<call>(mdl: u64, mode: u8) -> u64 [max DISPATCH_LEVEL, wdm, verifier 0xc4/0x74] {
        let wanted = MapRequest { mdl, user: mode != 0, cache: 1, at: 0, bug_check: true, priority: 16 };
        let address = map(&wanted, call.return_address())?;
        if address == 0 {
            return Err(NoReturn::bug_check(0x3f, [0, 0, 0, 0], "MmMapLockedPages found no room in system space"));
        }
        Ok(address)
    }

    /// `MmMapLockedPagesSpecifyCache`.
    fn MmMapLockedPagesSpecifyCache<call>(mdl: u64, mode: u8, cache: u32, at: u64, bug_check: u32, priority: u32) -> u64
        [max DISPATCH_LEVEL, wdm, verifier 0xc4/0x76, needs mapping] fails_by failure
    {
        let wanted = MapRequest { mdl, user: mode != 0, cache, at, bug_check: bug_check != 0, priority };
        map(&wanted, call.return_address())
    }

    /// `MmUnmapLockedPages`: ends a mapping, system or user.
    fn MmUnmapLockedPages<call>(base: u64, mdl: u64) -> () [max DISPATCH_LEVEL, wdm, verifier 0xc4/0x79] {
        let mut view = View::read(mdl)?;
        let caller = call.return_address();
        let page = base & !(PAGE_SIZE - 1);
        if !is_system(base) {
            unmap_user(page, mdl, caller);
            return Ok(());
        }
        let named = driver_mem::read_u64(mdl + offset::MAPPED_SYSTEM_VA)? & !(PAGE_SIZE - 1);
        let known = with(|memory| {
            memory.mdls.get(mdl).is_some_and(|record| record.system.iter().any(|mapping| mapping.va == page))
        });
        if !known || !view.has(flag::MAPPED_TO_SYSTEM_VA) || named != page {
            let what = format!(
                "MmUnmapLockedPages called with {base:#018x}, which is not the system mapping of the MDL at {mdl:#018x}"
            );
            diag::violation(rules::UNMAP_NOT_MAPPED.with_stop(0xc4, 0xb6), what, caller);
            return Ok(());
        }
        unmap_system(&mut view)?;
        Ok(())
    }

    /// `MmProtectMdlSystemAddress`: changes the protection of a system mapping.
    fn MmProtectMdlSystemAddress(mdl: u64, protect: u32) -> u32 [max DISPATCH_LEVEL, wdm] {
        let view = View::read(mdl)?;
        if !view.has(flag::MAPPED_TO_SYSTEM_VA) || view.has(flag::SOURCE_IS_NONPAGED_POOL) {
            return Ok(nt_status::STATUS_NOT_MAPPED_VIEW);
        }
        let protection = match protect {
            0x01 => Protection::NONE,
            0x02 => Protection::READ,
            0x04 => Protection::READ_WRITE,
            0x10 | 0x20 => Protection::EXECUTE,
            0x40 => Protection::ALL,
            _ => return Ok(nt_status::STATUS_INVALID_PAGE_PROTECTION),
        };
        let va = driver_mem::read_u64(mdl + offset::MAPPED_SYSTEM_VA)? & !(PAGE_SIZE - 1);
        let changed = with(|memory| memory.space.protect(va, protection));
        Ok(if changed.is_ok() { 0 } else { nt_status::STATUS_NOT_MAPPED_VIEW })
    }
}

fn unmap_user(page: u64, mdl: u64, caller: u64) {
    if cpu::irql() > APC_LEVEL {
        let what = format!(
            "MmUnmapLockedPages called for a user mapping at IRQL {}, maximum is 1",
            cpu::irql()
        );
        diag::violation(rules::IRQL_TOO_HIGH.with_stop(0xc4, 0x7a), what, caller);
    }
    let process = thread_table::current_process();
    let known = with(|memory| {
        let known = memory.mdls.settle(mdl, |record| {
            let before = record.user.len();
            record
                .user
                .retain(|mapping| mapping.va != page || mapping.process != process);
            record.user.len() < before
        });
        known == Some(true)
    });
    if known {
        process_address_space::free(process, page);
    } else {
        let what = format!(
            "MmUnmapLockedPages called with {page:#018x}, which is no user mapping of the MDL at {mdl:#018x} in this process"
        );
        diag::violation(rules::UNMAP_BAD_USER_ADDRESS, what, caller);
    }
}
