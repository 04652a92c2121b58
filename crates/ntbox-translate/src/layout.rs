//! What the translator and its host agree on: where the cache, the state block, the
//! shadow and the counters lie, and what the state block holds.
//!
//! The host owns all of this memory. Translated code reaches the state block by one
//! addressing form, so a host with several processors gives each a GS base of its own.

use std::ops::Range;

use iced_x86::{MemoryOperand, Register};

use crate::Gpr;

/// How translated code reaches memory at a fixed place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// `gs:[displacement + offset]`.
    Gs(i32),
    /// `[displacement + offset]`, in the lowest two GiB of the address space.
    Absolute(i32),
}

impl Base {
    fn parts(self) -> (Register, i64) {
        match self {
            Self::Gs(displacement) => (Register::GS, i64::from(displacement)),
            Self::Absolute(displacement) => (Register::None, i64::from(displacement)),
        }
    }

    /// The operand at an offset.
    pub(crate) fn at(self, offset: i32) -> MemoryOperand {
        let (segment, displacement) = self.parts();
        MemoryOperand::new(
            Register::None,
            Register::None,
            1,
            displacement + i64::from(offset),
            8,
            false,
            segment,
        )
    }

    /// The operand `[base + register * scale + offset]`.
    pub(crate) fn indexed(self, register: Gpr, scale: u32, offset: i32) -> MemoryOperand {
        let (segment, displacement) = self.parts();
        let displacement = displacement + i64::from(offset);
        if scale == 1 {
            MemoryOperand::new(
                register.r64(),
                Register::None,
                1,
                displacement,
                1,
                false,
                segment,
            )
        } else {
            MemoryOperand::new(
                Register::None,
                register.r64(),
                scale,
                displacement,
                8,
                false,
                segment,
            )
        }
    }
}

/// Where everything lies that translated code uses.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The code cache. All code to translate must be within two GiB of all of it, or
    /// its RIP-relative operands end as [`TrapReason::OperandOutOfReach`](crate::TrapReason).
    pub cache: Range<u64>,
    /// The state block: [`state::SIZE`] bytes.
    pub state: Base,
    /// The shadow: the byte for address `a` is at `shadow + (a >> 3)`.
    pub shadow: Base,
    /// Counters for coverage, one byte a block, within two GiB of the cache.
    pub counters: Range<u64>,
}

/// Offsets in the state block, which belongs to one processor.
pub mod state {
    use crate::Gpr;

    /// Sixteen quadwords, by register number: where translated code keeps the
    /// program's value of a register that it uses for itself.
    pub const SPILLS: i32 = 0;
    /// A doubleword. When the host makes it other than zero, translated code asks for
    /// [`DISPATCH_GATE`] at the next branch backwards.
    pub const POLL: i32 = 0x80;
    /// A doubleword: the number of the [`Site`](crate::Site) that called a gate.
    pub const SITE: i32 = 0x84;
    /// A doubleword: the [`Arrival`](crate::Arrival) at [`DISPATCH_GATE`].
    pub const ARRIVAL: i32 = 0xa8;
    /// A doubleword: the original address of the last indirect branch, from the start of
    /// the cache. A processor faults there if the target is no address of it.
    pub const BRANCH: i32 = 0xac;
    /// A quadword: the address that a check did not let pass.
    pub const ADDRESS: i32 = 0x88;
    /// A quadword, written by the host: where translated code jumps to with RDX the
    /// original address to go on at, and RCX and RDX of the program in [`SPILLS`].
    pub const DISPATCH_GATE: i32 = 0x90;
    /// A quadword, written by the host: where a check that did not pass jumps to.
    pub const CHECK_GATE: i32 = 0x98;
    /// A quadword, written by the host: where an instruction that cannot be carried
    /// jumps to, with the program's registers.
    pub const TRAP_GATE: i32 = 0xa0;
    /// Quadwords for the host's gates, as many as it likes up to [`TABLE`].
    pub const HOST: i32 = 0x100;
    /// The table for indirect branches: [`TABLE_ENTRIES`] addresses in the cache, by
    /// the lower bits of the original address.
    pub const TABLE: i32 = 0x1000;
    /// The number of entries of the table.
    pub const TABLE_ENTRIES: usize = 0x1_0000;
    /// The size of the block.
    pub const SIZE: usize = 0x1000 + 8 * TABLE_ENTRIES;

    /// The offset of a register in [`SPILLS`].
    #[must_use]
    pub const fn spill(register: Gpr) -> i32 {
        SPILLS + 8 * register.number() as i32
    }
}
