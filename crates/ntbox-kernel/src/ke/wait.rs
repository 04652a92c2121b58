//! Waiting for dispatcher objects.
//!
//! A signal satisfies the waits that it can, first come first served, at the
//! moment when it is given: a synchronization event that lets a waiter through
//! is never seen signaled by anyone else.

use std::fmt::Write as _;

use nt_layout::{Kevent, Ksemaphore};
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::{cpu, driver_mem, last_call, modules};

use super::apc::DeliveryPoint;
use super::object::Kind;
use super::sched::{Id, WakeReason};
use super::{apc, object, priority, queue, sched, wait_flag};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout::irp;
use crate::base::lock_class::LockClass;
use crate::base::{clock, events, stack_trace_db, thread_table};

/// `STATUS_TIMEOUT`.
pub const TIMEOUT: u32 = 0x102;
/// `STATUS_ABANDONED_WAIT_0`.
const ABANDONED: u32 = 0x80;
/// Most objects of one wait.
const MAXIMUM_WAIT_OBJECTS: u32 = 64;

/// A thread that waits.
struct Waiter {
    thread: Id,
    object: u64,
    objects: Vec<u64>,
    all: bool,
    /// The request whose cancellation ends the wait; 0 for none.
    packet: u64,
    result: Option<u32>,
    /// Address in the driver that the call returns to; 0 if it is not known.
    caller: u64,
}

static WAITERS: KernelCell<Vec<Waiter>> = KernelCell::new(Vec::new());

/// Who waits for what, as the end of a sentence: each begins with a semicolon.
pub fn describe() -> String {
    let waits: Vec<(u64, Vec<u64>, u64)> = with(|waiters| {
        let each = waiters.iter();
        each.map(|one| (one.object, one.objects.clone(), one.caller))
            .collect()
    });
    let mut text = String::new();
    for (thread, objects, caller) in waits {
        let id = thread_table::thread(thread).map_or(0, |thread| thread.id);
        let objects = objects.iter().map(|at| {
            let kind = Kind::of(*at).ok().flatten().map_or("object", Kind::name);
            format!("the {kind} at {at:#018x}")
        });
        let objects: Vec<String> = objects.collect();
        let _ = write!(
            text,
            "; the thread {id:#x} waits for {}",
            objects.join(", ")
        );
        if let Some(image) = modules::find(caller) {
            let _ = write!(
                text,
                ", since its call from {}+{:#x}",
                image.name,
                caller - image.base
            );
        }
    }
    text
}

fn with<T>(work: impl FnOnce(&mut Vec<Waiter>) -> T) -> T {
    work(&mut WAITERS.lock())
}

/// Satisfies a wait if it can be, and says with which status.
fn satisfy(objects: &[u64], all: bool, thread: u64) -> Result<Option<u32>, Fault> {
    let mut signaled = Vec::with_capacity(objects.len());
    for va in objects {
        signaled.push(object::is_signaled(*va, thread)?);
    }
    if all {
        if !signaled.iter().all(|signaled| *signaled) {
            return Ok(None);
        }
        let mut abandoned = false;
        for va in objects {
            abandoned |= object::consume(*va, thread)?;
        }
        return Ok(Some(if abandoned { ABANDONED } else { 0 }));
    }
    let Some(index) = signaled.iter().position(|signaled| *signaled) else {
        return Ok(None);
    };
    let abandoned = object::consume(objects[index], thread)?;
    let index = u32::try_from(index).unwrap_or(0);
    Ok(Some(if abandoned { ABANDONED + index } else { index }))
}

/// Lets waiters of an object through, as far as its state allows.
pub fn signal(va: u64) -> Result<(), Fault> {
    signal_boosting(va, 0)
}

/// The same; lifts their priorities.
pub fn signal_boosting(va: u64, increment: i32) -> Result<(), Fault> {
    with(|waiters| {
        let mut done = Vec::new();
        for (n, waiter) in waiters.iter_mut().enumerate() {
            if !waiter.objects.contains(&va) {
                continue;
            }
            if let Some(status) = satisfy(&waiter.objects, waiter.all, waiter.object)? {
                waiter.result = Some(status);
                priority::boost(waiter.object, increment);
                done.push(n);
            }
        }
        for n in done {
            sched::wake_thread(waiters[n].thread);
        }
        Ok(())
    })
}

/// The timeout of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Not at all.
    None,
    /// To an interrupt time.
    Until(u64),
    /// For ever.
    Forever,
}

