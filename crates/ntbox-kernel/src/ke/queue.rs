//! Queues (KQUEUE): entries that worker threads wait for, of whom only so many
//! run at a time. A thread belongs to the queue that it last waited for; while it
//! waits for something else, another one may run in its place.

use std::collections::BTreeMap;

use nt_layout::{Kqueue, ListEntry};
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use super::apc::DeliveryPoint;
use super::object::Kind;
use super::sched::{Id, WakeReason};
use super::wait::{TIMEOUT, Timeout, check_blocking};
use super::{apc, object, processor, sched, wait_flag};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::thread_table;

/// In the header's flags: the queue was run down.
const RUN_DOWN: u8 = 1;
/// `STATUS_ABANDONED`: the queue was run down.
const ABANDONED: u64 = 0x80;

/// A thread that waits for an entry.
struct Waiter {
    id: Id,
    thread: u64,
    queue: u64,
    result: Option<u64>,
}

/// Who waits, and which queue each thread belongs to.
struct QueueState {
    waiters: Vec<Waiter>,
    of_thread: BTreeMap<u64, u64>,
}

static STATE: KernelCell<QueueState> = KernelCell::new(QueueState {
    waiters: Vec::new(),
    of_thread: BTreeMap::new(),
});

fn with<T>(work: impl FnOnce(&mut QueueState) -> T) -> T {
    work(&mut STATE.lock())
}

/// The fields of the KQUEUE at an address.
const fn kqueue(queue: u64) -> DriverPtr<Kqueue> {
    DriverPtr::new(queue)
}

/// The fields of the `LIST_ENTRY` at an address.
const fn links(entry: u64) -> DriverPtr<ListEntry> {
    DriverPtr::new(entry)
}

fn current_count(queue: u64) -> Result<u32, Fault> {
    kqueue(queue).get(|queue| &queue.current_count)
}

/// Changes the number of threads that run for a queue.
fn count(queue: u64, change: i32) -> Result<(), Fault> {
    let now = current_count(queue)?.wrapping_add_signed(change);
    kqueue(queue).set(|queue| &queue.current_count, now)
}

/// Whether one more thread may run for the queue.
fn has_room(queue: u64) -> Result<bool, Fault> {
    let most = kqueue(queue).get(|queue| &queue.maximum_count)?;
    Ok(current_count(queue)? < most)
}

/// Hands something to the thread that began to wait last. False if none waits.
fn hand_over(queue: u64, result: u64) -> Result<bool, Fault> {
    let woken = with(|state| {
        let mut waiters = state.waiters.iter_mut().rev();
        let waiter = waiters.find(|waiter| waiter.queue == queue && waiter.result.is_none())?;
        waiter.result = Some(result);
        Some(waiter.id)
    });
    let Some(id) = woken else { return Ok(false) };
    count(queue, 1)?;
    sched::wake_thread(id);
    Ok(true)
}

/// Takes the first entry out of the queue, if there is one.
fn take_first(queue: u64) -> Result<Option<u64>, NoReturn> {
    let head = kqueue(queue).at(|queue| &queue.entry_list_head).address();
    let entry = links(head).get(|entry| &entry.flink)?;
    if entry == head {
        return Ok(None);
    }
    let next = links(entry).get(|entry| &entry.flink)?;
    let previous = links(entry).get(|entry| &entry.blink)?;
    if next == 0 || previous == 0 {
        return Err(NoReturn::bug_check(
            0x96,
            [entry, queue, 0, 0],
            format!(
                "the entry at {entry:#018x} of the queue at {queue:#018x} is not linked (INVALID_WORK_QUEUE_ITEM)"
            ),
        ));
    }
    links(previous).set(|entry| &entry.flink, next)?;
    links(next).set(|entry| &entry.blink, previous)?;
    links(entry).set(|entry| &entry.flink, 0)?;
    object::set_state(queue, object::state(queue)?.wrapping_sub(1))?;
    Ok(Some(entry))
}

