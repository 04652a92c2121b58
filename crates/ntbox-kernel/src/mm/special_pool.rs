//! Special pool: each block has pages of its own, with an inaccessible page behind
//! them and, since blocks follow each other, before them. A freed block's pages
//! are inaccessible, and their addresses are used again only when there are no
//! others, the longest free ones first.
//!
//! What is left of the pages around a block holds a pattern that is checked when
//! it is freed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use ntbox_host::driver_mem;
use ntbox_host::kernel_address_space::{Protection, Space};
use ntbox_host::memory_map::{PAGE_SIZE, Zone};
use ntbox_host::translation::shadow;

use super::force_irql;
use super::pool::PoolKind;
use crate::base::stack_trace_db::StackId;

/// What the pages of a block hold around it.
const PATTERN: u8 = 0x6b;

/// Freed blocks that are kept before the oldest one is used again, where that costs no
/// change of protections.
const QUARANTINE: usize = 256;

/// Pages of one block.
#[derive(Debug, Clone, Copy)]
struct Slot {
    pages: u64,
    /// Where the block begins.
    block: u64,
    size: u64,
    taken: StackId,
    /// What is there, in a word.
    name: &'static str,
    /// Whether it is free, and who freed it.
    freed: Option<StackId>,
}

impl Slot {
    fn near(&self) -> NearbyBlock {
        NearbyBlock {
            block: self.block,
            size: self.size,
            name: self.name,
        }
    }
}

/// The kind of inaccessible memory at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InaccessibleRegion {
    /// In a block that was freed.
    Freed(NearbyBlock),
    /// In the page behind a block.
    Behind(NearbyBlock),
    /// In the page before a block.
    Before(NearbyBlock),
}

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearbyBlock {
    /// Where it begins.
    pub block: u64,
    /// Its bytes.
    pub size: u64,
    /// What it is, in a word.
    pub name: &'static str,
}

/// The special pool of one kind.
#[derive(Debug)]
pub struct Special {
    kind: PoolKind,
    zone: Zone,
    protection: Protection,
    at_start: bool,
    /// Next page that was never used; the one before it is inaccessible.
    next: u64,
    slots: BTreeMap<u64, Slot>,
    /// First pages of freed slots, the longest free ones first.
    free: VecDeque<u64>,
}

impl Special {
    /// An empty one over a zone whose pages are inaccessible.
    pub fn new(kind: PoolKind, zone: Zone, protection: Protection, at_start: bool) -> Self {
        Self {
            kind,
            zone,
            protection,
            at_start,
            next: 1,
            slots: BTreeMap::new(),
            free: VecDeque::new(),
        }
    }

    /// Whether an address is one of this pool's.
    pub fn contains(&self, va: u64) -> bool {
        self.zone.contains(va)
    }

    /// Takes a block that begins at a multiple of `unit`; `None` if no slot is
    /// left, or the host has no more mappings.
    pub fn take(
        &mut self,
        size: u64,
        unit: u64,
        taken: StackId,
        name: &'static str,
    ) -> Option<u64> {
        let pages = size.div_ceil(PAGE_SIZE);
        let first = self.room(pages)?;
        if !self.by_shadow() || !self.slots.contains_key(&first) {
            Space::set_host_protection(first, pages, self.protection).ok()?;
        }
        if self.kind == PoolKind::Paged {
            force_irql::open(first, pages);
        }
        let offset = if self.at_start || size >= PAGE_SIZE {
            0
        } else {
            PAGE_SIZE - size.next_multiple_of(unit)
        };
        shadow::close(first..first + pages * PAGE_SIZE);
        driver_mem::fill(first, PATTERN, pages * PAGE_SIZE).ok()?;
        let slot = Slot {
            pages,
            block: first + offset,
            size,
            taken,
            name,
            freed: None,
        };
        self.slots.insert(first, slot);
        shadow::open(slot.block..slot.block + size);
        Some(slot.block)
    }

    /// Whether checks of translated code see accesses to freed blocks, so that their pages
    /// stay as they are. What is executed is not checked, and paged pool has protections by
    /// IRQL.
    fn by_shadow(&self) -> bool {
        shadow::is_on() && self.kind == PoolKind::NonPaged
    }

    /// The first page of a slot with so many pages.
    fn room(&mut self, pages: u64) -> Option<u64> {
        if self.by_shadow()
            && self.free.len() >= QUARANTINE
            && let Some(first) = self.oldest(pages)
        {
            return Some(first);
        }
        let end = self.next.checked_add(pages + 1)?;
        if end <= self.zone.size / PAGE_SIZE {
            let first = self.zone.base + self.next * PAGE_SIZE;
            self.next = end;
            return Some(first);
        }
        self.oldest(pages)
    }

