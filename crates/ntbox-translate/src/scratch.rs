//! Registers of the program that checks use for a while.
//!
//! A register is saved in the state block before its first use and put back when the
//! program reads it or its block ends, not after each check. Until then the map from
//! cache to program says where its value is.

use crate::{Gpr, RegisterSet, assembler::Assembler, instruction::Insn};

/// Which registers are in use within the current block.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Scratch {
    /// Overwritten by a check: the program's value is in the state block.
    held: RegisterSet,
    /// The state block has the program's value, be it overwritten or not.
    saved: RegisterSet,
}

impl Scratch {
    /// The state at the start of a block that expects `held` in use.
    pub fn holding(held: RegisterSet) -> Self {
        Self { held, saved: held }
    }

    /// What the map must say.
    pub fn spilled(self) -> RegisterSet {
        self.held
    }

    /// A register to overwrite, none of `avoid`. `ahead` are the instructions that
    /// follow in the block: the register they touch last is taken.
    pub fn acquire(
        &mut self,
        assembler: &mut Assembler,
        avoid: RegisterSet,
        live: RegisterSet,
        ahead: &[Insn],
    ) -> Gpr {
        let avoid = avoid | RegisterSet::of(Gpr::RSP);
        if let Some(gpr) = self.held.registers().find(|gpr| !avoid.contains(*gpr)) {
            return gpr;
        }
        let gpr = choose(avoid, live, ahead);
        self.hold(assembler, gpr);
        gpr
    }

    /// Makes `gpr` one to overwrite.
    pub fn hold(&mut self, assembler: &mut Assembler, gpr: Gpr) {
        let set = RegisterSet::of(gpr);
        if self.held.contains(gpr) {
            return;
        }
        if !self.saved.contains(gpr) {
            assembler.spill(gpr);
        }
        self.held |= set;
        self.saved |= set;
    }

    /// Saves registers that something else than a check overwrites.
    pub fn save(self, assembler: &mut Assembler, registers: RegisterSet) {
        for gpr in (registers & !self.saved).registers() {
            assembler.spill(gpr);
        }
    }

    /// Makes `gpr` one to overwrite, and saves it even if it was saved before: for code
    /// that other code of the block does not pass through.
    pub fn hold_again(&mut self, assembler: &mut Assembler, gpr: Gpr) {
        assembler.spill(gpr);
        self.held |= RegisterSet::of(gpr);
    }

    /// Puts those of `registers` back that are overwritten.
    pub fn restore(&mut self, assembler: &mut Assembler, registers: RegisterSet) {
        let registers = registers & self.held;
        for gpr in registers.registers() {
            assembler.unspill(gpr);
        }
        self.held &= !registers;
    }

    /// Puts all back: the end of a block.
    pub fn restore_all(&mut self, assembler: &mut Assembler) {
        self.restore(assembler, RegisterSet::GENERAL);
    }

    /// The program's instruction has been executed.
    pub fn executed(&mut self, insn: &Insn) {
        self.held &= !insn.defs;
        self.saved &= !insn.writes;
    }
}

/// The register that the instructions ahead touch last; of several, one that is dead.
fn choose(avoid: RegisterSet, live: RegisterSet, ahead: &[Insn]) -> Gpr {
    // High registers first: compilers keep values in the low ones.
    let candidates = || Gpr::all().rev().filter(|gpr| !avoid.contains(*gpr));
    let distance = |gpr: Gpr| {
        let touch = RegisterSet::of(gpr);
        ahead
            .iter()
            .position(|insn| (insn.uses | insn.writes).intersects(touch))
            .unwrap_or(ahead.len())
    };
    candidates()
        .max_by_key(|gpr| (distance(*gpr).min(8), !live.contains(*gpr), distance(*gpr)))
        .unwrap_or(Gpr::RAX)
}
