//! Deferred procedure calls: they run at `DISPATCH_LEVEL` as soon as the processor
//! is below it, on a stack of their own. Each processor has its queue; a DPC that
//! is for no particular one goes to the processor that queues it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nt_layout::Kdpc;
use ntbox_api::rules;
use ntbox_host::context::Context;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::{Routine, note_registrar};
use ntbox_host::upcall::{Purpose, call_driver_for};
use ntbox_host::{cpu, kernel_entry, process};

use super::sched::{Spin, SpinWait};
use super::{attach, clock_interrupt, ex_timer, ipi, processor};
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::{diag, events, thread_table};
use crate::mm::kernel_stack;

static QUEUES: KernelCell<[VecDeque<u64>; cpu::MAXIMUM]> =
    KernelCell::new([const { VecDeque::new() }; cpu::MAXIMUM]);
/// Whether there is something to deliver, to be asked cheaply.
static PENDING: [AtomicBool; cpu::MAXIMUM] = [const { AtomicBool::new(false) }; cpu::MAXIMUM];
/// Whether a DPC runs.
static RUNNING: [AtomicBool; cpu::MAXIMUM] = [const { AtomicBool::new(false) }; cpu::MAXIMUM];
/// Upper end of the stack that DPCs run on; 0 until the first.
static STACKS: [AtomicU64; cpu::MAXIMUM] = [const { AtomicU64::new(0) }; cpu::MAXIMUM];

fn queues<T>(work: impl FnOnce(&mut [VecDeque<u64>; cpu::MAXIMUM]) -> T) -> T {
    work(&mut QUEUES.lock())
}

/// The fields of the KDPC at an address.
const fn kdpc(dpc: u64) -> DriverPtr<Kdpc> {
    DriverPtr::new(dpc)
}

/// Whether DPCs wait for delivery on this processor.
pub fn pending() -> bool {
    pending_on(cpu::index())
}

/// Whether DPCs wait for delivery on a processor.
pub fn pending_on(number: usize) -> bool {
    PENDING[number].load(Ordering::Relaxed)
}

/// Whether this processor runs a DPC.
pub fn runs() -> bool {
    RUNNING[cpu::index()].load(Ordering::Relaxed)
}

/// The processor that a DPC is for: its target, or this one.
fn target(dpc: u64) -> Result<usize, Fault> {
    let number = kdpc(dpc).get(|dpc| &dpc.number)?;
    let target = number.checked_sub(TARGETED).map(usize::from);
    Ok(target
        .filter(|target| *target < processor::count())
        .unwrap_or_else(cpu::index))
}

/// Queues a DPC. False if it is queued already.
pub fn insert(dpc: u64, argument1: u64, argument2: u64) -> Result<bool, Fault> {
    if kdpc(dpc).get(|dpc| &dpc.dpc_data)? != 0 {
        return Ok(false);
    }
    kdpc(dpc).set(|dpc| &dpc.system_argument1, argument1)?;
    kdpc(dpc).set(|dpc| &dpc.system_argument2, argument2)?;
    kdpc(dpc).set(|dpc| &dpc.dpc_list_entry, 0)?;
    kdpc(dpc).set(|dpc| &dpc.dpc_data, dpc)?;
    let importance = kdpc(dpc).get(|dpc| &dpc.importance)?;
    let target = target(dpc)?;
    queues(|queues| {
        if importance == HIGH_IMPORTANCE {
            queues[target].push_front(dpc);
        } else {
            queues[target].push_back(dpc);
        }
    });
    PENDING[target].store(true, Ordering::Relaxed);
    if target != cpu::index() && importance >= HIGH_IMPORTANCE {
        // The other processor is interrupted for it.
        clock_interrupt::postpone();
    }
    Ok(true)
}

/// `DpcObject`, the type in the first byte.
const ORDINARY: u8 = 19;
/// `ThreadedDpcObject`.
const THREADED: u8 = 26;
/// `MediumImportance`.
const MEDIUM_IMPORTANCE: u8 = 1;
/// `HighImportance`; `MediumHighImportance` is the next.
const HIGH_IMPORTANCE: u8 = 2;
/// Processor n is stored as this and n, so that 0 means none in particular.
const TARGETED: u16 = 0x500;

/// Runs what is queued, if the IRQL lets it. `origin` is where the driver is.
pub fn deliver(origin: Option<Context>) {
    while cpu::irql() < DISPATCH_LEVEL {
        let here = cpu::index();
        let Some(dpc) = queues(|queues| queues[here].pop_front()) else {
            PENDING[here].store(false, Ordering::Relaxed);
            return;
        };
        run(dpc, origin);
    }
}

