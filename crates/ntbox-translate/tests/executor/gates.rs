//! The way into the program and the three gates out of it.
//!
//! While the program runs, GS is at the state block; this process does not use GS.

use std::{arch::naked_asm, mem::offset_of, sync::atomic::Ordering};

use ntbox_translate::state;

use super::{CURRENT, Context, Exit, Machine, STATE, memory};

/// Offsets in the state block that are the host's own.
const HOST_RSP: i32 = state::HOST;
const CONTEXT: i32 = state::HOST + 8;
const TARGET: i32 = state::HOST + 16;
const HAS_AVX: i32 = state::HOST + 24;
const RAX: i32 = state::HOST + 32;
const FLAGS: i32 = state::HOST + 40;
/// The program's registers while a gate runs.
const SAVED: i32 = state::HOST + 64;
/// Its vector registers: a [`Context`].
const VECTORS: i32 = state::HOST + 256;

const GPR: usize = offset_of!(Context, gpr);
const FLAGS_IN_CONTEXT: usize = offset_of!(Context, flags);
const YMM: usize = offset_of!(Context, ymm);

/// `arch_prctl`: sets the base of GS.
const ARCH_SET_GS: i64 = 0x1001;

/// Writes what gates need to the state block, and sets GS.
pub fn prepare() {
    let put = |offset: i32, value: u64| memory::write_u64(STATE.start + offset as u64, value);
    put(state::DISPATCH_GATE, dispatch_gate as *const () as u64);
    put(state::CHECK_GATE, check_gate as *const () as u64);
    put(state::TRAP_GATE, trap_gate as *const () as u64);
    put(state::POLL, 0);
    put(
        HAS_AVX,
        u64::from(std::arch::is_x86_feature_detected!("avx")),
    );
    // SAFETY: nothing in this process uses GS, so it may point to the state block.
    let result = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, STATE.start) };
    assert_eq!(result, 0);
}

/// Loads the registers, runs, and comes back with the registers saved.
pub fn enter(context: &mut Context, address: u64) {
    // SAFETY: GS is at the state block. The program may do anything to its own memory
    // and registers; tests give it none of this process's addresses but the gates', and
    // what it faults at comes back through the signal handler. The gates keep the
    // registers that the calling convention wants kept.
    unsafe { enter_raw(context, address) }
}

/// Where a program goes when it is done.
pub fn leave_address() -> u64 {
    leave_gate as *const () as u64
}

/// Where the signal handler goes on after a fault.
pub fn abandon_address() -> u64 {
    abandon as *const () as u64
}

pub fn host_rsp() -> u64 {
    memory::read_u64(STATE.start + HOST_RSP as u64)
}

macro_rules! each_ymm {
    ($instruction:literal, load) => {
        concat!(
            each_ymm!(@ $instruction, "0", "0"), each_ymm!(@ $instruction, "1", "32"), each_ymm!(@ $instruction, "2", "64"),
            each_ymm!(@ $instruction, "3", "96"), each_ymm!(@ $instruction, "4", "128"), each_ymm!(@ $instruction, "5", "160"),
            each_ymm!(@ $instruction, "6", "192"), each_ymm!(@ $instruction, "7", "224"), each_ymm!(@ $instruction, "8", "256"),
            each_ymm!(@ $instruction, "9", "288"), each_ymm!(@ $instruction, "10", "320"), each_ymm!(@ $instruction, "11", "352"),
            each_ymm!(@ $instruction, "12", "384"), each_ymm!(@ $instruction, "13", "416"), each_ymm!(@ $instruction, "14", "448"),
            each_ymm!(@ $instruction, "15", "480"),
        )
    };
    (store) => {
        concat!(
            each_ymm!(= "0", "0"), each_ymm!(= "1", "32"), each_ymm!(= "2", "64"), each_ymm!(= "3", "96"), each_ymm!(= "4", "128"),
            each_ymm!(= "5", "160"), each_ymm!(= "6", "192"), each_ymm!(= "7", "224"), each_ymm!(= "8", "256"), each_ymm!(= "9", "288"),
            each_ymm!(= "10", "320"), each_ymm!(= "11", "352"), each_ymm!(= "12", "384"), each_ymm!(= "13", "416"), each_ymm!(= "14", "448"),
            each_ymm!(= "15", "480"),
        )
    };
    (@ $instruction:literal, $number:literal, $offset:literal) => {
        concat!($instruction, " ymm", $number, ", [rax + {ymm} + ", $offset, "]\n")
    };
    (= $number:literal, $offset:literal) => {
        concat!("vmovups [rax + {ymm} + ", $offset, "], ymm", $number, "\n")
    };
}

