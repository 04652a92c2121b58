//! The gates out of the code cache, and the jump into it.
//!
//! A gate saves the driver's registers on the host stack, calls a function of
//! [`transfer`], and goes on where that says with the registers that it
//! left.

use std::arch::naked_asm;
use std::mem::offset_of;

use ntbox_translate::{Gpr, state};

use super::{from_gs, transfer};
use crate::context::Context;

/// Where a gate keeps a register until it has a stack, and its target at the end.
const KEPT_RAX: i32 = from_gs(state::HOST);
const KEPT_RSP: i32 = from_gs(state::HOST + 8);
const KEPT_RCX: i32 = from_gs(state::HOST + 16);
const KEPT_RDX: i32 = from_gs(state::HOST + 24);
const TARGET: i32 = from_gs(state::HOST + 32);
/// Where translated code keeps the driver's RCX and RDX at the dispatch gate.
const SPILLED_RCX: i32 = from_gs(state::spill(Gpr::RCX));
const SPILLED_RDX: i32 = from_gs(state::spill(Gpr::RDX));
/// Where a jump through the table keeps the driver's registers that it uses.
pub const SPILLED_R10: i32 = from_gs(state::spill(Gpr::R10));
pub const SPILLED_R11: i32 = from_gs(state::spill(Gpr::R11));
/// The table of indirect branches.
pub const TABLE: i32 = from_gs(state::TABLE);

/// Extended state in the standard form of XSAVE: SSE, AVX, and AVX-512 with its masks.
const EXTENDED: usize = 0xb00;
/// The parts of it that code of the host changes.
const PARTS: u32 = 0xe6;

/// The driver's registers while a gate runs.
#[repr(C, align(64))]
pub struct GateFrame {
    extended: [u8; EXTENDED],
    /// By number.
    pub registers: [u64; 16],
    /// The original address that the driver is at.
    pub rip: u64,
    /// Flags.
    pub flags: u64,
}

const REGISTERS: usize = offset_of!(GateFrame, registers);
const RIP: usize = offset_of!(GateFrame, rip);
const FLAGS: usize = offset_of!(GateFrame, flags);

impl GateFrame {
    /// The same as a context.
    pub fn context(&self) -> Context {
        let mut context = Context::zeroed();
        context.registers = self.registers;
        context.rip = self.rip;
        context.eflags = u32::try_from(self.flags & 0xffff_ffff).unwrap_or(0x202);
        let at = |offset: usize, length: usize| &self.extended[offset..offset + length];
        // What XSAVE has not written is as after a reset.
        let written = self.extended[0x200];
        if written & 6 != 0 {
            context.mxcsr = u32::from_le_bytes(at(24, 4).try_into().unwrap_or([0; 4]));
        }
        if written & 2 != 0 {
            for (number, slot) in context.xmm.iter_mut().enumerate() {
                let bytes = at(160 + 16 * number, 16);
                *slot = u128::from_le_bytes(bytes.try_into().unwrap_or([0; 16]));
            }
        }
        context
    }
}

