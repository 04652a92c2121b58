//! Signals of the host: faults of the processor in the driver, the timer, and the one by
//! which the process that started this one says that the driver takes too long.
//!
//! A handler does as little as it can: it lets accesses of [`driver_mem`] recover, asks
//! the kernel's [`SignalHandlers`], and sends everything else to the kernel on the host
//! stack, outside of the signal.

use std::arch::naked_asm;
use std::ffi::c_void;

use super::bug_check::Access;
use super::context::Context;
use super::memory_map::{GUEST_END, STACKS};
use super::translation;
use super::translation::interruption::{self, Interrupted};
use super::trap::{PendingTrap, Trap};
use super::{cpu, driver_mem, kernel_entry, process, timer, upcall};

/// The registers in the order in which instructions number them.
pub const GENERAL: [usize; 16] = [
    libc::REG_RAX as usize,
    libc::REG_RCX as usize,
    libc::REG_RDX as usize,
    libc::REG_RBX as usize,
    libc::REG_RSP as usize,
    libc::REG_RBP as usize,
    libc::REG_RSI as usize,
    libc::REG_RDI as usize,
    libc::REG_R8 as usize,
    libc::REG_R9 as usize,
    libc::REG_R10 as usize,
    libc::REG_R11 as usize,
    libc::REG_R12 as usize,
    libc::REG_R13 as usize,
    libc::REG_R14 as usize,
    libc::REG_R15 as usize,
];

/// Whether an instruction was emulated.
#[derive(Debug)]
pub enum Emulation {
    /// It was; the driver goes on behind it.
    Done,
    /// It was, and has lowered the IRQL below what waits for that.
    IrqlLowered,
    /// It was not.
    Trap(Trap),
}

/// The kernel's part of signal handling. All but the last two run in the signal.
#[derive(Debug, Clone, Copy)]
pub struct SignalHandlers {
    /// The timer's signal, in the driver or not: whether the driver is interrupted.
    pub timer: fn(bool) -> bool,
    /// A page fault of the driver, with address and error code: whether the page is
    /// accessible now.
    pub page_fault: fn(&mut libc::ucontext_t, u64, i64) -> bool,
    /// A trap after an instruction: whether the kernel had asked for it.
    pub single_step: fn(&mut libc::ucontext_t) -> bool,
    /// The instruction goes no further: undoes what was set for it.
    pub abandon_step: fn(&mut libc::ucontext_t),
    /// A read of an address: whether the shared page can be read for one instruction.
    pub read_shared_page: fn(&mut libc::ucontext_t, u64) -> bool,
    /// A trap after an instruction: whether it has read the shared page.
    pub shared_page_read: fn(&mut libc::ucontext_t) -> bool,
    /// Emulates a privileged instruction.
    pub emulate: fn(&mut libc::ucontext_t) -> Emulation,
    /// Runs a tick.
    pub tick: fn(Context, Trap),
    /// Handles a trap of the driver.
    pub trap: fn(&Context, Trap) -> !,
}

/// The signal by which the caller says that the driver takes too long.
pub const OVERDUE: libc::c_int = libc::SIGUSR1;

/// Size of the stack that handlers run on.
const SIGNAL_STACK: usize = 128 << 10;

#[cfg(any(test, feature = "test-support"))]
static ARE_HANDLED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Whether this process handles signals, as one that runs a driver does.
#[cfg(any(test, feature = "test-support"))]
pub(crate) fn are_handled() -> bool {
    ARE_HANDLED.load(std::sync::atomic::Ordering::Relaxed)
}

/// Installs the handlers and their stack for this thread.
pub fn install() {
    #[cfg(any(test, feature = "test-support"))]
    ARE_HANDLED.store(true, std::sync::atomic::Ordering::Relaxed);
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
    for signal in faults.into_iter().chain(timer::SIGNALS).chain([OVERDUE]) {
        // SAFETY: all zero is a valid value of this plain structure.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = enter_handler as *const () as usize;
        // A fault inside the handler (reading the driver's code) must reach it,
        // and a tick must not disturb it.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | libc::SA_RESTART;
        for tick in timer::SIGNALS {
            // SAFETY: the set is part of the structure.
            unsafe { libc::sigaddset(&raw mut action.sa_mask, tick) };
        }
        // SAFETY: the handler keeps to what a handler may do.
        let result = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        assert_eq!(result, 0, "sigaction failed");
    }
}

/// Goes on outside of the signal, on the host stack.
extern "sysv64" fn trapped(state: *const PendingTrap) -> ! {
    // SAFETY: the handler has put it on this very stack, above this frame.
    let PendingTrap { context, trap } = unsafe { state.read() };
    (kernel_entry::get().signals.trap)(&context, trap)
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
    let handlers = &kernel_entry::get().signals;
    if timer::SIGNALS.contains(&signal) {
        if interruption::is_in_cache(context) {
            interruption::tick();
        } else if (handlers.timer)(rip(context) < GUEST_END) {
            leave_signal(context, Trap::Tick, interrupted);
        }
        return;
    }
    if signal == libc::SIGBUS
        && context.uc_mcontext.gregs[libc::REG_TRAPNO as usize] == ALIGNMENT_TRAP
    {
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !ALIGNMENT_CHECK;
        return;
    }
    let is_step =
        signal == libc::SIGTRAP && context.uc_mcontext.gregs[libc::REG_TRAPNO as usize] == 1;
    if is_step && interruption::is_step_out(context) {
        return;
    }
    // From here on the registers are the driver's.
    let interrupted = interruption::leave(context);
    if signal == libc::SIGSEGV
        && let Some(interrupted) = &interrupted
        && let Some(ask) = interrupted.check()
    {
        interrupted.restore(context);
        context.uc_mcontext.gregs[libc::REG_RIP as usize] = ask.cast_signed();
        return;
    }
    if is_step
        && let Some(interrupted) = &interrupted
        && interruption::resynchronizes()
    {
        interrupted.resynchronize(context);
        return;
    }
    let is_fetch = is_page_fault(context) && context.uc_mcontext.gregs[ERROR] & 16 != 0;
    // SAFETY: for the signals that we handle this is the faulting address.
    let address = unsafe { info.si_addr() } as u64;
    let is_write = is_page_fault(context) && context.uc_mcontext.gregs[ERROR] & 2 != 0;
    if is_write && translation::unseal(address) {
        if let Some(interrupted) = &interrupted {
            interrupted.step_to_resynchronize(context);
        }
        return;
    }
    let within = interrupted.as_ref();
    let within = is_step && within.is_some_and(Interrupted::is_within_instruction);
    if !goes_on(signal, address, context, within) {
        return;
    }
    match interrupted {
        Some(interrupted) => interrupted.go_on(context),
        None if is_fetch => interruption::enter(context),
        None => {}
    }
}

