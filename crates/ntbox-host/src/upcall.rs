//! A call from the kernel into the driver: DriverEntry, callbacks, exception
//! filters; and the way back that skips everything in between, which is what
//! unwinding to a handler is.
//!
//! Driver frames live on the driver's stack, kernel frames on the host's; each
//! callout lays a new stretch on both. `Callout` remembers where the driver
//! was when the kernel called it again, so that an exception in a callback can
//! be searched for handlers beyond the callback, as on Windows.

use std::arch::naked_asm;
use std::cell::RefCell;

use super::context::Context;
use super::context_switch::HOST_DEPTH;
use super::routine::Routine;
use super::translation::{self, gates};
use super::{cpu, kernel_cell, kernel_entry, last_call, routine};

/// One stretch of driver code that the kernel has called and that has not
/// returned.
#[derive(Debug)]
struct Callout {
    /// What it is for.
    purpose: Purpose,
    /// What is called.
    routine: Routine,
    /// Where the driver was before, if this is not its first call.
    origin: Option<Box<Context>>,
    /// Where the driver's stack begins for it: the stack pointer after it returns.
    stack_top: u64,
    /// Host stack pointer that calls out of this stretch enter the kernel with.
    host_rsp: u64,
}

/// What a callout is for, as far as an exception in it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Anything else: exceptions go on to where the driver was.
    Ordinary,
    /// It interrupts what the driver did, as a DPC does: exceptions in it are
    /// none of what was interrupted.
    Interrupt,
    /// A filter of the registry hears of something: exceptions in it are its own,
    /// and nobody else's.
    RegistryFilter {
        /// The routine.
        function: u64,
    },
    /// A language handler is asked about an exception in the frame with this
    /// base. Another exception in it is a nested one.
    ExceptionHandler {
        /// Base of the frame.
        establisher: u64,
    },
    /// A language handler cleans up while its frame is unwound. An exception in
    /// it goes on in that frame, which is the driver's at callout `level`.
    UnwindHandler {
        /// Address of the `DISPATCHER_CONTEXT` that describes the frame.
        dispatcher: u64,
        /// Callout that the frame belongs to.
        level: usize,
    },
}

/// The callouts of a thread that does not run.
#[derive(Debug, Default)]
pub struct Callouts(Vec<Callout>);

/// Takes the callouts of the thread that is about to be left.
pub fn take() -> Callouts {
    Callouts(CALLOUTS.with_borrow_mut(std::mem::take))
}

/// Puts back those of the thread that is about to go on.
pub fn put(callouts: Callouts) {
    CALLOUTS.with_borrow_mut(|list| *list = callouts.0);
}

thread_local! {
    static CALLOUTS: RefCell<Vec<Callout>> = const { RefCell::new(Vec::new()) };
}

/// Most arguments a callout has.
const MAX_ARGUMENTS: usize = 8;

/// Calls `routine` in the driver with the Windows convention, its stack
/// beginning below `stack`. `origin` is where the driver was when this became
/// necessary: the state at its call into the kernel or at its fault.
///
/// The driver calls the kernel again, and an exception may abandon this very call; so no
/// state of the kernel may be held.
///
/// # Panics
/// State of the kernel is held.
pub fn call_driver(
    routine: impl Into<Routine>,
    arguments: &[u64],
    stack: u64,
    origin: Option<Context>,
) -> u64 {
    call_driver_for(Purpose::Ordinary, routine, arguments, stack, origin)
}

/// [`call_driver`] for a purpose that matters to exceptions.
pub fn call_driver_for(
    purpose: Purpose,
    routine: impl Into<Routine>,
    arguments: &[u64],
    stack: u64,
    origin: Option<Context>,
) -> u64 {
    let routine = routine.into();
    kernel_cell::assert_none_held();
    assert!(
        arguments.len() <= MAX_ARGUMENTS,
        "a callout has at most {MAX_ARGUMENTS} arguments"
    );
    let mut block = [0_u64; MAX_ARGUMENTS];
    block[..arguments.len()].copy_from_slice(arguments);
    if host_depth() > HOST_DEPTH {
        (kernel_entry::get().upcall_stack_overflow)(origin);
    }
    // Room for all arguments (the first four have home space), 16-byte aligned.
    let rsp = (stack & !15) - 8 * MAX_ARGUMENTS as u64;
    CALLOUTS.with_borrow_mut(|list| {
        list.push(Callout {
            purpose,
            routine,
            origin: origin.map(Box::new),
            stack_top: rsp,
            host_rsp: 0,
        });
    });
    (kernel_entry::get().driver_entered)();
    last_call::enters(routine.address);
    if !routine.is_reachable() {
        (kernel_entry::get().bad_routine)(at_call(rsp), &routine);
    }
    // SAFETY: the address lies where only the driver's code and the kernel's entries
    // can be executed, and `rsp` points into the driver's stack, whose part below is
    // free; whatever the driver does wrong there faults and is caught by the signal
    // handlers.
    let result = unsafe { enter_driver(routine.address, block.as_ptr(), rsp) };
    CALLOUTS.with_borrow_mut(Vec::pop);
    result
}

