//! The clock interrupt. It is off until there is something to interrupt for: a
//! second thread or a timer. Then the driver is interrupted every few
//! milliseconds, if its IRQL lets it be, so that DPCs run and other threads get
//! their turn while one of them spins. With several processors it is interrupted
//! at any IRQL, for the others to have their turn.

use std::arch::naked_asm;
use std::sync::atomic::{AtomicBool, Ordering};

use super::apc::Place;
use super::{apc, dpc, priority, processor, sched, seeded_schedule};
use crate::host::context::Context;
use crate::host::trap::{Trap, Trapped};
use crate::host::{cpu, upcall};
use crate::kernel::base::thread_table;

/// Microseconds between two ticks, on each processor.
const INTERVAL: i64 = 2_000;
/// Microseconds of the host's processor between two looks whether the driver is
/// stuck, with a schedule that is drawn from a seed.
const DRAWN_INTERVAL: i64 = 20_000;
/// The clock's signal, and the one in its place with such a schedule.
pub const SIGNALS: [libc::c_int; 2] = [libc::SIGALRM, libc::SIGVTALRM];

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
    let interval = libc::timeval {
        tv_sec: 0,
        tv_usec: if seeded_schedule::is_drawn() {
            DRAWN_INTERVAL
        } else {
            INTERVAL / i64::from(processor::active())
        },
    };
    let timer = libc::itimerval {
        it_interval: interval,
        it_value: interval,
    };
    let which = if seeded_schedule::is_drawn() {
        libc::ITIMER_VIRTUAL
    } else {
        libc::ITIMER_REAL
    };
    // SAFETY: plain structures; the handler for the signal is installed.
    let result = unsafe { libc::setitimer(which, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(result, 0, "setitimer failed");
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

/// Where an interrupted driver goes on: keeps all of the processor's state on
/// the host stack, lets others run, and puts everything back.
///
/// Not to be called: the signal handler jumps here.
#[unsafe(naked)]
pub extern "sysv64" fn interrupted(state: *const Trapped) -> ! {
    naked_asm!(
        // RDI points at the state. The extended registers go below it, in an
        // area that is large enough for every processor (XSAVE needs its
        // header cleared).
        "mov rbx, rdi",
        "sub rsp, 0x3000",
        "and rsp, -64",
        "xor eax, eax",
        "lea rdi, [rsp + 0x200]",
        "mov ecx, 8",
        "rep stosq",
        "mov eax, -1",
        "mov edx, -1",
        "xsave64 [rsp]",
        "mov rdi, rbx",
        "call {tick}",
        "mov eax, -1",
        "mov edx, -1",
        "xrstor64 [rsp]",
        "mov rdi, rbx",
        "jmp {load}",
        tick = sym tick,
        load = sym upcall::load_context,
    )
}

/// What a tick does, outside of the signal and on the host stack.
extern "sysv64" fn tick(state: *const Trapped) {
    // SAFETY: the handler has put it on this stack, above this frame.
    let state = unsafe { &*state };
    let (context, is_clock) = (state.context, matches!(state.trap, Trap::Tick));
    if is_clock || seeded_schedule::ends_turn() {
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
        apc::deliver(&Place::Interrupted(Box::new(context)));
    }
}
