//! Repeated string instructions: one check over all they access, eight bytes of the
//! shadow at a time.
//!
//! The direction flag is taken as clear, as calling conventions have it. Once code was
//! seen that may set it, the host decides on every repeated instruction.

use iced_x86::{Code, Instruction, MemoryOperand};

use crate::{
    Gpr, RegisterSet,
    check_code::SlowCheck,
    checks::Group,
    cold::Cold,
    emit::{Emitter, Surroundings},
    instruction::{Access, Insn},
};

/// More elements than this are the host's to check.
const MOST_ELEMENTS: i32 = 1 << 24;

impl<S: Surroundings> Emitter<'_, S> {
    /// The check of one range of a repeated string instruction.
    pub fn check_range(&mut self, group: &Group, index: usize, insns: &[Insn]) {
        let insn = &insns[index];
        let live = insn.live_in;
        let flags_live = live.intersects(RegisterSet::FLAGS);
        let access = group.operand;
        let inputs = access.registers() | RegisterSet::of(Gpr::RCX);
        let keep = inputs
            | RegisterSet::of(Gpr::RSI)
            | RegisterSet::of(Gpr::RDI)
            | RegisterSet::of(Gpr::RAX);
        let labels = self.labels();
        self.scratch.restore(&mut self.asm, inputs);
        let address = self
            .scratch
            .acquire(&mut self.asm, keep, live, &insns[index..]);
        let end = self.scratch.acquire(
            &mut self.asm,
            keep | RegisterSet::of(address),
            live,
            &insns[index..],
        );
        if flags_live {
            self.scratch.hold(&mut self.asm, Gpr::RAX);
            self.save_flags();
        }
        self.note_check(insn.ip(), labels.ask, flags_live);
        if self.around.direction_may_be_down() || access.address_32 {
            self.asm.jump(labels.ask);
        } else {
            self.asm.emit(Instruction::with2(
                Code::Cmp_rm64_imm32,
                Gpr::RCX.r64(),
                MOST_ELEMENTS,
            ));
            self.asm.jump_if(Code::Ja_rel32_64, labels.ask);
            self.lea(address, &access, 0);
            self.last_byte(end, &access);
            self.shift_to_shadow(address);
            self.shift_to_shadow(end);
            let next = self.asm.here();
            self.compare_shadow(address, 0, 8);
            self.asm.jump_if_not_zero(labels.slow);
            self.asm
                .emit(Instruction::with2(Code::Add_rm64_imm8, address.r64(), 8));
            self.asm.emit(Instruction::with2(
                Code::Cmp_r64_rm64,
                address.r64(),
                end.r64(),
            ));
            self.asm.jump_if(Code::Jbe_rel32_64, next);
        }
        self.asm.bind(labels.passed);
        if flags_live {
            self.put_flags_back();
        }
        self.asm.bind(labels.done);
        self.cold.push(Cold::Check(SlowCheck {
            labels,
            address,
            flags_in_ax: flags_live,
            scratch: self.scratch,
            original: insn.ip(),
            members: vec![(insn.clone(), access)],
            end: Some(end),
        }));
    }

    /// The address of the last byte of the range.
    fn last_byte(&mut self, gpr: Gpr, access: &Access) {
        let Some(base) = access.base else { return };
        let scale = u32::from(access.size.clamp(1, 8));
        let operand = MemoryOperand::with_base_index_scale_displ_size(
            base.r64(),
            Gpr::RCX.r64(),
            scale,
            -1,
            1,
        );
        self.asm
            .emit(Instruction::with2(Code::Lea_r64_m, gpr.r64(), operand));
    }

    /// Looks at each granule from the one where the first look stopped; the last one
    /// counts as far as its value says.
    pub fn exact_range(&mut self, check: &SlowCheck, end: Gpr) {
        let Some((_, access)) = check.members.first() else {
            return;
        };
        self.note_check(check.original, check.labels.ask, check.flags_in_ax);
        let (next, odd) = (self.asm.here(), self.asm.label());
        self.compare_shadow(check.address, 0, 1);
        self.asm.jump_if_not_zero(odd);
        self.asm.emit(Instruction::with2(
            Code::Add_rm64_imm8,
            check.address.r64(),
            1,
        ));
        self.asm.emit(Instruction::with2(
            Code::Cmp_r64_rm64,
            check.address.r64(),
            end.r64(),
        ));
        self.asm.jump_if(Code::Jbe_rel32_64, next);
        self.asm.jump(check.labels.passed);
        self.asm.bind(odd);
        self.asm.emit(Instruction::with2(
            Code::Cmp_r64_rm64,
            check.address.r64(),
            end.r64(),
        ));
        self.asm.jump_if_not_zero(check.labels.ask);
        self.last_byte(end, access);
        self.partial(check.address, end, check.labels.ask);
        self.asm.jump(check.labels.passed);
    }
}
