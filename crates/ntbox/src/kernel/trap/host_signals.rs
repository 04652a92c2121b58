//! Faults of the processor, as Linux signals.
//!
//! A handler does as little as it can: it lets the accesses of
//! [`guest`] recover, carries out the few privileged instructions
//! that ordinary drivers use, and sends everything else to
//! [`stop::hardware`] on the host stack, outside of the
//! signal.

use std::arch::naked_asm;
use std::ffi::c_void;

use super::instruction;
use super::instruction::Carried;
use crate::host::bug_check::Access;
use crate::host::context::Context;
use crate::host::memory_map::{GUEST_END, STACKS};
pub use crate::host::trap::{Trap, Trapped};
use crate::host::{cpu, driver_mem, process};
use crate::kernel::ke::{clock_interrupt, kuser_shared_data, seeded_schedule};
use crate::kernel::mm::{force_irql, force_irql_image, process_address_space, user_stack};
use crate::kernel::trap;
use crate::kernel::verifier::user_access;

/// The signal by which the caller says that the driver takes too long.
pub const OVERDUE: libc::c_int = libc::SIGUSR1;

/// Size of the stack that handlers run on.
const SIGNAL_STACK: usize = 128 << 10;

/// Installs the handlers and their stack for this thread.
pub fn install() {
    // SAFETY: an anonymous mapping of our own.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            SIGNAL_STACK,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    assert_ne!(memory, libc::MAP_FAILED, "no memory for the signal stack");
    let stack = libc::stack_t {
        ss_sp: memory,
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: the stack stays mapped for the life of the process.
    let result = unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
    assert_eq!(result, 0, "sigaltstack failed");
    let faults = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
    ];
    for signal in faults
        .into_iter()
        .chain(clock_interrupt::SIGNALS)
        .chain([OVERDUE])
    {
        // SAFETY: all zero is a valid value of this plain structure.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = enter_handler as *const () as usize;
        // A fault inside the handler (reading the driver's code) must reach it,
        // and a tick must not disturb it.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | libc::SA_RESTART;
        for tick in clock_interrupt::SIGNALS {
            // SAFETY: the set is part of the structure.
            unsafe { libc::sigaddset(&raw mut action.sa_mask, tick) };
        }
        // SAFETY: the handler keeps to what a handler may do.
        let result = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        assert_eq!(result, 0, "sigaction failed");
    }
}

/// Goes on outside of the signal, on the host stack.
extern "sysv64" fn trapped(state: *const Trapped) -> ! {
    // SAFETY: the handler has put it on this very stack, above this frame.
    let Trapped { context, trap } = unsafe { state.read() };
    trap::hardware(&context, trap)
}

/// Whether a page that the driver touched is accessible now: it was copied, the
/// stack has grown, or it had only been closed so that this would be seen.
fn made_accessible(context: &mut libc::ucontext_t, address: u64, error: i64) -> bool {
    let (write, execute) = (error & 2 != 0, error & 16 != 0);
    if write && process_address_space::copied_on_write(address)
        || user_stack::grown(address)
        || force_irql::opened(address)
        || force_irql_image::opened(address, write, execute)
    {
        return true;
    }
    if execute || !user_access::is_on() {
        return false;
    }
    let state = capture(context);
    user_access::lent(context, address, write, &state)
}

/// `EFLAGS.AC`: accesses that are not aligned trap in programs, which the driver is
/// to the processor; in a kernel they never do.
const ALIGNMENT_CHECK: libc::greg_t = 0x4_0000;
/// Number of the trap of such an access.
const ALIGNMENT_TRAP: libc::greg_t = 17;

/// Where a signal arrives: with the driver's flags, of which the handler must not
/// have the one for alignment checks.
#[unsafe(naked)]
unsafe extern "C" fn enter_handler(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    naked_asm!(
        "pushfq",
        "and dword ptr [rsp], {others}",
        "popfq",
        "jmp {handler}",
        others = const !0x4_0000_i32,
        handler = sym handler,
    )
}

extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes it to a handler with `SA_SIGINFO`; it is ours until
    // the handler returns.
    let info = unsafe { &*info };
    // SAFETY: the third argument of such a handler is a `ucontext_t`, ours until it
    // returns.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned();
    let error = context.uc_mcontext.gregs[libc::REG_ERR as usize];
    // SAFETY: for the signals that we handle this is the faulting address.
    let address = unsafe { info.si_addr() } as u64;
    // Error code of a page fault: bit 1 a write, bit 4 an instruction fetch.
    let page_fault = context.uc_mcontext.gregs[libc::REG_TRAPNO as usize] == 14;

    if clock_interrupt::SIGNALS.contains(&signal) {
        if seeded_schedule::is_drawn() && (rip >= GUEST_END || !seeded_schedule::is_stuck()) {
            return;
        }
        let whole = !kuser_shared_data::is_lent() && !user_access::is_stepping();
        if rip < GUEST_END && clock_interrupt::may_pause() && whole {
            leave_signal(context, Trap::Tick, clock_interrupt::interrupted);
        } else {
            clock_interrupt::postpone();
        }
        return;
    }
    if signal == libc::SIGBUS
        && context.uc_mcontext.gregs[libc::REG_TRAPNO as usize] == ALIGNMENT_TRAP
    {
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !ALIGNMENT_CHECK;
        return;
    }
    if signal == OVERDUE {
        if rip < GUEST_END {
            leave_signal(context, Trap::Overdue, trapped);
        } else {
            process::set_overdue();
        }
        return;
    }
    let by_driver = rip < GUEST_END || driver_mem::recovery(rip).is_some();
    if page_fault && by_driver && made_accessible(context, address, error) {
        return;
    }
    if signal == libc::SIGTRAP && user_access::stepped(context) {
        return;
    }
    user_access::abandon(context);
    if let Some(way_out) = driver_mem::recovery(rip) {
        let registers = &mut context.uc_mcontext.gregs;
        let write = page_fault && error & 2 != 0;
        let known = if page_fault { address } else { u64::MAX };
        registers[libc::REG_RAX as usize] = known.cast_signed();
        registers[libc::REG_RDX as usize] = if write { 3 } else { 1 };
        registers[libc::REG_RIP as usize] = way_out.cast_signed();
        return;
    }
    // The driver's doing all the same: its stack is used up in the way into the
    // kernel, or it jumped to an address that is beyond everything it has.
    let rsp = context.uc_mcontext.gregs[libc::REG_RSP as usize].cast_unsigned();
    let wild_jump = error & 16 != 0 && address == rip && STACKS.contains(rsp);
    if rip >= GUEST_END && !(page_fault && (STACKS.contains(address) || wild_jump)) {
        internal_fault(signal, rip, address);
    }
    let trap = match signal {
        libc::SIGSEGV
            if page_fault
                && error & 2 == 0
                && kuser_shared_data::contains(address)
                && kuser_shared_data::lend(context, &instruction::GENERAL) =>
        {
            return;
        }
        libc::SIGTRAP if kuser_shared_data::take_back(context) => return,
        libc::SIGSEGV | libc::SIGBUS if page_fault => {
            let access = match error {
                bits if bits & 16 != 0 => Access::Execute,
                bits if bits & 2 != 0 => Access::Write,
                _ => Access::Read,
            };
            Trap::Page { address, access }
        }
        libc::SIGSEGV | libc::SIGBUS => match instruction::carry_out(context) {
            Carried::Out => return,
            Carried::Lowered => {
                return leave_signal(context, Trap::Lowered, clock_interrupt::interrupted);
            }
            Carried::Trap(trap) => trap,
        },
        libc::SIGFPE if context.uc_mcontext.gregs[libc::REG_TRAPNO as usize] == 0 => {
            Trap::DivideError
        }
        libc::SIGFPE => Trap::FloatingPoint,
        libc::SIGTRAP if context.uc_mcontext.gregs[libc::REG_TRAPNO as usize] == 1 => {
            Trap::SingleStep
        }
        libc::SIGTRAP => {
            // The processor stands behind the instruction; the exception that
            // Windows raises points at it.
            context.uc_mcontext.gregs[libc::REG_RIP as usize] -= 1;
            Trap::Breakpoint
        }
        _ => Trap::InvalidOpcode,
    };
    leave_signal(context, trap, trapped);
}

/// Arranges that the thread goes on in `target` when the handler returns, with
/// the address of a [`Trapped`] on the host stack.
fn leave_signal(
    context: &mut libc::ucontext_t,
    trap: Trap,
    target: extern "sysv64" fn(*const Trapped) -> !,
) {
    let state = Trapped {
        context: capture(context),
        trap,
    };
    let top = cpu::current().host_rsp.get() - size_of::<Trapped>() as u64;
    let place = top & !15;
    // SAFETY: below the host stack pointer of the innermost callout, where no
    // frame lives while the driver runs; aligned for the structure.
    unsafe { (place as *mut Trapped).write(state) };
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RDI as usize] = place.cast_signed();
    // As after a call: 8 bytes off the alignment.
    registers[libc::REG_RSP as usize] = (place - 8).cast_signed();
    registers[libc::REG_RIP as usize] = (target as *const () as u64).cast_signed();
    // Direction flag, trap flag and alignment checks clear.
    registers[libc::REG_EFL as usize] &= !(0x500 | ALIGNMENT_CHECK);
}

/// The driver's registers at the fault.
fn capture(context: &libc::ucontext_t) -> Context {
    let mut captured = Context::zeroed();
    let registers = &context.uc_mcontext.gregs;
    for (slot, number) in captured.registers.iter_mut().zip(instruction::GENERAL) {
        *slot = registers[number].cast_unsigned();
    }
    captured.rip = registers[libc::REG_RIP as usize].cast_unsigned();
    captured.eflags =
        u32::try_from(registers[libc::REG_EFL as usize] & 0xffff_ffff).unwrap_or(0x202);
    let state = context.uc_mcontext.fpregs;
    if !state.is_null() {
        // SAFETY: the system put the floating-point state there for the time of
        // the handler.
        let state = unsafe { &*state };
        captured.mxcsr = state.mxcsr;
        for (slot, register) in captured.xmm.iter_mut().zip(&state._xmm) {
            let [a, b, c, d] = register.element.map(u128::from);
            *slot = a | b << 32 | c << 64 | d << 96;
        }
    }
    captured
}

/// A fault of this program, not of the driver: says where and ends.
fn internal_fault(signal: libc::c_int, rip: u64, address: u64) -> ! {
    let base = handler as *const () as u64;
    process::abandon(format_args!(
        "ntbox itself failed: signal {signal} at {:#x} from its fault handler, address {address:#x}",
        rip.wrapping_sub(base).cast_signed()
    ))
}