fn run(dpc: u64, origin: Option<Context>) {
    let fields = (|| {
        let fields = (
            kdpc(dpc).get(|dpc| &dpc.deferred_routine)?,
            kdpc(dpc).get(|dpc| &dpc.deferred_context)?,
            kdpc(dpc).get(|dpc| &dpc.system_argument1)?,
            kdpc(dpc).get(|dpc| &dpc.system_argument2)?,
        );
        kdpc(dpc).set(|dpc| &dpc.dpc_data, 0)?;
        Ok::<_, Fault>(fields)
    })();
    let Ok((routine, context, first, second)) = fields else {
        kernel_entry::bug_check(
            0xc7,
            [1, dpc, 0, 0],
            format!("the DPC at {dpc:#018x} was queued and its memory is gone"),
            origin.as_ref(),
        );
    };
    let apcs_before = apc_counts();
    let before = cpu::set_irql(DISPATCH_LEVEL);
    RUNNING[cpu::index()].store(true, Ordering::Relaxed);
    let call = |routine: Routine, arguments: &[u64]| {
        call_driver_for(Purpose::Interrupt, routine, arguments, stack(), origin);
    };
    match ex_timer::of_dpc(dpc) {
        None => {
            let routine = Routine::new(routine, "DPC routine").held_by(dpc, "KDPC");
            call(routine, &[dpc, context, first, second]);
        }
        Some((0, _)) => {}
        Some((callback, arguments)) => {
            let callback = Routine::new(callback, "callback of a timer of ExAllocateTimer");
            call(callback.held_by(dpc, "KDPC"), &arguments);
        }
    }
    if let Some((deleted, argument)) = ex_timer::expired(dpc)
        && deleted != 0
    {
        call(
            Routine::new(deleted, "callback of a deleted timer"),
            &[argument],
        );
    }
    RUNNING[cpu::index()].store(false, Ordering::Relaxed);
    let apcs_after = apc_counts();
    if apcs_after != apcs_before {
        kernel_entry::bug_check(
            0xc7,
            [4, routine, apcs_before, apcs_after],
            format!(
                "the DPC routine at {routine:#018x} returned in other critical or guarded regions than it was called in"
            ),
            origin.as_ref(),
        );
    }
    let after = cpu::set_irql(before);
    if after != DISPATCH_LEVEL {
        let held = events::lock_held_text();
        let what = format!("a DPC called at IRQL {DISPATCH_LEVEL} returned at IRQL {after}{held}");
        diag::violation_of(routine, rules::IRQL_CHANGED_ON_RETURN.without_stop(), what);
    }
}

/// In how many regions without APCs the current thread is.
fn apc_counts() -> u64 {
    thread_table::current().map_or(0, |thread| {
        attach::apc_counts(thread.critical, thread.guarded)
    })
}

/// The upper end of the stack that DPCs run on here, once there is one.
pub fn stack_top() -> Option<u64> {
    Some(STACKS[cpu::index()].load(Ordering::Relaxed)).filter(|top| *top != 0)
}

fn stack() -> u64 {
    stack_top().unwrap_or_else(|| {
        let made = kernel_stack::new_stack().unwrap_or_else(|reason| process::abandon(&reason));
        STACKS[cpu::index()].store(made, Ordering::Relaxed);
        made
    })
}

/// Returns when no DPC is queued or runs, on any processor. At `DISPATCH_LEVEL`,
/// where it must not be called, there is nothing to wait for.
fn flush(origin: Option<Context>) -> Result<(), NoReturn> {
    if cpu::irql() >= DISPATCH_LEVEL {
        return Ok(());
    }
    let spinning = SpinWait::on(Spin::Dpcs);
    loop {
        deliver(origin);
        let mut all = PENDING.iter().chain(&RUNNING);
        if !all.any(|any| any.load(Ordering::Relaxed)) {
            return Ok(());
        }
        spinning.turn().map_err(|why| ipi::locked_up(&why))?;
    }
}

/// Writes a DPC that is not queued. Its link and its arguments stay what they were.
pub fn initialize(dpc: u64, routine: u64, context: u64) -> Result<(), Fault> {
    kdpc(dpc).set(|dpc| &dpc.kind, ORDINARY)?;
    kdpc(dpc).set(|dpc| &dpc.importance, MEDIUM_IMPORTANCE)?;
    kdpc(dpc).set(|dpc| &dpc.number, 0)?;
    kdpc(dpc).set(|dpc| &dpc.processor_history, 0)?;
    kdpc(dpc).set(|dpc| &dpc.deferred_routine, routine)?;
    kdpc(dpc).set(|dpc| &dpc.deferred_context, context)?;
    kdpc(dpc).set(|dpc| &dpc.dpc_data, 0)
}

