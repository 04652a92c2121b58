//! The code of a check: a look at the shadow in the block, and behind the blocks a
//! second, exact look and the call of the host.
//!
//! The first look compares whole bytes of the shadow, so it also sees the neighbour's.
//! What it does not let pass is looked at access by access; what fails then, or has no
//! shadow at all, is the host's to decide.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use crate::{
    AccessExtent, Gpr, RegisterSet, SiteKind,
    assembler::{Label, is_near},
    checks::{Group, Plan},
    cold::Cold,
    emit::{Emitter, Surroundings},
    instruction::{Access, Extent, Insn},
    scratch::Scratch,
    state,
};

/// One access of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Member {
    /// Its instruction within the block.
    pub index: usize,
    pub access: Access,
}

/// A check whose first look did not let it pass.
pub(crate) struct SlowCheck {
    pub labels: Labels,
    /// The second register for the exact look, apart from `address`.
    pub address: Gpr,
    pub flags_in_ax: bool,
    /// The registers in use at the check.
    pub scratch: Scratch,
    pub original: u64,
    pub members: Vec<(Insn, Access)>,
    /// Second registers for a range: its end.
    pub end: Option<Gpr>,
}

/// Where the parts of a check meet.
#[derive(Clone, Copy)]
pub(crate) struct Labels {
    /// The second look.
    pub slow: Label,
    /// The host decides.
    pub ask: Label,
    /// It passed: flags are still to be put back.
    pub passed: Label,
    /// Behind all of it.
    pub done: Label,
}

/// The bytes of the shadow that `span` bytes touch at most.
fn shadow_bytes(span: i64) -> i64 {
    (span + 14) / 8
}

/// A comparison with zero that covers `bytes` of the shadow, up to eight.
fn compare_code(bytes: i64) -> Code {
    match bytes {
        ..=1 => Code::Cmp_rm8_imm8,
        2 => Code::Cmp_rm16_imm8,
        3..=4 => Code::Cmp_rm32_imm8,
        _ => Code::Cmp_rm64_imm8,
    }
}

impl Access {
    /// The operand `distance` bytes further.
    fn operand(&self, distance: i64) -> MemoryOperand {
        let register = |gpr: Option<Gpr>| {
            gpr.map_or(Register::None, |gpr| {
                if self.address_32 {
                    gpr.r32()
                } else {
                    gpr.r64()
                }
            })
        };
        let displacement = self.displacement.wrapping_add(distance);
        if self.rip_relative {
            return crate::assembler::rip_operand(displacement.cast_unsigned());
        }
        let (base, index) = (register(self.base), register(self.index));
        let size = if base == Register::None && index == Register::None {
            if self.address_32 { 4 } else { 8 }
        } else {
            1
        };
        MemoryOperand::new(
            base,
            index,
            u32::from(self.scale),
            displacement,
            size,
            false,
            Register::None,
        )
    }
}

