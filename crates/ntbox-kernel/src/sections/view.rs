//! Views of sections, in processes and in system space.

use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::kernel_address_space::{Area, Frames, Protection, Use};
use ntbox_host::memory_map::{HIGHEST_USER_ADDRESS, PAGE_SIZE, SYSTEM_PTES};
use ntbox_host::{driver_mem, protection};

use super::section;
use super::section::flag;
use super::virtual_memory::{limit_of, view_may_be};
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::processor_mode::Mode;
use crate::base::{diag, error, thread_table};
use crate::mm::section_table::{Image, Section};
use crate::mm::vad::{END, GRANULARITY, Kind, Page, Vad};
use crate::mm::{Memory, resource_ledger, with};
use crate::ob;
use crate::ob::Type;
use crate::ob::handles::CURRENT_PROCESS;

/// `PROCESS_VM_OPERATION`.
const VM_OPERATION: u32 = 0x8;
/// `MEM_RESERVE`, `MEM_TOP_DOWN` and `MEM_LARGE_PAGES`, of a view.
const RESERVE: u32 = 0x2000;
const TOP_DOWN: u32 = 0x10_0000;
const LARGE_PAGES: u32 = 0x2000_0000;
/// `SEC_NO_CHANGE` and `MEM_DIFFERENT_IMAGE_BASE_OK`.
const OTHER: u32 = 0xc0_0000;

/// A request to map a view.
#[derive(Debug, Clone, Copy)]
struct ViewRequest {
    /// Address of the base address.
    base: u64,
    zero_bits: u64,
    commit: u64,
    /// Address of the offset; 0 for the start.
    offset: u64,
    /// Address of the size.
    size: u64,
    inherit: u32,
    kind: u32,
    protect: u32,
}

/// The values behind the addresses.
#[derive(Debug, Clone, Copy)]
struct Request {
    base: u64,
    offset: u64,
    size: u64,
    limit: u64,
    commit: u64,
    kind: u32,
    protect: u32,
}

exports! {
    /// `ZwMapViewOfSection`.
    fn ZwMapViewOfSection<call>(
        section: u64, process: u64, base: u64, zero_bits: u64, commit: u64, offset: u64, size: u64,
        inherit: u32, kind: u32, protect: u32,
    ) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_NO_MEMORY {
        let wanted = ViewRequest { base, zero_bits, commit, offset, size, inherit, kind, protect };
        let mapped = map_by_handle(section, process, &wanted, Mode::Kernel);
        note_view(&wanted, &mapped, process, call.return_address())?;
        error::outcome(mapped)
    }

    /// `NtMapViewOfSection`.
    fn NtMapViewOfSection<call>(
        section: u64, process: u64, base: u64, zero_bits: u64, commit: u64, offset: u64, size: u64,
        inherit: u32, kind: u32, protect: u32,
    ) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_NO_MEMORY {
        let wanted = ViewRequest { base, zero_bits, commit, offset, size, inherit, kind, protect };
        let mode = Mode::previous();
        let mapped = map_by_handle(section, process, &wanted, mode);
        note_view(&wanted, &mapped, process, call.return_address())?;
        mode.outcome(mapped)
    }

    /// `MmMapViewOfSection`: the same with objects.
    fn MmMapViewOfSection(
        section: u64, process: u64, base: u64, zero_bits: u64, commit: u64, offset: u64, size: u64,
        inherit: u32, kind: u32, protect: u32,
    ) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_NO_MEMORY {
        let wanted = ViewRequest { base, zero_bits, commit, offset, size, inherit, kind, protect };
        let map = || -> Result<u32, Refusal> {
            let request = wanted.read(Mode::Kernel)?;
            let section = section::get(section).ok_or(nt_status::STATUS_INVALID_PARAMETER_1)?;
            map(section, process, &wanted, &request)
        };
        error::outcome(map())
    }

    /// `ZwUnmapViewOfSection`: any address of the view will do.
    fn ZwUnmapViewOfSection(process: u64, base: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let unmap = || -> Result<(), Refusal> {
            let process = ob::by_handle(process, VM_OPERATION, Some(Type::Process), false)?.object;
            Ok(unmap(process, base)?)
        };
        error::status(unmap())
    }

    /// `MmUnmapViewOfSection`: the same with a process object.
    fn MmUnmapViewOfSection(process: u64, base: u64) -> u32 [max PASSIVE_LEVEL, undocumented] {
        error::status(unmap(process, base).map_err(Refusal::from))
    }

    /// `MmMapViewInSystemSpace`: from the start of the section; size 0 for all.
    fn MmMapViewInSystemSpace<call>(section: u64, base: u64, size: u64) -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_NO_MEMORY {
        error::status(map_in_system(section, base, size, call.return_address()))
    }

    /// `MmUnmapViewInSystemSpace`.
    fn MmUnmapViewInSystemSpace<call>(base: u64) -> u32 [max PASSIVE_LEVEL, ntddk] {
        let known = with(|memory| {
            let segment = memory.system_views.remove(&base)?;
            memory.space.unmap(base);
            memory.segments.release(segment, &mut memory.physical);
            Some(())
        });
        if known.is_none() {
            let what = format!("MmUnmapViewInSystemSpace called with {base:#018x}, where no view begins");
            diag::violation(rules::UNMAP_NOT_MAPPED.with_stop(0xd7, base), what, call.return_address());
            return Ok(nt_status::STATUS_NOT_MAPPED_VIEW);
        }
        resource_ledger::give(base);
        Ok(nt_status::STATUS_SUCCESS)
    }
}

