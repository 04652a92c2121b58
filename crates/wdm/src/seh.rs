//! Calls of kernel functions that report failure by raising an exception.
//!
//! Rust has no `__try`. The function below is what a C compiler makes of
//! `__try { f(…); } __except (EXCEPTION_EXECUTE_HANDLER) { … }`: unwind data for
//! its frame, the kernel's `__C_specific_handler`, and a table with one guarded
//! range. The raising function is called straight from here, with no Rust frame
//! between the two, so that no Rust code is ever unwound.

use core::{arch::global_asm, ffi::c_void};

use crate::Status;

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
    fn wdm_guarded_call(
        function: *const c_void,
        arguments: *const [usize; 6],
        outcome: *mut u64,
    ) -> u32;

    /// 0, or the code of the exception that the copy ended in.
    fn wdm_guarded_copy(to: *mut u8, from: *const u8, len: usize) -> u32;
}

/// Copies bytes between the kernel's memory and user memory, where any access may
/// raise; the exception comes back as its code. Some bytes may be copied by then.
///
/// IRQL: `<= APC_LEVEL`.
///
/// # Safety
///
/// Of the two ranges of `len` bytes one is valid memory of the kernel, for reading
/// or writing; the other lies below `MmUserProbeAddress` and in no memory that Rust
/// knows. Faults may be taken here.
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> Result<(), Status> {
    // SAFETY: the caller vouches for both ranges; an access to user memory that
    // cannot be made ends at the function's handler.
    match unsafe { wdm_guarded_copy(to, from, len) } {
        0 => Ok(()),
        code => Err(Status::from_code(code)),
    }
}

/// Calls `function` with up to six arguments; an exception that it raises comes
/// back as the exception's code.
///
/// IRQL: what `function` asks for.
///
/// # Safety
///
/// `function` has the x64 calling convention of the system, takes at most these
/// arguments, each in eight bytes, and may be called with them here. If it raises,
/// it has undone its work.
pub(crate) unsafe fn call(function: *const c_void, arguments: [usize; 6]) -> Result<u64, Status> {
    let mut outcome = 0;
    // SAFETY: the caller vouches for function and arguments; both pointers are to
    // locals that outlive the call.
    let raised = unsafe { wdm_guarded_call(function, &raw const arguments, &raw mut outcome) };
    if raised == 0 {
        Ok(outcome)
    } else {
        // A raised outcome is a zero-extended 32-bit code.
        let [b0, b1, b2, b3, ..] = outcome.to_le_bytes();
        Err(Status::from_code(u32::from_le_bytes([b0, b1, b2, b3])))
    }
}
