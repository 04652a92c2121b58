//! One instruction of the program with what the translator must know of it: registers
//! and flags that it reads and writes, the memory it accesses, how control goes on.

use iced_x86::{
    CodeSize, FlowControl, Instruction, InstructionInfoFactory, InstructionInfoOptions, Mnemonic,
    OpAccess, OpKind, Register, RflagsBits, UsedMemory,
};

use crate::{Gpr, RegisterSet, TrapReason, trap};

/// How control goes on after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Control {
    Next,
    Jump(u64),
    Branch(u64),
    Call(u64),
    JumpIndirect,
    CallIndirect,
    Return { discard: u16 },
    Trap(TrapReason),
}

/// How the bytes of an access follow from its operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// `size` bytes at the operand.
    Fixed,
    /// RCX times `size` bytes from the operand on, by the direction flag.
    Repeated,
    /// Known to the host only: gathers, bit strings, masks, sizes by other registers.
    Computed,
}

/// A memory operand, explicit or implied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Access {
    pub base: Option<Gpr>,
    pub index: Option<Gpr>,
    pub scale: u8,
    /// The displacement; the address itself when RIP-relative.
    pub displacement: i64,
    pub rip_relative: bool,
    pub address_32: bool,
    pub size: u16,
    pub write: bool,
    pub extent: Extent,
}

/// An instruction of the program.
#[derive(Clone, Debug)]
pub(crate) struct Insn {
    pub instruction: Instruction,
    pub bytes: [u8; 15],
    /// Where the displacement is in its bytes, 0 where there is none.
    pub displacement_offset: u8,
    pub control: Control,
    pub uses: RegisterSet,
    /// What it overwrites whatever happens, with nothing of the old value left.
    pub defs: RegisterSet,
    /// What it may change.
    pub writes: RegisterSet,
    pub accesses: Vec<Access>,
    pub live_in: RegisterSet,
    pub leader: bool,
}

impl Insn {
    pub fn ip(&self) -> u64 {
        self.instruction.ip()
    }

    pub fn next_ip(&self) -> u64 {
        self.instruction.next_ip()
    }

    pub fn code(&self) -> &[u8] {
        &self.bytes[..self.instruction.len().min(15)]
    }

    /// Whether the direction flag may be set after it.
    pub fn may_set_direction(&self) -> bool {
        let bits = self.instruction.rflags_written()
            | self.instruction.rflags_set()
            | self.instruction.rflags_undefined();
        self.control == Control::Next && bits & RflagsBits::DF != 0
    }

    /// Whether control may reach the next instruction without a return or the host.
    pub fn falls_through(&self) -> bool {
        matches!(self.control, Control::Next | Control::Branch(_))
    }
}

/// Makes [`Insn`]s; keeps iced's factory, which is costly to make.
pub(crate) struct Analyser {
    factory: InstructionInfoFactory,
    memory: bool,
}

impl Analyser {
    /// With `memory`, accesses are listed too.
    pub fn new(memory: bool) -> Self {
        Self {
            factory: InstructionInfoFactory::new(),
            memory,
        }
    }

    pub fn analyse(
        &mut self,
        instruction: Instruction,
        code: &[u8],
        displacement_offset: usize,
        readable: bool,
    ) -> Insn {
        let mut bytes = [0; 15];
        let length = instruction.len().min(code.len()).min(15);
        bytes[..length].copy_from_slice(&code[..length]);
        let control = if readable {
            control(&instruction, &bytes[..length])
        } else {
            Control::Trap(TrapReason::Unreadable)
        };
        let mut insn = Insn {
            instruction,
            bytes,
            displacement_offset: u8::try_from(displacement_offset).unwrap_or(0),
            control,
            uses: RegisterSet::ALL,
            defs: RegisterSet::EMPTY,
            writes: RegisterSet::ALL,
            accesses: Vec::new(),
            live_in: RegisterSet::EMPTY,
            leader: false,
        };
        if !matches!(control, Control::Trap(_)) {
            self.describe(&mut insn);
        }
        insn
    }