impl Timeout {
    /// From the address of a `LARGE_INTEGER`, which may be NULL.
    pub fn read(timeout: u64) -> Result<Self, Fault> {
        if timeout == 0 {
            return Ok(Self::Forever);
        }
        Ok(match driver_mem::read_u64(timeout)?.cast_signed() {
            0 => Self::None,
            time => Self::Until(clock::deadline(time)),
        })
    }
}

/// What a thread waits for, and what may end the wait.
#[derive(Debug)]
pub struct Request<'a> {
    /// The objects; none to wait for a time only.
    pub objects: Vec<u64>,
    /// Whether all of them are wanted.
    pub all: bool,
    /// How long.
    pub patience: Timeout,
    /// Processor mode on whose behalf: 1 is user mode.
    pub mode: u8,
    /// Whether an alert ends it.
    pub alertable: bool,
    /// The request whose cancellation ends it; 0 for none.
    pub packet: u64,
    /// Where kernel APCs interrupt it; `None` if they wait for its end.
    pub caller: Option<CallContext<'a>>,
}

/// Waits for one or all of some objects, on behalf of the kernel; returns the
/// status.
pub fn wait(objects: Vec<u64>, all: bool, patience: Timeout) -> Result<u32, NoReturn> {
    wait_for(&Request {
        objects,
        all,
        patience,
        mode: 0,
        alertable: false,
        packet: 0,
        caller: None,
    })
}

/// The stop for a wait that would block above `APC_LEVEL`.
///
/// # Errors
/// It would.
pub fn check_blocking(object: u64, patience: Timeout) -> Result<(), NoReturn> {
    let irql = cpu::irql();
    if irql <= APC_LEVEL || patience == Timeout::None {
        return Ok(());
    }
    Err(NoReturn::bug_check(
        0xb8,
        [u64::from(irql), object, 0, 0],
        format!(
            "a thread would have to wait at IRQL {irql}; APC_LEVEL is the limit for a wait that can block"
        ),
    ))
}

/// Looks whether these are objects that the thread can wait for.
fn check_objects(objects: &[u64], thread: u64) -> Result<(), NoReturn> {
    for va in objects {
        let Some(kind) = Kind::of(*va)? else {
            return Err(NoReturn::bug_check(
                0x18,
                [*va, 0, 0, 0],
                format!(
                    "a wait was asked for {va:#018x}, which is no dispatcher object (it was never initialised)"
                ),
            ));
        };
        if kind == Kind::Mutant
            && object::state(*va)? == i32::MIN
            && object::mutex_owner(*va)? == thread
        {
            return Err(NoReturn::raise(nt_status::STATUS_MUTANT_LIMIT_EXCEEDED));
        }
    }
    Ok(())
}

/// Waits; returns the status.
pub fn wait_for(request: &Request<'_>) -> Result<u32, NoReturn> {
    wait_flag::begin();
    let first = request.objects.first().copied().unwrap_or(0);
    check_blocking(first, request.patience)?;
    let thread = thread_table::current_thread();
    check_objects(&request.objects, thread)?;
    loop {
        if let Some(status) = satisfy(&request.objects, request.all, thread)? {
            return Ok(status);
        }
        if let Some(status) = apc::ends_wait(thread, request.alertable, request.mode) {
            return Ok(status);
        }
        if request.packet != 0 && driver_mem::read_u8(request.packet + irp::CANCEL)? != 0 {
            return Ok(nt_status::STATUS_CANCELLED);
        }
        let deadline = match request.patience {
            Timeout::None => return Ok(TIMEOUT),
            Timeout::Until(time) => Some(time),
            Timeout::Forever => None,
        };
        queue::thread_blocks(thread)?;
        let result = block(request, thread, deadline);
        queue::thread_goes_on(thread)?;
        if let Some(status) = result {
            return Ok(status);
        }
        if let Some(caller) = request.caller {
            apc::deliver(&DeliveryPoint::Call(caller));
        }
    }
}

/// The same for one object, whose order among other locks is looked at if it is a
/// mutex that is waited for without an end.
fn single(request: &Request<'_>) -> Result<u32, NoReturn> {
    let object = request.objects.first().copied().unwrap_or(0);
    let caller = request.caller.map_or(0, |caller| caller.address());
    if !stack_trace_db::is_on() || Kind::of(object)? != Some(Kind::Mutant) {
        return wait_for(request);
    }
    if request.patience == Timeout::Forever {
        events::lock_acquiring(object, LockClass::Mutex, caller);
    }
    let thread = thread_table::current_thread();
    let status = wait_for(request)?;
    if object::state(object)? == 0 && object::mutex_owner(object)? == thread {
        events::lock_acquired(object, LockClass::Mutex, caller);
    }
    Ok(status)
}

