//! Kernel timers.

use core::mem::offset_of;
use std::collections::BTreeMap;

use nt_layout::Ktimer;
use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::hook::Hook;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::note_registrar;
use ntbox_host::{driver_mem, kernel_entry, routine};

use super::object::Kind;
use super::{apc, clock_interrupt, dpc, object, wait};
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::base::{clock, events};

/// `TIMER_OR_DPC_INVALID`.
const TIMER_OR_DPC_INVALID: u32 = 0xc7;
/// Units of 100 ns in a millisecond.
const MILLISECOND: u64 = 10_000;

/// Timers that are set, by when they are due and in which order they were set.
#[derive(Default)]
struct Timers {
    queue: BTreeMap<(u64, u64), u64>,
    keys: BTreeMap<u64, (u64, u64)>,
    /// APCs of timers that have one, by timer.
    apcs: BTreeMap<u64, u64>,
    next: u64,
}

static TIMERS: KernelCell<Option<Timers>> = KernelCell::new(None);

fn with<T>(work: impl FnOnce(&mut Timers) -> T) -> T {
    work(TIMERS.lock().get_or_insert_with(Timers::default))
}

/// The fields of the KTIMER at an address.
const fn ktimer(timer: u64) -> DriverPtr<Ktimer> {
    DriverPtr::new(timer)
}

/// When the next timer is due, in interrupt time.
pub fn next_due() -> Option<u64> {
    with(|timers| timers.queue.first_key_value().map(|((due, _), _)| *due))
}

/// Whether a timer is one of the I/O manager, which stops it with its device.
pub static IS_IO_TIMER: Hook<fn(u64) -> bool> = Hook::new();

/// Timers that are set: their addresses.
fn active() -> Vec<u64> {
    with(|timers| timers.keys.keys().copied().collect())
}

/// Timers that are set.
pub fn leaks() -> Vec<Leak> {
    let own = active()
        .into_iter()
        .filter(|timer| !(IS_IO_TIMER.get())(*timer));
    own.map(|timer| {
        let routine = routine_of(timer).map_or_else(String::new, |routine| {
            format!(", whose DPC calls the routine {routine:#018x},")
        });
        let message = format!("the timer at {timer:#018x}{routine} is still set");
        Leak::new(
            rules::TIMER_ACTIVE_AT_UNLOAD,
            message,
            routine::registrar_of(timer),
        )
    })
    .collect()
}

/// The routine that a timer's DPC calls, if it has one and both are there.
pub fn routine_of(timer: u64) -> Option<u64> {
    let dpc = ktimer(timer).get(|timer| &timer.dpc).ok()?;
    (dpc != 0).then(|| dpc::routine_of(dpc)).flatten()
}

/// Refuses to free memory in which a timer lies that is set, or the DPC of one, or
/// one that is queued.
///
/// # Errors
/// `TIMER_OR_DPC_INVALID`.
pub fn check_freed(va: u64, size: u64) -> Result<(), NoReturn> {
    let range = va..va.saturating_add(size);
    let set = active();
    let stopped = |kind: u64, at: u64, what: String| {
        let what =
            format!("pool at {va:#018x}, {size} bytes, was freed with {what} in it, at {at:#018x}");
        NoReturn::bug_check(TIMER_OR_DPC_INVALID, [kind, at, va, range.end], what)
    };
    if let Some(timer) = set.iter().find(|timer| range.contains(timer)) {
        return Err(stopped(0, *timer, "a timer that is set".to_owned()));
    }
    let of_timer = set.into_iter().find_map(|timer| {
        let dpc = ktimer(timer).get(|timer| &timer.dpc).ok()?;
        range.contains(&dpc).then_some((timer, dpc))
    });
    if let Some((timer, dpc)) = of_timer {
        let what = format!("the DPC of the timer at {timer:#018x}, which is set,");
        return Err(stopped(1, dpc, what));
    }
    match dpc::queued_in(&range) {
        Some(dpc) => Err(stopped(1, dpc, "a DPC that is queued".to_owned())),
        None => Ok(()),
    }
}

