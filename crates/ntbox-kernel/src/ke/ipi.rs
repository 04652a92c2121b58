//! Interrupts that one processor sends to all others, to have a routine called on
//! each. Another processor answers when it has its turn, whatever it does, unless
//! its IRQL is as high or its interrupts are off. The calls begin when all
//! processors are there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::upcall::{Purpose, call_driver_for};
use ntbox_host::{bug_check, cpu, process};

use super::processor;
use super::sched::{Spin, SpinWait};
use crate::base::call_context::CallContext;
use crate::base::diag;
use crate::mm::kernel_stack;

/// `IPI_LEVEL`.
pub const IPI_LEVEL: u8 = 14;

/// Whether a call is under way; there is one at a time.
static UNDER_WAY: AtomicBool = AtomicBool::new(false);
static ROUTINE: AtomicU64 = AtomicU64::new(0);
static CONTEXT: AtomicU64 = AtomicU64::new(0);
/// Processors that are not there yet, a bit each.
static ASKED: AtomicU64 = AtomicU64::new(0);
/// Processors that are not done with it.
static OWING: AtomicU64 = AtomicU64::new(0);
/// Upper end of the stack of each processor for it; 0 until the first.
static STACKS: [AtomicU64; cpu::MAXIMUM] = [const { AtomicU64::new(0) }; cpu::MAXIMUM];

/// Whether a processor is asked to call a routine.
pub fn pending_on(number: usize) -> bool {
    ASKED.load(Ordering::Relaxed) >> number & 1 != 0
}

/// Calls a routine on every processor at `IPI_LEVEL`; what it returned on this one.
///
/// # Errors
/// Another processor does not come to it.
pub fn broadcast(routine: u64, context: u64, caller: &CallContext<'_>) -> Result<u64, NoReturn> {
    let others = processor::mask() & !(1 << cpu::number());
    if others != 0 {
        wait_until(|| !UNDER_WAY.load(Ordering::Relaxed))?;
        UNDER_WAY.store(true, Ordering::Relaxed);
        ROUTINE.store(routine, Ordering::Relaxed);
        CONTEXT.store(context, Ordering::Relaxed);
        OWING.store(others, Ordering::Relaxed);
        ASKED.store(others, Ordering::Relaxed);
    }
    let before = cpu::set_irql(IPI_LEVEL);
    wait_until(all_are_there)?;
    let result = caller.call(routine, &[context]);
    if others != 0 {
        wait_until(|| OWING.load(Ordering::Relaxed) == 0)?;
        UNDER_WAY.store(false, Ordering::Relaxed);
    }
    cpu::set_irql(before);
    Ok(result)
}

fn all_are_there() -> bool {
    ASKED.load(Ordering::Relaxed) == 0
}

fn wait_until(done: impl Fn() -> bool) -> Result<(), NoReturn> {
    if done() {
        return Ok(());
    }
    let spinning = SpinWait::on(Spin::Call);
    while !done() {
        spinning.turn().map_err(|why| locked_up(&why))?;
    }
    Ok(())
}

/// The stop for processors of which none gets any further: what watches over the
/// time at `DISPATCH_LEVEL` stops Windows then (`DPC_WATCHDOG_VIOLATION`).
pub fn locked_up(why: &str) -> NoReturn {
    NoReturn::bug_check(
        bug_check::HUNG,
        [1, 0, 0, 0],
        format!("no processor gets any further, for ever: {why}"),
    )
}

/// Calls the routine that this processor is asked to call, if it can be
/// interrupted. No lock may be held.
pub fn answer() {
    let (own, cpu) = (1 << cpu::number(), cpu::current());
    let asked = ASKED.load(Ordering::Relaxed) & own != 0;
    if !asked || cpu.irql.get() >= IPI_LEVEL || !cpu.interrupts.get() {
        return;
    }
    ASKED.fetch_and(!own, Ordering::Relaxed);
    let routine = ROUTINE.load(Ordering::Relaxed);
    let context = CONTEXT.load(Ordering::Relaxed);
    let before = cpu::set_irql(IPI_LEVEL);
    if let Err(stop) = wait_until(all_are_there) {
        CallContext::kernel(0).end(stop);
    }
    call_driver_for(Purpose::Interrupt, routine, &[context], stack(), None);
    let after = cpu::set_irql(before);
    if after != IPI_LEVEL {
        let what = format!(
            "a routine called on another processor at IRQL {IPI_LEVEL} returned at IRQL {after}"
        );
        diag::violation_of(routine, rules::IRQL_CHANGED_ON_RETURN.without_stop(), what);
    }
    OWING.fetch_and(!own, Ordering::Relaxed);
}

fn stack() -> u64 {
    let slot = &STACKS[cpu::index()];
    if slot.load(Ordering::Relaxed) == 0 {
        let made = kernel_stack::new_stack().unwrap_or_else(|reason| process::abandon(&reason));
        slot.store(made, Ordering::Relaxed);
    }
    slot.load(Ordering::Relaxed)
}