/// Blocks until the wait is over, and gives its status, or until the thread was
/// disturbed.
fn block(request: &Request<'_>, thread: u64, deadline: Option<u64>) -> Option<u32> {
    let id = sched::current();
    with(|waiters| {
        waiters.push(Waiter {
            thread: id,
            object: thread,
            objects: request.objects.clone(),
            all: request.all,
            packet: request.packet,
            result: None,
            caller: last_call::caller(),
        });
    });
    let woken = sched::park(wait_key(id), deadline);
    let result = with(|waiters| {
        let at = waiters.iter().position(|waiter| waiter.thread == id)?;
        waiters.remove(at).result
    });
    result.or_else(|| (woken == WakeReason::Timeout).then_some(TIMEOUT))
}

/// Lets a thread that waits look at what came for it.
pub fn disturb(thread: u64) {
    let id = with(|waiters| {
        let mut waiters = waiters.iter();
        waiters
            .find(|waiter| waiter.object == thread)
            .map(|waiter| waiter.thread)
    });
    if let Some(id) = id {
        sched::wake_thread(id);
    }
}

/// Lets those look who wait while they carry out a request that is cancelled.
pub fn cancelled(packet: u64) {
    let waiting: Vec<Id> = with(|waiters| {
        let waiters = waiters.iter().filter(|waiter| waiter.packet == packet);
        waiters.map(|waiter| waiter.thread).collect()
    });
    waiting.into_iter().for_each(sched::wake_thread);
}

/// What a waiting thread is parked on: nothing that has an address.
fn wait_key(id: Id) -> u64 {
    u64::MAX - id
}

/// The objects of a wait for several; more than a few need wait blocks.
///
/// # Errors
/// There are too many.
pub fn read_objects(count: u32, array: u64, blocks: u64) -> Result<Vec<u64>, NoReturn> {
    /// Objects that a thread has room for by itself.
    const THREAD_WAIT_OBJECTS: u32 = 3;
    if count == 0 || count > MAXIMUM_WAIT_OBJECTS {
        return Err(NoReturn::bug_check(
            0x0c,
            [u64::from(count), 0, 0, 0],
            format!(
                "a wait for {count} objects; 1 to {MAXIMUM_WAIT_OBJECTS} are possible (MAXIMUM_WAIT_OBJECTS_EXCEEDED)"
            ),
        ));
    }
    if blocks == 0 && count > THREAD_WAIT_OBJECTS {
        return Err(NoReturn::bug_check(
            0x0c,
            [u64::from(count), 0, 0, 0],
            format!(
                "a wait for {count} objects without an array of wait blocks; {THREAD_WAIT_OBJECTS} need none"
            ),
        ));
    }
    (0..u64::from(count))
        .map(|n| Ok(driver_mem::read_u64(array.wrapping_add(8 * n))?))
        .collect()
}