/// Loads vector registers from the context at RAX; flags change.
macro_rules! load_vectors {
    () => {
        concat!(
            "fxrstor64 [rax]\n",
            "cmp qword ptr gs:[{has_avx}], 0\n",
            "je 2f\n",
            each_ymm!("vmovups", load),
            "2:\n"
        )
    };
}

/// Saves vector registers to the context at RAX; flags change.
macro_rules! save_vectors {
    () => {
        concat!(
            "fxsave64 [rax]\n",
            "cmp qword ptr gs:[{has_avx}], 0\n",
            "je 3f\n",
            each_ymm!(store),
            "vzeroupper\n",
            "3:\n"
        )
    };
}

/// # Safety
///
/// GS is at the state block, and `address` is code that ends at a gate or a fault.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter_raw(context: *mut Context, address: u64) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov gs:[{host_rsp}], rsp",
        "mov gs:[{context}], rdi",
        "mov gs:[{target}], rsi",
        "mov rax, rdi",
        load_vectors!(),
        "push qword ptr [rdi + {flags}]",
        "popfq",
        "mov rax, [rdi + {gpr}]",
        "mov rcx, [rdi + {gpr} + 8]",
        "mov rdx, [rdi + {gpr} + 16]",
        "mov rbx, [rdi + {gpr} + 24]",
        "mov rsp, [rdi + {gpr} + 32]",
        "mov rbp, [rdi + {gpr} + 40]",
        "mov rsi, [rdi + {gpr} + 48]",
        "mov r8, [rdi + {gpr} + 64]",
        "mov r9, [rdi + {gpr} + 72]",
        "mov r10, [rdi + {gpr} + 80]",
        "mov r11, [rdi + {gpr} + 88]",
        "mov r12, [rdi + {gpr} + 96]",
        "mov r13, [rdi + {gpr} + 104]",
        "mov r14, [rdi + {gpr} + 112]",
        "mov r15, [rdi + {gpr} + 120]",
        "mov rdi, [rdi + {gpr} + 56]",
        "jmp gs:[{target}]",
        host_rsp = const HOST_RSP,
        context = const CONTEXT,
        target = const TARGET,
        has_avx = const HAS_AVX,
        ymm = const YMM,
        gpr = const GPR,
        flags = const FLAGS_IN_CONTEXT,
    )
}

/// Saves the registers to the context and returns from `enter_raw`.
///
/// # Safety
///
/// Only the program jumps here.
#[unsafe(naked)]
unsafe extern "sysv64" fn leave_gate() {
    naked_asm!(
        "mov gs:[{rax}], rax",
        "mov rax, gs:[{context}]",
        "mov [rax + {gpr} + 8], rcx",
        "mov [rax + {gpr} + 16], rdx",
        "mov [rax + {gpr} + 24], rbx",
        "mov [rax + {gpr} + 32], rsp",
        "mov [rax + {gpr} + 40], rbp",
        "mov [rax + {gpr} + 48], rsi",
        "mov [rax + {gpr} + 56], rdi",
        "mov [rax + {gpr} + 64], r8",
        "mov [rax + {gpr} + 72], r9",
        "mov [rax + {gpr} + 80], r10",
        "mov [rax + {gpr} + 88], r11",
        "mov [rax + {gpr} + 96], r12",
        "mov [rax + {gpr} + 104], r13",
        "mov [rax + {gpr} + 112], r14",
        "mov [rax + {gpr} + 120], r15",
        "mov rcx, gs:[{rax}]",
        "mov [rax + {gpr}], rcx",
        "mov rsp, gs:[{host_rsp}]",
        "pushfq",
        "pop qword ptr [rax + {flags}]",
        save_vectors!(),
        "jmp {abandon}",
        rax = const RAX,
        context = const CONTEXT,
        host_rsp = const HOST_RSP,
        has_avx = const HAS_AVX,
        ymm = const YMM,
        gpr = const GPR,
        flags = const FLAGS_IN_CONTEXT,
        abandon = sym abandon,
    )
}

/// Returns from `enter_raw`; the registers are lost.
///
/// # Safety
///
/// `enter_raw` is running, and GS is at the state block.
#[unsafe(naked)]
unsafe extern "sysv64" fn abandon() {
    naked_asm!(
        "mov rsp, gs:[{host_rsp}]",
        "push 0x002",
        "popfq",
        "fninit",
        "push 0x1f80",
        "ldmxcsr [rsp]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        host_rsp = const HOST_RSP,
    )
}

