//! Faults of the program, reported at its own instruction with its own registers.

use std::{
    mem::{self, MaybeUninit},
    sync::Once,
    sync::atomic::Ordering,
};

use libc::{c_int, c_void, siginfo_t, ucontext_t};
use ntbox_translate::{Location, Phase};

use super::{CURRENT, Exit, gates, memory};

/// General registers of a signal's context in the order of their numbers.
const ORDER: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

static INSTALLED: Once = Once::new();

thread_local! {
    static STACK: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(1 << 17);
}

/// Installs the handler, and gives this thread a stack for it.
pub fn install() {
    STACK.with(|stack| {
        let stack = libc::stack_t {
            ss_sp: stack.as_ptr().cast::<c_void>().cast_mut(),
            ss_flags: 0,
            ss_size: stack.len(),
        };
        // SAFETY: the memory belongs to the thread until it ends.
        let result = unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
        assert_eq!(result, 0);
    });
    INSTALLED.call_once(|| {
        // SAFETY: all zeroes is a valid `sigaction`.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
        ] {
            // SAFETY: the handler has the signature that SA_SIGINFO asks for.
            let result =
                unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
            assert_eq!(result, 0);
        }
    });
}

extern "C" fn handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid pointer.
    let info = unsafe { &*info };
    // SAFETY: the kernel passes a valid context, which nothing else refers to.
    let ucontext = unsafe { &mut *context.cast::<ucontext_t>() };
    let general = &mut ucontext.uc_mcontext.gregs;
    let rip = general[libc::REG_RIP as usize] as u64;
    if CURRENT.load(Ordering::SeqCst).is_null() {
        // Not the program: let the default action end this process at the same place.
        // SAFETY: a plain call.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    // SAFETY: the signal is one with an address.
    let address = unsafe { info.si_addr() } as u64;
    let processor = ORDER.map(|register| general[register as usize] as u64);
    let flags = general[libc::REG_EFL as usize] as u64;
    let asked = gates::with_machine(|machine| {
        let location = machine.translator.locate(rip);
        if let Some(Location {
            phase: Phase::Check { ask },
            ..
        }) = location
        {
            return Some(ask);
        }
        let at = location.map_or(rip, |location| location.original);
        let (registers, flags) = match location {
            Some(location) => restore(&location, processor, flags),
            None => (processor, flags),
        };
        // SAFETY: `Machine::run` keeps the context for as long as the program runs.
        let context = unsafe { &mut *machine.context };
        context.gpr = registers;
        context.flags = flags;
        // SIGILL and SIGFPE have the address of the instruction.
        let address = if address == rip { at } else { address };
        machine.exit = Some(Exit::Fault {
            signal,
            rip: at,
            address,
        });
        None
    });
    if let Some(ask) = asked {
        general[libc::REG_RIP as usize] = ask.cast_signed();
        return;
    }
    general[libc::REG_RIP as usize] = gates::abandon_address().cast_signed();
    general[libc::REG_RSP as usize] = gates::host_rsp().cast_signed();
    general[libc::REG_EFL as usize] = 0x202;
}

fn restore(location: &Location, processor: [u64; 16], flags: u64) -> ([u64; 16], u64) {
    (
        location.registers(processor, memory::spills()),
        location.flags(flags, processor[0]),
    )
}