/// Gives an entry to a thread that waits, or puts it in; the number of entries
/// before.
fn insert(queue: u64, entry: u64, at_head: bool) -> Result<i32, NoReturn> {
    let before = object::state(queue)?;
    if has_room(queue)? && hand_over(queue, entry)? {
        links(entry).set(|entry| &entry.flink, 0)?;
        return Ok(before);
    }
    let head = kqueue(queue).at(|queue| &queue.entry_list_head).address();
    let (previous, next) = if at_head {
        (head, links(head).get(|entry| &entry.flink)?)
    } else {
        (links(head).get(|entry| &entry.blink)?, head)
    };
    links(entry).set(|entry| &entry.flink, next)?;
    links(entry).set(|entry| &entry.blink, previous)?;
    links(previous).set(|entry| &entry.flink, entry)?;
    links(next).set(|entry| &entry.blink, entry)?;
    object::set_state(queue, before.wrapping_add(1))?;
    Ok(before)
}

/// A thread no longer runs for a queue: another one may.
fn leave(queue: u64) -> Result<(), NoReturn> {
    count(queue, -1)?;
    let waits = with(|state| {
        let mut waiters = state.waiters.iter();
        waiters.any(|waiter| waiter.queue == queue && waiter.result.is_none())
    });
    if waits
        && has_room(queue)?
        && let Some(entry) = take_first(queue)?
    {
        hand_over(queue, entry)?;
    }
    Ok(())
}

/// The queue of a thread, which is about to wait for something else, lets another
/// one run.
pub fn thread_blocks(thread: u64) -> Result<(), NoReturn> {
    match with(|state| state.of_thread.get(&thread).copied()) {
        Some(queue) => leave(queue),
        None => Ok(()),
    }
}

/// The thread goes on, even if its queue has too many then.
pub fn thread_goes_on(thread: u64) -> Result<(), NoReturn> {
    match with(|state| state.of_thread.get(&thread).copied()) {
        Some(queue) => Ok(count(queue, 1)?),
        None => Ok(()),
    }
}

/// A thread ends, or waits for another queue.
pub fn thread_leaves(thread: u64) -> Result<(), NoReturn> {
    match with(|state| state.of_thread.remove(&thread)) {
        Some(queue) => leave(queue),
        None => Ok(()),
    }
}

/// Lets a thread that waits for an entry look at what came for it.
pub fn disturb(thread: u64) {
    let id = with(|state| {
        let mut waiters = state.waiters.iter();
        waiters
            .find(|waiter| waiter.thread == thread)
            .map(|waiter| waiter.id)
    });
    if let Some(id) = id {
        sched::wake_thread(id);
    }
}

/// What a thread that waits for an entry is parked on: nothing that has an address.
fn wait_key(id: Id) -> u64 {
    0xffff_fb00_0000_0000 + id
}

fn is_run_down(queue: u64) -> Result<bool, Fault> {
    Ok(kqueue(queue).get(|queue| &queue.header.signalling)? & RUN_DOWN != 0)
}

/// Takes an entry for the current thread, waiting if need be: its address, or a
/// status.
fn remove(
    queue: u64,
    mode: u8,
    patience: Timeout,
    caller: CallContext<'_>,
) -> Result<u64, NoReturn> {
    wait_flag::begin();
    check_blocking(queue, patience)?;
    if is_run_down(queue)? {
        return Ok(ABANDONED);
    }
    let thread = thread_table::current_thread();
    if with(|state| state.of_thread.get(&thread).copied()) == Some(queue) {
        count(queue, -1)?;
    } else {
        thread_leaves(thread)?;
        with(|state| state.of_thread.insert(thread, queue));
    }
    let result = wait(queue, thread, mode, patience, caller)?;
    // Who hands something over counts the thread; otherwise it does so itself.
    if let Some(result) = result.handed_over {
        return Ok(result);
    }
    if with(|state| state.of_thread.contains_key(&thread)) {
        count(queue, 1)?;
    }
    Ok(result.own)
}

/// The result of a wait: the entry that was handed over, or that of the wait itself.
struct QueueWaitResult {
    handed_over: Option<u64>,
    own: u64,
}

