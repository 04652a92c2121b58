//! What runs seldom and lies behind a unit's blocks: exits to code without a
//! translation, edges with something to do, entries, the second stage of checks.

use crate::{
    Gpr, RegisterSet,
    assembler::Label,
    check_code::SlowCheck,
    emit::{Emitter, Leader, Surroundings},
    location::Phase,
    scratch::Scratch,
    state,
    stub::{STUB_REGISTERS, emit_exit},
};

/// Code to write behind the blocks.
pub(crate) enum Cold {
    /// Puts registers back and leaves for the dispatch gate.
    Restore {
        label: Label,
        registers: RegisterSet,
        target: u64,
    },
    /// An edge that counts, or between blocks that expect different registers in use.
    Edge {
        label: Label,
        counter: Option<u64>,
        held: RegisterSet,
        from: u64,
        target: u64,
    },
    /// A jump backwards to another unit, which may close a loop.
    PolledExit {
        label: Label,
        held: RegisterSet,
        target: u64,
    },
    /// The way from outside to a block that expects registers in use.
    Entry {
        label: Label,
        ip: u64,
        leader: Leader,
    },
    /// An import that leads elsewhere by now.
    Table { label: Label, original: u64 },
    /// A check whose first look did not settle it.
    Check(SlowCheck),
}

impl<S: Surroundings> Emitter<'_, S> {
    /// Writes all of it.
    pub fn cold_code(&mut self) {
        while let Some(cold) = self.cold.pop() {
            match cold {
                Cold::Restore {
                    label,
                    registers,
                    target,
                } => {
                    self.asm.note(target, Phase::Instruction, registers, false);
                    self.asm.bind(label);
                    self.hold_exactly(target, registers, RegisterSet::EMPTY);
                    let exit = self.exit(target);
                    self.asm.jump(exit);
                }
                Cold::Edge {
                    label,
                    counter,
                    held,
                    from,
                    target,
                } => self.edge_code(label, counter, held, from, target),
                Cold::PolledExit {
                    label,
                    held,
                    target,
                } => {
                    self.asm.note(target, Phase::Instruction, held, false);
                    self.asm.bind(label);
                    self.polled_jump(held, target);
                }
                Cold::Entry { label, ip, leader } => {
                    self.asm
                        .note(ip, Phase::Instruction, RegisterSet::EMPTY, false);
                    self.asm.bind(label);
                    self.hold_exactly(ip, RegisterSet::EMPTY, leader.held);
                    self.asm.jump(leader.label);
                }
                Cold::Table { label, original } => {
                    self.asm
                        .note(original, Phase::Instruction, STUB_REGISTERS, false);
                    self.asm.bind(label);
                    self.asm.jump_by_table();
                }
                Cold::Check(check) => self.slow_check(&check),
            }
        }
        while let Some((target, label)) = self.home_exits.pop_first() {
            self.asm.bind(label);
            self.hold_exactly(target, STUB_REGISTERS, RegisterSet::EMPTY);
            self.scratch = Scratch::default();
            self.jump_unpolled(target);
        }
        for (target, label) in std::mem::take(&mut self.exits) {
            self.asm.bind(label);
            emit_exit(&mut self.asm, target);
        }
    }

    fn edge_code(
        &mut self,
        label: Label,
        counter: Option<u64>,
        held: RegisterSet,
        from: u64,
        target: u64,
    ) {
        self.asm.note(target, Phase::Instruction, held, false);
        self.asm.bind(label);
        if let Some(counter) = counter {
            self.count_edge(counter, held, target);
        }
        let expected = self.held_at(target);
        self.hold_exactly(target, held, expected);
        self.scratch = Scratch::holding(expected);
        if target <= from && !self.leaders.contains_key(&target) {
            self.polled_jump(expected, target);
        } else {
            self.jump_unpolled(target);
        }
    }

    fn count_edge(&mut self, counter: u64, held: RegisterSet, target: u64) {
        let live = self
            .graph
            .index_of(target)
            .map_or(RegisterSet::ALL, |index| self.graph.insns[index].live_in);
        if !live.intersects(RegisterSet::FLAGS) {
            self.asm.increment(counter);
        } else if let Some(free) = held.registers().next() {
            self.add_without_flags(free, counter);
        } else {
            self.asm.spill(Gpr::RAX);
            self.add_without_flags(Gpr::RAX, counter);
            self.asm.unspill(Gpr::RAX);
        }
    }

    /// Jumps to another unit unless the host asks for the dispatch gate.
    fn polled_jump(&mut self, held: RegisterSet, target: u64) {
        let go_on = self.asm.label();
        self.asm.spill(Gpr::RCX);
        self.asm.load_state_32(Gpr::RCX, state::POLL);
        self.asm.jump_if_rcx_zero(go_on);
        self.asm.unspill(Gpr::RCX);
        self.hold_exactly(target, held, RegisterSet::EMPTY);
        let exit = self.exit(target);
        self.asm.jump(exit);
        self.asm.bind(go_on);
        self.asm.unspill(Gpr::RCX);
        self.asm.note(target, Phase::Instruction, held, false);
        self.scratch = Scratch::holding(held);
        self.jump_unpolled(target);
    }
}