/// Bytes of the host stack that the thread's callouts in progress take.
#[must_use]
pub fn host_depth() -> u64 {
    let here = 0_u8;
    let here = (&raw const here).addr() as u64;
    // Those that are about to be made have no stack pointer yet.
    let outermost = CALLOUTS.with_borrow(|list| list.first().map_or(0, |first| first.host_rsp));
    outermost.saturating_sub(here)
}

/// Takes back the innermost callout, which the kernel was about to make when it
/// faulted at `pc`; where the driver was. `None` if that was not so.
#[must_use]
pub fn withdraw(pc: u64) -> Option<Context> {
    // The change of stacks is shorter than that.
    const LENGTH: u64 = 0x100;
    if return_address().wrapping_sub(pc) > LENGTH {
        return None;
    }
    CALLOUTS.with_borrow_mut(|list| {
        list.pop_if(|callout| callout.origin.is_some())?
            .origin
            .map(|origin| *origin)
    })
}

/// Records the host stack pointer of the innermost callout; called by
/// [`enter_driver`] just before it changes the stack.
extern "sysv64" fn note_host_rsp(host_rsp: u64) {
    CALLOUTS.with_borrow_mut(|list| {
        if let Some(callout) = list.last_mut() {
            callout.host_rsp = host_rsp;
        }
    });
}

/// The processor where the kernel was about to make the innermost call: its frames
/// end there.
fn at_call(rsp: u64) -> Context {
    let mut context = Context::zeroed();
    context.rip = return_address();
    context.set_rsp(rsp);
    context
}

/// The routine of the innermost callout, if the processor stands at its first
/// instruction, or was not even able to go there.
#[must_use]
pub fn routine_begun(context: &Context) -> Option<Routine> {
    CALLOUTS.with_borrow(|list| {
        let callout = list.last()?;
        let entered = context.rip == callout.routine.address
            && context.rsp() == callout.stack_top.wrapping_sub(8);
        let refused = context.rip == return_address() && context.rsp() == callout.stack_top;
        (entered || refused).then_some(callout.routine)
    })
}

/// Number of callouts in progress.
pub fn depth() -> usize {
    CALLOUTS.with_borrow(Vec::len)
}

/// Where the driver was when the kernel made callout number `level` (counted
/// from 0, the outermost).
#[must_use]
pub fn origin(level: usize) -> Option<Context> {
    CALLOUTS.with_borrow(|list| {
        list.get(level)
            .and_then(|callout| callout.origin.as_deref().copied())
    })
}

/// What callout number `level` is for.
#[must_use]
pub fn purpose(level: usize) -> Purpose {
    CALLOUTS.with_borrow(|list| {
        list.get(level)
            .map_or(Purpose::Ordinary, |callout| callout.purpose)
    })
}

/// Where the driver's stack begins for callout number `level`: no frame of it
/// reaches above.
#[must_use]
pub fn stack_top(level: usize) -> u64 {
    CALLOUTS.with_borrow(|list| list.get(level).map_or(0, |callout| callout.stack_top))
}

/// The innermost callout whose part of the stack holds `rsp`.
#[must_use]
pub fn level_of(rsp: u64) -> Option<usize> {
    CALLOUTS.with_borrow(|list| list.iter().rposition(|callout| rsp <= callout.stack_top))
}

/// Whether a callout in progress interrupts what the driver did.
#[must_use]
pub fn in_interrupt() -> bool {
    CALLOUTS.with_borrow(|list| {
        list.iter()
            .any(|callout| callout.purpose == Purpose::Interrupt)
    })
}

/// The filter of the registry that an exception which nobody handled was in: the
/// innermost callout beyond which no handler is searched for is such a one.
#[must_use]
pub fn in_registry_filter() -> Option<u64> {
    CALLOUTS.with_borrow(|list| {
        list.iter()
            .rev()
            .find_map(|callout| match callout.purpose {
                Purpose::RegistryFilter { function } => Some(Some(function)),
                Purpose::Interrupt => Some(None),
                _ => None,
            })?
    })
}

/// Address that a callout returns to: the end of the driver's frames.
#[must_use]
pub fn return_address() -> u64 {
    #[unsafe(naked)]
    extern "sysv64" fn address() -> u64 {
        naked_asm!("lea rax, [rip + ntbox_callout_return]", "ret")
    }
    address()
}

