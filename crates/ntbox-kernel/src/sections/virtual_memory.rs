//! Reserving, committing, freeing and protecting memory of a process.

use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::memory_map::{HIGHEST_USER_ADDRESS, PAGE_SIZE};
use ntbox_host::pfn::Pfn;
use ntbox_host::{driver_mem, protection};

use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::processor_mode::Mode;
use crate::base::thread_table;
use crate::mm::vad::{END, GRANULARITY, Kind, Page, Vad};
use crate::mm::{Memory, process_address_space, resource_ledger, with};
use crate::ob;
use crate::ob::Type;
use crate::ob::handles::CURRENT_PROCESS;

/// `MEM_…`.
mod flag {
    pub const COMMIT: u32 = 0x1000;
    pub const RESERVE: u32 = 0x2000;
    pub const DECOMMIT: u32 = 0x4000;
    pub const RELEASE: u32 = 0x8000;
    pub const RESET: u32 = 0x8_0000;
    pub const TOP_DOWN: u32 = 0x10_0000;
    pub const WRITE_WATCH: u32 = 0x20_0000;
    pub const PHYSICAL: u32 = 0x40_0000;
    pub const LARGE_PAGES: u32 = 0x2000_0000;
    pub const ALLOCATION: u32 =
        COMMIT | RESERVE | RESET | TOP_DOWN | WRITE_WATCH | PHYSICAL | LARGE_PAGES;
}

/// `PROCESS_VM_OPERATION`.
const VM_OPERATION: u32 = 0x8;

/// The addresses of the base address and size that a service reads and writes.
#[derive(Debug, Clone, Copy)]
struct RegionArguments {
    base: u64,
    size: u64,
}

impl RegionArguments {
    fn read(self, mode: Mode) -> Result<(u64, u64), Refusal> {
        mode.probe(self.base, 8, 8)?;
        mode.probe(self.size, 8, 8)?;
        Ok((
            driver_mem::read_u64(self.base)?,
            driver_mem::read_u64(self.size)?,
        ))
    }

    fn write(self, start: u64, end: u64) -> Result<(), Refusal> {
        driver_mem::write_u64(self.size, end - start)?;
        Ok(driver_mem::write_u64(self.base, start)?)
    }
}

exports! {
    /// `ZwAllocateVirtualMemory`.
    fn ZwAllocateVirtualMemory<call>(process: u64, base: u64, zero_bits: u64, size: u64, kind: u32, protect: u32) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_NO_MEMORY
    {
        let wanted = AllocationRequest { process, zero_bits, kind, protect };
        let allocated = allocate(&wanted, RegionArguments { base, size }, Mode::Kernel);
        if allocated.is_ok() {
            note_allocation(&wanted, base, call.return_address())?;
        }
        error::status(allocated)
    }

    /// `NtAllocateVirtualMemory`.
    fn NtAllocateVirtualMemory(process: u64, base: u64, zero_bits: u64, size: u64, kind: u32, protect: u32) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_NO_MEMORY
    {
        let wanted = AllocationRequest { process, zero_bits, kind, protect };
        let mode = Mode::previous();
        mode.status(allocate(&wanted, RegionArguments { base, size }, mode))
    }

    /// `ZwFreeVirtualMemory`.
    fn ZwFreeVirtualMemory(process: u64, base: u64, size: u64, kind: u32) -> u32 [max PASSIVE_LEVEL, ntifs] {
        error::status(free(process, RegionArguments { base, size }, kind, Mode::Kernel))
    }

    /// `NtFreeVirtualMemory`.
    fn NtFreeVirtualMemory(process: u64, base: u64, size: u64, kind: u32) -> u32 [max PASSIVE_LEVEL, ntifs] {
        let mode = Mode::previous();
        mode.status(free(process, RegionArguments { base, size }, kind, mode))
    }

    /// `ZwProtectVirtualMemory`.
    fn ZwProtectVirtualMemory(process: u64, base: u64, size: u64, protect: u32, old: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] {
        error::status(change(process, RegionArguments { base, size }, protect, old))
    }
}

/// Type and protection of an allocation.
struct AllocationRequest {
    process: u64,
    zero_bits: u64,
    kind: u32,
    protect: u32,
}

