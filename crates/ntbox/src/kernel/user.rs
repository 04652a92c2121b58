//! User mode: the processes and threads whose requests come from the caller of
//! this crate. Each request runs on a thread of its process, in the kernel, from
//! the system call on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::boot::{self, STACK_SIZE};
use super::call::Stop;
use super::io::file::{self, Opening, Sent};
use super::io::finish::{self, Outcome};
use super::io::transfer::Buffers;
use super::ke::sched;
use super::mm::space::Protection;
use super::mm::user;
use super::ob::{self, Caller, Type, name};
use super::{guest, stop, threads};
use crate::request::{Handle, Operation, Process, Progress, Reply, Ticket};

/// `STATUS_INSUFFICIENT_RESOURCES`.
const INSUFFICIENT_RESOURCES: u32 = 0xc000_009a;
/// `FILE_OPEN` as a disposition.
const OPEN: u32 = 0x0100_0000;

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
    /// To end its process.
    Exit,
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

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    work(
        STATE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_default(),
    )
}

/// What a worker waits for its next order on.
fn order_key(thread: u64) -> u64 {
    0xffff_fe00_0000_0000 ^ thread
}

/// What those who wait for the end of a request are parked on.
const REPLY_KEY: u64 = 0xffff_fd00_0000_0000;

/// Makes a process.
pub fn create_process(name: &str) -> Option<Process> {
    let process = threads::create_process(name)?;
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
        return Progress::Done(Reply::status(ntstatus::STATUS_INVALID_CID));
    };
    order(object, Order::Request(operation))
}

/// Gives a thread of a process something to do.
fn order(process: u64, order: Order) -> Progress {
    let Some(worker) = worker(process) else {
        return Progress::Done(Reply::status(INSUFFICIENT_RESOURCES));
    };
    let ticket = with(|state| {
        state.next += 1;
        let ticket = Ticket(state.next);
        state.orders.insert(worker, (ticket, order));
        state.underway.insert(ticket.0, worker);
        ticket
    });
    sched::wake(order_key(worker));
    loop {
        if let Some(reply) = take(ticket) {
            return Progress::Done(reply);
        }
        if !sched::yield_now() {
            return Progress::Pending(ticket);
        }
    }
}

