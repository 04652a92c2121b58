//! The x64 implementation: registers, the shared user data page, and two assembly
//! functions.
//!
//! Rust has no `__try`. The assembly is the code that a C compiler generates for
//! `__try { f(…); } __except (EXCEPTION_EXECUTE_HANDLER) { … }`: unwind data for its
//! frame, `__C_specific_handler`, and a scope table with one guarded range. It calls the
//! raising function directly, so no Rust frame is ever unwound.

use core::{
    arch::{asm, global_asm},
    ffi::c_void,
};

/// Where the kernel shares the time with everybody, for reading: `SystemTime` of
/// `KUSER_SHARED_DATA`.
const SHARED_TIME: usize = 0xFFFF_F780_0000_0014;

/// The current IRQL of this processor, as the headers' inline function reads it:
/// kernels before Windows 8 do not export `KeGetCurrentIrql` for x64.
pub(crate) fn irql() -> u8 {
    let level: u64;
    // SAFETY: kernel code may read CR8 at any IRQL; the read has no side effect and
    // changes nothing but the output register.
    unsafe {
        asm!("mov {}, cr8", out(reg) level, options(nomem, nostack, preserves_flags));
    }
    // CR8 holds four bits, so nothing is cut off.
    level.to_le_bytes()[0]
}

/// The time of the last clock interrupt, in units of 100 ns since 1601.
pub(crate) fn system_time() -> i64 {
    let time: i64;
    // SAFETY: the page is mapped on every system, at this address, and readable at
    // any IRQL. One instruction reads all of the number, which is not aligned, so
    // that both halves are of one moment.
    unsafe {
        asm!(
            "mov {time}, qword ptr [{place}]",
            time = out(reg) time,
            place = in(reg) SHARED_TIME,
            options(nostack, readonly, preserves_flags),
        );
    }
    time
}

/// Stops the system: `RtlFailFast` with this code.
#[cold]
pub(crate) fn fast_fail(code: u32) -> ! {
    // SAFETY: the interrupt is there to be used by code that must not go on; the
    // kernel does not return from it.
    unsafe { asm!("int 29h", in("ecx") code, options(noreturn, nostack)) }
}

/// `MmHighestUserAddress`, `MmUserProbeAddress` and `MmSystemRangeStart`.
pub(crate) fn address_limits() -> [usize; 3] {
    // SAFETY: the loader has put the variable's address into the slot, and the kernel
    // never writes to the variable after its own start.
    let highest_user = unsafe { *imports::HIGHEST_USER_ADDRESS };
    // SAFETY: the slot and the variable are of the same kind as the one before.
    let user_probe = unsafe { *imports::USER_PROBE_ADDRESS };
    // SAFETY: the slot and the variable are of the same kind as the first one.
    let system_range_start = unsafe { *imports::SYSTEM_RANGE_START };
    [highest_user, user_probe, system_range_start]
}

/// Slots of the import address table, each of which holds the address of a
/// variable of the kernel. The bindings declare the variables themselves, but an
/// image reaches another image's variable only through such a slot.
mod imports {
    unsafe extern "C" {
        #[link_name = "__imp_MmHighestUserAddress"]
        pub(super) static HIGHEST_USER_ADDRESS: *const usize;
        #[link_name = "__imp_MmUserProbeAddress"]
        pub(super) static USER_PROBE_ADDRESS: *const usize;
        #[link_name = "__imp_MmSystemRangeStart"]
        pub(super) static SYSTEM_RANGE_START: *const usize;
    }
}

// fn wdm_guarded_call(function, arguments: &[usize; 6], outcome: &mut u64) -> u32
//
// The range ends after the `nop`: the return address of the call has to lie
// inside it. The kernel continues at the target with the frame's registers as
// they were at the call, and the exception's code in RAX.
global_asm!(
    r#"
    .text
    .globl wdm_guarded_call
    .p2align 4
    .def wdm_guarded_call
        .scl 2
        .type 32
    .endef
    .seh_proc wdm_guarded_call
wdm_guarded_call:
    push rbx
    .seh_pushreg rbx
    sub rsp, 0x30
    .seh_stackalloc 0x30
    .seh_endprologue
    mov rbx, r8
    mov rax, rcx
    mov r10, rdx
    mov r11, qword ptr [r10 + 0x20]
    mov qword ptr [rsp + 0x20], r11
    mov r11, qword ptr [r10 + 0x28]
    mov qword ptr [rsp + 0x28], r11
    mov rcx, qword ptr [r10]
    mov rdx, qword ptr [r10 + 0x08]
    mov r8, qword ptr [r10 + 0x10]
    mov r9, qword ptr [r10 + 0x18]
.Lwdm_guarded_begin:
    call rax
    nop
.Lwdm_guarded_end:
    mov qword ptr [rbx], rax
    xor eax, eax
.Lwdm_guarded_return:
    add rsp, 0x30
    pop rbx
    ret
.Lwdm_guarded_target:
    mov eax, eax
    mov qword ptr [rbx], rax
    mov eax, 1
    jmp .Lwdm_guarded_return
    .seh_handler __C_specific_handler, @except
    .seh_handlerdata
    .long 1
    .long .Lwdm_guarded_begin@IMGREL
    .long .Lwdm_guarded_end@IMGREL
    .long 1
    .long .Lwdm_guarded_target@IMGREL
    .text
    .seh_endproc
"#
);

// fn wdm_guarded_copy(to, from, len) -> u32
//
// 0, or the code of the exception that the copy ended in. The kernel continues at
// the target with that code in RAX.
global_asm!(
    r#"
    .text
    .globl wdm_guarded_copy
    .p2align 4
    .def wdm_guarded_copy
        .scl 2
        .type 32
    .endef
    .seh_proc wdm_guarded_copy
wdm_guarded_copy:
    push rsi
    .seh_pushreg rsi
    push rdi
    .seh_pushreg rdi
    sub rsp, 0x28
    .seh_stackalloc 0x28
    .seh_endprologue
    mov rdi, rcx
    mov rsi, rdx
    mov rcx, r8
.Lwdm_copy_begin:
    rep movsb
    nop
.Lwdm_copy_end:
    xor eax, eax
.Lwdm_copy_return:
    add rsp, 0x28
    pop rdi
    pop rsi
    ret
.Lwdm_copy_target:
    jmp .Lwdm_copy_return
    .seh_handler __C_specific_handler, @except
    .seh_handlerdata
    .long 1
    .long .Lwdm_copy_begin@IMGREL
    .long .Lwdm_copy_end@IMGREL
    .long 1
    .long .Lwdm_copy_target@IMGREL
    .text
    .seh_endproc
"#
);

unsafe extern "system" {
    /// 0 and the function's result in `outcome`, or 1 and the exception's code.
    #[link_name = "wdm_guarded_call"]
    pub(crate) fn guarded_call(
        function: *const c_void,
        arguments: *const [usize; 6],
        outcome: *mut u64,
    ) -> u32;

    /// 0, or the code of the exception that the copy ended in.
    #[link_name = "wdm_guarded_copy"]
    pub(crate) fn guarded_copy(to: *mut u8, from: *const u8, len: usize) -> u32;
}