    fn describe(&mut self, insn: &mut Insn) {
        let instruction = &insn.instruction;
        let options = if self.memory {
            InstructionInfoOptions::NONE
        } else {
            InstructionInfoOptions::NO_MEMORY_USAGE
        };
        let info = self.factory.info_options(instruction, options);
        let (mut uses, mut defs, mut writes) = (
            RegisterSet::of(Gpr::RSP),
            RegisterSet::EMPTY,
            RegisterSet::EMPTY,
        );
        for used in info.used_registers() {
            let register = used.register();
            let Some(gpr) = Gpr::containing(register) else {
                continue;
            };
            let gpr = RegisterSet::of(gpr);
            match used.access() {
                OpAccess::None | OpAccess::NoMemAccess => {}
                OpAccess::Read | OpAccess::CondRead => uses |= gpr,
                OpAccess::Write if register.size() >= 4 => {
                    defs |= gpr;
                    writes |= gpr;
                }
                _ => {
                    uses |= gpr;
                    writes |= gpr;
                }
            }
        }
        uses |= RegisterSet::flags(instruction.rflags_read());
        let modified = RegisterSet::flags(instruction.rflags_modified());
        writes |= modified;
        if !may_keep_flags(instruction) {
            let undefined = RegisterSet::flags(instruction.rflags_undefined() & !RflagsBits::AF);
            defs |= modified & !undefined;
        }
        insn.uses = uses;
        insn.defs = defs;
        insn.writes = writes;
        if self.memory {
            insn.accesses = info
                .used_memory()
                .iter()
                .filter_map(|used| access(instruction, used))
                .collect();
        }
    }
}

/// Whether its flags may stay as they were: shifts by a count of zero, repetitions of none.
fn may_keep_flags(instruction: &Instruction) -> bool {
    let by_register = (0..instruction.op_count()).any(|operand| {
        instruction.op_kind(operand) == OpKind::Register
            && instruction.op_register(operand) == Register::CL
    });
    by_register || instruction.has_rep_prefix() || instruction.has_repne_prefix()
}

fn control(instruction: &Instruction, bytes: &[u8]) -> Control {
    if let Some(reason) = trap::reason(instruction, bytes) {
        return Control::Trap(reason);
    }
    match instruction.flow_control() {
        FlowControl::UnconditionalBranch => Control::Jump(instruction.near_branch_target()),
        FlowControl::ConditionalBranch => Control::Branch(instruction.near_branch_target()),
        FlowControl::Call => Control::Call(instruction.near_branch_target()),
        FlowControl::IndirectBranch => Control::JumpIndirect,
        FlowControl::IndirectCall => Control::CallIndirect,
        FlowControl::Return => Control::Return {
            discard: if instruction.op_count() == 0 {
                0
            } else {
                instruction.immediate16()
            },
        },
        _ => Control::Next,
    }
}

fn access(instruction: &Instruction, used: &UsedMemory) -> Option<Access> {
    if !trap::touches_memory(used.access()) || matches!(used.segment(), Register::GS | Register::FS)
    {
        return None;
    }
    let (base, index) = (used.base(), used.index());
    let rip_relative =
        instruction.is_ip_rel_memory_operand() && base == Register::None && index == Register::None
            || base == Register::RIP;
    let string = instruction.is_string_instruction();
    let repeated = string && (instruction.has_rep_prefix() || instruction.has_repne_prefix());
    let bit_string = matches!(
        instruction.mnemonic(),
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    ) && instruction.op1_kind() == OpKind::Register;
    // iced does not say how much a repeated instruction accesses, but of what size.
    let size = if repeated {
        instruction.memory_size().size()
    } else {
        used.memory_size().size()
    };
    let masked = matches!(
        used.access(),
        OpAccess::CondRead | OpAccess::CondWrite | OpAccess::ReadCondWrite
    );
    let odd = size == 0
        || size > 64
        || index.is_vector_register()
        || instruction.mnemonic() == Mnemonic::Xlatb
        || bit_string
        || (masked && !string && !unconditional(instruction.mnemonic()));
    let extent = match (odd, repeated) {
        (true, _) => Extent::Computed,
        (false, true) => Extent::Repeated,
        (false, false) => Extent::Fixed,
    };
    Some(Access {
        base: Gpr::containing(base),
        index: Gpr::containing(index),
        scale: u8::try_from(used.scale()).unwrap_or(1).max(1),
        displacement: used.displacement().cast_signed(),
        rip_relative,
        address_32: used.address_size() == CodeSize::Code32,
        size: u16::try_from(size).unwrap_or(0),
        write: matches!(
            used.access(),
            OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
        ),
        extent,
    })
}

/// Instructions whose memory operand iced calls conditional though the processor
/// always accesses it.
fn unconditional(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Cmova
            | M::Cmovae
            | M::Cmovb
            | M::Cmovbe
            | M::Cmove
            | M::Cmovg
            | M::Cmovge
            | M::Cmovl
            | M::Cmovle
            | M::Cmovne
            | M::Cmovno
            | M::Cmovnp
            | M::Cmovns
            | M::Cmovo
            | M::Cmovp
            | M::Cmovs
            | M::Cmpxchg
            | M::Cmpxchg8b
            | M::Cmpxchg16b
    )
}
