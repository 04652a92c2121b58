//! The orders in which a watched driver takes its locks. Two locks that are taken
//! in both orders can stop two threads for ever one day, though this time they did
//! not: what Driver Verifier calls Deadlock Detection.
//!
//! Spin locks, fast and guarded mutexes, mutexes and the cancel spin lock are
//! looked at. What is only tried, or waited for with an end, cannot stop anybody;
//! locks on a stack are new ones with each call.

use std::collections::{BTreeMap, BTreeSet};

use super::dpc;
use super::held::place;
use crate::kernel::exclusive::Exclusive;
use crate::kernel::layout::STACKS;
use crate::kernel::verify::{self, StackId};
use crate::kernel::{cpu, stop, threads};
use crate::report::Past;

/// What stands for the cancel spin lock, which is at no address of a driver's.
pub const CANCEL_LOCK: u64 = 0xffff_fb60_0000_0000;

/// A lock that is held.
#[derive(Debug, Clone, Copy)]
struct Taken {
    lock: u64,
    caller: u64,
    stack: StackId,
}

/// How a lock was taken while another one was held.
#[derive(Debug, Clone, Copy)]
struct Edge {
    held: Taken,
    taken: Taken,
}

#[derive(Debug)]
struct Orders {
    /// By thread, or by processor for DPCs, in the order of taking.
    held: BTreeMap<u64, Vec<Taken>>,
    /// What was taken while a lock was held, by that lock.
    after: BTreeMap<u64, BTreeMap<u64, Edge>>,
    /// Pairs that have been reported.
    told: BTreeSet<(u64, u64)>,
}

static ORDERS: Exclusive<Orders> = Exclusive::new(Orders {
    held: BTreeMap::new(),
    after: BTreeMap::new(),
    told: BTreeSet::new(),
});

/// Who holds what is taken now.
fn holder() -> u64 {
    if dpc::runs() {
        u64::from(cpu::number())
    } else {
        threads::current_thread()
    }
}

fn is_watched(lock: u64) -> bool {
    verify::is_on() && !STACKS.contains(lock)
}

/// A lock is about to be waited for, for as long as it takes.
pub fn wanted(lock: u64, caller: u64) {
    if !is_watched(lock) {
        return;
    }
    let taken = Taken {
        lock,
        caller,
        stack: verify::current(caller),
    };
    let inversions = ORDERS.lock().add(holder(), taken);
    for ways in inversions {
        report(taken, &ways);
    }
}

/// A lock was taken.
pub fn taken(lock: u64, caller: u64) {
    if is_watched(lock) {
        let stack = verify::current(caller);
        let mut orders = ORDERS.lock();
        orders.held.entry(holder()).or_default().push(Taken {
            lock,
            caller,
            stack,
        });
    }
}

/// A lock was given back, by whoever it was.
pub fn released(lock: u64) {
    if is_watched(lock) {
        ORDERS.lock().release(holder(), lock);
    }
}

/// Memory is something else from now on, and so are the locks in it.
pub fn forget(start: u64, bytes: u64) {
    if verify::is_on() {
        ORDERS.lock().forget(start, start.saturating_add(bytes));
    }
}

impl Orders {
    /// Notes a lock that is taken beside those that are held. Returns how locks
    /// that are held were taken while this one was, if they were, for the first
    /// time.
    fn add(&mut self, holder: u64, taken: Taken) -> Vec<Vec<Edge>> {
        let held = self.held.get(&holder).cloned().unwrap_or_default();
        if held.iter().any(|before| before.lock == taken.lock) {
            return Vec::new();
        }
        let mut inversions = Vec::new();
        for held in held {
            let known = self.after.get(&held.lock);
            if known.is_some_and(|known| known.contains_key(&taken.lock)) {
                continue;
            }
            if let Some(ways) = self.way(taken.lock, held.lock)
                && self.told.insert((taken.lock, held.lock))
            {
                inversions.push([vec![Edge { held, taken }], ways].concat());
            }
            let after = self.after.entry(held.lock).or_default();
            after.insert(taken.lock, Edge { held, taken });
        }
        inversions
    }

    /// How one lock led to another: the steps in between.
    fn way(&self, from: u64, to: u64) -> Option<Vec<Edge>> {
        let mut seen = BTreeSet::from([from]);
        let mut ways: Vec<(u64, Vec<Edge>)> = vec![(from, Vec::new())];
        while let Some((lock, way)) = ways.pop() {
            for (next, edge) in self.after.get(&lock).into_iter().flatten() {
                let longer = [&way[..], &[*edge]].concat();
                if *next == to {
                    return Some(longer);
                }
                if seen.insert(*next) {
                    ways.push((*next, longer));
                }
            }
        }
        None
    }

