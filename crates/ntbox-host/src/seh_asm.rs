//! What must see the caller's registers untouched: `RtlCaptureContext` stores
//! all of them, `__chkstk` may change none.

use super::asm_exports::{Native, between};
use super::gate::Reference;

// Neither moves RSP; `__chkstk` stores below it, as its callers expect. Offsets are those of `Context`.
std::arch::global_asm!(
    ".pushsection .rodata.ntbox_seh, \"a\", @progbits",
    ".globl ntbox_capture_context, ntbox_capture_context_end, ntbox_chkstk, ntbox_chkstk_end",
    ".hidden ntbox_capture_context, ntbox_capture_context_end, ntbox_chkstk, ntbox_chkstk_end",
    "ntbox_capture_context:",
    "mov [rcx + 0x78], rax",
    "mov [rcx + 0x80], rcx",
    "mov [rcx + 0x88], rdx",
    "mov [rcx + 0x90], rbx",
    "mov [rcx + 0xa0], rbp",
    "mov [rcx + 0xa8], rsi",
    "mov [rcx + 0xb0], rdi",
    "mov [rcx + 0xb8], r8",
    "mov [rcx + 0xc0], r9",
    "mov [rcx + 0xc8], r10",
    "mov [rcx + 0xd0], r11",
    "mov [rcx + 0xd8], r12",
    "mov [rcx + 0xe0], r13",
    "mov [rcx + 0xe8], r14",
    "mov [rcx + 0xf0], r15",
    // The flags that matter to a program, one by one: pushing them all would
    // need the stack. Direction is clear at every call.
    "seto al",
    "lahf",
    "movzx r8d, al",
    "movzx eax, ah",
    "shl r8d, 11",
    "or eax, r8d",
    "or eax, 0x200",
    "mov [rcx + 0x44], eax",
    "mov r8, [rcx + 0xb8]",
    // As just after the call.
    "lea rax, [rsp + 8]",
    "mov [rcx + 0x98], rax",
    "mov rax, [rsp]",
    "mov [rcx + 0xf8], rax",
    "fxsave [rcx + 0x100]",
    "stmxcsr [rcx + 0x34]",
    // Segments of the kernel, which this process cannot have.
    "mov dword ptr [rcx + 0x38], 0x002b0010",
    "mov dword ptr [rcx + 0x3c], 0x0053002b",
    "mov dword ptr [rcx + 0x40], 0x0018002b",
    // CONTEXT_FULL and CONTEXT_SEGMENTS.
    "mov dword ptr [rcx + 0x30], 0x10000f",
    "mov rax, [rcx + 0x78]",
    "ret",
    "ntbox_capture_context_end:",
    // RAX is the size of a frame to be: its pages are touched from the top
    // down. R10 and R11 are kept below the stack pointer, where nothing of the
    // driver's is.
    "ntbox_chkstk:",
    "mov [rsp - 8], r10",
    "mov [rsp - 16], r11",
    // R10: the lowest address of the frame; 0 if it would be below that.
    "xor r11d, r11d",
    "lea r10, [rsp + 8]",
    "sub r10, rax",
    "cmovb r10, r11",
    "and r10, -4096",
    "mov r11, rsp",
    "and r11, -4096",
    "2: cmp r11, r10",
    "jbe 3f",
    "sub r11, 4096",
    "test byte ptr [r11], al",
    "jmp 2b",
    "3: mov r10, [rsp - 8]",
    "mov r11, [rsp - 16]",
    "ret",
    "ntbox_chkstk_end:",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "ntbox_capture_context"]
    static CAPTURE: u8;
    #[link_name = "ntbox_capture_context_end"]
    static CAPTURE_END: u8;
    #[link_name = "ntbox_chkstk"]
    static CHKSTK: u8;
    #[link_name = "ntbox_chkstk_end"]
    static CHKSTK_END: u8;
}

/// The exports of exception handling that are machine code.
pub const NATIVE: &[Native] = &[
    Native {
        name: "RtlCaptureContext",
        // SAFETY: the labels surround the code above, in read-only memory.
        code: || unsafe { between(&raw const CAPTURE, &raw const CAPTURE_END) },
        reference: Reference::Header("ntifs", ""),
        source: file!(),
    },
    Native {
        name: "__chkstk",
        // SAFETY: both labels lie in one section of read-only memory, in this order.
        code: || unsafe { between(&raw const CHKSTK, &raw const CHKSTK_END) },
        reference: Reference::Undocumented("the convention of compilers"),
        source: file!(),
    },
];
