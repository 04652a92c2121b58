//! The address space: which range is what, and which page frame is behind a
//! page. This is the page table that physical addresses, MDLs and validity
//! checks are answered from; the host's own page tables are kept equal to it.

use std::collections::BTreeMap;

use super::memory_map::{GUEST_END, PAGE_SHIFT, PAGE_SIZE, Zone};
use super::pfn::{Pfn, Physical};
use super::translation;

/// What may be done with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

/// Length in bytes of `pages` pages at `va`, all of them addresses that a driver can hold:
/// nothing of this program lies there.
///
/// # Panics
/// One of them is not.
fn driver_bytes(va: u64, pages: u64) -> usize {
    let length = pages.checked_mul(PAGE_SIZE);
    let end = length.and_then(|length| va.checked_add(length));
    assert!(
        end.is_some_and(|end| end <= GUEST_END),
        "{pages} pages at {va:#x} are not driver memory"
    );
    usize::try_from(length.unwrap_or(0)).unwrap_or(0)
}

impl Protection {
    /// No access.
    pub const NONE: Self = Self {
        read: false,
        write: false,
        execute: false,
    };
    /// Read only.
    pub const READ: Self = Self {
        read: true,
        write: false,
        execute: false,
    };
    /// Read and write.
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
        execute: false,
    };
    /// Read and execute.
    pub const EXECUTE: Self = Self {
        read: true,
        write: false,
        execute: true,
    };
    /// Everything.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        execute: true,
    };

    fn bits(self) -> i32 {
        let bit = |on, bit| if on { bit } else { 0 };
        bit(self.read, libc::PROT_READ)
            | bit(self.write, libc::PROT_WRITE)
            | bit(self.execute, libc::PROT_EXEC)
    }
}

/// What a range is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Nonpaged pool.
    NonPagedPool,
    /// Paged pool.
    PagedPool,
    /// A section of a driver's image.
    Image,
    /// A kernel stack.
    Stack,
    /// The kernel itself.
    Kernel,
    /// An MDL mapped into the system range.
    SystemMapping,
    /// Memory that a device reaches: its frames lie side by side.
    Contiguous,
    /// A view of a section in the system range.
    SystemView,
}

/// Page frames behind a range.
#[derive(Debug, Clone)]
pub enum Frames {
    /// Adjacent frames from this one on.
    Run(Pfn),
    /// One by one.
    List(Vec<Pfn>),
}

impl Frames {
    fn get(&self, page: u64) -> Option<Pfn> {
        match self {
            Self::Run(first) => Some(first + page),
            Self::List(list) => list.get(usize::try_from(page).ok()?).copied(),
        }
    }
}

/// A mapped range of whole pages.
#[derive(Debug, Clone)]
pub struct Area {
    /// Number of pages.
    pub pages: u64,
    /// What is behind them.
    pub frames: Frames,
    /// What may be done with them.
    pub protection: Protection,
    /// What they are for.
    pub used_for: Use,
}

/// All mapped ranges, by the address of their first page.
#[derive(Debug, Default)]
pub struct Space {
    areas: BTreeMap<u64, Area>,
    searches: Vec<Search>,
}

/// A range cannot be mapped: no address or no memory for page tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSpace;

impl Space {
    /// The area that holds an address, with its first address.
    #[must_use]
    pub fn find(&self, va: u64) -> Option<(u64, &Area)> {
        let (start, area) = self.areas.range(..=va).next_back()?;
        (va - start < area.pages * PAGE_SIZE).then_some((*start, area))
    }

    /// Page frame behind an address.
    #[must_use]
    pub fn frame(&self, va: u64) -> Option<Pfn> {
        let (start, area) = self.find(va)?;
        area.frames.get((va - start) >> PAGE_SHIFT)
    }

    /// The first address at which a frame is mapped.
    #[must_use]
    pub fn address_of(&self, pfn: Pfn) -> Option<u64> {
        self.areas.iter().find_map(|(start, area)| {
            let page = match &area.frames {
                Frames::Run(first) => pfn.checked_sub(*first).filter(|page| *page < area.pages),
                Frames::List(list) => list
                    .iter()
                    .position(|own| *own == pfn)
                    .map(|page| page as u64),
            };
            page.map(|page| start + page * PAGE_SIZE)
        })
    }

