//! Memory of user processes, made accessible.
//!
//! Every process has a whole user range of its own, and only that of the process
//! whose memory is seen now is mapped in the host: an address of one process used
//! in another is nothing, or something else, as on Windows.

use std::collections::BTreeMap;

use ntbox_host::kernel_address_space::{Protection, Space};
use ntbox_host::memory_map::PAGE_SIZE;
use ntbox_host::pfn::Pfn;
use ntbox_host::protection;

use super::vad::{END, GRANULARITY, Kind, Page, Vad, Vads};
use super::{Memory, with};
use crate::base::events;
use crate::mm;
use crate::mm::{section_table, user_stack};

/// The address spaces of all processes.
#[derive(Debug, Default)]
pub struct ProcessAddressSpaces {
    spaces: BTreeMap<u64, Vads>,
    /// Whose memory is accessible.
    pub(super) seen: u64,
    /// The stacks of their threads.
    pub(super) stacks: user_stack::Stacks,
    /// Ranges that must stay as they are, by the number that stands for them.
    pub secured: BTreeMap<u64, section_table::SecuredRange>,
    /// How many numbers were given out.
    pub secured_ever: u64,
}

impl ProcessAddressSpaces {
    /// The address space of a process.
    pub fn of(&mut self, process: u64) -> &mut Vads {
        self.spaces.entry(process).or_default()
    }

    /// The address space that is accessible now.
    pub fn current(&self) -> Option<&Vads> {
        self.spaces.get(&self.seen)
    }
}

impl Memory {
    /// Makes the host's mappings of a range what the address space of the process
    /// says, if that is the one which is seen.
    pub fn apply(&mut self, process: u64, start: u64, end: u64) {
        if self.users.seen != process {
            return;
        }
        Space::clear(start, (end - start) / PAGE_SIZE);
        events::user_pages_unmapped(start, end);
        let Some(vads) = self.users.spaces.get(&process) else {
            return;
        };
        for (base, vad) in vads
            .iter()
            .filter(|(base, vad)| *base < end && vad.end > start)
        {
            let from = base.max(start);
            for run in runs(vad, from, vad.end.min(end)) {
                let access = events::user_pages_mapping(run.va, run.pages, run.access);
                let mapped = Space::map_host(&self.physical, run.va, run.first, run.pages, access);
                assert!(mapped, "the host cannot map user memory");
            }
        }
    }

    /// Enters a range into an address space and makes it accessible.
    pub fn insert_range(&mut self, process: u64, start: u64, vad: Vad) {
        let end = vad.end;
        self.users.of(process).insert(start, vad);
        self.apply(process, start, end);
    }

    /// Lets all views of a segment have the pages that were committed through one.
    pub fn show_committed(&mut self, wanted: u64) {
        let mut changed = Vec::new();
        for (process, space) in &mut self.users.spaces {
            for (start, vad) in space.iter_mut() {
                let Kind::View { segment, first, .. } = vad.kind else {
                    continue;
                };
                if segment != wanted {
                    continue;
                }
                for n in 0..(vad.end - start) / PAGE_SIZE {
                    if let Some(pfn) = self.segments.frame(segment, first + n) {
                        vad.pages.entry(start + n * PAGE_SIZE).or_insert(Page {
                            pfn,
                            protect: vad.protect,
                            owned: false,
                        });
                    }
                }
                changed.push((*process, start, vad.end));
            }
        }
        for (process, start, end) in changed {
            self.apply(process, start, end);
        }
    }

    /// Takes pages out of an address space and frees what was theirs alone.
    pub fn remove_pages(&mut self, process: u64, start: u64, end: u64) {
        let pages = self.users.of(process).cut(start, end);
        self.give_owned(&pages);
        self.apply(process, start, end);
    }

