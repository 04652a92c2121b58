//! The clock interrupt. It is off until there is something to interrupt for: a
//! second thread or a timer. Then the driver is interrupted every few
//! milliseconds, if its IRQL lets it be, so that DPCs run and other threads get
//! their turn while one of them spins. With several processors it is interrupted
//! at any IRQL, for the others to have their turn.

use std::sync::atomic::{AtomicBool, Ordering};

use ntbox_host::context::Context;
use ntbox_host::trap::Trap;
use ntbox_host::{cpu, timer};

use super::apc::DeliveryPoint;
use super::{apc, dpc, priority, processor, sched, seeded_schedule};
use crate::base::thread_table;

/// Microseconds between two ticks, on each processor.
const INTERVAL: i64 = 2_000;
/// Microseconds of the host's processor between two looks whether the driver is
/// stuck, with a schedule that is drawn from a seed.
const DRAWN_INTERVAL: i64 = 20_000;
static RUNNING: AtomicBool = AtomicBool::new(false);
static POSTPONED: AtomicBool = AtomicBool::new(false);

/// Units of 100 ns that a tick stands for.
pub fn length() -> u64 {
    if seeded_schedule::is_drawn() {
        seeded_schedule::STEP * seeded_schedule::RARITY
    } else {
        INTERVAL.unsigned_abs() * 10
    }
}

/// Starts the clock, if it does not run.
pub fn start() {
    if RUNNING.swap(true, Ordering::Relaxed) {
        return;
    }
    if seeded_schedule::is_drawn() {
        timer::start(DRAWN_INTERVAL, true);
    } else {
        timer::start(INTERVAL / i64::from(processor::active()), false);
    }
}

/// Whether the driver can be interrupted where it is. Called in a signal.
pub fn may_interrupt() -> bool {
    let cpu = cpu::current();
    cpu.irql.get() < cpu::DISPATCH_LEVEL && cpu.interrupts.get()
}

/// Whether the driver can be interrupted for another processor, at least.
pub fn may_pause() -> bool {
    processor::active() > 1 || may_interrupt()
}

/// Remembers a tick that came while the kernel ran or at too high an IRQL.
pub fn postpone() {
    POSTPONED.store(true, Ordering::Relaxed);
}

/// Takes a remembered tick.
pub fn postponed() -> bool {
    POSTPONED.load(Ordering::Relaxed) && POSTPONED.swap(false, Ordering::Relaxed)
}

/// A signal of the timer has arrived: whether the driver is interrupted now. If not, the
/// tick is ignored, or postponed. Called in a signal.
pub fn signaled(in_driver: bool, can_interrupt: bool) -> bool {
    if seeded_schedule::is_drawn() && (!in_driver || !seeded_schedule::is_stuck()) {
        return false;
    }
    let now = in_driver && can_interrupt && may_pause();
    if !now {
        postpone();
    }
    now
}

/// Runs a tick, outside of the signal and on the host stack.
pub fn tick(context: Context, trap: Trap) {
    if matches!(trap, Trap::Tick) || seeded_schedule::ends_turn() {
        run(Some(context));
    } else {
        catch_up(Some(context));
    }
}

/// What a call begins with: the turn may end here, if the schedule is drawn.
pub fn before_call() {
    if seeded_schedule::ends_turn() {
        sched::rotate();
        if may_interrupt() {
            sched::round_robin();
        }
    }
}

/// What waited for a lower IRQL, where the driver has lowered it itself.
fn catch_up(origin: Option<Context>) {
    dpc::deliver(origin);
    processor::leave();
    sched::preempt();
    deliver_apcs(origin);
}

/// Lets other processors have their turn; then, if the IRQL lets it, everything
/// happen that is due, and other threads run.
pub fn run(origin: Option<Context>) {
    sched::rotate();
    if !may_interrupt() {
        return;
    }
    priority::ticked(thread_table::current_thread());
    sched::expire();
    if dpc::pending() {
        dpc::deliver(origin);
    }
    processor::leave();
    sched::round_robin();
    deliver_apcs(origin);
}

fn deliver_apcs(origin: Option<Context>) {
    if apc::pending()
        && let Some(context) = origin
    {
        apc::deliver(&DeliveryPoint::Interrupted(Box::new(context)));
    }
}