    fn release(&mut self, holder: u64, lock: u64) {
        let is_it = |taken: &Taken| taken.lock == lock;
        let own = self
            .held
            .get(&holder)
            .and_then(|held| held.iter().rposition(is_it))
            .map(|at| (holder, at));
        let any = || {
            let mut all = self.held.iter();
            all.find_map(|(who, held)| Some((*who, held.iter().rposition(is_it)?)))
        };
        let Some((who, at)) = own.or_else(any) else {
            return;
        };
        if let Some(held) = self.held.get_mut(&who) {
            held.remove(at);
            if held.is_empty() {
                self.held.remove(&who);
            }
        }
    }

    fn forget(&mut self, start: u64, end: u64) {
        let gone = |lock: &u64| (start..end).contains(lock);
        self.after.retain(|lock, after| {
            after.retain(|lock, _| !gone(lock));
            !gone(lock) && !after.is_empty()
        });
        self.told.retain(|(one, other)| !gone(one) && !gone(other));
        self.held.retain(|_, held| {
            held.retain(|taken| !gone(&taken.lock));
            !held.is_empty()
        });
    }
}

fn name(lock: u64) -> String {
    if lock == CANCEL_LOCK {
        "the cancel spin lock".to_owned()
    } else {
        format!("the lock at {lock:#018x}")
    }
}

/// Reports locks that were taken in a circle: now, and before, step by step.
fn report(taken: Taken, ways: &[Edge]) {
    let step = |edge: &Edge| {
        format!(
            "{} was acquired {} while {} was held, acquired {}",
            name(edge.taken.lock),
            place(edge.taken.caller),
            name(edge.held.lock),
            place(edge.held.caller)
        )
    };
    let steps: Vec<String> = ways.iter().map(step).collect();
    let what = format!(
        "locks are acquired in more than one order, so threads may wait for each other for ever: {}",
        steps.join("; ")
    );
    let past = |edge: &Edge| {
        let held = verify::past(
            format!("{} acquired", name(edge.held.lock)),
            edge.held.stack,
        );
        let then = verify::past(
            format!("then {} acquired", name(edge.taken.lock)),
            edge.taken.stack,
        );
        [held, then]
    };
    let history: Vec<Past> = ways.iter().flat_map(past).flatten().collect();
    stop::left_behind(
        "lock-order",
        Some((0xc4, 0x1001)),
        what,
        taken.caller,
        history,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lock: u64) -> Taken {
        Taken {
            lock,
            caller: lock + 1,
            stack: 0,
        }
    }

    fn orders() -> Orders {
        Orders {
            held: BTreeMap::new(),
            after: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// Takes locks one after the other and gives them back; the circles that were
    /// found, by their locks.
    fn run(orders: &mut Orders, locks: &[u64]) -> Vec<Vec<u64>> {
        let mut found = Vec::new();
        for lock in locks {
            found.extend(orders.add(7, taken(*lock)));
            orders.held.entry(7).or_default().push(taken(*lock));
        }
        for lock in locks {
            orders.release(7, *lock);
        }
        assert!(orders.held.is_empty());
        let locks = |ways: Vec<Edge>| ways.iter().map(|edge| edge.taken.lock).collect();
        found.into_iter().map(locks).collect()
    }

    #[test]
    fn both_orders_are_told_once() {
        let mut orders = orders();
        let none: [Vec<u64>; 0] = [];
        assert_eq!(run(&mut orders, &[10, 20]), none);
        assert_eq!(run(&mut orders, &[10, 20]), none);
        assert_eq!(run(&mut orders, &[20]), none);
        assert_eq!(run(&mut orders, &[20, 10]), [[10, 20]]);
        assert_eq!(run(&mut orders, &[20, 10]), none);
    }

    #[test]
    fn circles_are_found_over_several_locks() {
        let mut orders = orders();
        let none: [Vec<u64>; 0] = [];
        assert_eq!(run(&mut orders, &[10, 20, 30]), none);
        assert_eq!(run(&mut orders, &[30, 40]), none);
        assert_eq!(run(&mut orders, &[40, 10]), [[10, 30, 40]]);
    }

    #[test]
    fn a_lock_that_is_taken_again_by_its_holder_is_no_circle() {
        let mut orders = orders();
        assert_eq!(run(&mut orders, &[10, 20, 10]), [[0_u64; 0]; 0]);
    }

    #[test]
    fn other_memory_has_other_locks() {
        let mut orders = orders();
        let none: [Vec<u64>; 0] = [];
        assert_eq!(run(&mut orders, &[10, 20]), none);
        orders.forget(16, 24);
        assert!(orders.after.is_empty());
        assert_eq!(run(&mut orders, &[20, 10]), none);
        orders.forget(10, 11);
        assert!(orders.after.is_empty());
    }

    #[test]
    fn whoever_releases_a_lock_it_is_free() {
        let mut orders = orders();
        orders.held.entry(1).or_default().push(taken(10));
        orders.release(2, 10);
        assert!(orders.held.is_empty());
        orders.release(2, 10);
    }
}
