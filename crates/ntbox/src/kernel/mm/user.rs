//! Memory of user processes.
//!
//! Every process has its own part of the user range, and only the part of the
//! process whose memory is seen now is accessible: an address of one process
//! used in another faults, as it would on Windows, where it would be nothing or
//! something else.

use std::sync::{Mutex, PoisonError};

use super::phys::Pfn;
use super::space::{Area, Frames, NoSpace, Protection, Use};
use super::with;
use crate::kernel::layout::{PAGE_SIZE, Zone};

/// Bytes of address space that each process has.
const PER_PROCESS: u64 = 16 << 30;
/// Where the part of the first process begins.
const FIRST: u64 = 0x0000_0010_0000_0000;

/// A range of a process.
#[derive(Debug, Clone, Copy)]
struct Range {
    process: u64,
    va: u64,
    protection: Protection,
}

#[derive(Debug, Default)]
struct State {
    /// Processes in the order of their parts.
    processes: Vec<u64>,
    ranges: Vec<Range>,
    /// Whose memory is accessible.
    seen: u64,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn state<T>(work: impl FnOnce(&mut State) -> T) -> T {
    work(
        STATE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_default(),
    )
}

impl State {
    fn zone(&mut self, process: u64) -> Zone {
        let index = self
            .processes
            .iter()
            .position(|known| *known == process)
            .unwrap_or_else(|| {
                self.processes.push(process);
                self.processes.len() - 1
            });
        Zone {
            base: FIRST + index as u64 * PER_PROCESS,
            size: PER_PROCESS,
        }
    }
}

/// Commits private memory, zeroed, for a process; returns its address.
pub fn allocate(process: u64, bytes: u64, protection: Protection) -> Option<u64> {
    let zone = zone(process);
    let pages = bytes.max(1).div_ceil(PAGE_SIZE);
    let va = with(|memory| {
        let va = memory.space.room(zone, pages)?;
        let frames: Vec<Pfn> = memory.physical.take(pages).ok_or(NoSpace)?;
        for pfn in &frames {
            memory.physical.clear(*pfn);
        }
        let area = Area {
            pages,
            frames: Frames::List(frames),
            protection,
            used_for: Use::UserPrivate,
        };
        memory.space.map(&memory.physical, va, area)?;
        Ok::<_, NoSpace>(va)
    })
    .ok()?;
    register(process, va, protection);
    Some(va)
}

/// The part of the user range that belongs to a process.
pub fn zone(process: u64) -> Zone {
    state(|state| state.zone(process))
}

/// Notes a range that was mapped into a process by other means.
pub fn register(process: u64, va: u64, protection: Protection) {
    let visible = state(|state| {
        state.ranges.push(Range {
            process,
            va,
            protection,
        });
        state.seen == process || state.seen == 0
    });
    if !visible {
        set(va, Protection::NONE);
    }
}

/// Forgets a range that was registered; it is unmapped by whoever mapped it.
pub fn forget(va: u64) {
    state(|state| state.ranges.retain(|range| range.va != va));
}

/// Frees what [`allocate`] gave.
pub fn free(va: u64) {
    state(|state| state.ranges.retain(|range| range.va != va));
    with(|memory| memory.unmap_and_release(va));
}

/// Frees all memory of a process that has ended.
pub fn free_all(process: u64) {
    let ranges = state(|state| {
        let (gone, stay) = state
            .ranges
            .iter()
            .partition(|range| range.process == process);
        state.ranges = stay;
        gone
    });
    let ranges: Vec<Range> = ranges;
    with(|memory| {
        for range in &ranges {
            memory.unmap_and_release(range.va);
        }
    });
}

/// Makes the memory of `process` the one that is seen; returns whose it was.
pub fn see(process: u64) -> u64 {
    let (before, changes) = state(|state| {
        let before = std::mem::replace(&mut state.seen, process);
        if before == process {
            return (before, Vec::new());
        }
        let changes: Vec<(u64, Protection)> = state
            .ranges
            .iter()
            .filter(|range| range.process == process || range.process == before)
            .map(|range| {
                (
                    range.va,
                    if range.process == process {
                        range.protection
                    } else {
                        Protection::NONE
                    },
                )
            })
            .collect();
        (before, changes)
    });
    for (va, protection) in changes {
        set(va, protection);
    }
    before
}

/// Sets the protection of a range; the range exists, so this cannot fail but for
/// the host's memory.
fn set(va: u64, protection: Protection) {
    let changed = with(|memory| memory.space.protect(va, protection));
    assert_eq!(
        changed,
        Ok(()),
        "the host cannot change the protection of user memory"
    );
}