    /// The slot with so many pages that is free for the longest time.
    fn oldest(&mut self, pages: u64) -> Option<u64> {
        let slots = &self.slots;
        let fits = |first: &u64| slots.get(first).is_some_and(|slot| slot.pages == pages);
        let oldest = self.free.iter().position(fits)?;
        self.free.remove(oldest)
    }

    /// The slot that holds an address or ends at the page before it.
    fn slot(&self, va: u64) -> Option<(u64, Slot)> {
        let (first, slot) = self.slots.range(..=va).next_back()?;
        (va - first < (slot.pages + 1) * PAGE_SIZE).then_some((*first, *slot))
    }

    /// Makes the block's pages inaccessible.
    pub fn give(&mut self, va: u64, freed: StackId) {
        let Some((first, _)) = self.slot(va) else {
            return;
        };
        let by_shadow = self.by_shadow();
        if let Some(slot) = self.slots.get_mut(&first) {
            slot.freed = Some(freed);
            if self.kind == PoolKind::Paged {
                force_irql::close(first, slot.pages);
            }
            let end = first + slot.pages * PAGE_SIZE;
            if by_shadow {
                shadow::free(first..end);
            } else {
                shadow::close(first..end);
                Space::clear_access(first, slot.pages);
            }
            self.free.push_back(first);
        }
    }

    /// Whether an address lies in the pages of a block that is in use.
    pub fn holds(&self, va: u64) -> bool {
        self.slot(va).is_some_and(|(first, slot)| {
            slot.freed.is_none() && va - first < slot.pages * PAGE_SIZE
        })
    }

    /// Makes a block inaccessible that was freed, if an address lies in its pages. It is not
    /// used again.
    pub fn protect_freed(&mut self, va: u64) {
        if let Some((first, slot)) = self.slot(va)
            && slot.freed.is_some()
            && va - first < slot.pages * PAGE_SIZE
        {
            Space::clear_access(first, slot.pages);
            self.free.retain(|free| *free != first);
        }
    }

    /// The block in use on whose pages a range lies that is not all of the block's.
    pub fn left_block(&self, range: &Range<u64>) -> Option<NearbyBlock> {
        let (first, slot) = self.slot(range.start)?;
        let is_inside = slot.block <= range.start && range.end <= slot.block + slot.size;
        let is_beyond = range.start >= first + slot.pages * PAGE_SIZE;
        (slot.freed.is_none() && !is_inside && !is_beyond).then(|| slot.near())
    }

    /// The byte next to a block, before or behind it, that does not hold the
    /// pattern any more.
    pub fn damage(&self, va: u64) -> Option<u64> {
        let (first, slot) = self.slot(va)?;
        let (begin, end) = (slot.block, slot.block + slot.size);
        let mut page = [0; 0x1000];
        let mut around = |start: u64, end: u64| -> Vec<u64> {
            // Less than a page, on either side.
            let length = usize::try_from(end - start).unwrap_or(0).min(page.len());
            let bytes = &mut page[..length];
            if driver_mem::read_bytes(start, bytes).is_err() {
                return vec![start];
            }
            if bytes.iter().all(|byte| *byte == PATTERN) {
                return Vec::new();
            }
            let changed = (start..end).zip(bytes.iter());
            let changed = changed.filter(|(_, byte)| **byte != PATTERN);
            changed.map(|(at, _)| at).collect()
        };
        let before = around(first, begin).last().copied();
        before.or_else(|| around(end, first + slot.pages * PAGE_SIZE).first().copied())
    }

    /// What an address that cannot be accessed is.
    pub fn place(&self, va: u64) -> Option<InaccessibleRegion> {
        let before = || {
            let next = (va & !(PAGE_SIZE - 1)) + PAGE_SIZE;
            self.slots
                .get(&next)
                .map(|slot| InaccessibleRegion::Before(slot.near()))
        };
        let Some((first, slot)) = self.slot(va) else {
            return before();
        };
        if va - first < slot.pages * PAGE_SIZE {
            return slot.freed.map(|_| InaccessibleRegion::Freed(slot.near()));
        }
        let behind = InaccessibleRegion::Behind(slot.near());
        if self.at_start {
            before().or(Some(behind))
        } else {
            Some(behind)
        }
    }

    /// The stacks with which the block at or beside an address was taken and
    /// freed.
    pub fn history(&self, va: u64) -> Option<(StackId, StackId)> {
        let slot = match self.place(va) {
            Some(InaccessibleRegion::Before(near)) => self.slot(near.block)?.1,
            _ => self.slot(va)?.1,
        };
        Some((slot.taken, slot.freed.unwrap_or(0)))
    }
}
