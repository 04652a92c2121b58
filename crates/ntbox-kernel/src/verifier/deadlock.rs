//! The orders in which a watched driver takes its locks. Two locks that are taken
//! in both orders can stop two threads for ever one day, though this time they did
//! not: what Driver Verifier calls Deadlock Detection.
//!
//! Spin locks, fast and guarded mutexes, mutexes, resources, push locks and the cancel
//! spin lock are looked at. What is only tried, or waited for with an end, cannot stop anybody;
//! nor do two shared acquisitions. Locks on a stack are new ones with
//! each call, and so is what was initialised again, as far as that is seen: inline
//! initialisation shows when another kind of lock is acquired at the same address.

use std::collections::{BTreeMap, BTreeSet};

use ntbox_api::report::HistoryEntry;
use ntbox_api::rules;
use ntbox_host::cpu;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::STACKS;

use crate::base::events::HeldLock;
use crate::base::lock_class::LockClass;
use crate::base::stack_trace_db::StackId;
use crate::base::{diag, events, lock_class, stack_trace_db, thread_table};
use crate::ke::dpc;
use crate::ke::lock_owner::place;

/// A lock that a thread holds.
#[derive(Debug, Clone, Copy)]
struct AcquiredLock {
    lock: u64,
    class: LockClass,
    caller: u64,
    stack: StackId,
}

/// The acquisition of a lock while another one was held.
#[derive(Debug, Clone, Copy)]
struct LockOrderEdge {
    held: AcquiredLock,
    taken: AcquiredLock,
}

impl LockOrderEdge {
    /// Whether it stops whoever another one does not.
    fn is_stronger_than(&self, other: &Self) -> bool {
        let exclusive = |taken: &AcquiredLock| !taken.class.is_shared();
        exclusive(&self.held) && !exclusive(&other.held)
            || exclusive(&self.taken) && !exclusive(&other.taken)
    }
}

/// Whether a thread that holds a lock one way keeps another one from acquiring it.
fn excludes(held: &AcquiredLock, wanted: &AcquiredLock) -> bool {
    !(held.class.is_shared() && wanted.class.is_shared())
}

#[derive(Debug)]
struct Orders {
    /// By thread, or by processor for DPCs, in the order of taking.
    held: BTreeMap<u64, Vec<AcquiredLock>>,
    /// What was taken while a lock was held, by that lock.
    after: BTreeMap<u64, BTreeMap<u64, LockOrderEdge>>,
    /// Pairs that have been reported.
    told: BTreeSet<(u64, u64)>,
    /// What was acquired at each address.
    kinds: BTreeMap<u64, LockClass>,
}

static ORDERS: KernelCell<Orders> = KernelCell::new(Orders {
    held: BTreeMap::new(),
    after: BTreeMap::new(),
    told: BTreeSet::new(),
    kinds: BTreeMap::new(),
});

/// Who holds what is taken now.
fn holder() -> u64 {
    if dpc::runs() {
        u64::from(cpu::number())
    } else {
        thread_table::current_thread()
    }
}

fn is_watched(lock: u64) -> bool {
    stack_trace_db::is_on() && !STACKS.contains(lock)
}

/// A lock is about to be waited for, for as long as it takes.
fn lock_acquiring(lock: u64, class: LockClass, caller: u64) {
    if !is_watched(lock) {
        return;
    }
    let taken = AcquiredLock {
        lock,
        class,
        caller,
        stack: stack_trace_db::current(caller),
    };
    let inversions = {
        let mut orders = ORDERS.lock();
        orders.note_kind(lock, class);
        orders.add(holder(), taken)
    };
    for ways in inversions {
        report(taken, &ways);
    }
}

/// A lock was taken.
fn lock_acquired(lock: u64, class: LockClass, caller: u64) {
    if is_watched(lock) {
        let stack = stack_trace_db::current(caller);
        let mut orders = ORDERS.lock();
        orders.note_kind(lock, class);
        orders.held.entry(holder()).or_default().push(AcquiredLock {
            lock,
            class,
            caller,
            stack,
        });
    }
}

/// A lock was given back, by whoever it was.
fn lock_released(lock: u64) {
    if is_watched(lock) {
        ORDERS.lock().release(holder(), lock);
    }
}

/// A dispatcher object was initialised: a lock in it is a new one. The event of a fast
/// mutex lies 24 bytes into it.
fn object_initialized(object: u64, bytes: u64) {
    const EVENT: u64 = 0x18;
    if !stack_trace_db::is_on() {
        return;
    }
    let mut orders = ORDERS.lock();
    let mutex = object.wrapping_sub(EVENT);
    if orders.kinds.get(&mutex) == Some(&LockClass::FastMutex) {
        orders.forget(mutex, mutex + 1);
    }
    orders.forget(object, object.saturating_add(bytes));
}

/// Memory is something else from now on, and so are the locks in it.
fn memory_freed(start: u64, bytes: u64) {
    if stack_trace_db::is_on() {
        ORDERS.lock().forget(start, start.saturating_add(bytes));
    }
}

