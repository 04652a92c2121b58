//! Priorities of threads. What ends a wait can lift the waiter above its base
//! priority; a thread below the real-time priorities loses such a boost level by
//! level, one for each quantum that it uses up.

use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::sched;
use crate::base::export::exports;
use crate::base::thread_table;
use crate::base::thread_table::Thread;

/// Base priority of the process System.
const PROCESS_BASE: i32 = 8;
/// `LOW_REALTIME_PRIORITY`: threads from here on are never boosted.
const LOW_REALTIME: i32 = 16;
/// `HIGH_PRIORITY`.
const HIGHEST: i32 = 31;
/// Clock ticks that a thread may run before its quantum is used up.
const QUANTUM: u32 = 16;

/// Lifts a thread whose wait is over.
pub fn boost(thread: u64, increment: i32) {
    thread_table::update(thread, |info| {
        let boosted = info.base.saturating_add(increment).min(LOW_REALTIME - 1);
        if info.priority < LOW_REALTIME && boosted > effective(info) {
            info.boosted = boosted;
            info.ticks = 0;
        }
    });
}

/// Counts a clock tick against the quantum of the thread that runs.
pub fn ticked(thread: u64) {
    thread_table::update(thread, |info| {
        info.ran += 1;
        info.ticks += 1;
        if info.ticks >= QUANTUM {
            info.ticks = 0;
            info.boosted = (info.boosted - 1).max(0);
        }
    });
}

/// The priority that a thread has now, 0 to 31; 0 if it is none.
pub fn of(thread: u64) -> usize {
    let priority = thread_table::thread(thread).map_or(0, |info| effective(&info));
    usize::try_from(priority.clamp(0, HIGHEST)).unwrap_or(0)
}

/// Gives a thread a priority without a boost, at once; the one before. `None` if it
/// is no thread.
pub fn change(thread: u64, priority: i32) -> Option<i32> {
    let before = thread_table::update(thread, |info| set(info, priority));
    sched::reprioritized(thread);
    before
}

/// Gives a thread a base priority, by an increment to that of its process, at once;
/// the increment before. `None` if it is no thread.
pub fn change_base(thread: u64, increment: i32) -> Option<i32> {
    let before = thread_table::update(thread, |info| {
        let base = base_with(increment);
        set(info, base);
        std::mem::replace(&mut info.base, base)
    });
    sched::reprioritized(thread);
    before.map(|base| base - PROCESS_BASE)
}

/// The priority that a thread has now.
fn effective(info: &Thread) -> i32 {
    info.priority.max(info.boosted)
}

/// Sets the run-time priority, without a boost; the one before.
fn set(info: &mut Thread, priority: i32) -> i32 {
    let before = effective(info);
    info.priority = priority;
    info.boosted = 0;
    before
}

/// Base priority of a thread with an increment to that of its process. A boost
/// above a level of the class saturates.
fn base_with(increment: i32) -> i32 {
    PROCESS_BASE
        .saturating_add(increment)
        .clamp(1, LOW_REALTIME - 1)
}

exports! {
    /// `KeSetPriorityThread`: returns the priority before.
    fn KeSetPriorityThread(thread: u64, priority: i32) -> i32 [max DISPATCH_LEVEL, wdm] {
        thread_table::require(change(thread, priority), thread)
    }

    /// `KeQueryPriorityThread`.
    fn KeQueryPriorityThread(thread: u64) -> i32 [max DISPATCH_LEVEL, wdm] {
        thread_table::require(thread_table::thread(thread).map(|info| effective(&info)), thread)
    }

    /// `KeSetBasePriorityThread`: returns the increment before.
    fn KeSetBasePriorityThread(thread: u64, increment: i32) -> i32 [max DISPATCH_LEVEL, ntddk] {
        thread_table::require(change_base(thread, increment), thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ps::create;
    use crate::test_support::{processor, value};

    fn priority_of(thread: u64) -> u64 {
        value(KeQueryPriorityThread, &[thread])
    }

    #[test]
    fn boost_adds_to_base_and_decays() {
        processor();
        let thread = create::create(0, true).expect("memory");
        assert_eq!(priority_of(thread), 8);
        boost(thread, 3);
        assert_eq!(priority_of(thread), 11);
        boost(thread, 1);
        assert_eq!(priority_of(thread), 11, "a smaller one changes nothing");
        boost(thread, 20);
        assert_eq!(priority_of(thread), 15, "never real-time");
        for _ in 0..2 * QUANTUM {
            ticked(thread);
        }
        assert_eq!(priority_of(thread), 13);
        for _ in 0..20 * QUANTUM {
            ticked(thread);
        }
        assert_eq!(priority_of(thread), 8);
    }

    #[test]
    fn set_priority_clears_boost() {
        processor();
        let thread = create::create(0, true).expect("memory");
        boost(thread, 2);
        assert_eq!(value(KeSetPriorityThread, &[thread, 9]), 10);
        assert_eq!(priority_of(thread), 9);
        assert_eq!(value(KeSetPriorityThread, &[thread, 24]), 9);
        boost(thread, 2);
        assert_eq!(priority_of(thread), 24, "real-time threads have none");
        assert_eq!(value(KeSetBasePriorityThread, &[thread, 2]), 0);
        assert_eq!(value(KeSetBasePriorityThread, &[thread, 99]), 2);
        assert_eq!(priority_of(thread), 15);
    }
}