/// Ends the wait of everything that is due.
pub fn expire(now: u64) {
    while let Some(timer) = with(|timers| {
        let entry = timers
            .queue
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        let timer = entry.remove();
        timers.keys.remove(&timer);
        Some(timer)
    }) {
        if let Err(gone) = fire(timer, now) {
            let (kind, at, what) = match gone {
                FreedObject::Timer => (0, timer, String::new()),
                FreedObject::Dpc(dpc) => (1, dpc, format!(" for the DPC at {dpc:#018x}")),
            };
            kernel_entry::bug_check(
                TIMER_OR_DPC_INVALID,
                [kind, at, 0, 0],
                format!(
                    "the timer at {timer:#018x} was set{what}, and the memory of {} is gone",
                    if kind == 0 { "the timer" } else { "the DPC" }
                ),
                None,
            );
        }
    }
}

/// The object that was freed before its timer expired.
enum FreedObject {
    Timer,
    Dpc(u64),
}

impl From<Fault> for FreedObject {
    fn from(_: Fault) -> Self {
        Self::Timer
    }
}

fn fire(timer: u64, now: u64) -> Result<(), FreedObject> {
    object::set_state(timer, 1)?;
    mark_inserted(timer, false)?;
    let period = u64::from(ktimer(timer).get(|timer| &timer.period)?);
    if period != 0 {
        insert(timer, now + period * MILLISECOND)?;
    }
    let system_time = clock::system_time();
    let (low, high) = (system_time & 0xffff_ffff, system_time >> 32);
    if let Some(apc) = with(|timers| timers.apcs.get(&timer).copied()) {
        apc::insert(apc, low, high)?;
    }
    wait::signal(timer)?;
    let dpc = ktimer(timer).get(|timer| &timer.dpc)?;
    if dpc != 0 {
        dpc::insert(dpc, low, high).map_err(|_| FreedObject::Dpc(dpc))?;
    }
    Ok(())
}

/// Says in the header whether a timer is set.
fn mark_inserted(timer: u64, inserted: bool) -> Result<(), Fault> {
    let flags = if inserted { object::TIMER_INSERTED } else { 0 };
    ktimer(timer).set(|timer| &timer.header.reserved1, flags)
}

fn insert(timer: u64, due: u64) -> Result<(), Fault> {
    ktimer(timer).set(|timer| &timer.due_time, due)?;
    mark_inserted(timer, true)?;
    with(|timers| {
        let key = (due, timers.next);
        timers.next += 1;
        timers.queue.insert(key, timer);
        timers.keys.insert(timer, key);
    });
    Ok(())
}

/// Whether a timer is set.
pub fn is_set(timer: u64) -> bool {
    with(|timers| timers.keys.contains_key(&timer))
}

/// Cancels a timer. False if it was not set.
pub fn cancel(timer: u64) -> Result<bool, Fault> {
    let was_set = with(|timers| match timers.keys.remove(&timer) {
        Some(key) => timers.queue.remove(&key).is_some(),
        None => false,
    });
    if was_set {
        mark_inserted(timer, false)?;
    }
    Ok(was_set)
}

/// Gives a timer the APC that is queued when it is due, or none. The one before
/// does not come any more.
pub fn set_apc(timer: u64, apc: Option<u64>) -> Result<(), Fault> {
    let before = with(|timers| match apc {
        Some(apc) => timers.apcs.insert(timer, apc),
        None => timers.apcs.remove(&timer),
    });
    if let Some(before) = before {
        apc::remove(before)?;
    }
    Ok(())
}

/// Sets a timer. Returns whether it was set already.
pub fn set(timer: u64, due: i64, period: u32, dpc: u64) -> Result<bool, Fault> {
    let was_set = cancel(timer)?;
    object::set_state(timer, 0)?;
    ktimer(timer).set(|timer| &timer.dpc, dpc)?;
    ktimer(timer).set(|timer| &timer.period, period)?;
    insert(timer, clock::deadline(due))?;
    clock_interrupt::start();
    expire(clock::interrupt_time());
    Ok(was_set)
}

/// Writes a timer. The address of its DPC stays what it was: it counts only for one
/// that is set, which a timer that is initialised again may still be.
pub fn initialize(timer: u64, kind: u32) -> Result<(), Fault> {
    const BEFORE_DPC: u64 = offset_of!(Ktimer, dpc) as u64;
    const BEHIND_DPC: u64 = offset_of!(Ktimer, processor) as u64;
    let kind = if kind == 0 {
        Kind::NotificationTimer
    } else {
        Kind::SynchronizationTimer
    };
    let end = DriverPtr::<Ktimer>::SIZE - BEHIND_DPC;
    driver_mem::fill(timer, 0, BEFORE_DPC)?;
    driver_mem::fill(timer.wrapping_add(BEHIND_DPC), 0, end)?;
    // What is the size in other headers is the processor here.
    object::initialize(timer, kind, 0, 0)?;
    object::initialize_list(ktimer(timer).at(|timer| &timer.timer_list_entry).address())
}

