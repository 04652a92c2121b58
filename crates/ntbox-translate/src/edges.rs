//! Jumps within a unit and to other units: labels, links, exits, the poll of loops.

use iced_x86::Code;

use crate::{
    Coverage, Gpr, RegisterSet,
    assembler::Label,
    cold::Cold,
    emit::{Emitter, PendingLink, Surroundings},
    instruction::Insn,
    state,
};

impl<S: Surroundings> Emitter<'_, S> {
    /// Leaves the loop when the host asks for it.
    pub fn poll(&mut self, head: &Insn) {
        let exit = self.asm.label();
        let in_use = self.scratch.spilled();
        let mut restore = in_use;
        if head.live_in.intersects(RegisterSet::FLAGS) {
            let go_on = self.asm.label();
            let free = in_use.contains(Gpr::RCX);
            if !free {
                self.asm.spill(Gpr::RCX);
                restore = in_use.with(Gpr::RCX);
            }
            self.asm.load_state_32(Gpr::RCX, state::POLL);
            self.asm.jump_if_rcx_zero(go_on);
            self.asm.jump(exit);
            self.asm.bind(go_on);
            if !free {
                self.asm.unspill(Gpr::RCX);
            }
        } else {
            self.asm.compare_state_32_with_zero(state::POLL);
            self.asm.jump_if_not_zero(exit);
        }
        self.cold.push(Cold::Restore {
            label: exit,
            registers: restore,
            target: head.ip(),
        });
    }

    /// Where code goes on at an original address that has no translation.
    pub fn exit(&mut self, target: u64) -> Label {
        if let Some(label) = self.exits.get(&target) {
            return *label;
        }
        let label = self.asm.label();
        self.exits.insert(target, label);
        label
    }

    /// The same while R10 and R11 are in the state block.
    fn exit_from_home(&mut self, target: u64) -> Label {
        if let Some(label) = self.home_exits.get(&target) {
            return *label;
        }
        let label = self.asm.label();
        self.home_exits.insert(target, label);
        label
    }

    /// Where a jump to another unit leads by now, and where it leads without a
    /// translation. The registers in use are none or those of [`Self::home`].
    fn other_unit(&mut self, target: u64) -> (Option<u64>, Label) {
        let entry = self.around.entry(target);
        if self.scratch.spilled().is_empty() {
            (entry.map(|entry| entry.cache), self.exit(target))
        } else {
            (
                entry.and_then(|entry| entry.at_home),
                self.exit_from_home(target),
            )
        }
    }

    /// Records that the jump just written leads to another unit.
    fn link(&mut self, target: u64, exit: Label) {
        let at = self.asm.ip() - 4;
        let at_home = !self.scratch.spilled().is_empty();
        self.links.push(PendingLink {
            at,
            target,
            exit,
            at_home,
        });
    }

    /// Jumps to an original address, linked to its translation. The registers in use
    /// are those that it expects.
    pub fn jump(&mut self, from: &Insn, target: u64) {
        if target <= from.ip() && !self.leaders.contains_key(&target) {
            let label = self.polled_exit(target);
            self.asm.jump(label);
        } else {
            self.jump_unpolled(target);
        }
    }

    /// The same where no loop can be closed by it.
    pub fn jump_unpolled(&mut self, target: u64) {
        if let Some(leader) = self
            .leaders
            .get(&target)
            .filter(|leader| leader.held == self.scratch.spilled())
        {
            self.asm.jump(leader.label);
        } else if self.leaders.contains_key(&target) {
            let held = self.scratch.spilled();
            let label = self.edge(None, held, target, target);
            self.asm.jump(label);
        } else {
            let (entry, exit) = self.other_unit(target);
            match entry {
                Some(entry) => drop(self.asm.jump_to(entry)),
                None => self.asm.jump(exit),
            }
            self.link(target, exit);
        }
    }

    /// Jumps on a condition to an original address, linked to its translation.
    pub fn jump_if(&mut self, from: &Insn, code: Code, target: u64) {
        if let Some(label) = self.first_step(from, target) {
            self.asm.jump_if(code, label);
            return;
        }
        let (entry, exit) = self.other_unit(target);
        match entry {
            Some(entry) => self.asm.jump_if_to(code, entry),
            None => self.asm.jump_if(code, exit),
        }
        self.link(target, exit);
    }

    /// Where a taken branch goes first, if not straight to another unit.
    fn first_step(&mut self, from: &Insn, target: u64) -> Option<Label> {
        let held = self.scratch.spilled();
        let counter = if self.policy.coverage == Coverage::EdgeCounts {
            self.around.counter(from.ip(), true)
        } else {
            None
        };
        let leader = self.leaders.get(&target).copied();
        let straight = self.held_at(target) == held;
        if counter.is_some() || !straight {
            return Some(self.edge(counter, held, from.ip(), target));
        }
        match leader {
            Some(leader) => Some(leader.label),
            None if target <= from.ip() => Some(self.polled_exit(target)),
            None => None,
        }
    }

    /// Code on the way to `target`: it counts, and changes the registers in use.
    fn edge(&mut self, counter: Option<u64>, held: RegisterSet, from: u64, target: u64) -> Label {
        let label = self.asm.label();
        self.cold.push(Cold::Edge {
            label,
            counter,
            held,
            from,
            target,
        });
        label
    }

    fn polled_exit(&mut self, target: u64) -> Label {
        let label = self.asm.label();
        let held = self.scratch.spilled();
        self.cold.push(Cold::PolledExit {
            label,
            held,
            target,
        });
        label
    }
}
