//! What runs seldom and lies behind a unit's blocks: exits to code without a
//! translation, edge counters, the second stage of checks.

use iced_x86::Code;

use crate::{
    Gpr, RegisterSet,
    assembler::Label,
    check_code::SlowCheck,
    emit::{Emitter, Surroundings},
    location::Phase,
    state,
};

/// Code to write behind the blocks.
pub(crate) enum Cold {
    /// A poll that used RCX found something to do.
    RestoreRcx { label: Label, then: Label },
    /// A taken edge with a counter.
    Edge {
        label: Label,
        counter: u64,
        from: u64,
        target: u64,
    },
    /// A jump backwards to another unit, which may close a loop.
    PolledExit { label: Label, target: u64 },
    /// A check whose first look did not settle it.
    Check(SlowCheck),
}

impl<S: Surroundings> Emitter<'_, S> {
    /// Writes all of it.
    pub fn cold_code(&mut self) {
        while let Some(cold) = self.cold.pop() {
            match cold {
                Cold::RestoreRcx { label, then } => {
                    self.asm.bind(label);
                    self.asm.unspill(Gpr::RCX);
                    self.asm.jump(then);
                }
                Cold::Edge {
                    label,
                    counter,
                    from,
                    target,
                } => self.edge(label, counter, from, target),
                Cold::PolledExit { label, target } => self.polled_exit_code(label, target),
                Cold::Check(check) => self.slow_check(&check),
            }
        }
        for (target, label) in self.exits() {
            self.asm
                .note(target, Phase::Instruction, RegisterSet::EMPTY, false);
            self.asm.bind(label);
            self.asm.spill(Gpr::RCX);
            self.asm.spill(Gpr::RDX);
            self.asm.move_constant(Gpr::RDX, target);
            self.asm.jump_state(state::DISPATCH_GATE);
        }
    }

    fn edge(&mut self, label: Label, counter: u64, from: u64, target: u64) {
        self.asm.bind(label);
        self.asm.spill(Gpr::RAX);
        self.add_without_flags(Gpr::RAX, counter);
        self.asm.unspill(Gpr::RAX);
        match self.leader(target) {
            Some(label) => self.asm.jump(label),
            None if target <= from => {
                let label = self.asm.here();
                self.polled_exit_code(label, target);
            }
            None => self.jump_linked(target),
        }
    }

    fn polled_exit_code(&mut self, label: Label, target: u64) {
        let go_on = self.asm.label();
        self.asm.bind(label);
        self.asm.spill(Gpr::RCX);
        self.asm.load_state_32(Gpr::RCX, state::POLL);
        self.asm.jump_short_if(Code::Jrcxz_rel8_64, go_on);
        self.asm.unspill(Gpr::RCX);
        let exit = self.exit(target);
        self.asm.jump(exit);
        self.asm.bind(go_on);
        self.asm.unspill(Gpr::RCX);
        self.jump_linked(target);
    }
}