/// Notes memory of the process System, which no process's end frees.
fn note_allocation(wanted: &AllocationRequest, base: u64, caller: u64) -> Result<(), Fault> {
    let system = thread_table::system_process();
    let own = wanted.process == CURRENT_PROCESS && thread_table::current_process() == system;
    let is_system =
        own || ob::handles::get(wanted.process).is_ok_and(|entry| entry.object == system);
    if is_system && wanted.kind & flag::RESERVE != 0 {
        let base = driver_mem::read_u64(base)?;
        let what = format!("the memory at {base:#018x} of the process System is not freed");
        resource_ledger::take(base, rules::VIRTUAL_MEMORY_LEAK, what, caller);
    }
    Ok(())
}

/// Where addresses must end for a number of high bits that are to be zero, or a
/// mask of those that may be set. Small numbers count bits of 32.
///
/// # Errors
/// False for a number that is neither.
pub fn limit_of(zero_bits: u64) -> Result<u64, ()> {
    match zero_bits {
        0 => Ok(END),
        1..=21 => Ok((1 << (32 - zero_bits)).min(END)),
        22..=31 => Err(()),
        mask => Ok((u64::MAX >> mask.leading_zeros())
            .saturating_add(1)
            .min(END)),
    }
}

fn check_kind(kind: u32) -> bool {
    use flag::{COMMIT, LARGE_PAGES, PHYSICAL, RESERVE, RESET, TOP_DOWN, WRITE_WATCH};
    let has = |flag| kind & flag != 0;
    if kind & !flag::ALLOCATION != 0 || kind & (COMMIT | RESERVE | RESET) == 0 {
        return false;
    }
    let reset = !has(RESET) || kind == RESET;
    let physical = !has(PHYSICAL) || has(RESERVE) && kind & !(RESERVE | TOP_DOWN | PHYSICAL) == 0;
    let large = !has(LARGE_PAGES) || kind & (COMMIT | RESERVE) == COMMIT | RESERVE;
    let watch = !has(WRITE_WATCH) || has(RESERVE);
    reset && physical && large && watch
}

fn allocate(wanted: &AllocationRequest, place: RegionArguments, mode: Mode) -> Result<(), Refusal> {
    let AllocationRequest {
        zero_bits,
        kind,
        protect,
        ..
    } = *wanted;
    let limit = limit_of(zero_bits).map_err(|()| nt_status::STATUS_INVALID_PARAMETER_3)?;
    if !check_kind(kind) {
        return Err(nt_status::STATUS_INVALID_PARAMETER_5.into());
    }
    if !protection::is_valid(protect) || protection::copies_on_write(protect) {
        return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION.into());
    }
    if kind & flag::PHYSICAL != 0 && protect != protection::READWRITE {
        return Err(nt_status::STATUS_INVALID_PARAMETER_6.into());
    }
    let (base, size) = place.read(mode)?;
    if base > HIGHEST_USER_ADDRESS {
        return Err(nt_status::STATUS_INVALID_PARAMETER_2.into());
    }
    if size == 0 || END - base < size {
        return Err(nt_status::STATUS_INVALID_PARAMETER_4.into());
    }
    let process = ob::by_handle(
        wanted.process,
        VM_OPERATION,
        Some(Type::Process),
        mode.is_user(),
    )?
    .object;
    if kind & flag::LARGE_PAGES != 0 {
        // There is no memory of that kind, which the reference lets happen.
        return Err(nt_status::STATUS_INSUFFICIENT_RESOURCES.into());
    }
    let end = (base + size).next_multiple_of(PAGE_SIZE);
    let (start, end) = with(|memory| {
        if kind & flag::RESET != 0 {
            return reset(memory, process, base & !(PAGE_SIZE - 1), end);
        }
        if base != 0 && kind & flag::RESERVE == 0 {
            return commit(memory, process, base & !(PAGE_SIZE - 1), end, protect);
        }
        let request = Reservation {
            at: Some(base & !(GRANULARITY - 1)).filter(|_| base != 0),
            end,
            limit,
            top_down: kind & flag::TOP_DOWN != 0,
            commit: kind & flag::COMMIT != 0,
            protect,
        };
        reserve(memory, process, &request)
    })?;
    place.write(start, end)
}

/// A new allocation.
struct Reservation {
    /// Where it must begin; `None` for anywhere.
    at: Option<u64>,
    /// Where it must end; its size if it may begin anywhere.
    end: u64,
    limit: u64,
    top_down: bool,
    commit: bool,
    protect: u32,
}

