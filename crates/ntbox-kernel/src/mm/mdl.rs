//! Memory descriptor lists: describing memory, locking its pages, and keeping
//! account of what a driver owes for each list.

use std::collections::BTreeMap;

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::kernel_address_space::Use;
use ntbox_host::memory_map::{PAGE_SHIFT, PAGE_SIZE, is_system, pages_spanned};
use ntbox_host::pfn::Pfn;

use super::pool::{PoolKind, Request};
use super::{lent, process_address_space, with};
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::base::{diag, thread_table};

/// Offsets in an MDL.
pub mod offset {
    /// Next list of a chain.
    pub const NEXT: u64 = 0;
    /// Bytes of the list with its page frame numbers, as far as 16 bits hold it.
    pub const SIZE: u64 = 8;
    /// Flags.
    pub const FLAGS: u64 = 10;
    /// Process of a user range.
    pub const PROCESS: u64 = 16;
    /// Address of the system mapping.
    pub const MAPPED_SYSTEM_VA: u64 = 24;
    /// First page of the range.
    pub const START_VA: u64 = 32;
    /// Bytes of the range.
    pub const BYTE_COUNT: u64 = 40;
    /// Where the range begins in its first page.
    pub const BYTE_OFFSET: u64 = 44;
    /// Page frame numbers, eight bytes each.
    pub const FRAMES: u64 = 48;
}

/// Flags of an MDL.
pub mod flag {
    /// Has a system mapping.
    pub const MAPPED_TO_SYSTEM_VA: u16 = 0x0001;
    /// Its pages are locked.
    pub const PAGES_LOCKED: u16 = 0x0002;
    /// Built for nonpaged pool.
    pub const SOURCE_IS_NONPAGED_POOL: u16 = 0x0004;
    /// Came from the list of small MDLs.
    pub const ALLOCATED_FIXED_SIZE: u16 = 0x0008;
    /// Part of another one.
    pub const PARTIAL: u16 = 0x0010;
    /// A part that has been mapped on its own.
    pub const PARTIAL_HAS_BEEN_MAPPED: u16 = 0x0020;
    /// Locked for writing.
    pub const WRITE_OPERATION: u16 = 0x0080;
    /// Locked for paging input.
    pub const IO_PAGE_READ: u16 = 0x0040;
    /// Describes device memory.
    pub const IO_SPACE: u16 = 0x0800;
}

/// Largest range of an MDL: 4 GiB less a page.
pub const MAX_BYTES: u64 = (4 << 30) - PAGE_SIZE;
/// Pages up to which `IoAllocateMdl` takes from the list of small MDLs.
const FIXED_SIZE_PAGES: u64 = 0x17;
/// Pool tag of MDLs.
const TAG: u32 = u32::from_le_bytes(*b"Mdl ");

/// A mapping of a list.
#[derive(Debug, Clone, Copy)]
pub struct Mapping {
    /// First page.
    pub va: u64,
    /// Who asked for it.
    pub caller: u64,
    /// The process that it was made in.
    pub process: u64,
}

/// What is owed for one MDL.
#[derive(Debug, Default)]
pub struct Record {
    /// Who allocated it with `IoAllocateMdl`.
    pub allocated: Option<u64>,
    /// Who locked its pages.
    pub locked: Option<u64>,
    /// Pages that were allocated for it and by whom.
    pub pages: Option<(Vec<Pfn>, u64)>,
    /// Mappings in system space.
    pub system: Vec<Mapping>,
    /// Mappings in user space.
    pub user: Vec<Mapping>,
}

impl Record {
    fn is_empty(&self) -> bool {
        self.allocated.is_none()
            && self.locked.is_none()
            && self.pages.is_none()
            && self.system.is_empty()
            && self.user.is_empty()
    }
}

/// All MDLs that something is owed for, by address.
#[derive(Debug, Default)]
pub struct Mdls(BTreeMap<u64, Record>);

impl Mdls {
    /// The record of a list, made if there is none.
    pub fn entry(&mut self, mdl: u64) -> &mut Record {
        self.0.entry(mdl).or_default()
    }

