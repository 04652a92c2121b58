//! Stubs: what an indirect branch reaches by the table. A stub compares the target with
//! its own address; a slot of the table is shared by all addresses with the same lower
//! bits.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use crate::{
    Gpr, RegisterSet,
    assembler::{Assembler, is_near, rip_operand},
    location::Phase,
    state,
};

/// The registers that an indirect branch uses: R11 for the target, R10. The program's
/// are in the state block.
pub(crate) const STUB_REGISTERS: RegisterSet = RegisterSet::of(Gpr::R10).with(Gpr::R11);

/// What a stub does with flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StubKind {
    /// It changes them: its target reads none.
    Plain,
    /// It keeps them.
    KeepsFlags,
}

impl StubKind {
    /// The kind for code that reads `live`.
    pub fn for_target(live: RegisterSet) -> Self {
        if live.intersects(RegisterSet::FLAGS) {
            Self::KeepsFlags
        } else {
            Self::Plain
        }
    }
}

/// A stub in the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stub {
    pub kind: StubKind,
    pub target: u64,
    pub address: u64,
    /// Where the displacement of the jump to the next stub is.
    pub miss: u64,
}

/// How a program came to the dispatch gate: the value of
/// [`state::ARRIVAL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// By a direct branch, or a poll.
    Direct,
    /// By an indirect branch.
    Indirect,
    /// By an indirect branch, and flags were lost in a comparison with another target.
    IndirectWithoutFlags,
}

impl Arrival {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Direct => 0,
            Self::Indirect => 1,
            Self::IndirectWithoutFlags => 2,
        }
    }

    /// The arrival that a number means.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Direct,
            1 => Self::Indirect,
            _ => Self::IndirectWithoutFlags,
        }
    }
}

/// Writes the comparison: code behind it runs for `target` alone.
pub(crate) fn emit_stub(asm: &mut Assembler, kind: StubKind, target: u64, miss: u64) -> Stub {
    asm.note(target, Phase::Instruction, STUB_REGISTERS, false);
    let address = asm.ip();
    let miss = match kind {
        StubKind::Plain => {
            move_target(asm, target);
            asm.compare_targets();
            asm.jump_if_to(Code::Jne_rel32_64, miss);
            asm.ip() - 4
        }
        StubKind::KeepsFlags => {
            let hit = asm.label();
            asm.spill(Gpr::RCX);
            // RCX becomes zero for the target alone.
            asm.emit(Instruction::with2(
                Code::Mov_r64_imm64,
                Register::RCX,
                target.wrapping_neg(),
            ));
            let sum = MemoryOperand::with_base_index(Register::RCX, Register::R11);
            asm.emit(Instruction::with2(Code::Lea_r64_m, Register::RCX, sum));
            asm.jump_if_rcx_zero(hit);
            asm.unspill(Gpr::RCX);
            let miss = asm.jump_to(miss);
            asm.bind(hit);
            asm.unspill(Gpr::RCX);
            miss
        }
    };
    Stub {
        kind,
        target,
        address,
        miss,
    }
}

/// A target to R10.
pub(crate) fn move_target(asm: &mut Assembler, target: u64) {
    if is_near(target.wrapping_sub(asm.ip())) {
        asm.emit(Instruction::with2(
            Code::Lea_r64_m,
            Register::R10,
            rip_operand(target),
        ));
    } else {
        asm.emit(Instruction::with2(
            Code::Mov_r64_imm64,
            Register::R10,
            target,
        ));
    }
}

/// What the cache begins with: where misses end. Gives the address for those whose
/// flags are lost; the one for the others is the start.
pub(crate) fn emit_prologue(asm: &mut Assembler) -> u64 {
    let dispatch = asm.label();
    asm.store_state_32(state::ARRIVAL, Arrival::Indirect.number());
    asm.jump(dispatch);
    let compared = asm.ip();
    asm.store_state_32(state::ARRIVAL, Arrival::IndirectWithoutFlags.number());
    asm.bind(dispatch);
    asm.spill(Gpr::RCX);
    asm.spill(Gpr::RDX);
    asm.move_register(Gpr::RDX, Gpr::R11);
    asm.unspill(Gpr::R10);
    asm.unspill(Gpr::R11);
    asm.jump_state(state::DISPATCH_GATE);
    compared
}

/// Leaves for the dispatch gate with the program's registers.
pub(crate) fn emit_exit(asm: &mut Assembler, target: u64) {
    asm.note(target, Phase::Instruction, RegisterSet::EMPTY, false);
    asm.store_state_32(state::ARRIVAL, Arrival::Direct.number());
    asm.spill(Gpr::RCX);
    asm.spill(Gpr::RDX);
    asm.move_constant(Gpr::RDX, target);
    asm.jump_state(state::DISPATCH_GATE);
}