exports! {
    /// `KeWaitForSingleObject`.
    fn KeWaitForSingleObject<call>(va: u64, reason: u32, mode: u8, alertable: bool, timeout: u64) -> u32
        [max DISPATCH_LEVEL, wdm] {
        events::object_used(va, "KeWaitForSingleObject", call.return_address())?;
        let patience = Timeout::read(timeout)?;
        let caller = Some(CallContext::of(call));
        single(&Request { objects: vec![va], all: false, patience, mode, alertable, packet: 0, caller })
    }

    /// `KeWaitForMutexObject`, the same.
    fn KeWaitForMutexObject<call>(va: u64, reason: u32, mode: u8, alertable: bool, timeout: u64) -> u32
        [max DISPATCH_LEVEL, undocumented] {
        let patience = Timeout::read(timeout)?;
        let caller = Some(CallContext::of(call));
        single(&Request { objects: vec![va], all: false, patience, mode, alertable, packet: 0, caller })
    }

    /// `KeWaitForMultipleObjects`: wait type 0 is all, 1 is any.
    fn KeWaitForMultipleObjects<call>(
        count: u32, array: u64, kind: u32, reason: u32, mode: u8, alertable: bool, timeout: u64, blocks: u64,
    ) -> u32 [max DISPATCH_LEVEL, wdm] {
        let objects = read_objects(count, array, blocks)?;
        for va in &objects {
            events::object_used(*va, "KeWaitForMultipleObjects", call.return_address())?;
        }
        let patience = Timeout::read(timeout)?;
        let caller = Some(CallContext::of(call));
        wait_for(&Request { objects, all: kind == 0, patience, mode, alertable, packet: 0, caller })
    }

    /// `KeDelayExecutionThread`: an alert or an APC for user mode ends it early.
    fn KeDelayExecutionThread<call>(mode: u8, alertable: bool, interval: u64) -> u32 [max APC_LEVEL, wdm] {
        let time = driver_mem::read_u64(interval)?.cast_signed();
        if time == 0 {
            if let Some(status) = apc::ends_wait(thread_table::current_thread(), alertable, mode) {
                return Ok(status);
            }
            sched::yield_now();
            return Ok(0);
        }
        let patience = Timeout::Until(clock::deadline(time));
        let caller = Some(CallContext::of(call));
        let status = wait_for(&Request { objects: Vec::new(), all: false, patience, mode, alertable, packet: 0, caller })?;
        Ok(if status == TIMEOUT { 0 } else { status })
    }

    /// `KeInitializeEvent`: 0 notification, 1 synchronization.
    fn KeInitializeEvent(va: u64, kind: u32, state: bool) -> () [max HIGH_LEVEL, wdm] {
        let kind = if kind == 0 { Kind::NotificationEvent } else { Kind::SynchronizationEvent };
        object::initialize(va, kind, DriverPtr::<Kevent>::SIZE, i32::from(state))?;
        Ok(())
    }

    /// `KeSetEvent`: returns the state before.
    fn KeSetEvent<call>(va: u64, increment: i32, wait: bool) -> i32 [max DISPATCH_LEVEL, wdm, verifier 0xc4/0x80] {
        events::object_used(va, "KeSetEvent", call.return_address())?;
        let before = object::state(va)?;
        object::set_state(va, 1)?;
        signal_boosting(va, increment)?;
        wait_flag::promise(wait, "KeSetEvent", call.return_address());
        Ok(before)
    }

    /// `KePulseEvent`: lets the present waiters through and resets.
    fn KePulseEvent<call>(va: u64, increment: i32, wait: bool) -> i32 [max DISPATCH_LEVEL, ntddk] {
        events::object_used(va, "KePulseEvent", call.return_address())?;
        let before = object::state(va)?;
        object::set_state(va, 1)?;
        signal_boosting(va, increment)?;
        object::set_state(va, 0)?;
        wait_flag::promise(wait, "KePulseEvent", call.return_address());
        Ok(before)
    }

    /// `KeResetEvent`: returns the state before.
    fn KeResetEvent<call>(va: u64) -> i32 [max DISPATCH_LEVEL, wdm] {
        events::object_used(va, "KeResetEvent", call.return_address())?;
        let before = object::state(va)?;
        object::set_state(va, 0)?;
        Ok(before)
    }

    /// `KeClearEvent`.
    fn KeClearEvent<call>(va: u64) -> () [max DISPATCH_LEVEL, wdm] {
        events::object_used(va, "KeClearEvent", call.return_address())?;
        object::set_state(va, 0)?;
        Ok(())
    }

    /// `KeReadStateEvent`.
    fn KeReadStateEvent(va: u64) -> i32 [max DISPATCH_LEVEL, wdm] {
        Ok(object::state(va)?)
    }

    /// `KeInitializeSemaphore`.
    fn KeInitializeSemaphore(va: u64, count: i32, limit: i32) -> () [max HIGH_LEVEL, wdm] {
        object::initialize(va, Kind::Semaphore, DriverPtr::<Ksemaphore>::SIZE, count)?;
        DriverPtr::<Ksemaphore>::new(va).set(|semaphore| &semaphore.limit, limit)?;
        Ok(())
    }

    /// `KeReleaseSemaphore`: returns the state before; past the limit it raises.
    fn KeReleaseSemaphore<call>(va: u64, increment: i32, adjustment: i32, wait: bool) -> i32
        [max DISPATCH_LEVEL, wdm] {
        events::object_used(va, "KeReleaseSemaphore", call.return_address())?;
        let before = object::state(va)?;
        let limit = DriverPtr::<Ksemaphore>::new(va).get(|semaphore| &semaphore.limit)?;
        match before.checked_add(adjustment) {
            Some(after) if after <= limit && after >= before => {
                object::set_state(va, after)?;
                signal_boosting(va, increment)?;
                wait_flag::promise(wait, "KeReleaseSemaphore", call.return_address());
                Ok(before)
            }
            _ => Err(NoReturn::raise(nt_status::STATUS_SEMAPHORE_LIMIT_EXCEEDED)),
        }
    }

    /// `KeReadStateSemaphore`.
    fn KeReadStateSemaphore(va: u64) -> i32 [max HIGH_LEVEL, wdm] {
        Ok(object::state(va)?)
    }
}