impl ViewRequest {
    /// Checks what can be checked without the section and the process.
    fn read(&self, mode: Mode) -> Result<Request, Refusal> {
        if !matches!(self.inherit, 1 | 2) {
            return Err(nt_status::STATUS_INVALID_PARAMETER_8.into());
        }
        if self.kind & !(RESERVE | TOP_DOWN | LARGE_PAGES | OTHER) != 0 {
            return Err(nt_status::STATUS_INVALID_PARAMETER_9.into());
        }
        if self.kind & (LARGE_PAGES | RESERVE) == LARGE_PAGES | RESERVE {
            return Err(nt_status::STATUS_INVALID_PARAMETER.into());
        }
        if !protection::is_valid(self.protect) {
            return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION.into());
        }
        mode.probe(self.base, 8, 8)?;
        mode.probe(self.size, 8, 8)?;
        mode.probe_optional(self.offset, 8, 8)?;
        let base = driver_mem::read_u64(self.base)?;
        let size = driver_mem::read_u64(self.size)?;
        let offset = match self.offset {
            0 => 0,
            at => driver_mem::read_u64(at)?,
        };
        let limit = limit_of(self.zero_bits).map_err(|()| nt_status::STATUS_INVALID_PARAMETER_4)?;
        Ok(Request {
            base,
            offset,
            size,
            limit,
            commit: self.commit,
            kind: self.kind,
            protect: self.protect,
        })
    }
}

impl Request {
    /// What the services check of the range, which the function for drivers leaves to
    /// the mapping itself.
    fn check_range(&self) -> Result<(), u32> {
        if self.base > HIGHEST_USER_ADDRESS || END - self.base < self.size {
            return Err(nt_status::STATUS_INVALID_PARAMETER_3);
        }
        if self.base != 0 && self.base + self.size > self.limit {
            return Err(nt_status::STATUS_INVALID_PARAMETER_4);
        }
        Ok(())
    }
}

/// The rights to a section that a view needs: `SECTION_MAP_…`.
fn access_for(protect: u32) -> u32 {
    const WRITE: u32 = 2;
    const READ: u32 = 4;
    const EXECUTE: u32 = 8;
    let access = protection::access(protect);
    match access {
        Protection { write: true, .. } => WRITE,
        Protection { execute: true, .. } => EXECUTE,
        _ => READ,
    }
}

fn map_by_handle(
    section: u64,
    process: u64,
    wanted: &ViewRequest,
    mode: Mode,
) -> Result<u32, Refusal> {
    let request = wanted.read(mode)?;
    request.check_range()?;
    let user = mode.is_user();
    let process = ob::by_handle(process, VM_OPERATION, Some(Type::Process), user)?.object;
    let access = access_for(request.protect);
    let section = ob::by_handle(section, access, Some(Type::Section), user)?.object;
    let section = section::get(section).ok_or(nt_status::STATUS_INVALID_HANDLE)?;
    if !request.base.is_multiple_of(GRANULARITY) || !request.offset.is_multiple_of(GRANULARITY) {
        return Err(nt_status::STATUS_MAPPED_ALIGNMENT.into());
    }
    map(section, process, wanted, &request)
}

