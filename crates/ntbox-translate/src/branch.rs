//! Control transfers: return addresses on the stack stay the original ones, direct
//! branches are linked, indirect ones go through the table.

use iced_x86::{Code, ConditionCode, Instruction, MemoryOperand, OpKind, Register};

use crate::{
    Gpr, TrapReason,
    assembler::is_near,
    cold::Cold,
    emit::{Emitter, Surroundings},
    instruction::{Control, Insn},
    location::Phase,
    state,
    stub::{STUB_REGISTERS, move_target},
};

impl<S: Surroundings> Emitter<'_, S> {
    /// An instruction that ends its block. All registers are the program's.
    pub fn control(&mut self, insn: &Insn) {
        match insn.control {
            Control::Next => {}
            Control::Jump(target) => self.jump(insn, target),
            Control::Branch(target) => self.branch(insn, target),
            Control::Call(target) => {
                self.asm.push_constant(insn.next_ip());
                self.jump_unpolled(target);
            }
            Control::JumpIndirect => self.indirect(insn, false),
            Control::CallIndirect => self.indirect(insn, true),
            Control::Return { discard } => self.return_(insn, discard),
            Control::Trap(reason) => self.trap(insn, reason),
        }
    }

    fn branch(&mut self, insn: &Insn, target: u64) {
        if let Some(code) = near_branch(insn.instruction.condition_code())
            .filter(|_| insn.instruction.is_jcc_short_or_near())
        {
            self.jump_if(insn, code, target);
            return;
        }
        // `loop` and `jrcxz` have short forms only. Prefixes stay: processors differ in
        // what they make of them.
        let (taken, not_taken) = (self.asm.label(), self.asm.label());
        self.asm.jump_short_as(insn.code(), taken);
        self.asm.jump_short_if(Code::Jmp_rel8_64, not_taken);
        self.asm.bind(taken);
        self.jump_if(insn, Code::Jmp_rel32_64, target);
        self.asm.bind(not_taken);
    }

    fn return_(&mut self, insn: &Insn, discard: u16) {
        self.scratch.save(&mut self.asm, STUB_REGISTERS);
        self.asm
            .emit(Instruction::with1(Code::Pop_r64, Register::R11));
        self.asm
            .note(insn.ip(), Phase::Instruction, STUB_REGISTERS, false);
        self.note_branch(insn);
        if discard != 0 {
            let above = MemoryOperand::with_base_displ(Register::RSP, i64::from(discard));
            self.asm
                .emit(Instruction::with2(Code::Lea_r64_m, Register::RSP, above));
        }
        self.asm.jump_by_table();
    }

    /// Keeps where an indirect branch is, for a host that cannot go on at its target.
    fn note_branch(&mut self, insn: &Insn) {
        let distance = insn.ip().wrapping_sub(self.layout.cache.start);
        if let Ok(near) = i32::try_from(distance.cast_signed()) {
            self.asm.store_state_32(state::BRANCH, near.cast_unsigned());
        }
    }

    fn indirect(&mut self, insn: &Insn, call: bool) {
        let Some(load) = load_target(insn, self.asm.ip()) else {
            self.trap(insn, TrapReason::OperandOutOfReach);
            return;
        };
        self.scratch.save(&mut self.asm, STUB_REGISTERS);
        self.asm.emit(Ok(load));
        self.asm
            .note(insn.ip(), Phase::Instruction, STUB_REGISTERS, false);
        self.note_branch(insn);
        if call {
            self.asm.push_constant(insn.next_ip());
            if insn.instruction.is_ip_rel_memory_operand()
                && let Some((target, gate)) = self
                    .around
                    .native_at(insn.instruction.ip_rel_memory_address())
            {
                self.guess(insn, target, gate);
                return;
            }
        }
        self.asm.jump_by_table();
    }

    /// An import: straight to its gate, if the pointer still leads there.
    fn guess(&mut self, insn: &Insn, target: u64, gate: u64) {
        let other = self.asm.label();
        move_target(&mut self.asm, target);
        self.asm.compare_targets();
        self.asm.jump_if_not_zero(other);
        self.asm.unspill(Gpr::R10);
        self.asm.unspill(Gpr::R11);
        self.asm.jump_far(gate);
        self.cold.push(Cold::Table {
            label: other,
            original: insn.ip(),
        });
    }
}

/// `mov r11, target` for an indirect branch, written near `ip`.
fn load_target(insn: &Insn, ip: u64) -> Option<Instruction> {
    let instruction = &insn.instruction;
    if instruction.op0_kind() == OpKind::Register {
        return Instruction::with2(
            Code::Mov_r64_rm64,
            Register::R11,
            instruction.op0_register(),
        )
        .ok();
    }
    if instruction.is_ip_rel_memory_operand()
        && !is_near(instruction.ip_rel_memory_address().wrapping_sub(ip))
    {
        return None;
    }
    let operand = MemoryOperand::new(
        instruction.memory_base(),
        instruction.memory_index(),
        instruction.memory_index_scale(),
        instruction.memory_displacement64().cast_signed(),
        instruction.memory_displ_size(),
        false,
        instruction.segment_prefix(),
    );
    Instruction::with2(Code::Mov_r64_rm64, Register::R11, operand).ok()
}

/// The near form of a conditional jump.
fn near_branch(condition: ConditionCode) -> Option<Code> {
    Some(match condition {
        ConditionCode::o => Code::Jo_rel32_64,
        ConditionCode::no => Code::Jno_rel32_64,
        ConditionCode::b => Code::Jb_rel32_64,
        ConditionCode::ae => Code::Jae_rel32_64,
        ConditionCode::e => Code::Je_rel32_64,
        ConditionCode::ne => Code::Jne_rel32_64,
        ConditionCode::be => Code::Jbe_rel32_64,
        ConditionCode::a => Code::Ja_rel32_64,
        ConditionCode::s => Code::Js_rel32_64,
        ConditionCode::ns => Code::Jns_rel32_64,
        ConditionCode::p => Code::Jp_rel32_64,
        ConditionCode::np => Code::Jnp_rel32_64,
        ConditionCode::l => Code::Jl_rel32_64,
        ConditionCode::ge => Code::Jge_rel32_64,
        ConditionCode::le => Code::Jle_rel32_64,
        ConditionCode::g => Code::Jg_rel32_64,
        ConditionCode::None => return None,
    })
}