    /// Maps frames at `va`, which must be free and page-aligned.
    pub fn map(&mut self, physical: &Physical, va: u64, area: Area) -> Result<(), NoSpace> {
        let mut page = 0;
        while page < area.pages {
            let first = area.frames.get(page).ok_or(NoSpace)?;
            let mut run = 1;
            while page + run < area.pages && area.frames.get(page + run) == Some(first + run) {
                run += 1;
            }
            let at = va + page * PAGE_SIZE;
            if !Self::map_host(physical, at, first, run, area.protection) {
                Self::clear(va, page);
                return Err(NoSpace);
            }
            page += run;
        }
        self.areas.insert(va, area);
        Ok(())
    }

    /// Maps adjacent frames in the host and nowhere else; false if it cannot.
    #[must_use]
    pub fn map_host(
        physical: &Physical,
        va: u64,
        first: Pfn,
        pages: u64,
        protection: Protection,
    ) -> bool {
        let length = driver_bytes(va, pages);
        // SAFETY: the range is one of driver memory, to which no Rust reference points;
        // frames are part of the memory object.
        let at = unsafe {
            libc::mmap(
                va as *mut libc::c_void,
                length,
                translation::host_protection(va, protection).bits(),
                libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_NORESERVE,
                physical.descriptor(),
                Physical::offset(first).cast_signed(),
            )
        };
        let is_mapped = at != libc::MAP_FAILED;
        if is_mapped {
            translation::memory_changed(va, pages, Protection::NONE);
            translation::memory_changed(va, pages, protection);
        }
        is_mapped
    }

    /// Removes a whole area.
    pub fn unmap(&mut self, va: u64) -> Option<Area> {
        let area = self.areas.remove(&va)?;
        Self::clear(va, area.pages);
        self.reopen(va);
        Some(area)
    }

    /// Makes pages inaccessible in the host; they stay reserved.
    pub fn clear(va: u64, pages: u64) {
        let length = driver_bytes(va, pages);
        if length == 0 {
            return;
        }
        translation::memory_changed(va, pages, Protection::NONE);
        if Self::reserve(va, length) {
            return;
        }
        // With as many mappings as the host allows, it replaces none; but it still
        // takes them away.
        // SAFETY: the range is one of driver memory, to which no Rust reference points; it
        // is reserved again at once.
        unsafe { libc::munmap(va as *mut libc::c_void, length) };
        assert!(Self::reserve(va, length), "a range cannot be unmapped");
    }

