//! System worker threads: they run what drivers queue, at `PASSIVE_LEVEL` in the
//! process System.
//!
//! Work waits in one queue, ordered by the priority that its queue type stands
//! for. A thread is made when there is work and none is idle, so that an item
//! that waits for another one does not keep that one from running.

use std::collections::VecDeque;

use kernel_stack::STACK_SIZE;
use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::hook::Hook;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;
use ntbox_host::upcall::call_driver;
use ntbox_host::{cpu, kernel_entry};

use crate::base::call_context::CallContext;
use crate::base::{diag, events, thread_table};
use crate::ke::sched::Id;
use crate::ke::{priority, sched};
use crate::mm::kernel_stack;
use crate::ob;

/// Most worker threads.
const MAX_THREADS: usize = 64;
/// What those are parked on who wait for work to end.
const DONE_KEY: u64 = 0xffff_fc00_0000_0000;
/// What idle workers are parked on; each is woken by its number.
const IDLE_KEY: u64 = DONE_KEY + 1;
/// `CustomPriorityWorkQueue`: priorities are counted from here.
const CUSTOM_PRIORITY: u32 = 32;

/// A work item that is queued or runs.
#[derive(Debug, Clone, Copy)]
pub struct QueuedWork {
    /// Address of the `WORK_QUEUE_ITEM`, or of the `IO_WORKITEM` around it.
    pub item: u64,
    /// The driver's routine.
    pub routine: u64,
    /// Its arguments.
    pub arguments: [u64; 3],
    /// Device or driver object that is referenced until the routine has
    /// returned; 0 for work of `ExQueueWorkItem`, which nothing protects.
    pub object: u64,
    /// Who queued it.
    pub caller: u64,
}

/// A thread of the pool.
#[derive(Debug, Clone, Copy)]
struct Worker {
    id: Id,
    /// Its ETHREAD.
    thread: u64,
    /// What it does; `None` while it is idle.
    busy: bool,
    job: Option<QueuedWork>,
}

#[derive(Debug, Default)]
struct State {
    /// Work that waits, by falling priority.
    queue: VecDeque<(i32, QueuedWork)>,
    workers: Vec<Worker>,
}

static STATE: KernelCell<Option<State>> = KernelCell::new(None);

fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    work(STATE.lock().get_or_insert_default())
}

/// The thread priority that a `WORK_QUEUE_TYPE` stands for.
fn level(queue: u32) -> Option<i32> {
    Some(match queue {
        0 => 13,
        1 => 12,
        2 => 15,
        3 => 8,
        4 => 7,
        5 => 18,
        6 => 14,
        custom => i32::try_from(custom.checked_sub(CUSTOM_PRIORITY)?)
            .ok()
            .filter(|priority| (1..32).contains(priority))?,
    })
}

/// Queues work.
///
/// # Errors
/// A bug check for a queue that does not exist.
pub fn queue(job: QueuedWork, kind: u32, function: &str) -> Result<(), NoReturn> {
    let Some(level) = level(kind) else {
        return Err(NoReturn::bug_check(
            0x96,
            [job.item, u64::from(kind), 0, 0],
            format!(
                "{function} was given the queue type {kind}, which does not exist (INVALID_WORK_QUEUE_ITEM)"
            ),
        ));
    };
    let idle = with(|state| {
        let at = state
            .queue
            .iter()
            .position(|(other, _)| *other < level)
            .unwrap_or(state.queue.len());
        state.queue.insert(at, (level, job));
        let worker = state.workers.iter_mut().find(|worker| !worker.busy)?;
        worker.busy = true;
        Some((worker.id, worker.thread))
    });
    match idle {
        Some((id, thread)) => {
            priority::change(thread, level);
            sched::wake_thread(id);
        }
        None => add_worker(level),
    }
    Ok(())
}

/// Creates a thread of a process, a system thread or not.
pub static CREATE_THREAD: Hook<fn(u64, bool) -> Option<u64>> = Hook::new();

