//! The address space of one process: which range is reserved for what, and which
//! of its pages are committed. Nothing here touches memory; the host's mappings
//! are made to follow in `user`.
//!
//! A range is one allocation, as a virtual address descriptor of Windows is. It
//! begins on a boundary of 64 KiB; what happens to parts of it is kept page by
//! page, so that regions split and merge by themselves.

use std::collections::BTreeMap;

use ntbox_host::memory_map::{HIGHEST_USER_ADDRESS, PAGE_SIZE};
use ntbox_host::pfn::Pfn;
use ntbox_host::protection;
use ntbox_host::translation::shadow;

/// `MM_ALLOCATION_GRANULARITY`.
pub const GRANULARITY: u64 = 0x1_0000;
/// First address that a process can have.
pub const LOWEST: u64 = GRANULARITY;
/// First address past those that a process can have.
pub const END: u64 = HIGHEST_USER_ADDRESS + 1;
/// Where memory is looked for if nobody says where.
const USUAL: u64 = 0x0000_0010_0000_0000;

/// What a range is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Memory of the process alone.
    Private,
    /// A view of a section: its segment and the first page of it.
    View {
        /// The segment.
        segment: u64,
        /// Page of the segment at the start of the range.
        first: u64,
        /// What the section allows.
        allowed: u32,
        /// Whether it is of an image.
        image: bool,
    },
    /// Pages of an MDL.
    Locked,
}

/// A committed page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// What is behind it.
    pub pfn: Pfn,
    /// `PAGE_…`.
    pub protect: u32,
    /// Whether the frame is this page's alone, to be freed with it.
    pub owned: bool,
}

/// A range of one allocation.
#[derive(Debug, Clone)]
pub struct Vad {
    /// First address past it.
    pub end: u64,
    /// What it is.
    pub kind: Kind,
    /// `PAGE_…` of the allocation.
    pub protect: u32,
    /// Committed pages by address.
    pub pages: BTreeMap<u64, Page>,
}

/// What pages that lie side by side have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub base: u64,
    /// First address past it.
    pub end: u64,
    /// Start and protection of the allocation; `None` if the region is free.
    pub allocation: Option<(u64, u32, Kind)>,
    /// Protection of its pages; `None` if they are not committed.
    pub committed: Option<u32>,
}

/// All ranges of a process, by their first address.
#[derive(Debug, Default)]
pub struct Vads {
    ranges: BTreeMap<u64, Vad>,
}

impl Vads {
    /// The range that holds an address, with its start.
    pub fn find(&self, va: u64) -> Option<(u64, &Vad)> {
        let (start, vad) = self.ranges.range(..=va).next_back()?;
        (va < vad.end).then_some((*start, vad))
    }

    /// The same, to be changed.
    pub fn find_mut(&mut self, va: u64) -> Option<(u64, &mut Vad)> {
        let (start, vad) = self.ranges.range_mut(..=va).next_back()?;
        (va < vad.end).then_some((*start, vad))
    }

    /// The committed page that holds an address.
    pub fn page(&self, va: u64) -> Option<&Page> {
        self.find(va)?.1.pages.get(&(va & !(PAGE_SIZE - 1)))
    }