fn reserve(memory: &mut Memory, process: u64, request: &Reservation) -> Result<(u64, u64), u32> {
    let space = memory.users.of(process);
    let (start, end) = match request.at {
        Some(at) if at < GRANULARITY || !space.is_free(at, request.end) => {
            return Err(nt_status::STATUS_CONFLICTING_ADDRESSES);
        }
        Some(at) => (at, request.end),
        None => {
            let start = space
                .room(request.end, request.limit, request.top_down)
                .ok_or(nt_status::STATUS_NO_MEMORY)?;
            (start, start + request.end)
        }
    };
    let vad = if request.commit {
        let frames = memory.physical.take_zeroed((end - start) / PAGE_SIZE);
        let frames = frames.ok_or(nt_status::STATUS_COMMITMENT_LIMIT)?;
        process_address_space::committed(start, &frames, Kind::Private, request.protect, true)
    } else {
        Vad {
            end,
            ..process_address_space::committed(start, &[], Kind::Private, request.protect, true)
        }
    };
    memory.insert_range(process, start, vad);
    Ok((start, end))
}

fn commit(
    memory: &mut Memory,
    process: u64,
    start: u64,
    end: u64,
    protect: u32,
) -> Result<(u64, u64), u32> {
    let space = memory.users.of(process);
    let (base, vad) = space
        .find(start)
        .ok_or(nt_status::STATUS_CONFLICTING_ADDRESSES)?;
    if end > vad.end || vad.kind == Kind::Locked {
        return Err(nt_status::STATUS_CONFLICTING_ADDRESSES);
    }
    let missing: Vec<u64> = addresses(start, end)
        .filter(|va| !vad.pages.contains_key(va))
        .collect();
    let kind = vad.kind;
    let new: Vec<(u64, Pfn)> = if let Kind::View { segment, first, .. } = kind {
        if missing.is_empty() {
            return Err(nt_status::STATUS_ALREADY_COMMITTED);
        }
        let page = |va: u64| first + (va - base) / PAGE_SIZE;
        let pages = page(start)..page(end - PAGE_SIZE) + 1;
        if !memory.segments.commit(segment, pages, &mut memory.physical) {
            return Err(nt_status::STATUS_COMMITMENT_LIMIT);
        }
        let frame = |va: &u64| Some((*va, memory.segments.frame(segment, page(*va))?));
        missing.iter().filter_map(frame).collect()
    } else {
        let frames = memory.physical.take_zeroed(missing.len() as u64);
        let frames = frames.ok_or(nt_status::STATUS_COMMITMENT_LIMIT)?;
        missing.into_iter().zip(frames).collect()
    };
    let owned = kind == Kind::Private;
    if let Kind::View { segment, .. } = kind {
        memory.show_committed(segment);
    }
    if let Some((_, vad)) = memory.users.of(process).find_mut(start) {
        // What is committed already gets the new protection.
        if owned {
            for (_, page) in vad.pages.range_mut(start..end) {
                page.protect = protect;
            }
        }
        vad.pages.extend(new.into_iter().map(|(va, pfn)| {
            (
                va,
                Page {
                    pfn,
                    protect,
                    owned,
                },
            )
        }));
    }
    memory.apply(process, start, end);
    Ok((start, end))
}

/// `MEM_RESET`: the content may be lost, which here it is not.
fn reset(memory: &mut Memory, process: u64, start: u64, end: u64) -> Result<(u64, u64), u32> {
    let found = memory.users.of(process).find(start);
    match found {
        Some((_, vad)) if end <= vad.end && vad.kind != Kind::Locked => Ok((start, end)),
        _ => Err(nt_status::STATUS_CONFLICTING_ADDRESSES),
    }
}

/// Addresses of the pages of a range.
fn addresses(start: u64, end: u64) -> impl Iterator<Item = u64> {
    (start / PAGE_SIZE..end / PAGE_SIZE).map(|page| page * PAGE_SIZE)
}