/// Notes a view in the process System, where no process's end unmaps it.
fn note_view(
    wanted: &ViewRequest,
    mapped: &Result<u32, Refusal>,
    process: u64,
    caller: u64,
) -> Result<(), Fault> {
    let system = thread_table::system_process();
    let own = process == CURRENT_PROCESS && thread_table::current_process() == system;
    let is_system = own || ob::handles::get(process).is_ok_and(|entry| entry.object == system);
    if caller == 0 || !is_system || !matches!(mapped, Ok(status) if status.cast_signed() >= 0) {
        return Ok(());
    }
    let base = driver_mem::read_u64(wanted.base)?;
    let what =
        format!("the view of a section at {base:#018x} in the process System is not unmapped");
    resource_ledger::take(base, rules::VIEW_LEAK, what, caller);
    Ok(())
}

fn map(
    section: Section,
    process: u64,
    wanted: &ViewRequest,
    request: &Request,
) -> Result<u32, Refusal> {
    let MappedView { start, end, status } =
        with(|memory| memory.map_view(section, process, request))?;
    driver_mem::write_u64(wanted.size, end - start)?;
    if wanted.offset != 0 {
        driver_mem::write_u64(wanted.offset, request.offset & !(GRANULARITY - 1))?;
    }
    driver_mem::write_u64(wanted.base, start)?;
    Ok(status)
}

/// A mapped view.
struct MappedView {
    start: u64,
    end: u64,
    status: u32,
}

impl Memory {
    fn map_view(
        &mut self,
        section: Section,
        process: u64,
        request: &Request,
    ) -> Result<MappedView, u32> {
        let Request {
            base,
            offset,
            limit,
            kind,
            protect,
            ..
        } = *request;
        if let Some(image) = self.segments.image(section.segment).cloned() {
            return self.map_image(section, process, request, &image);
        }
        // A view that is only reserved may reach past the end of a file that can
        // grow.
        let grows = kind & RESERVE != 0;
        let writable = protection::access(section.protect).write;
        if !view_may_be(protect, section.protect) || (grows && !writable) {
            return Err(nt_status::STATUS_SECTION_PROTECTION);
        }
        if grows && section.attributes & flag::FILE == 0 {
            return Err(nt_status::STATUS_INVALID_PARAMETER_9);
        }
        let left = section.size.saturating_sub(offset);
        if left == 0 || (request.size > left && !grows) || request.size > END {
            return Err(nt_status::STATUS_INVALID_VIEW_SIZE);
        }
        let size = if request.size == 0 {
            left
        } else {
            request.size
        };
        if request.commit > size && !grows {
            return Err(nt_status::STATUS_INVALID_PARAMETER_5);
        }
        let commit = request.commit.min(left);
        let bytes = size.next_multiple_of(PAGE_SIZE);
        let first = offset / PAGE_SIZE;
        let committed = first..first + commit.div_ceil(PAGE_SIZE);
        if !self
            .segments
            .commit(section.segment, committed, &mut self.physical)
        {
            return Err(nt_status::STATUS_COMMITMENT_LIMIT);
        }
        let space = self.users.of(process);
        let start = match base {
            0 => space
                .room(bytes, limit, kind & TOP_DOWN != 0)
                .ok_or(nt_status::STATUS_NO_MEMORY)?,
            at if (GRANULARITY..END).contains(&at)
                && END - at >= bytes
                && space.is_free(at, at + bytes) =>
            {
                at
            }
            _ => return Err(nt_status::STATUS_CONFLICTING_ADDRESSES),
        };
        let vad = self.view(section, first, start, bytes, protect);
        self.segments.reference(section.segment);
        self.insert_range(process, start, vad);
        Ok(MappedView {
            start,
            end: start + bytes,
            status: nt_status::STATUS_SUCCESS,
        })
    }