    /// Frees the frames that belong to pages alone.
    pub fn give_owned(&mut self, pages: &[Page]) {
        let frames: Vec<Pfn> = pages
            .iter()
            .filter(|page| page.owned)
            .map(|page| page.pfn)
            .collect();
        self.physical.give(&frames);
    }
}

/// Pages that can be mapped in one go.
struct PageRun {
    va: u64,
    first: Pfn,
    pages: u64,
    access: Protection,
}

/// The accessible pages of a range, put together.
fn runs(vad: &Vad, from: u64, to: u64) -> Vec<PageRun> {
    let mut list: Vec<PageRun> = Vec::new();
    for (va, page) in vad.pages.range(from..to) {
        let access = protection::access(page.protect);
        if !access.read {
            continue;
        }
        match list.last_mut() {
            Some(run)
                if run.va + run.pages * PAGE_SIZE == *va
                    && run.first + run.pages == page.pfn
                    && run.access == access =>
            {
                run.pages += 1;
            }
            _ => list.push(PageRun {
                va: *va,
                first: page.pfn,
                pages: 1,
                access,
            }),
        }
    }
    list
}

/// Commits private memory, zeroed, for a process; returns its address.
pub fn allocate(process: u64, bytes: u64, access: Protection) -> Option<u64> {
    let bytes = bytes.max(1).next_multiple_of(PAGE_SIZE);
    with(|memory| {
        let start = memory.users.of(process).room(bytes, END, false)?;
        let frames = memory.physical.take_zeroed(bytes / PAGE_SIZE)?;
        let vad = committed(start, &frames, Kind::Private, protection::of(access), true);
        memory.insert_range(process, start, vad);
        Some(start)
    })
}

/// A range whose pages are all committed.
pub fn committed(start: u64, frames: &[Pfn], kind: Kind, protect: u32, owned: bool) -> Vad {
    let pages = frames.iter().zip(0..).map(|(pfn, n)| {
        let page = Page {
            pfn: *pfn,
            protect,
            owned,
        };
        (start + n * PAGE_SIZE, page)
    });
    Vad {
        end: start + frames.len() as u64 * PAGE_SIZE,
        kind,
        protect,
        pages: pages.collect(),
    }
}

/// Maps the frames of an MDL into a process, at an address or wherever there is
/// room.
///
/// # Errors
/// `STATUS_INVALID_ADDRESS` for one that cannot be had, `STATUS_CONFLICTING_ADDRESSES`
/// for one in use, `STATUS_INSUFFICIENT_RESOURCES`.
pub fn map_frames(
    process: u64,
    at: Option<u64>,
    frames: &[Pfn],
    access: Protection,
) -> Result<u64, u32> {
    let bytes = frames.len() as u64 * PAGE_SIZE;
    with(|memory| {
        let space = memory.users.of(process);
        let start = match at {
            None => space
                .room(bytes, END, false)
                .ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?,
            Some(at) => {
                // The highest allocation unit of user space is never given.
                let end = at
                    .checked_add(bytes)
                    .filter(|end| *end <= END - GRANULARITY)
                    .ok_or(nt_status::STATUS_INVALID_ADDRESS)?;
                if at < GRANULARITY || !space.is_free(at, end) {
                    return Err(nt_status::STATUS_CONFLICTING_ADDRESSES);
                }
                at
            }
        };
        let vad = committed(start, frames, Kind::Locked, protection::of(access), false);
        memory.insert_range(process, start, vad);
        Ok(start)
    })
}

/// Frees what [`allocate`] gave, or ends a mapping of [`map_frames`].
pub fn free(process: u64, va: u64) {
    with(|memory| {
        if let Some((start, vad)) = memory.users.of(process).find(va) {
            let end = vad.end;
            memory.remove_pages(process, start, end);
        }
    });
}

