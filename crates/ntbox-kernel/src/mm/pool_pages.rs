//! The pages of a pool: runs that are free, and small blocks that share a page. What
//! is in use is known elsewhere, out of the driver's reach.

use std::collections::BTreeMap;

use ntbox_host::kernel_address_space::{Protection, Space};
use ntbox_host::memory_map::{PAGE_SIZE, Zone};

/// Pages made accessible at a time.
const CHUNK_PAGES: u64 = 256;

/// One pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) zone: Zone,
    pub(super) protection: Protection,
    /// Pages made accessible so far.
    committed: u64,
    /// Next page that was never used.
    pub(super) next: u64,
    /// Free runs of pages, by first page.
    pub(super) runs: BTreeMap<u64, u64>,
    /// Free small blocks, by their footprint in units of 16 bytes.
    small: Vec<Vec<u64>>,
}

impl Pool {
    pub(super) fn new(zone: Zone, protection: Protection) -> Self {
        Self {
            zone,
            protection,
            committed: 0,
            next: 0,
            runs: BTreeMap::new(),
            small: vec![Vec::new(); usize::try_from(PAGE_SIZE / 16).unwrap_or(0) + 1],
        }
    }

    pub(super) fn take_pages(&mut self, count: u64) -> Option<u64> {
        let found = self
            .runs
            .iter()
            .find(|(_, length)| **length >= count)
            .map(|(page, length)| (*page, *length));
        if let Some((page, length)) = found {
            self.runs.remove(&page);
            if length > count {
                self.runs.insert(page + count, length - count);
            }
            return Some(self.zone.base + page * PAGE_SIZE);
        }
        let end = self
            .next
            .checked_add(count)
            .filter(|end| *end <= self.zone.size / PAGE_SIZE)?;
        if end > self.committed {
            let wanted = end
                .next_multiple_of(CHUNK_PAGES)
                .min(self.zone.size / PAGE_SIZE);
            let va = self.zone.base + self.committed * PAGE_SIZE;
            Space::set_host_protection(va, wanted - self.committed, self.protection).ok()?;
            self.committed = wanted;
        }
        let page = self.next;
        self.next = end;
        Some(self.zone.base + page * PAGE_SIZE)
    }

    pub(super) fn give_pages(&mut self, va: u64, mut count: u64) {
        let mut page = (va - self.zone.base) / PAGE_SIZE;
        if let Some((before, length)) = self.runs.range(..page).next_back().map(|(p, l)| (*p, *l))
            && before + length == page
        {
            self.runs.remove(&before);
            page = before;
            count += length;
        }
        if let Some(length) = self.runs.remove(&(page + count)) {
            count += length;
        }
        self.runs.insert(page, count);
    }

    /// Takes memory of `footprint` bytes, a multiple of 16 up to a page or a
    /// multiple of the page.
    pub(super) fn take(&mut self, footprint: u64) -> Option<u64> {
        if footprint >= PAGE_SIZE {
            return self.take_pages(footprint / PAGE_SIZE);
        }
        let class = usize::try_from(footprint / 16).ok()?;
        if let Some(va) = self.small.get_mut(class)?.pop() {
            return Some(va);
        }
        let page = self.take_pages(1)?;
        let blocks = PAGE_SIZE / footprint;
        let list = self.small.get_mut(class)?;
        list.extend((1..blocks).rev().map(|n| page + n * footprint));
        Some(page)
    }

    pub(super) fn give(&mut self, va: u64, footprint: u64) {
        if footprint >= PAGE_SIZE {
            self.give_pages(va, footprint / PAGE_SIZE);
        } else if let Some(list) = usize::try_from(footprint / 16)
            .ok()
            .and_then(|n| self.small.get_mut(n))
        {
            list.push(va);
        }
    }
}