fn free(process: u64, place: RegionArguments, kind: u32, mode: Mode) -> Result<(), Refusal> {
    if kind != flag::DECOMMIT && kind != flag::RELEASE {
        return Err(nt_status::STATUS_INVALID_PARAMETER_4.into());
    }
    let (base, size) = place.read(mode)?;
    if base > HIGHEST_USER_ADDRESS {
        return Err(nt_status::STATUS_INVALID_PARAMETER_2.into());
    }
    if END - base < size {
        return Err(nt_status::STATUS_INVALID_PARAMETER_3.into());
    }
    let process = ob::by_handle(process, VM_OPERATION, Some(Type::Process), mode.is_user())?.object;
    let start = base & !(PAGE_SIZE - 1);
    let (start, end) = with(|memory| {
        let (allocation, vad) = memory
            .users
            .of(process)
            .find(start)
            .ok_or(nt_status::STATUS_MEMORY_NOT_ALLOCATED)?;
        let end = if size == 0 {
            vad.end
        } else {
            (base + size).next_multiple_of(PAGE_SIZE)
        };
        if end > vad.end {
            return Err(nt_status::STATUS_UNABLE_TO_FREE_VM);
        }
        if vad.kind != Kind::Private {
            return Err(nt_status::STATUS_UNABLE_TO_DELETE_SECTION);
        }
        if size == 0 && start != allocation {
            return Err(nt_status::STATUS_FREE_VM_NOT_AT_BASE);
        }
        if !memory.may_change(process, start, end, None) {
            return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION);
        }
        if kind == flag::RELEASE {
            if process == thread_table::system_process() {
                memory.debts.remove(&allocation);
            }
            memory.remove_pages(process, start, end);
        } else {
            decommit(memory, process, start, end);
        }
        Ok((start, end))
    })?;
    place.write(start, end)
}

fn decommit(memory: &mut Memory, process: u64, start: u64, end: u64) {
    let Some((_, vad)) = memory.users.of(process).find_mut(start) else {
        return;
    };
    let mut behind = vad.pages.split_off(&end);
    let gone: Vec<Page> = vad.pages.split_off(&start).into_values().collect();
    vad.pages.append(&mut behind);
    memory.give_owned(&gone);
    memory.apply(process, start, end);
}

/// Whether a view may have a protection, by what its section allows: less, or a
/// copy of what may only be read.
pub fn view_may_be(protect: u32, allowed: u32) -> bool {
    let wanted = protection::access(protect & !protection::GUARD);
    let section = protection::access(allowed);
    let reads = section.read && protection::kind(allowed) != protection::EXECUTE;
    let execute = !wanted.execute || section.execute;
    let write = !wanted.write || section.write;
    let read = !wanted.read || reads || protection::kind(protect) == protection::EXECUTE;
    execute && write && read
}

fn change(process: u64, place: RegionArguments, protect: u32, old: u64) -> Result<(), Refusal> {
    if !protection::is_valid(protect) {
        return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION.into());
    }
    let (base, size) = place.read(Mode::Kernel)?;
    if base > HIGHEST_USER_ADDRESS {
        return Err(nt_status::STATUS_INVALID_PARAMETER_2.into());
    }
    if size == 0 || END - base < size {
        return Err(nt_status::STATUS_INVALID_PARAMETER_3.into());
    }
    let process = ob::by_handle(process, VM_OPERATION, Some(Type::Process), false)?.object;
    let start = base & !(PAGE_SIZE - 1);
    let end = (base + size).next_multiple_of(PAGE_SIZE);
    let before = with(|memory| protect_pages(memory, process, (start, end), protect))?;
    place.write(start, end)?;
    Ok(driver_mem::write_u32(old, before)?)
}

/// Changes the protection of committed pages; returns that of the first before.
fn protect_pages(
    memory: &mut Memory,
    process: u64,
    (start, end): (u64, u64),
    protect: u32,
) -> Result<u32, u32> {
    let (_, vad) = memory
        .users
        .of(process)
        .find(start)
        .filter(|(_, vad)| end <= vad.end)
        .ok_or(nt_status::STATUS_CONFLICTING_ADDRESSES)?;
    match vad.kind {
        Kind::Private if protection::copies_on_write(protect) => {
            return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION);
        }
        Kind::View { allowed, .. } if !view_may_be(protect, allowed) => {
            return Err(nt_status::STATUS_SECTION_PROTECTION);
        }
        Kind::Locked => return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION),
        _ => {}
    }
    if addresses(start, end).any(|va| !vad.pages.contains_key(&va)) {
        return Err(nt_status::STATUS_NOT_COMMITTED);
    }
    if !memory.may_change(process, start, end, Some(protect)) {
        return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION);
    }
    let mut before = 0;
    if let Some((_, vad)) = memory.users.of(process).find_mut(start) {
        before = vad.pages.get(&start).map_or(0, |page| page.protect);
        for (_, page) in vad.pages.range_mut(start..end) {
            // A page that was copied is the process's own and written directly.
            page.protect = if page.owned {
                protection::after_copy(protect)
            } else {
                protect
            };
        }
    }
    memory.apply(process, start, end);
    Ok(before)
}
