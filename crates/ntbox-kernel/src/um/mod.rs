//! User mode: the processes and threads whose requests come from the caller of
//! this crate. Each request runs on a thread of its process, in the kernel, from
//! the system call on.

mod events;
mod memory;
mod requests;
mod syscalls;

use std::collections::BTreeMap;

use ntbox_api::request::{Account, Operation, Process, Progress, Reply, Ticket};
use ntbox_host::driver_mem;
use ntbox_host::kernel_cell::KernelCell;

use super::base::call_context::CallContext;
use super::base::{clock, thread_table};
use super::io::irp_completion;
use super::ke::{apc, attach, sched};
use super::mm::{kernel_stack, process_address_space, user_stack};
use super::ps::notify;
use super::ps::system_thread::signal_end;
use super::{ob, ps, se};
use crate::ke::irp_cancel_lock;
use crate::mm::mdl;

/// A thread that carries out requests, one after the other.
#[derive(Debug, Clone, Copy)]
struct Worker {
    /// Its ETHREAD.
    thread: u64,
    process: u64,
    busy: bool,
}

/// What a worker is told to do.
enum Order {
    /// A request.
    Request(Operation),
    /// To end its process with a status.
    Exit(u32),
}

#[derive(Default)]
struct State {
    /// EPROCESS of each user process; 0 once it has ended.
    processes: Vec<u64>,
    workers: Vec<Worker>,
    /// What a worker is to do next, by its thread.
    orders: BTreeMap<u64, (Ticket, Order)>,
    /// Requests that have ended and whose end nobody has taken.
    replies: BTreeMap<u64, Reply>,
    /// Threads of the requests under way.
    underway: BTreeMap<u64, u64>,
    next: u64,
}

static STATE: KernelCell<Option<State>> = KernelCell::new(None);

fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    work(STATE.lock().get_or_insert_default())
}

/// What a worker waits for its next order on.
fn order_key(thread: u64) -> u64 {
    0xffff_fe00_0000_0000 ^ thread
}

/// What those who wait for the end of a request are parked on.
const REPLY_KEY: u64 = 0xffff_fd00_0000_0000;

/// Makes a process.
pub fn create_process(name: &str, account: Account) -> Option<Process> {
    let process = ps::create::create_process(name)?;
    se::set_account(process, account);
    let caller = own_caller();
    match notify::process_created(process, &caller) {
        Ok(status) if status.cast_signed() >= 0 => {}
        Ok(_) => {
            notify::process_ended(process, &caller);
            return None;
        }
        Err(refusal) => caller.end(refusal),
    }
    with(|state| {
        state.processes.push(process);
        u32::try_from(state.processes.len() - 1).ok().map(Process)
    })
}

fn process_of(process: Process) -> Option<u64> {
    with(|state| state.processes.get(process.0 as usize).copied()).filter(|object| *object != 0)
}

/// Begins a request and lets it run as far as it gets without waiting.
pub fn begin(process: Process, operation: Operation) -> Progress {
    let Some(object) = process_of(process) else {
        return Progress::Done(Reply::status(nt_status::STATUS_INVALID_CID));
    };
    order(object, Order::Request(operation))
}

/// The kernel on the current thread, which is in no driver.
fn own_caller() -> CallContext<'static> {
    CallContext::kernel(stack_of(thread_table::current_thread()))
}

/// Gives a thread of a process something to do; `None` without memory.
fn hand_over(process: u64, order: Order, caller: &CallContext<'_>) -> Option<Ticket> {
    let worker = worker(process, caller)?;
    let ticket = with(|state| {
        state.next += 1;
        let ticket = Ticket(state.next);
        state.orders.insert(worker, (ticket, order));
        state.underway.insert(ticket.0, worker);
        ticket
    });
    sched::wake(order_key(worker));
    Some(ticket)
}

