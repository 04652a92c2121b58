//! From an address in the cache back to the program: the original instruction, and how
//! its registers are put back.

use crate::{Gpr, RegisterSet, assembler::Label};

/// What the code at an address in the cache does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Executes the program's instruction, or its part that may fault.
    Instruction,
    /// Reads the shadow for a check. A fault means that there is none for an address,
    /// so the driver is about to access memory that is not its own: the host goes on at
    /// `ask`, where the code calls the check gate for each access.
    Check {
        /// An address in the cache.
        ask: u64,
    },
}

/// The program's state while the processor is at an address in the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location {
    /// The original instruction.
    pub original: u64,
    /// What is done for it.
    pub phase: Phase,
    /// General registers whose value is in the state block, at
    /// [`state::spill`](crate::state::spill), instead of the register.
    pub spilled: RegisterSet,
    /// SF, ZF, AF, PF and CF are in AH as `lahf` puts them, OF is the lowest bit of AL.
    pub flags_in_ax: bool,
}

impl Location {
    /// The registers of the program, from those of the processor (by number) and the
    /// sixteen quadwords at [`state::SPILLS`](crate::state::SPILLS).
    #[must_use]
    pub fn registers(&self, processor: [u64; 16], spills: [u64; 16]) -> [u64; 16] {
        let mut registers = processor;
        for gpr in Gpr::all().filter(|gpr| self.spilled.contains(*gpr)) {
            let number = usize::from(gpr.number());
            registers[number] = spills[number];
        }
        registers
    }

    /// The flags of the program, from the processor's flags and RAX.
    #[must_use]
    pub fn flags(&self, processor: u64, rax: u64) -> u64 {
        const BY_LAHF: u64 = 0xd5;
        const OF: u64 = 1 << 11;
        if !self.flags_in_ax {
            return processor;
        }
        (processor & !(BY_LAHF | OF)) | (rax >> 8 & BY_LAHF) | (rax & 1) << 11
    }
}

/// A [`Location`] from an offset of a region on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MapEntry {
    pub offset: u32,
    pub location: Location,
    pub ask: Option<Label>,
}

impl MapEntry {
    pub fn new(
        offset: usize,
        original: u64,
        phase: Phase,
        spilled: RegisterSet,
        flags_in_ax: bool,
    ) -> Self {
        let spilled = spilled & RegisterSet::GENERAL;
        Self {
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            location: Location {
                original,
                phase,
                spilled,
                flags_in_ax,
            },
            ask: None,
        }
    }

    pub fn same_place(&self, other: &Self) -> bool {
        self.location == other.location && self.ask == other.ask
    }
}
