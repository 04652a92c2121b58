//! Instructions that are not carried over: what they are, and why each stops at the
//! trap gate instead of running in the cache.

use std::fmt;

use iced_x86::{Code, FlowControl, Instruction, Mnemonic, OpAccess, Register};

/// Why an instruction became a call of the trap gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TrapReason {
    /// No instruction of the processor, or one defined to raise #UD.
    InvalidOpcode,
    /// The instruction's bytes are not all readable code.
    Unreadable,
    /// Allowed at privilege level 0 only; the host may emulate it and go on.
    Privileged,
    /// `syscall`, `sysenter` and their returns: they would enter the host's kernel.
    SystemCall,
    /// `int n`, `int3`, `int1`, `into`; the host raises what the vector means.
    Interrupt(u8),
    /// A far jump, call or return.
    FarTransfer,
    /// A write to a segment register or to the base of FS or GS.
    SegmentLoad,
    /// Memory by way of FS, which belongs to the host.
    FsSegment,
    /// A near branch with an operand-size prefix: processors disagree on what it does.
    OperandSizeBranch,
    /// A RIP-relative operand that the cache cannot reach, or by 32 bits of RIP.
    OperandOutOfReach,
    /// Transactional memory: a rollback would leave the cache.
    Transaction,
    /// Speaks to a hypervisor, an enclave or the host's kernel.
    Unsupported,
}

impl TrapReason {
    /// Whether the host may emulate the instruction and go on behind it.
    #[must_use]
    pub const fn may_resume(self) -> bool {
        match self {
            // `__fastfail` does not return.
            Self::Interrupt(vector) => vector != 0x29,
            Self::Privileged
            | Self::SegmentLoad
            | Self::FsSegment
            | Self::OperandOutOfReach
            | Self::Unsupported => true,
            _ => false,
        }
    }
}

impl fmt::Display for TrapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::InvalidOpcode => "instruction is not valid",
            Self::Unreadable => "instruction lies in memory that is not executable code",
            Self::Privileged => "instruction is privileged",
            Self::SystemCall => "instruction is a system call",
            Self::Interrupt(vector) => {
                return write!(f, "instruction raises interrupt {vector:#x}");
            }
            Self::FarTransfer => "instruction transfers control to another code segment",
            Self::SegmentLoad => "instruction writes a segment register",
            Self::FsSegment => "instruction accesses memory relative to FS",
            Self::OperandSizeBranch => "branch has an operand-size prefix",
            Self::OperandOutOfReach => "operand lies out of reach of the code cache",
            Self::Transaction => "instruction belongs to transactional memory",
            Self::Unsupported => {
                "instruction addresses a hypervisor, an enclave or the operating system"
            }
        };
        f.write_str(text)
    }
}

/// Why `instruction` cannot run in the cache, if so. `bytes` are its own.
pub(crate) fn reason(instruction: &Instruction, bytes: &[u8]) -> Option<TrapReason> {
    if instruction.is_invalid() {
        return Some(TrapReason::InvalidOpcode);
    }
    by_flow(instruction, bytes)
        .or_else(|| by_mnemonic(instruction))
        .or_else(|| by_operands(instruction))
}

fn by_flow(instruction: &Instruction, bytes: &[u8]) -> Option<TrapReason> {
    let near = match instruction.flow_control() {
        FlowControl::Next => return None,
        FlowControl::Interrupt => return Some(TrapReason::Interrupt(vector(instruction))),
        FlowControl::Exception => return Some(TrapReason::InvalidOpcode),
        FlowControl::XbeginXabortXend => return Some(TrapReason::Transaction),
        FlowControl::ConditionalBranch => {
            instruction.is_jcc_short_or_near()
                || instruction.is_jcx_short()
                || instruction.is_loop()
                || instruction.is_loopcc()
        }
        FlowControl::UnconditionalBranch => {
            matches!(instruction.code(), Code::Jmp_rel8_64 | Code::Jmp_rel32_64)
        }
        FlowControl::IndirectBranch => instruction.code() == Code::Jmp_rm64,
        FlowControl::IndirectCall => instruction.code() == Code::Call_rm64,
        FlowControl::Return => matches!(instruction.code(), Code::Retnq | Code::Retnq_imm16),
        FlowControl::Call => instruction.code() == Code::Call_rel32_64,
    };
    if near {
        return has_operand_size_prefix(bytes).then_some(TrapReason::OperandSizeBranch);
    }
    Some(match instruction.mnemonic() {
        Mnemonic::Syscall
        | Mnemonic::Sysenter
        | Mnemonic::Sysret
        | Mnemonic::Sysretq
        | Mnemonic::Sysexit
        | Mnemonic::Sysexitq => TrapReason::SystemCall,
        _ if instruction.is_privileged() => TrapReason::Privileged,
        Mnemonic::Jmp
        | Mnemonic::Call
        | Mnemonic::Retf
        | Mnemonic::Iret
        | Mnemonic::Iretd
        | Mnemonic::Iretq => {
            if has_operand_size_prefix(bytes)
                && !instruction.is_jmp_far_indirect()
                && !instruction.is_call_far_indirect()
            {
                TrapReason::OperandSizeBranch
            } else {
                TrapReason::FarTransfer
            }
        }
        Mnemonic::Ret => TrapReason::OperandSizeBranch,
        _ => TrapReason::Unsupported,
    })
}