/// The same for the outside: lets it run as far as it gets without waiting.
fn order(process: u64, order: Order) -> Progress {
    let Some(ticket) = hand_over(process, order, &own_caller()) else {
        return Progress::Done(Reply::status(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    loop {
        if let Some(reply) = take(ticket) {
            return Progress::Done(reply);
        }
        if !sched::yield_to_all() {
            return Progress::Pending(ticket);
        }
    }
}

/// Waits for the end of a request; time passes as it must.
pub fn wait(ticket: Ticket, patience: Option<u64>) -> Option<Reply> {
    let deadline = patience.map(|time| clock::interrupt_time().saturating_add(time));
    loop {
        if let Some(reply) = take(ticket) {
            return Some(reply);
        }
        with(|state| state.underway.get(&ticket.0).copied())?;
        if deadline.is_some_and(|deadline| clock::interrupt_time() >= deadline) {
            return None;
        }
        sched::park(REPLY_KEY, deadline);
    }
}

fn take(ticket: Ticket) -> Option<Reply> {
    with(|state| state.replies.remove(&ticket.0))
}

/// Cancels what the thread of a request waits for in a driver, as `CancelIoEx`.
/// False if nothing was cancelled.
pub fn cancel(ticket: Ticket) -> bool {
    let Some(thread) = with(|state| state.underway.get(&ticket.0).copied()) else {
        return false;
    };
    cancel_thread(thread, &own_caller())
}

fn cancel_thread(thread: u64, caller: &CallContext<'_>) -> bool {
    irp_completion::underway_of(thread)
        .into_iter()
        .fold(false, |any, packet| {
            match irp_cancel_lock::cancel(packet, caller) {
                Ok(cancelled) => any | cancelled,
                Err(refusal) => caller.end(refusal),
            }
        })
}

fn stack_of(thread: u64) -> u64 {
    thread_table::thread(thread).map_or(0, |thread| thread.stack.1)
}

/// Ends a process: its requests are cancelled, its handles closed, its memory
/// freed. False if it has ended before.
pub fn exit(process: Process) -> bool {
    process_of(process).is_some_and(|object| terminate(object, 0, &own_caller()))
}

/// Ends every process that has not ended, in the order in which they were made. A
/// driver is not unloaded while a handle to one of its devices is open.
pub fn exit_all() {
    let caller = own_caller();
    let objects = with(|state| state.processes.clone());
    for object in objects {
        terminate(object, 0, &caller);
    }
}

/// The same of an EPROCESS, with a status. It must not be the current process.
pub fn terminate(object: u64, status: u32, caller: &CallContext<'_>) -> bool {
    let known = with(|state| state.processes.iter().position(|known| *known == object));
    let Some(slot) = known.filter(|_| object != 0) else {
        return false;
    };
    thread_table::process_ends(object, status);
    let threads_of: Vec<u64> = with(|state| {
        state
            .workers
            .iter()
            .filter(|worker| worker.process == object)
            .map(|worker| worker.thread)
            .collect()
    });
    for thread in &threads_of {
        cancel_thread(*thread, caller);
        if with(|state| state.underway.values().any(|busy| busy == thread)) {
            apc::end_waits_of_program(*thread);
        }
    }
    leave_drivers(&threads_of);
    // The handles are closed by a thread of the process, in whose memory a driver
    // then is.
    if let Some(ticket) = hand_over(object, Order::Exit(status), caller) {
        wait(ticket, None);
    }
    with(|state| state.processes[slot] = 0);
    true
}

/// Waits until threads have come back from the drivers that they are in, for a
/// thread only ends on its way back. A request that is not completed within five
/// minutes of its cancellation is left behind.
fn leave_drivers(threads: &[u64]) {
    /// In units of 100 ns.
    const FIVE_MINUTES: u64 = 5 * 60 * 10_000_000;
    let deadline = clock::interrupt_time().saturating_add(FIVE_MINUTES);
    while clock::interrupt_time() < deadline
        && with(|state| state.underway.values().any(|busy| threads.contains(busy)))
    {
        sched::park(REPLY_KEY, Some(deadline));
    }
}

/// Finds an idle thread of a process, or makes one.
fn worker(process: u64, caller: &CallContext<'_>) -> Option<u64> {
    let idle = with(|state| {
        let worker = state
            .workers
            .iter_mut()
            .find(|worker| worker.process == process && !worker.busy)?;
        worker.busy = true;
        Some(worker.thread)
    });
    if idle.is_some() {
        return idle;
    }
    let thread = ps::create::create(process, false)?;
    let stack = kernel_stack::new_stack().ok()?;
    user_stack::create(process, thread).then_some(())?;
    thread_table::update(thread, |info| {
        info.stack = (stack - kernel_stack::STACK_SIZE, stack);
        info.user_mode = true;
    });
    notify::thread(thread, true, caller);
    with(|state| {
        state.workers.push(Worker {
            thread,
            process,
            busy: true,
        });
    });
    sched::spawn(thread, Box::new(move || work(thread, process, stack)))?;
    Some(thread)
}

/// The life of a worker. Its stack begins below what the frames of a system service
/// take on Windows.
fn work(thread: u64, process: u64, stack: u64) {
    /// In bytes.
    const SERVICE_FRAMES: u64 = 0x600;
    let stack = stack - SERVICE_FRAMES;
    notify::thread_begins(thread, &CallContext::kernel(stack));
    loop {
        while let Some((ticket, order)) = with(|state| state.orders.remove(&thread)) {
            let caller = CallContext::kernel(stack);
            let reply = match order {
                Order::Request(operation) => requests::carry_out(process, operation, &caller),
                Order::Exit(status) => end_process(process, status, &caller),
            };
            let otherwise = thread_table::thread(thread)
                .and_then(|info| attach::returned_otherwise(thread, &info));
            if let Some(stop) = otherwise {
                caller.end(stop);
            }
            with(|state| {
                state.replies.insert(ticket.0, reply);
                state.underway.remove(&ticket.0);
                state
                    .workers
                    .iter_mut()
                    .filter(|worker| worker.thread == thread)
                    .for_each(|worker| worker.busy = false);
            });
            sched::wake(REPLY_KEY);
        }
        sched::park(order_key(thread), None);
    }
}

/// What a process leaves behind goes: handles, mappings, memory.
fn end_process(process: u64, status: u32, caller: &CallContext<'_>) -> Reply {
    let of_process = |worker: &&Worker| worker.process == process;
    let ended: Vec<u64> = with(|state| {
        let workers = state.workers.iter().filter(of_process);
        workers.map(|worker| worker.thread).collect()
    });
    for thread in &ended {
        // The object is the kernel's own memory and stays while it is referenced.
        let _ = driver_mem::write_u32(thread + thread_table::offset::EXIT_STATUS, status);
        notify::thread(*thread, false, caller);
    }
    notify::process_ended(process, caller);
    ob::handles::close_all(process, caller);
    ps::quota::forget(process);
    mdl::check_process_exit(process);
    process_address_space::free_all(process);
    for thread in ended {
        thread_table::update(thread, |info| info.ended = true);
        signal_end(thread);
    }
    signal_end(process);
    Reply::status(0)
}
