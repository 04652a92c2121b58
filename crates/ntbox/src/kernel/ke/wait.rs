//! Waiting for dispatcher objects.
//!
//! A signal satisfies the waits that it can, first come first served, at the
//! moment when it is given: a synchronization event that lets a waiter through
//! is never seen signaled by anyone else.

use std::sync::{Mutex, PoisonError};

use super::clock;
use super::object::{self, Kind};
use super::sched::{self, Id, Woken};
use crate::kernel::call::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL};
use crate::kernel::call::{Stop, exports};
use crate::kernel::guest::{self, Fault};
use crate::kernel::{cpu, threads};

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
    result: Option<u32>,
}

static WAITERS: Mutex<Vec<Waiter>> = Mutex::new(Vec::new());

fn with<T>(work: impl FnOnce(&mut Vec<Waiter>) -> T) -> T {
    work(&mut WAITERS.lock().unwrap_or_else(PoisonError::into_inner))
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
    with(|waiters| {
        let mut done = Vec::new();
        for (n, waiter) in waiters.iter_mut().enumerate() {
            if !waiter.objects.contains(&va) {
                continue;
            }
            if let Some(status) = satisfy(&waiter.objects, waiter.all, waiter.object)? {
                waiter.result = Some(status);
                done.push(n);
            }
        }
        for n in done {
            sched::wake_thread(waiters[n].thread);
        }
        Ok(())
    })
}

/// How long a wait may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// To an interrupt time.
    Until(u64),
    /// For ever.
    Forever,
}

impl Patience {
    /// From the address of a `LARGE_INTEGER`, which may be NULL.
    pub fn read(timeout: u64) -> Result<Self, Fault> {
        if timeout == 0 {
            return Ok(Self::Forever);
        }
        Ok(match guest::read_u64(timeout)?.cast_signed() {
            0 => Self::None,
            time => Self::Until(clock::deadline(time)),
        })
    }
}

/// Waits for one or all of some objects; returns the status.
pub fn wait(objects: Vec<u64>, all: bool, patience: Patience) -> Result<u32, Stop> {
    let irql = cpu::irql();
    if irql > APC_LEVEL && patience != Patience::None {
        return Err(Stop::bug_check(
            0xb8,
            [u64::from(irql), objects.first().copied().unwrap_or(0), 0, 0],
            format!(
                "a thread would have to wait at IRQL {irql}; APC_LEVEL is the limit for a wait that can block"
            ),
        ));
    }
    let thread = threads::current_thread();
    for va in &objects {
        if Kind::of(*va)?.is_none() {
            return Err(Stop::bug_check(
                0x18,
                [*va, 0, 0, 0],
                format!(
                    "a wait was asked for {va:#018x}, which is no dispatcher object (it was never initialised)"
                ),
            ));
        }
    }
    if let Some(status) = satisfy(&objects, all, thread)? {
        return Ok(status);
    }
    let deadline = match patience {
        Patience::None => return Ok(TIMEOUT),
        Patience::Until(time) => Some(time),
        Patience::Forever => None,
    };
    let id = sched::current();
    with(|waiters| {
        waiters.push(Waiter {
            thread: id,
            object: thread,
            objects,
            all,
            result: None,
        });
    });
    loop {
        let woken = sched::park(wait_key(id), deadline);
        let result = with(|waiters| {
            let at = waiters.iter().position(|waiter| waiter.thread == id)?;
            let over = waiters[at].result.is_some() || woken == Woken::Timeout;
            over.then(|| waiters.remove(at).result.unwrap_or(TIMEOUT))
        });
        if let Some(status) = result {
            return Ok(status);
        }
    }
}

/// What a waiting thread is parked on: nothing that has an address.
fn wait_key(id: Id) -> u64 {
    u64::MAX - id
}

fn read_objects(count: u32, array: u64) -> Result<Vec<u64>, Stop> {
    if count == 0 || count > MAXIMUM_WAIT_OBJECTS {
        return Err(Stop::bug_check(
            0x0c,
            [u64::from(count), 0, 0, 0],
            format!(
                "a wait for {count} objects; 1 to {MAXIMUM_WAIT_OBJECTS} are possible (MAXIMUM_WAIT_OBJECTS_EXCEEDED)"
            ),
        ));
    }
    (0..u64::from(count))
        .map(|n| Ok(guest::read_u64(array.wrapping_add(8 * n))?))
        .collect()
}