exports! {
    /// `KeInitializeTimer`.
    fn KeInitializeTimer(timer: u64) -> () [max DISPATCH_LEVEL, wdm] {
        Ok(initialize(timer, 0)?)
    }

    /// `KeInitializeTimerEx`: 0 notification, 1 synchronization.
    fn KeInitializeTimerEx(timer: u64, kind: u32) -> () [max DISPATCH_LEVEL, wdm] {
        Ok(initialize(timer, kind)?)
    }

    /// `KeSetTimer`: whether it was set already.
    fn KeSetTimer<call>(timer: u64, due: i64, dpc: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        events::object_used(timer, "KeSetTimer", call.return_address())?;
        note_registrar(timer, call.return_address());
        Ok(set(timer, due, 0, dpc)?)
    }

    /// `KeSetTimerEx`: the same with a period in milliseconds.
    fn KeSetTimerEx<call>(timer: u64, due: i64, period: u32, dpc: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        events::object_used(timer, "KeSetTimerEx", call.return_address())?;
        note_registrar(timer, call.return_address());
        Ok(set(timer, due, period, dpc)?)
    }

    /// `KeSetCoalescableTimer`: the same; the tolerated delay is not used.
    fn KeSetCoalescableTimer<call>(timer: u64, due: i64, period: u32, delay: u32, dpc: u64) -> bool
        [max DISPATCH_LEVEL, wdm, since WINDOWS_7] {
        events::object_used(timer, "KeSetCoalescableTimer", call.return_address())?;
        note_registrar(timer, call.return_address());
        Ok(set(timer, due, period, dpc)?)
    }

    /// `KeCancelTimer`: whether it was set.
    fn KeCancelTimer(timer: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        Ok(cancel(timer)?)
    }

    /// `KeReadStateTimer`.
    fn KeReadStateTimer(timer: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        Ok(object::state(timer)? != 0)
    }

    /// `KeQuerySystemTime` and `KeQuerySystemTimePrecise`: since 1601, 100 ns.
    fn KeQuerySystemTimePrecise(into: u64) -> () [max HIGH_LEVEL, wdm, since WINDOWS_8] {
        driver_mem::write_u64(into, clock::system_time())?;
        Ok(())
    }

    /// `KeQueryInterruptTime`.
    fn KeQueryInterruptTime() -> u64 [max HIGH_LEVEL, wdm] {
        Ok(clock::interrupt_time())
    }

    /// `KeQueryInterruptTimePrecise`: also the performance counter.
    fn KeQueryInterruptTimePrecise(counter: u64) -> u64 [max HIGH_LEVEL, wdm, since WINDOWS_8_1] {
        let now = clock::interrupt_time();
        driver_mem::write_u64(counter, now)?;
        Ok(now)
    }

    /// `KeQueryTimeIncrement`.
    fn KeQueryTimeIncrement() -> u32 [max HIGH_LEVEL, wdm] {
        Ok(u32::try_from(clock::TICK).unwrap_or(u32::MAX))
    }

    /// `KeQueryTickCount`.
    fn KeQueryTickCount(into: u64) -> () [max HIGH_LEVEL, wdm] {
        driver_mem::write_u64(into, clock::interrupt_time() / clock::TICK)?;
        Ok(())
    }

    /// `KeQueryPerformanceCounter`: counts at 10 MHz, as on current systems.
    fn KeQueryPerformanceCounter(frequency: u64) -> u64 [max HIGH_LEVEL, wdm] {
        if frequency != 0 {
            driver_mem::write_u64(frequency, clock::SECOND)?;
        }
        Ok(clock::interrupt_time())
    }

    /// `KeStallExecutionProcessor`: microseconds; time passes, nothing runs.
    fn KeStallExecutionProcessor(microseconds: u32) -> () [max HIGH_LEVEL, wdm] {
        clock::skip_to(clock::interrupt_time() + 10 * u64::from(microseconds));
        Ok(())
    }
}
