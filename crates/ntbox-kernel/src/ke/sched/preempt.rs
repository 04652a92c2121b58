//! When a thread that runs has to make way for another one: at once for one of
//! higher priority, at a clock interrupt for one of its own. It does so at the end
//! of a call, of a DPC, or where the clock interrupts it, if its IRQL is below
//! `DISPATCH_LEVEL`. The one that was preempted is the next of its priority.
//!
//! The balance set manager, which lifts threads that have starved for seconds, is
//! not here: a thread that never waits keeps all of lower priority from running on
//! its processor.

use std::sync::atomic::{AtomicBool, Ordering};

use ntbox_host::cpu;

use super::{Id, Scheduler, switch_away, with};

/// The highest priority that there is.
const HIGHEST: usize = 31;

/// Whether the thread of a processor may have to make way, to be asked cheaply.
static PREEMPTED: [AtomicBool; cpu::MAXIMUM] = [const { AtomicBool::new(false) }; cpu::MAXIMUM];

impl Scheduler {
    /// Queues a thread that could run, behind those of its priority, and looks for a
    /// processor for it.
    pub(super) fn let_run(&mut self, id: Id) {
        let priority = self.priority(id);
        self.ready.push_back(priority, id);
        let is_idle = |n: usize| {
            let processor = &self.processors[n];
            processor.current == processor.idle
        };
        let count = self.processors.len();
        let mut may_run = (0..count)
            .map(|n| (self.here + n) % count)
            .filter(|n| self.may_run(id, *n));
        // An idle processor takes it when it has its turn.
        if may_run.clone().any(is_idle) {
            return;
        }
        let preempted = may_run.find(|n| self.priority(self.processors[*n].current) < priority);
        if let Some(n) = preempted {
            PREEMPTED[n].store(true, Ordering::Relaxed);
        }
    }

    /// Queues the current thread if one that is ready goes before it: one of higher
    /// priority, or among `equals` one of its own.
    fn make_way(&mut self, equals: bool) -> bool {
        let (here, current) = (self.here, self.current());
        let is_idle = |processor: &super::Processor| processor.idle == current;
        if self.processors.get(here).is_none_or(is_idle) {
            return false;
        }
        let own = self.priority(current);
        match self.ready.highest(|id| self.may_run(id, here)) {
            Some(other) if other > own => self.ready.push_front(own, current),
            Some(other) if equals && other == own => self.ready.push_back(own, current),
            _ => return false,
        }
        true
    }
}

/// Whether the current thread may have to make way when its IRQL lets it.
pub fn is_preempted() -> bool {
    PREEMPTED[cpu::index()].load(Ordering::Relaxed)
}

/// Lets a thread of higher priority run, if one is ready and the IRQL lets it.
pub fn preempt() {
    if is_preempted() && cpu::irql() < cpu::DISPATCH_LEVEL {
        PREEMPTED[cpu::index()].store(false, Ordering::Relaxed);
        make_way(false);
    }
}

fn make_way(equals: bool) -> bool {
    let makes_way = with(|scheduler| scheduler.make_way(equals));
    if makes_way {
        switch_away();
    }
    makes_way
}

/// Gives the ready threads that may run on this processor a turn, unless their
/// priority is lower.
pub fn yield_here() -> bool {
    make_way(true)
}

/// Ends the turn of the current thread at a clock interrupt. The outside may look
/// whether it has what it waits for.
pub fn round_robin() {
    with(|scheduler| {
        if let Some(outside) = scheduler.outside.take() {
            scheduler.ready.push_front(HIGHEST, outside);
        }
    });
    make_way(true);
}

/// Takes note of a thread's new priority, whether it waits for its turn or runs.
pub fn reprioritized(object: u64) {
    with(|scheduler| {
        let mut threads = scheduler.threads.iter();
        let Some(id) = threads
            .find(|thread| thread.object == object)
            .map(|thread| thread.id)
        else {
            return;
        };
        if scheduler.ready.remove(id) {
            scheduler.let_run(id);
        }
        // Who runs may have become the lower one.
        for processor in &PREEMPTED {
            processor.store(true, Ordering::Relaxed);
        }
    });
}