fn wait(
    queue: u64,
    thread: u64,
    mode: u8,
    patience: Timeout,
    caller: CallContext<'_>,
) -> Result<QueueWaitResult, NoReturn> {
    let own = |own| QueueWaitResult {
        handed_over: None,
        own,
    };
    let id = sched::current();
    loop {
        if has_room(queue)?
            && let Some(entry) = take_first(queue)?
        {
            return Ok(own(entry));
        }
        if let Some(status) = apc::ends_wait(thread, false, mode) {
            return Ok(own(status.into()));
        }
        let deadline = match patience {
            Timeout::None => return Ok(own(TIMEOUT.into())),
            Timeout::Until(time) => Some(time),
            Timeout::Forever => None,
        };
        with(|state| {
            state.waiters.push(Waiter {
                id,
                thread,
                queue,
                result: None,
            });
        });
        let woken = sched::park(wait_key(id), deadline);
        let result = with(|state| {
            let at = state.waiters.iter().position(|waiter| waiter.id == id)?;
            state.waiters.remove(at).result
        });
        if result.is_some() {
            return Ok(QueueWaitResult {
                handed_over: result,
                own: 0,
            });
        }
        if woken == WakeReason::Timeout {
            return Ok(own(TIMEOUT.into()));
        }
        apc::deliver(&DeliveryPoint::Call(caller));
    }
}

/// Empties a queue for good; its first entry, to which the others are linked.
fn run_down(queue: u64) -> Result<u64, NoReturn> {
    let flags = kqueue(queue).at(|queue| &queue.header.signalling);
    flags.write(flags.read()? | RUN_DOWN)?;
    let head = kqueue(queue).at(|queue| &queue.entry_list_head).address();
    let first = links(head).get(|entry| &entry.flink)?;
    if first != head {
        let last = links(head).get(|entry| &entry.blink)?;
        links(last).set(|entry| &entry.flink, first)?;
        links(first).set(|entry| &entry.blink, last)?;
    }
    with(|state| state.of_thread.retain(|_, of| *of != queue));
    while hand_over(queue, ABANDONED)? {}
    Ok(if first == head { 0 } else { first })
}

exports! {
    /// `KeInitializeQueue`: of at most `count` threads that run, or as many as there
    /// are processors.
    fn KeInitializeQueue(queue: u64, count: u32) -> () [max DISPATCH_LEVEL, ntifs] {
        object::initialize(queue, Kind::Queue, DriverPtr::<Kqueue>::SIZE, 0)?;
        object::initialize_list(kqueue(queue).at(|queue| &queue.entry_list_head).address())?;
        object::initialize_list(kqueue(queue).at(|queue| &queue.thread_list_head).address())?;
        let processors = processor::active();
        let most = if count == 0 { processors } else { count };
        kqueue(queue).set(|queue| &queue.current_count, 0)?;
        kqueue(queue).set(|queue| &queue.maximum_count, most)?;
        Ok(())
    }

    /// `KeInsertQueue`: the number of entries before.
    fn KeInsertQueue(queue: u64, entry: u64) -> i32 [max DISPATCH_LEVEL, ntifs] {
        insert(queue, entry, false)
    }

    /// `KeInsertHeadQueue`.
    fn KeInsertHeadQueue(queue: u64, entry: u64) -> i32 [max DISPATCH_LEVEL, ntifs] {
        insert(queue, entry, true)
    }

    /// `KeRemoveQueue`: an entry, or a status in place of its address.
    fn KeRemoveQueue<call>(queue: u64, mode: u8, timeout: u64) -> u64 [max DISPATCH_LEVEL, ntifs] {
        remove(queue, mode, Timeout::read(timeout)?, CallContext::of(call))
    }

    /// `KeRundownQueue`: the first of the entries that it had, or NULL; those who
    /// wait, and will, get `STATUS_ABANDONED`.
    fn KeRundownQueue(queue: u64) -> u64 [max DISPATCH_LEVEL, ntifs] {
        run_down(queue)
    }

    /// `KeReadStateQueue`: the number of entries.
    fn KeReadStateQueue(queue: u64) -> i32 [max HIGH_LEVEL, ntifs] {
        Ok(object::state(queue)?)
    }
}
