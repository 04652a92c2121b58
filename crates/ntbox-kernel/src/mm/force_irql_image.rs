//! Pageable sections of the images of a driver that is watched: those whose names
//! begin with `PAGE`. At `DISPATCH_LEVEL` and above they are inaccessible unless
//! they are locked, as if they were paged out.
//!
//! As with paged pool, all are closed when the IRQL rises over that line, and each
//! is opened when it is touched below it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use ntbox_host::cpu;
use ntbox_host::kernel_address_space::{Protection, Space};
use ntbox_host::memory_map::PAGE_SIZE;

/// Sections that can be watched: as many as an image may have.
const MOST: usize = 96;

/// A section that is watched.
struct Section {
    /// Its address; 0 for none.
    first: AtomicU64,
    pages: AtomicU64,
    writable: AtomicBool,
    executable: AtomicBool,
    /// How often it is locked.
    locks: AtomicU32,
}

static SECTIONS: [Section; MOST] = [const {
    Section {
        first: AtomicU64::new(0),
        pages: AtomicU64::new(0),
        writable: AtomicBool::new(false),
        executable: AtomicBool::new(false),
        locks: AtomicU32::new(0),
    }
}; MOST];

/// Whether a section may be accessible.
static OPEN: AtomicBool = AtomicBool::new(false);
/// Whether they stay so, because the system stops and looks at them.
static STOPPED: AtomicBool = AtomicBool::new(false);

impl Section {
    fn holds(&self, va: u64) -> bool {
        let first = self.first.load(Ordering::Relaxed);
        let bytes = self.pages.load(Ordering::Relaxed) * PAGE_SIZE;
        first != 0 && va >= first && va - first < bytes
    }

    fn protection(&self) -> Protection {
        Protection {
            read: true,
            write: self.writable.load(Ordering::Relaxed),
            execute: self.executable.load(Ordering::Relaxed),
        }
    }
}

fn find(va: u64) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.holds(va))
}

/// Watches a section that was mapped, and is accessible.
pub fn watch(first: u64, pages: u64, protection: Protection) {
    let mut free = SECTIONS.iter();
    let free = free.find(|section| section.first.load(Ordering::Relaxed) == 0);
    if let Some(section) = free {
        section.writable.store(protection.write, Ordering::Relaxed);
        section
            .executable
            .store(protection.execute, Ordering::Relaxed);
        section.pages.store(pages, Ordering::Relaxed);
        section.first.store(first, Ordering::Relaxed);
        OPEN.store(true, Ordering::Relaxed);
    }
}

/// The IRQL is `DISPATCH_LEVEL` or above, and was not.
pub fn raised() {
    if !OPEN.swap(false, Ordering::Relaxed) {
        return;
    }
    for section in &SECTIONS {
        let first = section.first.load(Ordering::Relaxed);
        if first != 0 && section.locks.load(Ordering::Relaxed) == 0 {
            Space::clear_access(first, section.pages.load(Ordering::Relaxed));
        }
    }
}

/// Opens the section of an address where a fault was, if it may be accessed now.
/// False also if it is accessible: then the fault had another reason.
pub fn opened(va: u64, write: bool, execute: bool) -> bool {
    let Some(section) = find(va) else {
        return false;
    };
    let protection = section.protection();
    if write && !protection.write || execute && !protection.execute {
        return false;
    }
    let locked = section.locks.load(Ordering::Relaxed) != 0;
    let resident = locked || STOPPED.load(Ordering::Relaxed);
    if cpu::irql() >= cpu::DISPATCH_LEVEL && !resident {
        return false;
    }
    OPEN.store(true, Ordering::Relaxed);
    let first = section.first.load(Ordering::Relaxed);
    let pages = section.pages.load(Ordering::Relaxed);
    Space::set_host_protection(first, pages, protection).is_ok()
}

/// Whether an address lies in such a section that is not locked.
pub fn is_pageable(va: u64) -> bool {
    find(va).is_some_and(|section| section.locks.load(Ordering::Relaxed) == 0)
}

/// The section that begins at an address is locked in memory, or once less.
pub fn lock(first: u64, locked: bool) {
    let Some(section) = find(first) else { return };
    let count = section.locks.load(Ordering::Relaxed);
    let count = if locked {
        count.saturating_add(1)
    } else {
        count.saturating_sub(1)
    };
    section.locks.store(count, Ordering::Relaxed);
}

/// Lets everything be read from now on: the system stops, and its report needs the
/// code of the driver.
pub fn stop() {
    STOPPED.store(true, Ordering::Relaxed);
}