    /// The record of a list.
    pub fn get(&self, mdl: u64) -> Option<&Record> {
        self.0.get(&mdl)
    }

    /// A list that keeps pages of this range locked, and who locked them.
    pub fn locked_within(&self, start: u64, bytes: u64) -> Option<(u64, u64)> {
        let end = start.saturating_add(bytes);
        self.0.iter().find_map(|(list, record)| {
            let by = record.locked?;
            let view = View::read(*list).ok()?;
            let first = view.start.wrapping_add(u64::from(view.offset));
            let overlaps = first < end && start < first.saturating_add(u64::from(view.bytes));
            overlaps.then_some((*list, by))
        })
    }

    /// Changes a record and forgets it once nothing is owed any more.
    pub fn settle<T>(&mut self, mdl: u64, work: impl FnOnce(&mut Record) -> T) -> Option<T> {
        let record = self.0.get_mut(&mdl)?;
        let result = work(record);
        if record.is_empty() {
            self.0.remove(&mdl);
        }
        Some(result)
    }
}

/// The fields of an MDL that the kernel works with.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Its address.
    pub va: u64,
    /// Flags.
    pub flags: u16,
    /// First page of the range.
    pub start: u64,
    /// Bytes of the range.
    pub bytes: u32,
    /// Offset in the first page.
    pub offset: u32,
}

impl View {
    /// Reads an MDL.
    pub fn read(va: u64) -> Result<Self, Fault> {
        Ok(Self {
            va,
            flags: driver_mem::read_u16(va.wrapping_add(offset::FLAGS))?,
            start: driver_mem::read_u64(va.wrapping_add(offset::START_VA))?,
            bytes: driver_mem::read_u32(va.wrapping_add(offset::BYTE_COUNT))?,
            offset: driver_mem::read_u32(va.wrapping_add(offset::BYTE_OFFSET))?,
        })
    }