/// Frees all memory of a process that has ended.
pub fn free_all(process: u64) {
    with(|memory| {
        let ranges: Vec<(u64, u64, Kind)> = memory
            .users
            .of(process)
            .iter()
            .map(|(start, vad)| (start, vad.end, vad.kind))
            .collect();
        for (start, end, kind) in ranges {
            memory.remove_pages(process, start, end);
            if let Kind::View { segment, .. } = kind {
                memory.segments.release(segment, &mut memory.physical);
            }
        }
        memory.users.spaces.remove(&process);
        memory.users.stacks.retain(|_, (of, ..)| *of != process);
        // What a driver had secured is gone with the process.
        let secured = &mut memory.users.secured;
        for number in secured.extract_if(.., |_, range| range.process == process) {
            memory.debts.remove(&number.0);
        }
    });
}

/// Makes the memory of `process` the one that is seen; returns whose it was.
pub fn see(process: u64) -> u64 {
    with(|memory| {
        let before = memory.users.seen;
        if before == process {
            return before;
        }
        if let Some(space) = memory.users.spaces.get(&before) {
            for (start, vad) in space.iter() {
                Space::clear(start, (vad.end - start) / PAGE_SIZE);
            }
        }
        events::user_pages_unmapped(0, END);
        memory.users.seen = process;
        let ranges: Vec<(u64, u64)> = memory
            .users
            .of(process)
            .iter()
            .map(|(start, vad)| (start, vad.end))
            .collect();
        for (start, end) in ranges {
            memory.apply(process, start, end);
        }
        before
    })
}

/// The status of touching a page that must not be touched. If it was a guard page
/// it is one no longer; on a stack it was the last.
pub fn status_of_touch(va: u64) -> u32 {
    passed_guard(va).unwrap_or(nt_status::STATUS_ACCESS_VIOLATION)
}

/// The status of touching a guard page, which is one no longer.
pub fn passed_guard(va: u64) -> Option<u32> {
    with(|memory| {
        let seen = memory.users.seen;
        let page = va & !(PAGE_SIZE - 1);
        if !memory.users.of(seen).pass_guard(va) {
            return None;
        }
        memory.apply(seen, page, page + PAGE_SIZE);
        Some(if memory.is_on_own_stack(va) {
            nt_status::STATUS_STACK_OVERFLOW
        } else {
            nt_status::STATUS_GUARD_PAGE_VIOLATION
        })
    })
}

/// Gives a page that is copied on write a copy of its own. False if it is no such
/// page, or there is no memory for it. Called while a fault is handled, so it
/// waits for nothing.
pub fn copied_on_write(va: u64) -> bool {
    mm::try_with(|memory| memory.copy_on_write(va)).unwrap_or(false)
}

impl Memory {
    /// See [`copied_on_write`].
    pub fn copy_on_write(&mut self, va: u64) -> bool {
        let seen = self.users.seen;
        let at = va & !(PAGE_SIZE - 1);
        let shared = self
            .users
            .current()
            .and_then(|space| space.page(va))
            .copied();
        let copies = |page: &Page| {
            protection::copies_on_write(page.protect) && page.protect & protection::GUARD == 0
        };
        let Some(shared) = shared.filter(copies) else {
            return false;
        };
        let Some(own) = self
            .physical
            .take(1)
            .and_then(|frames| frames.first().copied())
        else {
            return false;
        };
        self.physical.copy(shared.pfn, own);
        if let Some((_, vad)) = self.users.of(seen).find_mut(va) {
            let page = Page {
                pfn: own,
                protect: protection::after_copy(shared.protect),
                owned: true,
            };
            vad.pages.insert(at, page);
        }
        self.apply(seen, at, at + PAGE_SIZE);
        true
    }

    /// Frame and access of a page, of the system range or of the process that is
    /// seen.
    pub fn page(&self, va: u64) -> Option<(Pfn, Protection)> {
        if let Some(page) = self.users.current().and_then(|space| space.page(va)) {
            return Some((page.pfn, protection::access(page.protect)));
        }
        let (_, area) = self.space.find(va)?;
        Some((self.space.frame(va)?, area.protection))
    }
}