/// The lock that this thread or DPC acquired last.
fn lock_held() -> Option<HeldLock> {
    let held = ORDERS.lock().held.get(&holder())?.last().copied()?;
    Some(HeldLock {
        lock: held.lock,
        text: format!("{}, acquired {},", name(&held), place(held.caller)),
        return_address: held.caller,
    })
}

/// Subscribes to what happens to locks.
pub fn subscribe() {
    events::LOCK_HELD.set(lock_held);
    events::LOCK_ACQUIRING.subscribe(lock_acquiring);
    events::LOCK_ACQUIRED.subscribe(lock_acquired);
    events::LOCK_RELEASED.subscribe(lock_released);
    events::OBJECT_INITIALIZED.subscribe(object_initialized);
    events::MEMORY_FREED.subscribe(memory_freed);
}

impl Orders {
    /// Notes what is acquired at an address. If it was something else before, that is
    /// another lock.
    fn note_kind(&mut self, lock: u64, class: LockClass) {
        let before = self.kinds.get(&lock);
        if before.is_some_and(|before| *before != class.kind()) {
            self.forget(lock, lock + 1);
        }
        self.kinds.insert(lock, class.kind());
    }

    /// Notes a lock that is taken beside those that are held. Returns how locks
    /// that are held were taken while this one was, if they were, for the first
    /// time.
    fn add(&mut self, holder: u64, taken: AcquiredLock) -> Vec<Vec<LockOrderEdge>> {
        let held = self.held.get(&holder).cloned().unwrap_or_default();
        if held.iter().any(|before| before.lock == taken.lock) {
            return Vec::new();
        }
        let mut inversions = Vec::new();
        for held in held {
            let edge = LockOrderEdge { held, taken };
            let known = self.after.get(&held.lock);
            let before = known.and_then(|known| known.get(&taken.lock));
            if before.is_some_and(|before| !edge.is_stronger_than(before)) {
                continue;
            }
            if let Some(ways) = self.way(&taken, &held)
                && self.told.insert((taken.lock, held.lock))
            {
                inversions.push([vec![edge], ways].concat());
            }
            let after = self.after.entry(held.lock).or_default();
            after.insert(taken.lock, edge);
        }
        inversions
    }

    /// How one lock, acquired as `from` says, led to another, which is held as `to`
    /// says: the steps in between, each of which waits for the one before.
    fn way(&self, from: &AcquiredLock, to: &AcquiredLock) -> Option<Vec<LockOrderEdge>> {
        let mut seen = BTreeSet::from([from.lock]);
        let mut ways: Vec<(AcquiredLock, Vec<LockOrderEdge>)> = vec![(*from, Vec::new())];
        while let Some((wanted, way)) = ways.pop() {
            for (next, edge) in self.after.get(&wanted.lock).into_iter().flatten() {
                if !excludes(&edge.held, &wanted) {
                    continue;
                }
                let longer = [&way[..], &[*edge]].concat();
                if *next == to.lock {
                    if excludes(to, &edge.taken) {
                        return Some(longer);
                    }
                } else if seen.insert(*next) {
                    ways.push((edge.taken, longer));
                }
            }
        }
        None
    }

    fn release(&mut self, holder: u64, lock: u64) {
        let is_it = |taken: &AcquiredLock| taken.lock == lock;
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
        self.kinds.retain(|lock, _| !gone(lock));
        self.held.retain(|_, held| {
            held.retain(|taken| !gone(&taken.lock));
            !held.is_empty()
        });
    }
}

fn name(taken: &AcquiredLock) -> String {
    if taken.lock == lock_class::CANCEL_LOCK {
        return "the cancel spin lock".to_owned();
    }
    format!("the {} at {:#018x}", taken.class.name(), taken.lock)
}