    /// Number of pages.
    pub fn pages(&self) -> u64 {
        pages_spanned(u64::from(self.offset), u64::from(self.bytes))
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Stores new flags.
    pub fn set_flags(&mut self, flags: u16) -> Result<(), Fault> {
        self.flags = flags;
        driver_mem::write_u16(self.va.wrapping_add(offset::FLAGS), flags)
    }

    /// The page frame numbers.
    pub fn frames(&self) -> Result<Vec<Pfn>, Fault> {
        (0..self.pages())
            .map(|n| driver_mem::read_u64(self.va.wrapping_add(offset::FRAMES + 8 * n)))
            .collect()
    }

    /// Stores page frame numbers.
    pub fn set_frames(&self, frames: &[Pfn]) -> Result<(), Fault> {
        frames.iter().enumerate().try_for_each(|(n, pfn)| {
            driver_mem::write_u64(self.va.wrapping_add(offset::FRAMES + 8 * n as u64), *pfn)
        })
    }
}

/// Initialises an MDL as `MmInitializeMdl` does: what it does not set keeps
/// whatever was there.
pub fn initialize(mdl: u64, base: u64, length: u64) -> Result<(), Fault> {
    let size = offset::FRAMES + 8 * pages_spanned(base, length);
    driver_mem::write_u64(mdl + offset::NEXT, 0)?;
    // The field has 16 bits and larger lists overflow it, on Windows too.
    driver_mem::write_u16(
        mdl + offset::SIZE,
        u16::try_from(size & 0xffff).unwrap_or(0),
    )?;
    driver_mem::write_u16(mdl + offset::FLAGS, 0)?;
    driver_mem::write_u64(mdl + offset::START_VA, base & !(PAGE_SIZE - 1))?;
    driver_mem::write_u32(
        mdl + offset::BYTE_OFFSET,
        u32::try_from(base & (PAGE_SIZE - 1)).unwrap_or(0),
    )?;
    driver_mem::write_u32(
        mdl + offset::BYTE_COUNT,
        u32::try_from(length).unwrap_or(u32::MAX),
    )
}

/// Takes memory for an MDL and initialises it. `owner` is the driver's call if
/// the list itself is a pool block that the driver frees; 0 if `IoFreeMdl` does, and
/// then `by` is the call that it is for, or 0.
pub fn allocate(base: u64, length: u64, owner: u64, by: u64) -> Result<Option<u64>, Fault> {
    if length > MAX_BYTES {
        return Ok(None);
    }
    let pages = pages_spanned(base, length);
    let fixed = owner == 0 && pages <= FIXED_SIZE_PAGES;
    let size = offset::FRAMES + 8 * if fixed { FIXED_SIZE_PAGES } else { pages };
    let taken = if owner == 0 {
        lent::allocate(size, TAG, false, by)
    } else {
        let request = Request {
            kind: PoolKind::NonPaged,
            size,
            tag: TAG,
            zeroed: false,
            cache_aligned: false,
            caller: owner,
        };
        with(|memory| memory.pools.allocate(request))
    };
    let Some(mdl) = taken else {
        return Ok(None);
    };
    initialize(mdl, base, length)?;
    if fixed {
        driver_mem::write_u16(mdl + offset::FLAGS, flag::ALLOCATED_FIXED_SIZE)?;
    }
    Ok(Some(mdl))
}

/// All that drivers have not undone for their MDLs.
pub fn leaks() -> Vec<Leak> {
    with(|memory| {
        let mut list = Vec::new();
        for (mdl, record) in &memory.mdls.0 {
            // What the kernel itself did for a request is not the driver's to undo.
            for mapping in record.system.iter().filter(|mapping| mapping.caller != 0) {
                let message = format!(
                    "the system mapping at {:#018x} of the MDL at {mdl:#018x} is not unmapped",
                    mapping.va
                );
                list.push(Leak::new(rules::MDL_MAPPING_LEAK, message, mapping.caller));
            }
            for mapping in &record.user {
                let message = format!(
                    "the user mapping at {:#018x} of the MDL at {mdl:#018x} is not unmapped",
                    mapping.va
                );
                list.push(Leak::new(rules::MDL_MAPPING_LEAK, message, mapping.caller));
            }
            if let Some(caller) = record.locked.filter(|caller| *caller != 0) {
                let message = format!("the pages of the MDL at {mdl:#018x} are not unlocked");
                list.push(Leak::new(rules::MDL_LOCK_LEAK, message, caller));
            }
            if let Some((pages, caller)) = &record.pages {
                let message = format!(
                    "{} pages allocated for the MDL at {mdl:#018x} are not freed",
                    pages.len()
                );
                list.push(Leak::new(rules::MDL_PAGE_LEAK, message, *caller));
            }
            if let Some(caller) = record.allocated.filter(|caller| *caller != 0) {
                let message = format!("the MDL at {mdl:#018x} is not freed");
                list.push(Leak::new(rules::MDL_LEAK, message, caller));
            }
        }
        list
    })
}

/// Reports what drivers still hold of a process that ends, and ends it.
pub fn check_process_exit(process: u64) {
    let (mappings, locks) = with(|memory| {
        let mut mappings = Vec::new();
        let mut locks = Vec::new();
        for (mdl, record) in &memory.mdls.0 {
            mappings.extend(
                record
                    .user
                    .iter()
                    .filter(|mapping| mapping.process == process)
                    .map(|mapping| (*mdl, *mapping)),
            );
            locks.extend(record.locked.map(|caller| (*mdl, caller)));
        }
        (mappings, locks)
    });
    let name = thread_table::process(process).map_or_else(String::new, |process| process.name);
    for (mdl, mapping) in mappings {
        let what = format!(
            "the process {name} ended while the MDL at {mdl:#018x} is mapped into it at {:#018x}; \
             a driver must unmap when the process's handle is cleaned up",
            mapping.va
        );
        diag::violation(rules::MDL_MAPPING_OUTLIVES_PROCESS, what, mapping.caller);
        process_address_space::free(process, mapping.va);
        with(|memory| {
            memory.mdls.settle(mdl, |record| {
                record.user.retain(|other| other.va != mapping.va);
            });
        });
    }
    for (mdl, caller) in locks {
        if driver_mem::read_u64(mdl + offset::PROCESS) == Ok(process) {
            let what =
                format!("the process ended while its pages are locked by the MDL at {mdl:#018x}");
            diag::violation(rules::MDL_LOCK_OUTLIVES_PROCESS, what, caller);
        }
    }
}

exports! {
    /// `MmSizeOfMdl`: bytes of an MDL for a range, its page frame numbers included.
    fn MmSizeOfMdl(base: u64, length: u64) -> u64 [max HIGH_LEVEL, wdm] {
        Ok(offset::FRAMES + 8 * pages_spanned(base, length))
    }

    /// `MmBuildMdlForNonPagedPool`: fills in the page frames of resident memory.
    fn MmBuildMdlForNonPagedPool<call>(mdl: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let mut view = View::read(mdl)?;
        let caller = call.return_address();
        let base = view.start.wrapping_add(u64::from(view.offset));
        let (used_for, frames) = with(|memory| {
            let used_for = memory.space.find(base).map(|(_, area)| area.used_for);
            let frames: Option<Vec<Pfn>> = (0..view.pages())
                .map(|n| memory.lockable(view.start.wrapping_add(n << PAGE_SHIFT), false))
                .collect();
            (used_for, frames)
        });
        let source = match used_for {
            Some(Use::PagedPool) => Some("paged pool"),
            Some(Use::Stack) => Some("a kernel stack"),
            None if !is_system(base) => Some("user memory"),
            _ => None,
        };
        if let Some(source) = source {
            let what = format!("MmBuildMdlForNonPagedPool called with an MDL of {source} at {base:#018x}");
            diag::violation(rules::MDL_BUILD_NOT_NONPAGED, what, caller);
        }
        if view.has(flag::PAGES_LOCKED) {
            let what = format!("MmBuildMdlForNonPagedPool called with the MDL at {mdl:#018x}, whose pages are locked");
            diag::violation(rules::MDL_BUILD_LOCKED, what, caller);
        }
        let Some(frames) = frames else {
            return Err(Fault { address: base, write: false }.into());
        };
        view.set_frames(&frames)?;
        driver_mem::write_u64(mdl + offset::MAPPED_SYSTEM_VA, base)?;
        view.set_flags(view.flags | flag::SOURCE_IS_NONPAGED_POOL)?;
        Ok(())
    }
}

/// Moves the beginning of a list forwards: pages that are passed are its no more.
pub fn advance(mdl: u64, bytes: u32) -> Result<u32, NoReturn> {
    let view = View::read(mdl)?;
    if bytes > view.bytes {
        return Ok(nt_status::STATUS_INVALID_PARAMETER_2);
    }
    let moved = u64::from(view.offset) + u64::from(bytes);
    let passed = moved / PAGE_SIZE;
    let frames = view.frames()?;
    let rest = frames.get(usize::try_from(passed).unwrap_or(usize::MAX)..);
    view.set_frames(rest.unwrap_or_default())?;
    let offset = u32::try_from(moved % PAGE_SIZE).unwrap_or(0);
    driver_mem::write_u64(mdl + offset::START_VA, view.start + passed * PAGE_SIZE)?;
    driver_mem::write_u32(mdl + offset::BYTE_OFFSET, offset)?;
    driver_mem::write_u32(mdl + offset::BYTE_COUNT, view.bytes - bytes)?;
    if view.has(flag::MAPPED_TO_SYSTEM_VA | flag::SOURCE_IS_NONPAGED_POOL) {
        let system = driver_mem::read_u64(mdl + offset::MAPPED_SYSTEM_VA)?;
        driver_mem::write_u64(mdl + offset::MAPPED_SYSTEM_VA, system + u64::from(bytes))?;
    }
    Ok(nt_status::STATUS_SUCCESS)
}

/// Frees the memory of a list that came from `IoAllocateMdl`.
pub fn release(mdl: u64, caller: u64) -> Result<(), NoReturn> {
    lent::free(mdl, caller)
}