    /// All ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Vad)> {
        self.ranges.iter().map(|(start, vad)| (*start, vad))
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Vad)> {
        self.ranges.iter_mut().map(|(start, vad)| (*start, vad))
    }

    /// Whether nothing lies between two addresses.
    pub fn is_free(&self, start: u64, end: u64) -> bool {
        if shadow::overlaps(start, end) {
            return false;
        }
        let before = self.ranges.range(..end).next_back();
        before.is_none_or(|(_, vad)| vad.end <= start)
    }

    /// Enters a range, which must be free.
    pub fn insert(&mut self, start: u64, vad: Vad) {
        self.ranges.insert(start, vad);
    }

    /// Takes the pages between two addresses out of their range, which may leave
    /// a range on either side. Returns what was committed there.
    pub fn cut(&mut self, start: u64, end: u64) -> Vec<Page> {
        let Some((base, mut vad)) = self
            .find(start)
            .map(|(base, _)| base)
            .and_then(|base| Some((base, self.ranges.remove(&base)?)))
        else {
            return Vec::new();
        };
        let behind = vad.pages.split_off(&end);
        let cut = vad.pages.split_off(&start);
        if vad.end > end {
            let rest = Vad {
                end: vad.end,
                kind: vad.kind,
                protect: vad.protect,
                pages: behind,
            };
            self.ranges.insert(end, rest);
        }
        if base < start {
            vad.end = start;
            self.ranges.insert(base, vad);
        }
        cut.into_values().collect()
    }

    /// Finds room for `bytes`, below `limit`, on a boundary of 64 KiB.
    pub fn room(&self, bytes: u64, limit: u64, top_down: bool) -> Option<u64> {
        let limit = limit.min(END);
        if top_down {
            return self.room_below(bytes, limit);
        }
        self.room_from(USUAL, bytes, limit)
            .or_else(|| self.room_from(LOWEST, bytes, limit))
    }

    fn room_from(&self, from: u64, bytes: u64, limit: u64) -> Option<u64> {
        let mut at = from;
        if let Some((_, vad)) = self.find(from) {
            at = vad.end.next_multiple_of(GRANULARITY);
        }
        for (start, vad) in self.ranges.range(at..) {
            if *start >= at && start - at >= bytes {
                break;
            }
            at = vad.end.next_multiple_of(GRANULARITY);
        }
        at.checked_add(bytes)
            .is_some_and(|end| end <= limit)
            .then_some(at)
    }

    fn room_below(&self, bytes: u64, limit: u64) -> Option<u64> {
        let fits = |top: u64| {
            let at = top.checked_sub(bytes)? & !(GRANULARITY - 1);
            (at >= LOWEST && self.is_free(at, at + bytes)).then_some(at)
        };
        let starts = self.ranges.range(..limit).rev().map(|(start, _)| *start);
        std::iter::once(limit).chain(starts).find_map(fits)
    }

    /// The region that holds an address.
    pub fn region(&self, va: u64) -> Region {
        let base = va & !(PAGE_SIZE - 1);
        let Some((start, vad)) = self.find(va) else {
            let next = self.ranges.range(base..).next();
            return Region {
                base,
                end: next.map_or(END, |(start, _)| *start),
                allocation: None,
                committed: None,
            };
        };
        let at = |page: u64| vad.pages.get(&page).map(|page| page.protect);
        let committed = at(base);
        let end = if committed.is_some() {
            let mut end = base + PAGE_SIZE;
            while end < vad.end && at(end) == committed {
                end += PAGE_SIZE;
            }
            end
        } else {
            // Up to the next page that is committed.
            let next = vad.pages.range(base..).next();
            next.map_or(vad.end, |(page, _)| *page)
        };
        Region {
            base,
            end,
            allocation: Some((start, vad.protect, vad.kind)),
            committed,
        }
    }

    /// The guard page at an address, which is one no longer. True if it was one.
    pub fn pass_guard(&mut self, va: u64) -> bool {
        let Some((_, vad)) = self.find_mut(va) else {
            return false;
        };
        match vad.pages.get_mut(&(va & !(PAGE_SIZE - 1))) {
            Some(page) if page.protect & protection::GUARD != 0 => {
                page.protect &= !protection::GUARD;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vad(end: u64, committed: impl IntoIterator<Item = (u64, u32)>) -> Vad {
        let page = |protect| Page {
            pfn: 1,
            protect,
            owned: true,
        };
        Vad {
            end,
            kind: Kind::Private,
            protect: protection::READWRITE,
            pages: committed
                .into_iter()
                .map(|(va, protect)| (va, page(protect)))
                .collect(),
        }
    }

    #[test]
    fn vad_regions_split_by_state_and_protection() {
        let mut space = Vads::default();
        let pages = [
            (0x2_1000, protection::READWRITE),
            (0x2_2000, protection::READWRITE),
            (0x2_3000, protection::READONLY),
        ];
        space.insert(0x2_0000, vad(0x2_8000, pages));
        let ends: Vec<_> = [
            0x1_0000, 0x2_0fff, 0x2_1000, 0x2_2abc, 0x2_3000, 0x2_4000, 0x2_8000,
        ]
        .map(|va| {
            let region = space.region(va);
            (region.base, region.end, region.committed)
        })
        .into();
        assert_eq!(
            ends,
            [
                (0x1_0000, 0x2_0000, None),
                (0x2_0000, 0x2_1000, None),
                (0x2_1000, 0x2_3000, Some(protection::READWRITE)),
                (0x2_2000, 0x2_3000, Some(protection::READWRITE)),
                (0x2_3000, 0x2_4000, Some(protection::READONLY)),
                (0x2_4000, 0x2_8000, None),
                (0x2_8000, END, None),
            ]
        );
    }

    #[test]
    fn vad_remove_keeps_both_sides() {
        let mut space = Vads::default();
        let pages = [0x2_0000, 0x2_1000, 0x2_2000].map(|va| (va, protection::READWRITE));
        space.insert(0x2_0000, vad(0x2_3000, pages));
        assert_eq!(space.cut(0x2_1000, 0x2_2000).len(), 1);
        let left: Vec<_> = space
            .iter()
            .map(|(start, vad)| (start, vad.end, vad.pages.len()))
            .collect();
        assert_eq!(left, [(0x2_0000, 0x2_1000, 1), (0x2_2000, 0x2_3000, 1)]);
        assert!(space.is_free(0x2_1000, 0x2_2000));
        assert!(!space.is_free(0x2_0000, 0x2_2000));
        assert!(space.page(0x2_1000).is_none());
    }

    #[test]
    fn vad_find_free_range_bottom_up_and_top_down() {
        let mut space = Vads::default();
        assert_eq!(space.room(0x1000, END, false), Some(USUAL));
        space.insert(USUAL, vad(USUAL + 0x1000, []));
        assert_eq!(space.room(0x1000, END, false), Some(USUAL + GRANULARITY));
        assert_eq!(space.room(0x1000, 1 << 31, false), Some(LOWEST));
        assert_eq!(space.room(0x1000, 0x1_0000, false), None);
        let top = (END - 0x1000) & !(GRANULARITY - 1);
        assert_eq!(space.room(0x1000, END, true), Some(top));
        space.insert(top, vad(top + 0x1000, []));
        assert_eq!(space.room(0x1000, END, true), Some(top - GRANULARITY));
        assert_eq!(space.room(END, END, true), None);
    }

    #[test]
    fn vad_guard_page_is_one_shot() {
        let mut space = Vads::default();
        let guarded = protection::READWRITE | protection::GUARD;
        space.insert(0x2_0000, vad(0x2_1000, [(0x2_0000, guarded)]));
        assert!(space.pass_guard(0x2_0123));
        assert!(!space.pass_guard(0x2_0123));
        assert_eq!(
            space.page(0x2_0000).map(|page| page.protect),
            Some(protection::READWRITE)
        );
    }
}