exports! {
    /// `KeWaitForSingleObject`.
    fn KeWaitForSingleObject(va: u64, reason: u32, mode: u8, alertable: bool, timeout: u64) -> u32 [max DISPATCH_LEVEL] {
        wait(vec![va], false, Patience::read(timeout)?)
    }

    /// `KeWaitForMultipleObjects`: wait type 0 is all, 1 is any.
    fn KeWaitForMultipleObjects(
        count: u32, array: u64, kind: u32, reason: u32, mode: u8, alertable: bool, timeout: u64, blocks: u64,
    ) -> u32 [max DISPATCH_LEVEL] {
        /// Objects that a thread has room for by itself.
        const THREAD_WAIT_OBJECTS: u32 = 3;
        let objects = read_objects(count, array)?;
        if blocks == 0 && count > THREAD_WAIT_OBJECTS {
            return Err(Stop::bug_check(
                0x0c,
                [u64::from(count), 0, 0, 0],
                format!("a wait for {count} objects without an array of wait blocks; {THREAD_WAIT_OBJECTS} need none"),
            ));
        }
        wait(objects, kind == 0, Patience::read(timeout)?)
    }

    /// `KeDelayExecutionThread`.
    fn KeDelayExecutionThread(mode: u8, alertable: bool, interval: u64) -> u32 [max APC_LEVEL] {
        match guest::read_u64(interval)?.cast_signed() {
            0 => {
                sched::yield_now();
            }
            time => {
                let until = clock::deadline(time);
                while sched::park(wait_key(sched::current()), Some(until)) != Woken::Timeout {}
            }
        }
        Ok(0)
    }

    /// `KeInitializeEvent`: 0 notification, 1 synchronization.
    fn KeInitializeEvent(va: u64, kind: u32, state: bool) -> () [max HIGH_LEVEL] {
        let kind = if kind == 0 { Kind::NotificationEvent } else { Kind::SynchronizationEvent };
        object::initialize(va, kind, 0x18, i32::from(state))?;
        Ok(())
    }

    /// `KeSetEvent`: returns the state before.
    fn KeSetEvent(va: u64, increment: i32, wait: bool) -> i32 [max DISPATCH_LEVEL] {
        let before = object::state(va)?;
        object::set_state(va, 1)?;
        signal(va)?;
        Ok(before)
    }

    /// `KePulseEvent`: lets the present waiters through and resets.
    fn KePulseEvent(va: u64, increment: i32, wait: bool) -> i32 [max DISPATCH_LEVEL] {
        let before = object::state(va)?;
        object::set_state(va, 1)?;
        signal(va)?;
        object::set_state(va, 0)?;
        Ok(before)
    }

    /// `KeResetEvent`: returns the state before.
    fn KeResetEvent(va: u64) -> i32 [max DISPATCH_LEVEL] {
        let before = object::state(va)?;
        object::set_state(va, 0)?;
        Ok(before)
    }

    /// `KeClearEvent`.
    fn KeClearEvent(va: u64) -> () [max DISPATCH_LEVEL] {
        object::set_state(va, 0)?;
        Ok(())
    }

    /// `KeReadStateEvent`.
    fn KeReadStateEvent(va: u64) -> i32 [max DISPATCH_LEVEL] {
        Ok(object::state(va)?)
    }

    /// `KeInitializeSemaphore`.
    fn KeInitializeSemaphore(va: u64, count: i32, limit: i32) -> () [max HIGH_LEVEL] {
        object::initialize(va, Kind::Semaphore, 0x20, count)?;
        guest::write_u32(va.wrapping_add(object::offset::LIMIT), limit.cast_unsigned())?;
        Ok(())
    }

    /// `KeReleaseSemaphore`: returns the state before; past the limit it raises.
    fn KeReleaseSemaphore(va: u64, increment: i32, adjustment: i32, wait: bool) -> i32 [max DISPATCH_LEVEL] {
        /// `STATUS_SEMAPHORE_LIMIT_EXCEEDED`.
        const LIMIT_EXCEEDED: u32 = 0xc000_0047;
        let before = object::state(va)?;
        let limit = guest::read_u32(va.wrapping_add(object::offset::LIMIT))?.cast_signed();
        match before.checked_add(adjustment) {
            Some(after) if after <= limit && after >= before => {
                object::set_state(va, after)?;
                signal(va)?;
                Ok(before)
            }
            _ => Err(Stop::raise(LIMIT_EXCEEDED)),
        }
    }

    /// `KeReadStateSemaphore`.
    fn KeReadStateSemaphore(va: u64) -> i32 [max DISPATCH_LEVEL] {
        Ok(object::state(va)?)
    }

    /// `KeInitializeMutex`.
    fn KeInitializeMutex(va: u64, level: u32) -> () [max HIGH_LEVEL] {
        initialize_mutant(va, true)
    }

    /// `KeInitializeMutant`: a mutex that does not disable APCs.
    fn KeInitializeMutant(va: u64, owned: bool) -> () [max HIGH_LEVEL] {
        initialize_mutant(va, false)?;
        if owned {
            object::consume(va, threads::current_thread())?;
        }
        Ok(())
    }

    /// `KeReleaseMutex`: returns 0 once it is free, negative numbers before.
    fn KeReleaseMutex(va: u64, wait: bool) -> i32 [max DISPATCH_LEVEL] {
        /// `STATUS_MUTANT_NOT_OWNED`.
        const NOT_OWNED: u32 = 0xc000_0046;
        let thread = threads::current_thread();
        let before = object::state(va)?;
        if guest::read_u64(va.wrapping_add(object::offset::OWNER))? != thread || before > 0 {
            return Err(Stop::raise(NOT_OWNED));
        }
        object::set_state(va, before.wrapping_add(1))?;
        if before == 0 {
            guest::write_u64(va.wrapping_add(object::offset::OWNER), 0)?;
            threads::mutant_released(thread, va);
            signal(va)?;
        }
        Ok(before)
    }

    /// `KeReadStateMutex`.
    fn KeReadStateMutex(va: u64) -> i32 [max DISPATCH_LEVEL] {
        Ok(object::state(va)?)
    }
}

fn initialize_mutant(va: u64, disables_apcs: bool) -> Result<(), Stop> {
    object::initialize(va, Kind::Mutant, 0x38, 1)?;
    object::initialize_list(va.wrapping_add(object::offset::MUTANT_LIST))?;
    guest::write_u64(va.wrapping_add(object::offset::OWNER), 0)?;
    guest::write_u8(va.wrapping_add(object::offset::ABANDONED), 0)?;
    guest::write_u8(
        va.wrapping_add(object::offset::APC_DISABLE),
        u8::from(disables_apcs),
    )?;
    Ok(())
}