/// Reports locks that were taken in a circle: now, and before, step by step.
fn report(taken: AcquiredLock, ways: &[LockOrderEdge]) {
    let step = |edge: &LockOrderEdge| {
        format!(
            "{} was acquired {} while {} was held, acquired {}",
            name(&edge.taken),
            place(edge.taken.caller),
            name(&edge.held),
            place(edge.held.caller)
        )
    };
    let steps: Vec<String> = ways.iter().map(step).collect();
    let what = format!(
        "locks acquired in more than one order, which can deadlock: {}",
        steps.join("; ")
    );
    let past = |edge: &LockOrderEdge| {
        let held = stack_trace_db::past(format!("{} acquired", name(&edge.held)), edge.held.stack);
        let then = stack_trace_db::past(
            format!("then {} acquired", name(&edge.taken)),
            edge.taken.stack,
        );
        [held, then]
    };
    let history: Vec<HistoryEntry> = ways.iter().flat_map(past).flatten().collect();
    diag::left_behind(rules::LOCK_ORDER_INVERSION, what, taken.caller, history);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_lock(lock: u64) -> AcquiredLock {
        AcquiredLock {
            lock,
            class: LockClass::SpinLock,
            caller: lock + 1,
            stack: 0,
        }
    }

    fn orders() -> Orders {
        Orders {
            held: BTreeMap::new(),
            after: BTreeMap::new(),
            told: BTreeSet::new(),
            kinds: BTreeMap::new(),
        }
    }

    /// Takes locks one after the other and gives them back; the circles that were
    /// found, by their locks.
    fn run(orders: &mut Orders, locks: &[u64]) -> Vec<Vec<u64>> {
        let mut found = Vec::new();
        for lock in locks {
            found.extend(orders.add(7, taken_lock(*lock)));
            orders.held.entry(7).or_default().push(taken_lock(*lock));
        }
        for lock in locks {
            orders.release(7, *lock);
        }
        assert!(orders.held.is_empty());
        let locks = |ways: Vec<LockOrderEdge>| ways.iter().map(|edge| edge.taken.lock).collect();
        found.into_iter().map(locks).collect()
    }

    #[test]
    fn lock_order_inversion_is_reported_once() {
        let mut orders = orders();
        let none: [Vec<u64>; 0] = [];
        assert_eq!(run(&mut orders, &[10, 20]), none);
        assert_eq!(run(&mut orders, &[10, 20]), none);
        assert_eq!(run(&mut orders, &[20]), none);
        assert_eq!(run(&mut orders, &[20, 10]), [[10, 20]]);
        assert_eq!(run(&mut orders, &[20, 10]), none);
    }

    #[test]
    fn lock_order_cycle_over_several_locks_is_reported() {
        let mut orders = orders();
        let none: [Vec<u64>; 0] = [];
        assert_eq!(run(&mut orders, &[10, 20, 30]), none);
        assert_eq!(run(&mut orders, &[30, 40]), none);
        assert_eq!(run(&mut orders, &[40, 10]), [[10, 30, 40]]);
    }

    #[test]
    fn lock_acquired_recursively_is_no_cycle() {
        let mut orders = orders();
        assert_eq!(run(&mut orders, &[10, 20, 10]), [[0_u64; 0]; 0]);
    }

    #[test]
    fn lock_order_is_forgotten_with_its_memory() {
        let mut orders = orders();
        let none: [Vec<u64>; 0] = [];
        assert_eq!(run(&mut orders, &[10, 20]), none);
        orders.forget(16, 24);
        assert!(orders.after.is_empty());
        assert_eq!(run(&mut orders, &[20, 10]), none);
        orders.forget(10, 11);
        assert!(orders.after.is_empty());
    }

    /// Resources, the second of a pair shared or not; whether a circle was found.
    fn is_circle(first: [bool; 2], second: [bool; 2]) -> bool {
        let mut orders = orders();
        let mut found = false;
        for (locks, shared) in [([10, 20], first), ([20, 10], second)] {
            for (lock, shared) in locks.into_iter().zip(shared) {
                let class = if shared {
                    LockClass::SharedResource
                } else {
                    LockClass::Resource
                };
                let acquired = AcquiredLock {
                    class,
                    ..taken_lock(lock)
                };
                found |= !orders.add(7, acquired).is_empty();
                orders.held.entry(7).or_default().push(acquired);
            }
            orders.held.clear();
        }
        found
    }

    #[test]
    fn lock_cycle_of_shared_resources_is_no_deadlock() {
        assert!(is_circle([false, false], [false, false]));
        assert!(is_circle([false, true], [false, true]));
        assert!(!is_circle([true, true], [true, true]));
        // Who wants the second shares it with who holds it.
        assert!(!is_circle([false, true], [true, false]));
        assert!(is_circle([true, false], [true, false]));
    }

    #[test]
    fn lock_order_exclusive_replaces_shared() {
        let mut orders = orders();
        let mut found = 0;
        let shared = LockClass::SharedResource;
        for (locks, class) in [
            ([10, 20], shared),
            ([20, 10], shared),
            ([10, 20], LockClass::Resource),
        ] {
            for lock in locks {
                let acquired = AcquiredLock {
                    class,
                    ..taken_lock(lock)
                };
                found += orders.add(7, acquired).len();
                orders.held.entry(7).or_default().push(acquired);
            }
            orders.held.clear();
        }
        assert_eq!(found, 1);
    }

    #[test]
    fn lock_of_other_kind_at_address_is_another_lock() {
        let mut orders = orders();
        orders.note_kind(10, LockClass::SpinLock);
        let none: [Vec<u64>; 0] = [];
        assert_eq!(run(&mut orders, &[10, 20]), none);
        orders.note_kind(10, LockClass::FastMutex);
        assert_eq!(run(&mut orders, &[20, 10]), none);
        orders.note_kind(10, LockClass::FastMutex);
        assert_eq!(run(&mut orders, &[10, 20]), [[20, 10]]);
    }

    #[test]
    fn lock_released_by_other_thread_is_free() {
        let mut orders = orders();
        orders.held.entry(1).or_default().push(taken_lock(10));
        orders.release(2, 10);
        assert!(orders.held.is_empty());
        orders.release(2, 10);
    }
}