const ERROR: usize = libc::REG_ERR as usize;

fn is_page_fault(context: &libc::ucontext_t) -> bool {
    context.uc_mcontext.gregs[libc::REG_TRAPNO as usize] == 14
}

fn rip(context: &libc::ucontext_t) -> u64 {
    context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned()
}

/// Handles a signal other than the timer's. False if the driver, or the access of the
/// kernel, does not go on where the context says. `is_within`: a trap after an instruction
/// of translated code came before the driver's own instruction was done.
fn goes_on(
    signal: libc::c_int,
    address: u64,
    context: &mut libc::ucontext_t,
    is_within: bool,
) -> bool {
    let handlers = &kernel_entry::get().signals;
    let rip = rip(context);
    // Error code of a page fault: bit 1 a write, bit 4 an instruction fetch.
    let error = context.uc_mcontext.gregs[ERROR];
    let page_fault = is_page_fault(context);
    if signal == OVERDUE {
        if rip < GUEST_END {
            leave_signal(context, Trap::Overdue, trapped);
            return false;
        }
        process::set_overdue();
        return true;
    }
    let by_driver = rip < GUEST_END || driver_mem::recovery(rip).is_some();
    if page_fault && by_driver && (handlers.page_fault)(context, address, error) {
        return true;
    }
    if signal == libc::SIGTRAP && (handlers.single_step)(context) {
        return true;
    }
    (handlers.abandon_step)(context);
    if let Some(way_out) = driver_mem::recovery(rip) {
        let registers = &mut context.uc_mcontext.gregs;
        let write = page_fault && error & 2 != 0;
        let known = if page_fault { address } else { u64::MAX };
        registers[libc::REG_RAX as usize] = known.cast_signed();
        registers[libc::REG_RDX as usize] = if write { 3 } else { 1 };
        registers[libc::REG_RIP as usize] = way_out.cast_signed();
        return true;
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
            if page_fault && error & 2 == 0 && (handlers.read_shared_page)(context, address) =>
        {
            return true;
        }
        libc::SIGTRAP if (handlers.shared_page_read)(context) || is_within => return true,
        libc::SIGSEGV | libc::SIGBUS if page_fault => {
            let access = match error {
                bits if bits & 16 != 0 => Access::Execute,
                bits if bits & 2 != 0 => Access::Write,
                _ => Access::Read,
            };
            Trap::Page { address, access }
        }
        libc::SIGSEGV | libc::SIGBUS => match (handlers.emulate)(context) {
            Emulation::Done => return true,
            Emulation::IrqlLowered => {
                leave_signal(context, Trap::Lowered, interrupted);
                return false;
            }
            Emulation::Trap(trap) => trap,
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
    false
}

/// Arranges that the thread goes on in `target` when the handler returns, with
/// the address of a [`PendingTrap`] on the host stack.
fn leave_signal(
    context: &mut libc::ucontext_t,
    trap: Trap,
    target: extern "sysv64" fn(*const PendingTrap) -> !,
) {
    let state = PendingTrap {
        context: capture(context),
        trap,
    };
    let top = cpu::current().host_rsp.get() - size_of::<PendingTrap>() as u64;
    let place = top & !15;
    // SAFETY: below the host stack pointer of the innermost callout, where no
    // frame lives while the driver runs; aligned for the structure.
    unsafe { (place as *mut PendingTrap).write(state) };
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RDI as usize] = place.cast_signed();
    // As after a call: 8 bytes off the alignment.
    registers[libc::REG_RSP as usize] = (place - 8).cast_signed();
    registers[libc::REG_RIP as usize] = (target as *const () as u64).cast_signed();
    // Direction flag, trap flag and alignment checks clear.
    registers[libc::REG_EFL as usize] &= !(0x500 | ALIGNMENT_CHECK);
}

/// The driver's registers at the fault.
pub fn capture(context: &libc::ucontext_t) -> Context {
    let mut captured = Context::zeroed();
    let registers = &context.uc_mcontext.gregs;
    for (slot, number) in captured.registers.iter_mut().zip(GENERAL) {
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

/// Where an interrupted driver goes on: keeps all of the processor's state on
/// the host stack, lets others run, and puts everything back.
///
/// Not to be called: the signal handler jumps here.
#[unsafe(naked)]
extern "sysv64" fn interrupted(state: *const PendingTrap) -> ! {
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

/// Runs a tick, outside of the signal and on the host stack.
extern "sysv64" fn tick(state: *mut PendingTrap) {
    // SAFETY: the handler has put it on this stack, above this frame, and nothing moves
    // it before the driver goes on.
    let state = unsafe { &mut *state };
    (kernel_entry::get().signals.tick)(state.context, state.trap);
    state.context = translation::place_context(&state.context);
}