/// The change of stacks: saves what a System V callee must, calls the driver,
/// and comes back through `ntbox_callout_return`.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter_driver(function: u64, arguments: *const u64, rsp: u64) -> u64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push qword ptr gs:[0x2000]",
        // Seven pushes and the return address: aligned to 16.
        "mov rbx, rdi",
        "mov r12, rsi",
        "mov r13, rdx",
        "mov rdi, rsp",
        "call {note}",
        "mov gs:[0x2000], rsp",
        "mov rsp, r13",
        // Arguments five to eight go above the home space.
        "mov rax, [r12 + 0x20]",
        "mov [rsp + 0x20], rax",
        "mov rax, [r12 + 0x28]",
        "mov [rsp + 0x28], rax",
        "mov rax, [r12 + 0x30]",
        "mov [rsp + 0x30], rax",
        "mov rax, [r12 + 0x38]",
        "mov [rsp + 0x38], rax",
        "mov rcx, [r12 + 0x00]",
        "mov rdx, [r12 + 0x08]",
        "mov r8, [r12 + 0x10]",
        "mov r9, [r12 + 0x18]",
        "mov rax, rbx",
        "xor ebx, ebx",
        "xor ebp, ebp",
        "xor esi, esi",
        "xor edi, edi",
        "xor r12d, r12d",
        "xor r13d, r13d",
        "xor r14d, r14d",
        "xor r15d, r15d",
        "cmp byte ptr gs:[0x2016], 0",
        "je 2f",
        // Into the code cache, as a translated call goes there.
        "lea r11, [rip + ntbox_callout_return]",
        "push r11",
        "mov r11, rax",
        "mov gs:[{r10}], rax",
        "mov gs:[{r11}], rax",
        "movzx r10d, r11w",
        "jmp gs:[r10 * 8 + {table}]",
        "2: call rax",
        ".globl ntbox_callout_return",
        ".hidden ntbox_callout_return",
        "ntbox_callout_return:",
        "mov rsp, gs:[0x2000]",
        "cld",
        "pop qword ptr gs:[0x2000]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        note = sym note_host_rsp,
        r10 = const gates::SPILLED_R10,
        r11 = const gates::SPILLED_R11,
        table = const gates::TABLE,
    )
}

/// Abandons every callout above `level` (those with a higher number) and goes on
/// in the driver at `context`.
///
/// All kernel frames in between vanish without being run to their end. What they own is
/// not dropped, so no state of the kernel may be held.
///
/// # Panics
/// State of the kernel is held, or the driver was never called.
pub fn resume(level: usize, context: &Context) -> ! {
    kernel_cell::assert_none_held();
    let host_rsp = CALLOUTS.with_borrow_mut(|list| {
        list.truncate(level + 1);
        list.last().map_or(0, |callout| callout.host_rsp)
    });
    (kernel_entry::get().driver_entered)();
    assert_ne!(host_rsp, 0, "resuming a driver that was never called");
    assert!(
        routine::is_reachable(context.rip),
        "resuming at {:#x}, which is not the driver's",
        context.rip
    );
    cpu::current().host_rsp.set(host_rsp);
    // SAFETY: the context goes on where only the driver's code can be executed, or where
    // the processor faults, which the signal handlers catch; its host frames end at
    // `host_rsp`.
    unsafe { load_context(&translation::place_context(context)) }
}

/// Loads every register from a context and goes on there, with the instruction
/// that does it at once and leaves the driver's stack alone: so the trap flag
/// works, and a stack pointer that points nowhere is the driver's fault.
///
/// # Safety
/// The context is one of the driver's code, and no frame of the kernel between here and
/// the driver's last call is returned to.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn load_context(context: *const Context) -> ! {
    naked_asm!(
        "movaps xmm0, [rdi + 0x1a0]",
        "movaps xmm1, [rdi + 0x1b0]",
        "movaps xmm2, [rdi + 0x1c0]",
        "movaps xmm3, [rdi + 0x1d0]",
        "movaps xmm4, [rdi + 0x1e0]",
        "movaps xmm5, [rdi + 0x1f0]",
        "movaps xmm6, [rdi + 0x200]",
        "movaps xmm7, [rdi + 0x210]",
        "movaps xmm8, [rdi + 0x220]",
        "movaps xmm9, [rdi + 0x230]",
        "movaps xmm10, [rdi + 0x240]",
        "movaps xmm11, [rdi + 0x250]",
        "movaps xmm12, [rdi + 0x260]",
        "movaps xmm13, [rdi + 0x270]",
        "movaps xmm14, [rdi + 0x280]",
        "movaps xmm15, [rdi + 0x290]",
        "ldmxcsr [rdi + 0x34]",
        "mov rcx, [rdi + 0x80]",
        "mov rdx, [rdi + 0x88]",
        "mov rbx, [rdi + 0x90]",
        "mov rbp, [rdi + 0xa0]",
        "mov rsi, [rdi + 0xa8]",
        "mov r8, [rdi + 0xb8]",
        "mov r9, [rdi + 0xc0]",
        "mov r10, [rdi + 0xc8]",
        "mov r11, [rdi + 0xd0]",
        "mov r12, [rdi + 0xd8]",
        "mov r13, [rdi + 0xe0]",
        "mov r14, [rdi + 0xe8]",
        "mov r15, [rdi + 0xf0]",
        "mov eax, ss",
        "push rax",
        "push qword ptr [rdi + 0x98]",
        "mov eax, [rdi + 0x44]",
        "push rax",
        "mov eax, cs",
        "push rax",
        "push qword ptr [rdi + 0xf8]",
        "mov rax, [rdi + 0x78]",
        "mov rdi, [rdi + 0xb0]",
        "iretq",
    )
}