/// Adds a thread, if there may be one more. Without memory the threads that
/// there are do the work in turn.
fn add_worker(level: i32) {
    if with(|state| state.workers.len()) >= MAX_THREADS {
        return;
    }
    let Some(thread) = (CREATE_THREAD.get())(thread_table::system_process(), true) else {
        return;
    };
    let Ok(high) = kernel_stack::new_stack() else {
        return;
    };
    thread_table::update(thread, |info| {
        info.stack = (high - STACK_SIZE, high);
        info.priority = level;
    });
    if let Some(id) = sched::spawn(thread, Box::new(move || work(high))) {
        with(|state| {
            state.workers.push(Worker {
                id,
                thread,
                busy: true,
                job: None,
            });
        });
    }
}

/// The life of a worker.
fn work(stack: u64) {
    let id = sched::current();
    loop {
        let job = with(|state| {
            let next = state.queue.pop_front();
            if let Some(worker) = state.workers.iter_mut().find(|worker| worker.id == id) {
                worker.job = next.map(|(_, job)| job);
                worker.busy = next.is_some();
            }
            next
        });
        match job {
            Some((level, job)) => {
                priority::change(thread_table::current_thread(), level);
                run(&job, stack);
                with(|state| {
                    if let Some(worker) = state.workers.iter_mut().find(|worker| worker.id == id) {
                        worker.job = None;
                    }
                });
                sched::wake(DONE_KEY);
            }
            None => {
                sched::park(IDLE_KEY, None);
            }
        }
    }
}

/// Calls the routine and looks how it came back.
fn run(job: &QueuedWork, stack: u64) {
    // From here on the item is the driver's again: it may queue or free it.
    super::work_item::dequeued(job.item);
    let holder = if job.object == 0 {
        "WORK_QUEUE_ITEM"
    } else {
        "work item"
    };
    let routine = Routine::new(job.routine, "work routine")
        .held_by(job.item, holder)
        .registered_by(job.caller);
    call_driver(routine, &job.arguments, stack, None);
    let irql = cpu::set_irql(cpu::PASSIVE_LEVEL);
    if irql >= cpu::DISPATCH_LEVEL {
        kernel_entry::bug_check(
            0xe1,
            [job.routine, u64::from(irql), job.arguments[0], job.item],
            format!(
                "the work routine at {:#018x} returned at IRQL {irql} (WORKER_THREAD_RETURNED_AT_BAD_IRQL)",
                job.routine
            ),
            None,
        );
    }
    if irql != cpu::PASSIVE_LEVEL {
        let held = events::lock_held_text();
        let what = format!("a work routine called at IRQL 0 returned at IRQL {irql}{held}");
        diag::violation_of(
            job.routine,
            rules::IRQL_CHANGED_ON_RETURN.without_stop(),
            what,
        );
    }
    if job.object != 0 {
        ob::dereference(job.object, &CallContext::kernel(stack));
    }
}

/// Work that has not ended and matches.
fn unfinished(matches: impl Fn(&QueuedWork) -> bool) -> Vec<(QueuedWork, bool)> {
    with(|state| {
        let waiting = state.queue.iter().map(|(_, job)| (*job, false));
        let running = state
            .workers
            .iter()
            .filter_map(|worker| worker.job.map(|job| (job, true)));
        waiting
            .chain(running)
            .filter(|(job, _)| matches(job))
            .collect()
    })
}

/// Lets the work end that keeps the driver loaded, as `IoQueueWorkItem` does by
/// its reference; reports what else of it is still there `when`.
pub fn settle(when: &str) {
    for (job, running) in unfinished(|job| job.object == 0) {
        let state = if running { "still runs" } else { "is queued" };
        let what = format!(
            "the work item at {:#018x} {state} {when}; ExQueueWorkItem does not keep the driver loaded",
            job.item
        );
        // DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS.
        diag::violation(rules::WORK_ITEM_QUEUED_AT_UNLOAD, what, job.caller);
    }
    while !unfinished(|job| job.object != 0).is_empty() {
        sched::park(DONE_KEY, None);
    }
}
