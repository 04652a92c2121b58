//! Stacks of threads in user mode: a reservation whose top is committed. Below lie
//! guard pages, and whoever touches one moves them down.
//!
//! No program runs here, but a driver may be given an address on a stack, and what
//! lists an address space has to tell a stack from other memory.

use std::collections::BTreeMap;

use ntbox_host::cpu;
use ntbox_host::memory_map::PAGE_SIZE;
use ntbox_host::protection::{GUARD, READWRITE};

use super::vad::{END, Kind, Page, Vad};
use super::{Memory, try_with, with};
use crate::base::thread_table;

/// What the linker has a thread reserve and commit if nobody asks for more.
const RESERVED: u64 = 1 << 20;
const COMMITTED: u64 = PAGE_SIZE;
/// Guard pages of a 64-bit process, in bytes.
const GUARDED: u64 = 3 * PAGE_SIZE;

/// The process and the range of each stack, by its thread.
pub type Stacks = BTreeMap<u64, (u64, u64, u64)>;

/// Gives a thread of a process its stack. False without memory.
pub fn create(process: u64, thread: u64) -> bool {
    with(|memory| memory.create_stack(process, thread)).is_some()
}

/// Moves the guard pages of the current thread's stack below a page that was
/// touched, if that was one of them. False if it was not, or the stack cannot grow
/// any more. Called while a fault is handled, so it waits for nothing.
pub fn grown(va: u64) -> bool {
    cpu::irql() < cpu::DISPATCH_LEVEL && try_with(|memory| memory.grow_stack(va)).unwrap_or(false)
}

impl Memory {
    /// Whether an address lies on the stack of the current thread, whose memory is
    /// seen.
    pub fn is_on_own_stack(&self, va: u64) -> bool {
        self.own_stack(va).is_some()
    }

    /// Where that stack begins.
    fn own_stack(&self, va: u64) -> Option<u64> {
        let (process, start, end) = *self.users.stacks.get(&thread_table::current_thread())?;
        (process == self.users.seen && (start..end).contains(&va)).then_some(start)
    }

    fn create_stack(&mut self, process: u64, thread: u64) -> Option<()> {
        let start = self.users.of(process).room(RESERVED, END, false)?;
        let end = start + RESERVED;
        let range = Vad {
            end,
            kind: Kind::Private,
            protect: READWRITE,
            pages: BTreeMap::new(),
        };
        self.users.of(process).insert(start, range);
        if !self.commit(process, end - COMMITTED, end, READWRITE)
            || !self.commit(
                process,
                end - COMMITTED - GUARDED,
                end - COMMITTED,
                READWRITE | GUARD,
            )
        {
            self.remove_pages(process, start, end);
            return None;
        }
        self.apply(process, start, end);
        self.users.stacks.insert(thread, (process, start, end));
        Some(())
    }

    /// Commits those pages of a range that are not. False without memory; then
    /// nothing has changed.
    fn commit(&mut self, process: u64, from: u64, to: u64, protect: u32) -> bool {
        let Some((_, vad)) = self.users.of(process).find(from) else {
            return false;
        };
        let missing: Vec<u64> = (from / PAGE_SIZE..to / PAGE_SIZE)
            .map(|page| page * PAGE_SIZE)
            .filter(|va| !vad.pages.contains_key(va))
            .collect();
        let Some(frames) = self.physical.take_zeroed(missing.len() as u64) else {
            return false;
        };
        if let Some((_, vad)) = self.users.of(process).find_mut(from) {
            vad.pages
                .extend(missing.into_iter().zip(frames).map(|(va, pfn)| {
                    let page = Page {
                        pfn,
                        protect,
                        owned: true,
                    };
                    (va, page)
                }));
        }
        true
    }

    /// See [`grown`].
    pub fn grow_stack(&mut self, va: u64) -> bool {
        let Some(start) = self.own_stack(va) else {
            return false;
        };
        let process = self.users.seen;
        let touched = va & !(PAGE_SIZE - 1);
        let guard = |page: &Page| page.protect & GUARD != 0;
        if !self.users.of(process).page(va).is_some_and(guard) {
            return false;
        }
        // The lowest page is never committed.
        let Some(lowest) = touched
            .checked_sub(GUARDED)
            .filter(|lowest| *lowest > start)
        else {
            return false;
        };
        if !self.commit(process, lowest, touched, READWRITE | GUARD) {
            return false;
        }
        self.users.of(process).pass_guard(va);
        self.apply(process, lowest, touched + PAGE_SIZE);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::process_address_space;
    use crate::test_support;

    /// What lies below an address, up to the start of its allocation.
    fn regions(process: u64, end: u64) -> Vec<(u64, Option<u32>)> {
        with(|memory| {
            let space = memory.users.of(process);
            let mut found = Vec::new();
            let mut at = end - RESERVED;
            while at < end {
                let region = space.region(at);
                found.push(((region.end - at) / PAGE_SIZE, region.committed));
                at = region.end;
            }
            found
        })
    }

    #[test]
    fn user_stack_grows_until_exhausted() {
        test_support::processor();
        let process = 0;
        let before = with(|memory| memory.physical.available());
        let thread = thread_table::current_thread();
        assert!(create(process, thread));
        let (_, start, end) = with(|memory| memory.users.stacks[&thread]);
        let (guarded, committed) = (Some(READWRITE | GUARD), Some(READWRITE));
        let fresh = [(252, None), (3, guarded), (1, committed)];
        assert_eq!(regions(process, end), fresh);
        // Only guard pages grow it.
        for va in [end - 8, end, end - 0x5000, start, start - 1] {
            assert!(!grown(va), "{va:#x}");
        }
        assert_eq!(regions(process, end), fresh);
        assert!(grown(end - 0x1008));
        let moved = [(251, None), (3, guarded), (2, committed)];
        assert_eq!(regions(process, end), moved);
        // The lowest one: those above stay what they are.
        assert!(grown(end - 0x5000));
        let split = [
            (248, None),
            (3, guarded),
            (1, committed),
            (2, guarded),
            (2, committed),
        ];
        assert_eq!(regions(process, end), split);
        let mut at = end - 0x6000;
        while grown(at) {
            at -= PAGE_SIZE;
        }
        // The lowest page stays reserved, and the three above it end the stack.
        assert_eq!(at, start + 3 * PAGE_SIZE);
        assert_eq!(
            process_address_space::status_of_touch(at),
            nt_status::STATUS_STACK_OVERFLOW
        );
        assert_eq!(
            process_address_space::status_of_touch(at),
            nt_status::STATUS_ACCESS_VIOLATION
        );
        process_address_space::free_all(process);
        assert_eq!(with(|memory| memory.physical.available()), before);
        assert!(with(|memory| memory.users.stacks.is_empty()));
    }

    #[test]
    fn user_stack_without_memory_fails() {
        test_support::processor();
        let (taken, left) = with(|memory| {
            let left = memory.physical.available();
            (memory.physical.take(left - 3), 3)
        });
        assert!(!create(0, 1));
        with(|memory| {
            assert_eq!(memory.physical.available(), left, "nothing is kept");
            assert!(memory.users.stacks.is_empty());
            memory.physical.give(&taken.unwrap_or_default());
        });
        process_address_space::free_all(0);
    }
}