    /// Maps an image, where it was linked to lie if there is room; elsewhere its
    /// addresses are wrong, which the status says.
    fn map_image(
        &mut self,
        section: Section,
        process: u64,
        request: &Request,
        image: &Image,
    ) -> Result<MappedView, u32> {
        let bytes = section.size;
        if request.offset != 0 || request.size > bytes {
            return Err(nt_status::STATUS_INVALID_VIEW_SIZE);
        }
        let space = self.users.of(process);
        let fits = |at: u64| {
            at >= GRANULARITY
                && at
                    .checked_add(bytes)
                    .is_some_and(|end| end <= request.limit && space.is_free(at, end))
        };
        let start = match request.base {
            0 if fits(image.base) => image.base,
            0 => space
                .room(bytes, request.limit, request.kind & TOP_DOWN != 0)
                .ok_or(nt_status::STATUS_NO_MEMORY)?,
            at if fits(at) => at,
            _ => return Err(nt_status::STATUS_CONFLICTING_ADDRESSES),
        };
        let mut vad = self.view(section, 0, start, bytes, protection::EXECUTE_WRITECOPY);
        for (n, protect) in (0..).zip(&image.protections) {
            if let Some(page) = vad.pages.get_mut(&(start + n * PAGE_SIZE)) {
                page.protect = *protect;
            }
        }
        self.segments.reference(section.segment);
        self.insert_range(process, start, vad);
        let status = if start == image.base {
            nt_status::STATUS_SUCCESS
        } else {
            nt_status::STATUS_IMAGE_NOT_AT_BASE
        };
        Ok(MappedView {
            start,
            end: start + bytes,
            status,
        })
    }

    /// The range of a view that begins at page `first` of its section.
    fn view(&self, section: Section, first: u64, start: u64, bytes: u64, protect: u32) -> Vad {
        let pages = (0..bytes / PAGE_SIZE).filter_map(|n| {
            let pfn = self.segments.frame(section.segment, first + n)?;
            let page = Page {
                pfn,
                protect,
                owned: false,
            };
            Some((start + n * PAGE_SIZE, page))
        });
        Vad {
            end: start + bytes,
            kind: Kind::View {
                segment: section.segment,
                first,
                allowed: section.protect,
                image: section.attributes & flag::IMAGE != 0,
            },
            protect,
            pages: pages.collect(),
        }
    }
}

fn unmap(process: u64, base: u64) -> Result<(), u32> {
    with(|memory| {
        let found = memory.users.of(process).find(base);
        let Some((
            start,
            &Vad {
                end,
                kind: Kind::View { segment, .. },
                ..
            },
        )) = found
        else {
            return Err(nt_status::STATUS_NOT_MAPPED_VIEW);
        };
        if !memory.may_change(process, start, end, None) {
            return Err(nt_status::STATUS_INVALID_PAGE_PROTECTION);
        }
        memory.remove_pages(process, start, end);
        memory.segments.release(segment, &mut memory.physical);
        if process == thread_table::system_process() {
            memory.debts.remove(&start);
        }
        Ok(())
    })
}

fn map_in_system(object: u64, base: u64, size: u64, caller: u64) -> Result<(), Refusal> {
    let section = section::get(object).ok_or(nt_status::STATUS_INVALID_PARAMETER_1)?;
    let wanted = driver_mem::read_u64(size)?;
    let bytes = match wanted {
        0 => section.size,
        wanted if wanted > section.size => {
            return Err(nt_status::STATUS_INVALID_VIEW_SIZE.into());
        }
        wanted => wanted,
    };
    let pages = bytes.div_ceil(PAGE_SIZE);
    let va = with(|memory| {
        let committed = memory
            .segments
            .commit(section.segment, 0..pages, &mut memory.physical);
        let frames: Vec<u64> = (0..pages)
            .filter_map(|page| memory.segments.frame(section.segment, page))
            .collect();
        if !committed || frames.len() as u64 != pages {
            return Err(nt_status::STATUS_COMMITMENT_LIMIT);
        }
        let access = protection::access(section.protect);
        let area = Area {
            pages,
            frames: Frames::List(frames),
            protection: Protection {
                execute: false,
                ..access
            },
            used_for: Use::SystemView,
        };
        let va = memory
            .space
            .room(SYSTEM_PTES, pages + 2 * GRANULARITY / PAGE_SIZE);
        let va = va
            .map_err(|_| nt_status::STATUS_NO_MEMORY)?
            .next_multiple_of(GRANULARITY);
        let mapped = memory.space.map(&memory.physical, va, area);
        mapped.map_err(|_| nt_status::STATUS_NO_MEMORY)?;
        memory.segments.reference(section.segment);
        memory.system_views.insert(va, section.segment);
        Ok(va)
    })?;
    let what = format!("the view at {va:#018x} in system space is not unmapped");
    resource_ledger::take(va, rules::VIEW_LEAK, what, caller);
    driver_mem::write_u64(size, pages * PAGE_SIZE)?;
    Ok(driver_mem::write_u64(base, va)?)
}