impl<S: Surroundings> Emitter<'_, S> {
    /// The checks before an instruction of a block.
    pub fn emit_checks(&mut self, plan: &Plan, index: usize, insns: &[Insn]) {
        for group in plan.at(index) {
            match group.operand.extent {
                Extent::Fixed => self.check(group, index, insns),
                Extent::Repeated => self.check_range(group, index, insns),
                Extent::Computed => self.check_computed(group, index, insns),
            }
        }
    }

    pub fn labels(&mut self) -> Labels {
        Labels {
            slow: self.asm.label(),
            ask: self.asm.label(),
            passed: self.asm.label(),
            done: self.asm.label(),
        }
    }

    /// The address of an operand in `gpr`; `false` where it is out of reach.
    pub fn lea(&mut self, gpr: Gpr, access: &Access, distance: i64) {
        let address = access.displacement.wrapping_add(distance).cast_unsigned();
        let near = is_near(address.wrapping_sub(self.asm.ip()));
        let constant = access.base.is_none()
            && access.index.is_none()
            && i32::try_from(address.cast_signed()).is_err();
        if (access.rip_relative && !near) || (!access.rip_relative && constant) {
            self.asm.move_constant(gpr, address);
        } else if access.rip_relative
            || i32::try_from(access.displacement.wrapping_add(distance)).is_ok()
        {
            self.asm.emit(Instruction::with2(
                Code::Lea_r64_m,
                gpr.r64(),
                access.operand(distance),
            ));
        } else {
            // The displacement overflows: in two steps.
            self.asm.emit(Instruction::with2(
                Code::Lea_r64_m,
                gpr.r64(),
                access.operand(0),
            ));
            let further = MemoryOperand::with_base_displ(gpr.r64(), distance);
            self.asm
                .emit(Instruction::with2(Code::Lea_r64_m, gpr.r64(), further));
        }
    }

    pub fn shift_to_shadow(&mut self, gpr: Gpr) {
        self.asm
            .emit(Instruction::with2(Code::Shr_rm64_imm8, gpr.r64(), 3));
    }

    /// Compares bytes of the shadow with zero.
    pub fn compare_shadow(&mut self, gpr: Gpr, offset: i64, bytes: i64) {
        let operand = self
            .layout
            .shadow
            .indexed(gpr, 1, i32::try_from(offset).unwrap_or(0));
        self.asm
            .emit(Instruction::with2(compare_code(bytes), operand, 0));
    }

    /// Flags to AX, which must be in use already.
    pub fn save_flags(&mut self) {
        self.asm.emit(Ok(Instruction::with(Code::Lahf)));
        self.asm
            .emit(Instruction::with1(Code::Seto_rm8, Register::AL));
    }

    pub fn put_flags_back(&mut self) {
        self.asm
            .emit(Instruction::with2(Code::Add_AL_imm8, Register::AL, 127));
        self.asm.emit(Ok(Instruction::with(Code::Sahf)));
    }

    fn check(&mut self, group: &Group, index: usize, insns: &[Insn]) {
        let live = insns[index].live_in;
        let registers = group.operand.registers();
        let flags_live = live.intersects(RegisterSet::FLAGS);
        let original = group
            .members
            .first()
            .map_or(0, |member| insns[member.index].ip());
        let labels = self.labels();
        self.scratch.restore(&mut self.asm, registers);
        let rax = if flags_live {
            RegisterSet::of(Gpr::RAX)
        } else {
            RegisterSet::EMPTY
        };
        let gpr = self
            .scratch
            .acquire(&mut self.asm, registers | rax, live, &insns[index..]);
        if flags_live && !registers.contains(Gpr::RAX) {
            self.scratch.hold(&mut self.asm, Gpr::RAX);
        }
        self.lea(gpr, &group.operand, 0);
        if flags_live {
            self.scratch.hold(&mut self.asm, Gpr::RAX);
            self.save_flags();
        }
        self.note_check(original, labels.ask, flags_live);
        self.shift_to_shadow(gpr);
        let bytes = shadow_bytes(group.span);
        self.compare_shadow(gpr, 0, bytes.min(8));
        self.asm.jump_if_not_zero(labels.slow);
        if bytes > 8 {
            self.compare_shadow(gpr, 8, bytes - 8);
            self.asm.jump_if_not_zero(labels.slow);
        }
        self.asm.bind(labels.passed);
        if flags_live {
            self.put_flags_back();
        }
        self.asm.bind(labels.done);
        let members = group
            .members
            .iter()
            .map(|member| (insns[member.index].clone(), member.access))
            .collect();
        self.cold.push(Cold::Check(SlowCheck {
            labels,
            address: gpr,
            flags_in_ax: flags_live,
            scratch: self.scratch,
            original,
            members,
            end: None,
        }));
    }

    pub fn note_check(&mut self, original: u64, ask: Label, flags_in_ax: bool) {
        let spilled = self.scratch.spilled();
        self.asm.note_check(original, spilled, flags_in_ax, ask);
    }

    /// A check that only the host can make.
    fn check_computed(&mut self, group: &Group, index: usize, insns: &[Insn]) {
        let insn = &insns[index];
        let registers = group.operand.registers();
        self.scratch.restore(&mut self.asm, registers);
        let gpr = self
            .scratch
            .acquire(&mut self.asm, registers, insn.live_in, &insns[index..]);
        self.ask(insn, &group.operand, gpr);
    }

    /// Calls the check gate and comes back.
    fn ask(&mut self, insn: &Insn, access: &Access, gpr: Gpr) {
        let resume = self.asm.label();
        self.note(insn);
        self.lea(gpr, access, 0);
        self.asm.store_state(state::ADDRESS, gpr);
        let extent = match access.extent {
            Extent::Fixed => AccessExtent::Fixed,
            Extent::Repeated => AccessExtent::Repeated,
            Extent::Computed => AccessExtent::Computed,
        };
        let kind = SiteKind::Access {
            size: access.size,
            write: access.write,
            extent,
        };
        let number = self.site(insn, kind, Some(resume), false);
        self.asm.store_state_32(state::SITE, number);
        self.asm.jump_state(state::CHECK_GATE);
        self.asm.bind(resume);
    }

    /// The second look and the calls of the host.
    pub fn slow_check(&mut self, check: &SlowCheck) {
        self.scratch = check.scratch;
        self.asm.bind(check.labels.slow);
        if let Some(end) = check.end {
            self.exact_range(check, end);
        } else {
            self.exact_look(check);
        }
        self.asm.bind(check.labels.ask);
        if check.flags_in_ax {
            self.put_flags_back();
            self.asm.unspill(Gpr::RAX);
        }
        for (insn, access) in &check.members {
            self.ask(insn, access, check.address);
        }
        self.asm.jump(check.labels.done);
    }

    /// Looks at each access by itself.
    fn exact_look(&mut self, check: &SlowCheck) {
        let address = check.address;
        let registers = check
            .members
            .iter()
            .fold(RegisterSet::EMPTY, |set, (_, access)| {
                set | access.registers()
            });
        if check.flags_in_ax && registers.contains(Gpr::RAX) {
            return;
        }
        let avoid = registers
            | RegisterSet::of(address)
            | RegisterSet::of(Gpr::RAX)
            | RegisterSet::of(Gpr::RSP);
        let Some(last) = Gpr::all().rev().find(|gpr| !avoid.contains(*gpr)) else {
            return;
        };
        let restore = !self.scratch.spilled().contains(last);
        if restore {
            self.scratch.hold_again(&mut self.asm, last);
        }
        self.note_check(check.original, check.labels.ask, check.flags_in_ax);
        let failed = self.asm.label();
        for (_, access) in &check.members {
            self.exact_access(access, address, last, failed);
        }
        if restore {
            self.asm.unspill(last);
        }
        self.asm.jump(check.labels.passed);
        self.asm.bind(failed);
        if restore {
            self.asm.unspill(last);
        }
        self.scratch = check.scratch;
    }

    /// Goes on only if all bytes of the access may be accessed.
    fn exact_access(&mut self, access: &Access, address: Gpr, last: Gpr, failed: Label) {
        let size = i64::from(access.size);
        let whole = self.asm.label();
        self.lea(address, access, size - 1);
        self.asm.emit(Instruction::with2(
            Code::Mov_r64_rm64,
            last.r64(),
            address.r64(),
        ));
        self.shift_to_shadow(last);
        self.compare_shadow(last, 0, 1);
        self.asm.jump_short_if(Code::Je_rel8_64, whole);
        self.partial(last, address, failed);
        self.asm.bind(whole);
        // The bytes before lie in other granules, or in the one just seen.
        let mut distance = 0;
        while distance < size - 1 {
            let same = self.asm.label();
            self.lea(address, access, distance);
            self.shift_to_shadow(address);
            self.asm.emit(Instruction::with2(
                Code::Cmp_r64_rm64,
                address.r64(),
                last.r64(),
            ));
            self.asm.jump_short_if(Code::Je_rel8_64, same);
            self.compare_shadow(address, 0, 1);
            self.asm.jump_if_not_zero(failed);
            self.asm.bind(same);
            distance += 8;
        }
    }

    /// The granule whose shadow is at `granule` counts as far as its value says; `last`
    /// is the address of the last byte accessed in it.
    pub fn partial(&mut self, granule: Gpr, last: Gpr, failed: Label) {
        self.asm
            .emit(Instruction::with2(Code::And_rm32_imm8, last.r32(), 7));
        let operand = self.layout.shadow.indexed(granule, 1, 0);
        self.asm
            .emit(Instruction::with2(Code::Cmp_r8_rm8, last.r8(), operand));
        self.asm.jump_if(Code::Jge_rel32_64, failed);
    }
}