/// A gate that saves everything, calls `$function` and goes on where that says, with
/// the registers put back: RCX and RDX from the quadwords at `$rcx` and `$rdx`.
macro_rules! gate {
    ($(#[$attribute:meta])* $name:ident, $function:path, $rcx:expr, $rdx:expr) => {
        $(#[$attribute])*
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name() {
            naked_asm!(
                "mov gs:[{saved}], rax",
                "mov gs:[{saved} + 8], rcx",
                "mov gs:[{saved} + 16], rdx",
                "mov gs:[{saved} + 24], rbx",
                "mov gs:[{saved} + 32], rsp",
                "mov gs:[{saved} + 40], rbp",
                "mov gs:[{saved} + 48], rsi",
                "mov gs:[{saved} + 56], rdi",
                "mov gs:[{saved} + 64], r8",
                "mov gs:[{saved} + 72], r9",
                "mov gs:[{saved} + 80], r10",
                "mov gs:[{saved} + 88], r11",
                "mov gs:[{saved} + 96], r12",
                "mov gs:[{saved} + 104], r13",
                "mov gs:[{saved} + 112], r14",
                "mov gs:[{saved} + 120], r15",
                "mov rsp, gs:[{host_rsp}]",
                "pushfq",
                "pop qword ptr gs:[{flags}]",
                "cld",
                "mov rax, {vectors}",
                save_vectors!(),
                "and rsp, -16",
                "mov rdi, gs:[{saved} + 16]",
                "call {function}",
                "mov gs:[{target}], rax",
                "mov rax, {vectors}",
                load_vectors!(),
                "mov rsp, gs:[{host_rsp}]",
                "push qword ptr gs:[{flags}]",
                "popfq",
                "mov rax, gs:[{saved}]",
                "mov rcx, gs:[{rcx}]",
                "mov rdx, gs:[{rdx}]",
                "mov rbx, gs:[{saved} + 24]",
                "mov rsp, gs:[{saved} + 32]",
                "mov rbp, gs:[{saved} + 40]",
                "mov rsi, gs:[{saved} + 48]",
                "mov rdi, gs:[{saved} + 56]",
                "mov r8, gs:[{saved} + 64]",
                "mov r9, gs:[{saved} + 72]",
                "mov r10, gs:[{saved} + 80]",
                "mov r11, gs:[{saved} + 88]",
                "mov r12, gs:[{saved} + 96]",
                "mov r13, gs:[{saved} + 104]",
                "mov r14, gs:[{saved} + 112]",
                "mov r15, gs:[{saved} + 120]",
                "jmp gs:[{target}]",
                saved = const SAVED,
                host_rsp = const HOST_RSP,
                flags = const FLAGS,
                vectors = const STATE.start as i64 + VECTORS as i64,
                has_avx = const HAS_AVX,
                ymm = const YMM,
                target = const TARGET,
                rcx = const $rcx,
                rdx = const $rdx,
                function = sym $function,
            )
        }
    };
}

gate!(
    /// # Safety
    ///
    /// Only translated code jumps here.
    dispatch_gate,
    on_dispatch,
    state::SPILLS + 8,
    state::SPILLS + 16
);
gate!(
    /// # Safety
    ///
    /// Only translated code jumps here.
    check_gate,
    on_check,
    SAVED + 8,
    SAVED + 16
);
gate!(
    /// # Safety
    ///
    /// Only translated code jumps here.
    trap_gate,
    on_trap,
    SAVED + 8,
    SAVED + 16
);

/// The machine that runs.
pub fn with_machine<R>(action: impl FnOnce(&mut Machine) -> R) -> R {
    let machine = CURRENT.load(Ordering::SeqCst);
    // SAFETY: `Machine::run` stored a pointer to itself and waits in `enter`, so the
    // machine exists and nobody else uses it until the gate returns.
    action(unsafe { &mut *machine })
}

extern "sysv64" fn on_dispatch(target: u64) -> u64 {
    with_machine(|machine| machine.dispatched(target))
}

fn site() -> u32 {
    memory::read_u32(STATE.start + state::SITE as u64)
}

extern "sysv64" fn on_check(_: u64) -> u64 {
    let registers = std::array::from_fn(|number| {
        memory::read_u64(STATE.start + SAVED as u64 + 8 * number as u64)
    });
    let address = memory::read_u64(STATE.start + state::ADDRESS as u64);
    with_machine(|machine| machine.checked(site(), address, registers))
}

extern "sysv64" fn on_trap(_: u64) -> u64 {
    with_machine(|machine| {
        let site = machine.translator.site(site()).copied();
        machine.exit = site.map(Exit::Trap);
    });
    leave_address()
}