/// Has a DPC run on a processor, which is interrupted for it.
pub fn hurry_to(dpc: u64, number: u8) -> Result<(), Fault> {
    kdpc(dpc).set(|dpc| &dpc.importance, HIGH_IMPORTANCE)?;
    let target = TARGETED + u16::from(number);
    kdpc(dpc).set(|dpc| &dpc.number, target)
}

/// Whether a DPC is queued.
pub fn is_queued(dpc: u64) -> Result<bool, Fault> {
    Ok(kdpc(dpc).get(|dpc| &dpc.dpc_data)? != 0)
}

/// The routine of a DPC, if its memory is there.
pub fn routine_of(dpc: u64) -> Option<u64> {
    kdpc(dpc).get(|dpc| &dpc.deferred_routine).ok()
}

/// A DPC that is queued and lies in a range of addresses.
pub fn queued_in(range: &Range<u64>) -> Option<u64> {
    queues(|queues| {
        let mut all = queues.iter().flatten();
        all.find(|dpc| range.contains(dpc)).copied()
    })
}

/// Takes a DPC out of the queue. False if it was not in it.
pub fn remove(dpc: u64) -> Result<bool, Fault> {
    let queued = queues(|queues| {
        let length = |queues: &[VecDeque<u64>]| queues.iter().map(VecDeque::len).sum::<usize>();
        let before = length(queues);
        for queue in queues.iter_mut() {
            queue.retain(|entry| *entry != dpc);
        }
        length(queues) < before
    });
    if queued {
        kdpc(dpc).set(|dpc| &dpc.dpc_data, 0)?;
    }
    Ok(queued)
}

exports! {
    /// `KeInitializeDpc`.
    fn KeInitializeDpc<call>(dpc: u64, routine: u64, context: u64) -> () [max HIGH_LEVEL, wdm] {
        note_registrar(dpc, call.return_address());
        Ok(initialize(dpc, routine, context)?)
    }

    /// `KeInitializeThreadedDpc`: it may run at `PASSIVE_LEVEL` or at
    /// `DISPATCH_LEVEL`; here always at the latter.
    fn KeInitializeThreadedDpc<call>(dpc: u64, routine: u64, context: u64) -> () [max HIGH_LEVEL, wdm] {
        note_registrar(dpc, call.return_address());
        initialize(dpc, routine, context)?;
        Ok(kdpc(dpc).set(|dpc| &dpc.kind, THREADED)?)
    }

    /// `KeInsertQueueDpc`: FALSE if it is queued already. Below `DISPATCH_LEVEL` it
    /// runs before this returns.
    fn KeInsertQueueDpc(dpc: u64, argument1: u64, argument2: u64) -> bool [max HIGH_LEVEL, wdm] {
        Ok(insert(dpc, argument1, argument2)?)
    }

    /// `KeRemoveQueueDpc`: whether it was queued.
    fn KeRemoveQueueDpc(dpc: u64) -> bool [max HIGH_LEVEL, wdm] {
        Ok(remove(dpc)?)
    }

    /// `KeFlushQueuedDpcs`: returns when all that are queued have run.
    fn KeFlushQueuedDpcs<call>() -> () [max PASSIVE_LEVEL, wdm] {
        flush(Some(Context::after_call(call.frame(), call.return_address())))
    }

    /// `KeSetImportanceDpc`.
    fn KeSetImportanceDpc(dpc: u64, importance: u32) -> () [max HIGH_LEVEL, wdm] {
        kdpc(dpc).set(|dpc| &dpc.importance, u8::try_from(importance).unwrap_or(1))?;
        Ok(())
    }

    /// `KeSetTargetProcessorDpc`: the DPC runs on that processor.
    fn KeSetTargetProcessorDpc<call>(dpc: u64, number: u8) -> () [max HIGH_LEVEL, wdm] {
        if u32::from(number) >= processor::active() {
            let what = format!(
                "KeSetTargetProcessorDpc called for processor {number} of {}, counted from 0; the DPC at {dpc:#018x} goes to the processor that queues it",
                processor::active()
            );
            diag::violation(rules::DPC_PROCESSOR, what, call.return_address());
        }
        kdpc(dpc).set(|dpc| &dpc.number, TARGETED + u16::from(number))?;
        Ok(())
    }

    /// `KeSetTargetProcessorDpcEx`: a processor that there is.
    fn KeSetTargetProcessorDpcEx(dpc: u64, processor: u64) -> u32 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        let Some(number) = processor::read_number(processor)? else { return Ok(nt_status::STATUS_INVALID_PARAMETER) };
        kdpc(dpc).set(|dpc| &dpc.number, TARGETED + u16::from(number))?;
        Ok(0)
    }
}
