//! Paged pool of a driver that is watched: at `DISPATCH_LEVEL` and above it is
//! inaccessible unless its pages are locked, as if it were paged out.
//!
//! When the IRQL rises over that line, all pages are closed at once. Below it, or
//! if it is locked, a page is opened when it is touched. All that the handler of
//! faults needs for this are numbers that it can read at any instant.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use ntbox_host::cpu;
use ntbox_host::kernel_address_space::{Protection, Space};
use ntbox_host::memory_map::{PAGE_SHIFT, PAGE_SIZE, PAGED_POOL, Zone};
use ntbox_host::pfn::{Pfn, Physical};

/// The part of paged pool that is special pool when there is one.
pub const SPECIAL: Zone = Zone {
    base: PAGED_POOL.base + PAGED_POOL.size / 2,
    size: PAGED_POOL.size / 2,
};

const PAGES: usize = (SPECIAL.size >> PAGE_SHIFT) as usize;

/// Bit of a page's state: it belongs to a block that is in use. The rest counts
/// how often it is locked.
const IN_USE: u16 = 0x8000;

/// The state of each page.
static STATES: [AtomicU16; PAGES] = [const { AtomicU16::new(0) }; PAGES];
/// Whether a page may be accessible.
static OPEN: AtomicBool = AtomicBool::new(false);

fn states(first: u64, pages: u64) -> &'static [AtomicU16] {
    let index = usize::try_from(first.wrapping_sub(SPECIAL.base) >> PAGE_SHIFT);
    let count = usize::try_from(pages);
    let range = index
        .ok()
        .zip(count.ok())
        .map(|(index, count)| index..index.saturating_add(count));
    range.and_then(|range| STATES.get(range)).unwrap_or(&[])
}

/// A block is made of these pages, which are accessible.
pub fn open(first: u64, pages: u64) {
    for state in states(first, pages) {
        state.store(IN_USE, Ordering::Relaxed);
    }
    OPEN.store(true, Ordering::Relaxed);
}

/// A block is freed.
pub fn close(first: u64, pages: u64) {
    for state in states(first, pages) {
        state.store(0, Ordering::Relaxed);
    }
}

/// The IRQL is `DISPATCH_LEVEL` or above, and was not.
pub fn raised() {
    if OPEN.swap(false, Ordering::Relaxed) {
        Space::clear_access(SPECIAL.base, SPECIAL.size >> PAGE_SHIFT);
    }
}

/// Opens the page of an address where a fault was, if it may be accessed now.
pub fn opened(va: u64) -> bool {
    if !SPECIAL.contains(va) {
        return false;
    }
    let page = va & !(PAGE_SIZE - 1);
    let Some(state) = states(page, 1).first() else {
        return false;
    };
    let state = state.load(Ordering::Relaxed);
    let locked = state & !IN_USE != 0;
    if state & IN_USE == 0 || cpu::irql() >= cpu::DISPATCH_LEVEL && !locked {
        return false;
    }
    OPEN.store(true, Ordering::Relaxed);
    Space::set_host_protection(page, 1, Protection::READ_WRITE).is_ok()
}

/// Whether an address lies in a block that is in use.
pub fn in_use(va: u64) -> bool {
    let page = va & !(PAGE_SIZE - 1);
    let state = SPECIAL.contains(va).then(|| states(page, 1).first());
    state
        .flatten()
        .is_some_and(|state| state.load(Ordering::Relaxed) & IN_USE != 0)
}

/// Whether an address lies in a block whose page is locked in memory.
pub fn is_locked(va: u64) -> bool {
    let page = va & !(PAGE_SIZE - 1);
    let state = SPECIAL.contains(va).then(|| states(page, 1).first());
    state
        .flatten()
        .is_some_and(|state| state.load(Ordering::Relaxed) & !IN_USE != 0)
}

/// Pages are locked in memory, or not any more.
pub fn lock(frames: &[Pfn], locked: bool) {
    for pfn in frames {
        let pages = PAGED_POOL.size >> PAGE_SHIFT;
        let page = pfn
            .checked_sub(Physical::paged_pool())
            .filter(|page| *page < pages);
        let Some(va) = page.map(|page| PAGED_POOL.base + page * PAGE_SIZE) else {
            continue;
        };
        if !in_use(va) {
            continue;
        }
        for state in states(va, 1) {
            let now = state.load(Ordering::Relaxed);
            let count = now & !IN_USE;
            let count = if locked {
                (count + 1).min(!IN_USE)
            } else {
                count.saturating_sub(1)
            };
            state.store(IN_USE | count, Ordering::Relaxed);
        }
    }
}