    /// Replaces what is at `va`, which is driver memory, by inaccessible memory; false if
    /// the host has too many mappings.
    fn reserve(va: u64, length: usize) -> bool {
        // SAFETY: the callers pass a range of driver memory, to which no Rust reference
        // points.
        let at = unsafe {
            libc::mmap(
                va as *mut libc::c_void,
                length,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        at != libc::MAP_FAILED
    }

    /// Changes the protection of a whole area.
    pub fn protect(&mut self, va: u64, protection: Protection) -> Result<(), NoSpace> {
        let pages = self.areas.get(&va).ok_or(NoSpace)?.pages;
        Self::set_host_protection(va, pages, protection)?;
        if let Some(area) = self.areas.get_mut(&va) {
            area.protection = protection;
        }
        Ok(())
    }

    /// Changes what the host lets happen to pages of an area, and not what the
    /// area says of itself.
    pub fn set_host_protection(va: u64, pages: u64, protection: Protection) -> Result<(), NoSpace> {
        Self::set_host_access(va, pages, protection)?;
        translation::memory_changed(va, pages, protection);
        Ok(())
    }

    /// The same, without a change of what a driver may execute.
    pub(crate) fn set_host_access(
        va: u64,
        pages: u64,
        protection: Protection,
    ) -> Result<(), NoSpace> {
        let length = driver_bytes(va, pages);
        let bits = translation::host_protection(va, protection).bits();
        // SAFETY: the range is one of driver memory, to which no Rust reference points.
        let result = unsafe { libc::mprotect(va as *mut libc::c_void, length, bits) };
        if result == 0 { Ok(()) } else { Err(NoSpace) }
    }

    /// Makes pages of an area inaccessible in the host. Called while faults are
    /// handled, too. What fails for lack of mappings leaves them as they are.
    pub fn clear_access(va: u64, pages: u64) {
        let _ = Self::set_host_protection(va, pages, Protection::NONE);
    }

    /// Finds room for `pages` pages in a zone, with an unmapped page behind it: the lowest.
    pub fn room(&mut self, zone: Zone, pages: u64) -> Result<u64, NoSpace> {
        let bytes = pages
            .checked_add(1)
            .and_then(|pages| pages.checked_mul(PAGE_SIZE))
            .filter(|bytes| *bytes <= zone.size)
            .ok_or(NoSpace)?;
        let known = self.searches.iter().position(|search| search.zone == zone);
        let known = known.unwrap_or_else(|| {
            let full_to = zone.base;
            self.searches.push(Search { zone, full_to });
            self.searches.len() - 1
        });
        let search = &mut self.searches[known];
        let mut at = search.full_to;
        let mut is_full = true;
        for (start, area) in self.areas.range(at..zone.end()) {
            let free = start.saturating_sub(at);
            if free >= bytes {
                break;
            }
            is_full &= free < LEAST_ROOM;
            at = area_end(*start, area);
            if is_full {
                search.full_to = at;
            }
        }
        if zone.end().saturating_sub(at) >= bytes {
            Ok(at)
        } else {
            Err(NoSpace)
        }
    }

    /// Room came up at `va`, where an area was.
    fn reopen(&mut self, va: u64) {
        let before = self.areas.range(..va).next_back();
        let end = before.map_or(0, |(start, area)| area_end(*start, area));
        for search in &mut self.searches {
            if search.zone.contains(va) {
                search.full_to = search.full_to.min(end.max(search.zone.base));
            }
        }
    }
}

/// Where the search for room in a zone begins, so that many areas in a row are not passed
/// each time.
#[derive(Debug)]
struct Search {
    zone: Zone,
    /// Below this address no gap of the zone has [`LEAST_ROOM`] bytes.
    full_to: u64,
}

/// Bytes of the smallest room: one page, and the unmapped one behind it.
const LEAST_ROOM: u64 = 2 * PAGE_SIZE;

/// First address past an area and the unmapped page behind it.
fn area_end(start: u64, area: &Area) -> u64 {
    start + (area.pages + 1) * PAGE_SIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: Zone = Zone {
        base: 0x10_0000,
        size: 64 * PAGE_SIZE,
    };

    /// The lowest room, by looking at each address.
    fn lowest_room(space: &Space, pages: u64) -> Option<u64> {
        let is_free = |from: u64, end: u64| {
            let before = space.areas.range(..end).next_back();
            before.is_none_or(|(start, area)| area_end(*start, area) <= from)
        };
        (0..64).map(|page| ZONE.base + page * PAGE_SIZE).find(|at| {
            let end = at + (pages + 1) * PAGE_SIZE;
            end <= ZONE.end() && is_free(*at, end)
        })
    }

    #[test]
    fn room_among_areas_that_come_and_go_is_the_lowest() {
        let mut space = Space::default();
        let mut seed = 1_u64;
        let mut draw = |limit: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from((seed >> 33) % limit).expect("31 bits")
        };
        for step in 0..20_000 {
            let pages = 1 + draw(4) as u64;
            let room = space.room(ZONE, pages).ok();
            assert_eq!(room, lowest_room(&space, pages), "step {step}");
            let area = Area {
                pages,
                frames: Frames::Run(0),
                protection: Protection::READ,
                used_for: Use::Kernel,
            };
            if let Some(va) = room.filter(|_| draw(5) > 1) {
                space.areas.insert(va, area);
            } else if let Some(va) = space.areas.keys().nth(draw(20)).copied() {
                space.areas.remove(&va);
                space.reopen(va);
            }
        }
    }
}