fn vector(instruction: &Instruction) -> u8 {
    match instruction.mnemonic() {
        Mnemonic::Int1 => 1,
        Mnemonic::Int3 => 3,
        Mnemonic::Into => 4,
        _ => instruction.immediate8(),
    }
}

fn by_mnemonic(instruction: &Instruction) -> Option<TrapReason> {
    match instruction.mnemonic() {
        Mnemonic::Wrfsbase | Mnemonic::Wrgsbase => Some(TrapReason::SegmentLoad),
        Mnemonic::Wrpkru
        | Mnemonic::Vmfunc
        | Mnemonic::Vmcall
        | Mnemonic::Vmmcall
        | Mnemonic::Vmgexit
        | Mnemonic::Getsec
        | Mnemonic::Encls
        | Mnemonic::Enclu
        | Mnemonic::Enclv
        | Mnemonic::Clui
        | Mnemonic::Stui
        | Mnemonic::Testui
        | Mnemonic::Senduipi => Some(TrapReason::Unsupported),
        Mnemonic::Xtest => Some(TrapReason::Transaction),
        _ if instruction.is_privileged() => Some(TrapReason::Privileged),
        _ => None,
    }
}

fn by_operands(instruction: &Instruction) -> Option<TrapReason> {
    let writes_segment = matches!(
        instruction.mnemonic(),
        Mnemonic::Lfs | Mnemonic::Lgs | Mnemonic::Lss | Mnemonic::Lds | Mnemonic::Les
    ) || (instruction.op_count() > 0
        && instruction.op0_register().is_segment_register()
        && matches!(instruction.mnemonic(), Mnemonic::Mov | Mnemonic::Pop));
    if writes_segment {
        return Some(TrapReason::SegmentLoad);
    }
    let memory = (0..instruction.op_count()).any(|operand| is_memory(instruction, operand));
    if memory
        && instruction.segment_prefix() == Register::FS
        && !matches!(instruction.mnemonic(), Mnemonic::Lea | Mnemonic::Nop)
    {
        return Some(TrapReason::FsSegment);
    }
    (instruction.is_ip_rel_memory_operand() && instruction.memory_base() == Register::EIP)
        .then_some(TrapReason::OperandOutOfReach)
}

fn is_memory(instruction: &Instruction, operand: u32) -> bool {
    use iced_x86::OpKind;
    matches!(
        instruction.op_kind(operand),
        OpKind::Memory
            | OpKind::MemorySegSI
            | OpKind::MemorySegESI
            | OpKind::MemorySegRSI
            | OpKind::MemorySegDI
            | OpKind::MemorySegEDI
            | OpKind::MemorySegRDI
            | OpKind::MemoryESDI
            | OpKind::MemoryESEDI
            | OpKind::MemoryESRDI
    )
}

fn has_operand_size_prefix(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .take_while(|byte| {
            matches!(
                byte,
                0x66 | 0x67 | 0xf0 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 | 0x40
                    ..=0x4f
            )
        })
        .any(|byte| *byte == 0x66)
}

/// Whether an access touches memory at all.
pub(crate) fn touches_memory(access: OpAccess) -> bool {
    !matches!(access, OpAccess::None | OpAccess::NoMemAccess)
}