/// Waits for the end of a request; time passes as it must.
pub fn wait(ticket: Ticket) -> Option<Reply> {
    loop {
        if let Some(reply) = take(ticket) {
            return Some(reply);
        }
        with(|state| state.underway.get(&ticket.0).copied())?;
        sched::park(REPLY_KEY, None);
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
    cancel_thread(thread)
}

fn cancel_thread(thread: u64) -> bool {
    let caller = Caller::kernel(stack_of(threads::current_thread()));
    finish::underway_of(thread)
        .into_iter()
        .fold(false, |any, packet| {
            match super::io::cancel::cancel(packet, &caller) {
                Ok(cancelled) => any | cancelled,
                Err(refusal) => stop::end(refusal, &caller),
            }
        })
}

fn stack_of(thread: u64) -> u64 {
    threads::thread(thread).map_or(0, |thread| thread.stack.1)
}

/// Ends a process: its requests are cancelled, its handles closed, its memory
/// freed. False if it has ended before.
pub fn exit(process: Process) -> bool {
    let Some(object) = process_of(process) else {
        return false;
    };
    let threads_of: Vec<u64> = with(|state| {
        state
            .workers
            .iter()
            .filter(|worker| worker.process == object)
            .map(|worker| worker.thread)
            .collect()
    });
    for thread in &threads_of {
        cancel_thread(*thread);
    }
    while sched::yield_now() {}
    // The handles are closed by a thread of the process, in whose memory a driver
    // then is.
    if let Progress::Pending(ticket) = order(object, Order::Exit) {
        wait(ticket);
    }
    with(|state| {
        if let Some(slot) = state.processes.get_mut(process.0 as usize) {
            *slot = 0;
        }
    });
    true
}

/// Finds an idle thread of a process, or makes one.
fn worker(process: u64) -> Option<u64> {
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
    let thread = threads::create(process, false)?;
    let stack = boot::new_stack().ok()?;
    threads::update(thread, |info| {
        info.stack = (stack - STACK_SIZE, stack);
        info.user_mode = true;
    });
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

/// The life of a worker.
fn work(thread: u64, process: u64, stack: u64) {
    loop {
        while let Some((ticket, order)) = with(|state| state.orders.remove(&thread)) {
            let caller = Caller::kernel(stack);
            let reply = match order {
                Order::Request(operation) => carry_out(process, operation, &caller),
                Order::Exit => end_process(process, &caller),
            };
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
fn end_process(process: u64, caller: &Caller<'_>) -> Reply {
    ob::handles::close_all(process, caller);
    super::mm::mdl::check_process_exit(process);
    user::free_all(process);
    Reply::status(0)
}

fn carry_out(process: u64, operation: Operation, caller: &Caller<'_>) -> Reply {
    let reply = match operation {
        Operation::Open { path, access } => open(&path, access, caller),
        Operation::Control {
            handle,
            code,
            input,
            output,
        } => control(process, handle, code, &input, &output, caller),
        Operation::RawControl {
            handle,
            code,
            input,
            output,
        } => {
            let buffers = Buffers {
                input: input.0,
                input_length: input.1,
                output: output.0,
                output_length: output.1,
            };
            request(handle, file::Operation::Control { code }, &buffers, caller)
                .map(|outcome| plain(&outcome))
        }
        Operation::Read {
            handle,
            offset,
            length,
        } => read(process, handle, offset, length, caller),
        Operation::Write {
            handle,
            offset,
            data,
        } => write(process, handle, offset, &data, caller),
        Operation::Close { handle } => Ok(match ob::handles::close(handle.0, caller) {
            Ok(()) => Reply::status(0),
            Err(status) => Reply::status(status),
        }),
        Operation::Repeat {
            handle,
            code,
            input,
            output_length,
            count,
        } => repeat(process, handle, code, &input, output_length, count, caller),
    };
    reply.unwrap_or_else(|refusal| stop::end(refusal, caller))
}

fn plain(outcome: &Outcome) -> Reply {
    Reply {
        information: outcome.information,
        ..Reply::status(outcome.status)
    }
}

/// The kernel's name for what a program writes: `\\.\Name` is `\??\Name`.
fn native_path(path: &str) -> String {
    match path
        .strip_prefix(r"\\.\")
        .or_else(|| path.strip_prefix(r"\\?\"))
    {
        Some(rest) => format!(r"\??\{rest}"),
        None => path.to_owned(),
    }
}

fn open(path: &str, access: u32, caller: &Caller<'_>) -> Result<Reply, Stop> {
    let path = name::wide(&native_path(path));
    let found = match ob::lookup_path(&path, None) {
        Ok(found) => found,
        Err(status) => return Ok(Reply::status(status)),
    };
    if found.kind != Type::Device {
        ob::dereference(found.object, caller);
        return Ok(Reply::status(ntstatus::STATUS_OBJECT_TYPE_MISMATCH));
    }
    // CreateFile asks for these in any case.
    let access = Type::File.grant(access) | 0x0010_0080;
    let opening = Opening {
        access,
        share: 7,
        options: OPEN,
        attributes: 0x80,
        user: true,
    };
    let opened = file::open(found.object, &found.rest, opening, caller);
    ob::dereference(found.object, caller);
    let (object, information) = match opened? {
        Ok(opened) => opened,
        Err(status) => return Ok(Reply::status(status)),
    };
    let handle = ob::handles::insert(object, access, 0, 0);
    ob::dereference(object, caller);
    Ok(match handle {
        Ok(handle) => Reply {
            information,
            handle: Some(Handle(handle)),
            ..Reply::status(0)
        },
        Err(status) => Reply::status(status),
    })
}

/// Sends a request on a handle and waits for its end.
fn request(
    handle: Handle,
    operation: file::Operation,
    buffers: &Buffers,
    caller: &Caller<'_>,
) -> Result<Outcome, Stop> {
    let refused = |status| Outcome {
        status,
        information: 0,
        pending_returned: false,
    };
    let entry = match ob::handles::get(handle.0) {
        Ok(entry) if entry.kind == Type::File => entry,
        Ok(_) => return Ok(refused(ntstatus::STATUS_OBJECT_TYPE_MISMATCH)),
        Err(status) => return Ok(refused(status)),
    };
    if !allowed(operation, entry.access) {
        return Ok(refused(ntstatus::STATUS_ACCESS_DENIED));
    }
    // The request keeps the file while its handle may be closed by others.
    ob::reference(entry.object);
    let sent = file::request(entry.object, operation, buffers, true, caller);
    let outcome = sent.map(|sent| match sent {
        Sent::Done(outcome) => outcome,
        Sent::Pending(id) => finish::wait_for(id),
    });
    ob::dereference(entry.object, caller);
    outcome
}

/// Whether the rights of a handle allow a request: reading and writing need
/// theirs, a control request what its code says in bits 14 and 15.
fn allowed(operation: file::Operation, access: u32) -> bool {
    /// `FILE_READ_DATA` and `FILE_WRITE_DATA`, as in a control code.
    const READ: u32 = 1;
    const WRITE: u32 = 2;
    let needed = match operation {
        file::Operation::Control { code } => code >> 14 & 3,
        file::Operation::Read { .. } => READ,
        file::Operation::Write { .. } => WRITE,
    };
    access & needed == needed
}

/// Memory of the process for the time of a request.
struct Scratch {
    process: u64,
    /// 0 for none.
    va: u64,
}

impl Scratch {
    fn with(process: u64, content: &[u8]) -> Result<Option<Self>, Stop> {
        if content.is_empty() {
            return Ok(Some(Self { process, va: 0 }));
        }
        let Some(va) = user::allocate(process, content.len() as u64, Protection::READ_WRITE) else {
            return Ok(None);
        };
        guest::write_bytes(va, content)?;
        Ok(Some(Self { process, va }))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.va != 0 {
            user::free(self.process, self.va);
        }
    }
}

fn control(
    process: u64,
    handle: Handle,
    code: u32,
    input: &[u8],
    output: &[u8],
    caller: &Caller<'_>,
) -> Result<Reply, Stop> {
    let (Some(from), Some(to)) = (
        Scratch::with(process, input)?,
        Scratch::with(process, output)?,
    ) else {
        return Ok(Reply::status(INSUFFICIENT_RESOURCES));
    };
    let buffers = Buffers {
        input: from.va,
        input_length: length(input),
        output: to.va,
        output_length: length(output),
    };
    let outcome = request(handle, file::Operation::Control { code }, &buffers, caller)?;
    let mut result = vec![0; output.len()];
    guest::read_bytes(to.va, &mut result)?;
    Ok(Reply {
        output: result,
        ..plain(&outcome)
    })
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn read(
    process: u64,
    handle: Handle,
    offset: u64,
    wanted: u32,
    caller: &Caller<'_>,
) -> Result<Reply, Stop> {
    let Some(to) = Scratch::with(process, &vec![0; wanted as usize])? else {
        return Ok(Reply::status(INSUFFICIENT_RESOURCES));
    };
    let buffers = Buffers {
        output: to.va,
        output_length: wanted,
        ..Buffers::default()
    };
    let outcome = request(handle, file::Operation::Read { offset }, &buffers, caller)?;
    let got = outcome.information.min(u64::from(wanted));
    let mut output = vec![0; usize::try_from(got).unwrap_or(0)];
    guest::read_bytes(to.va, &mut output)?;
    Ok(Reply {
        output,
        ..plain(&outcome)
    })
}

fn write(
    process: u64,
    handle: Handle,
    offset: u64,
    data: &[u8],
    caller: &Caller<'_>,
) -> Result<Reply, Stop> {
    let Some(from) = Scratch::with(process, data)? else {
        return Ok(Reply::status(INSUFFICIENT_RESOURCES));
    };
    let buffers = Buffers {
        input: from.va,
        input_length: length(data),
        ..Buffers::default()
    };
    Ok(plain(&request(
        handle,
        file::Operation::Write { offset },
        &buffers,
        caller,
    )?))
}

fn repeat(
    process: u64,
    handle: Handle,
    code: u32,
    input: &[u8],
    output_length: u32,
    count: u64,
    caller: &Caller<'_>,
) -> Result<Reply, Stop> {
    let output = vec![0; output_length as usize];
    let (Some(from), Some(to)) = (
        Scratch::with(process, input)?,
        Scratch::with(process, &output)?,
    ) else {
        return Ok(Reply::status(INSUFFICIENT_RESOURCES));
    };
    let buffers = Buffers {
        input: from.va,
        input_length: length(input),
        output: to.va,
        output_length,
    };
    let started = Instant::now();
    let mut status = 0;
    for _ in 0..count {
        status = request(handle, file::Operation::Control { code }, &buffers, caller)?.status;
        if status.cast_signed() < 0 {
            break;
        }
    }
    let elapsed = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Reply {
        information: elapsed,
        ..Reply::status(status)
    })
}