macro_rules! gate {
    ($name:ident, $function:path, $rcx:expr, $rdx:expr, $begin:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Only translated code jumps here, with GS at the control region.
        #[unsafe(naked)]
        pub unsafe extern "sysv64" fn $name() {
            naked_asm!(
                $begin,
                "mov gs:[{kept_rax}], rax",
                "mov gs:[{kept_rsp}], rsp",
                "mov rsp, gs:[0x2000]",
                "pushfq",
                "pop rax",
                "cld",
                "lea rsp, [rsp - {size}]",
                "and rsp, -64",
                "mov [rsp + {flags}], rax",
                "mov rax, gs:[{kept_rax}]",
                "mov [rsp + {registers}], rax",
                "mov rax, gs:[{rcx}]",
                "mov [rsp + {registers} + 8], rax",
                "mov rax, gs:[{rdx}]",
                "mov [rsp + {registers} + 16], rax",
                "mov [rsp + {registers} + 24], rbx",
                "mov rax, gs:[{kept_rsp}]",
                "mov [rsp + {registers} + 32], rax",
                "mov [rsp + {registers} + 40], rbp",
                "mov [rsp + {registers} + 48], rsi",
                "mov [rsp + {registers} + 56], rdi",
                "mov [rsp + {registers} + 64], r8",
                "mov [rsp + {registers} + 72], r9",
                "mov [rsp + {registers} + 80], r10",
                "mov [rsp + {registers} + 88], r11",
                "mov [rsp + {registers} + 96], r12",
                "mov [rsp + {registers} + 104], r13",
                "mov [rsp + {registers} + 112], r14",
                "mov [rsp + {registers} + 120], r15",
                // At the dispatch gate RDX is the original address to go on at.
                "mov [rsp + {rip}], rdx",
                // The header of XSAVE must be clear.
                "xor eax, eax",
                "mov [rsp + 0x200], rax",
                "mov [rsp + 0x208], rax",
                "mov [rsp + 0x210], rax",
                "mov [rsp + 0x218], rax",
                "mov [rsp + 0x220], rax",
                "mov [rsp + 0x228], rax",
                "mov [rsp + 0x230], rax",
                "mov [rsp + 0x238], rax",
                "mov eax, {parts}",
                "xor edx, edx",
                "xsave64 [rsp]",
                "mov rdi, rsp",
                "call {function}",
                "mov gs:[{target}], rax",
                "mov eax, {parts}",
                "xor edx, edx",
                "xrstor64 [rsp]",
                "push qword ptr [rsp + {flags}]",
                "popfq",
                "mov rax, [rsp + {registers}]",
                "mov rcx, [rsp + {registers} + 8]",
                "mov rdx, [rsp + {registers} + 16]",
                "mov rbx, [rsp + {registers} + 24]",
                "mov rbp, [rsp + {registers} + 40]",
                "mov rsi, [rsp + {registers} + 48]",
                "mov rdi, [rsp + {registers} + 56]",
                "mov r8, [rsp + {registers} + 64]",
                "mov r9, [rsp + {registers} + 72]",
                "mov r10, [rsp + {registers} + 80]",
                "mov r11, [rsp + {registers} + 88]",
                "mov r12, [rsp + {registers} + 96]",
                "mov r13, [rsp + {registers} + 104]",
                "mov r14, [rsp + {registers} + 112]",
                "mov r15, [rsp + {registers} + 120]",
                "mov rsp, [rsp + {registers} + 32]",
                "jmp gs:[{target}]",
                kept_rax = const KEPT_RAX,
                kept_rsp = const KEPT_RSP,
                rcx = const $rcx,
                rdx = const $rdx,
                size = const size_of::<GateFrame>(),
                flags = const FLAGS,
                registers = const REGISTERS,
                rip = const RIP,
                parts = const PARTS,
                target = const TARGET,
                function = sym $function,
            )
        }
    };
}

gate!(
    dispatch_gate,
    transfer::dispatch,
    SPILLED_RCX,
    SPILLED_RDX,
    "",
    "Translated code goes on at an original address that it has no jump for."
);
// RCX and RDX are kept where the gate reads them: 0x10110 and 0x10118 from GS.
gate!(
    check_gate,
    transfer::check,
    KEPT_RCX,
    KEPT_RDX,
    "mov gs:[0x10110], rcx\nmov gs:[0x10118], rdx",
    "A check has not let an access pass."
);
gate!(
    trap_gate,
    transfer::trap,
    KEPT_RCX,
    KEPT_RDX,
    "mov gs:[0x10110], rcx\nmov gs:[0x10118], rdx",
    "An instruction that is not carried over."
);

const _: () = assert!(KEPT_RCX == 0x1_0110 && KEPT_RDX == 0x1_0118);
