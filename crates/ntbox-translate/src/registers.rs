//! General registers by their number in instructions, and sets of them with the six
//! arithmetic flags: what liveness computes with.

use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Not};

use iced_x86::Register;

/// A general register by its number: RAX 0, RCX 1, RDX 2, RBX 3, RSP 4, RBP 5, RSI 6,
/// RDI 7, R8 to R15.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Gpr(u8);

const REGISTERS_64: [Register; 16] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RBX,
    Register::RSP,
    Register::RBP,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

const REGISTERS_32: [Register; 16] = [
    Register::EAX,
    Register::ECX,
    Register::EDX,
    Register::EBX,
    Register::ESP,
    Register::EBP,
    Register::ESI,
    Register::EDI,
    Register::R8D,
    Register::R9D,
    Register::R10D,
    Register::R11D,
    Register::R12D,
    Register::R13D,
    Register::R14D,
    Register::R15D,
];

const REGISTERS_8: [Register; 16] = [
    Register::AL,
    Register::CL,
    Register::DL,
    Register::BL,
    Register::SPL,
    Register::BPL,
    Register::SIL,
    Register::DIL,
    Register::R8L,
    Register::R9L,
    Register::R10L,
    Register::R11L,
    Register::R12L,
    Register::R13L,
    Register::R14L,
    Register::R15L,
];

impl Gpr {
    /// RAX.
    pub const RAX: Self = Self(0);
    /// RCX.
    pub const RCX: Self = Self(1);
    /// RDX.
    pub const RDX: Self = Self(2);
    /// RSP.
    pub const RSP: Self = Self(4);
    /// RSI.
    pub const RSI: Self = Self(6);
    /// RDI.
    pub const RDI: Self = Self(7);

    /// R10.
    pub const R10: Self = Self(10);
    /// R11.
    pub const R11: Self = Self(11);

    /// The register with a number below 16.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 16 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number in an instruction.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// All sixteen.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..16).map(Self)
    }

    /// The general register of which `register` is the whole or a part.
    pub(crate) fn containing(register: Register) -> Option<Self> {
        let whole = register.full_register();
        if register.is_gpr() {
            Self::new(u8::try_from(whole.number()).ok()?)
        } else {
            None
        }
    }

    /// Its 64 bits, as iced names them.
    pub(crate) fn r64(self) -> Register {
        REGISTERS_64[usize::from(self.0)]
    }

    /// Its lower 32 bits, as iced names them.
    pub(crate) fn r32(self) -> Register {
        REGISTERS_32[usize::from(self.0)]
    }

    /// Its lowest byte, as iced names it.
    pub(crate) fn r8(self) -> Register {
        REGISTERS_8[usize::from(self.0)]
    }
}

/// A set of general registers (bits 0 to 15) and arithmetic flags (bits 16 to 21).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RegisterSet(u32);

impl RegisterSet {
    /// No register, no flag.
    pub const EMPTY: Self = Self(0);
    /// The six arithmetic flags.
    pub const FLAGS: Self = Self(0x3f_0000);
    /// The general registers.
    pub const GENERAL: Self = Self(0xffff);
    /// The general registers and the arithmetic flags.
    pub const ALL: Self = Self(0x3f_ffff);

    /// One register.
    #[must_use]
    pub const fn of(register: Gpr) -> Self {
        Self(1 << register.0)
    }

    /// The set with one more register.
    #[must_use]
    pub const fn with(self, register: Gpr) -> Self {
        Self(self.0 | 1 << register.0)
    }

    /// Flags as iced numbers them (`RflagsBits`); those that are not arithmetic drop out.
    pub(crate) const fn flags(bits: u32) -> Self {
        Self((bits & 0x3f) << 16)
    }

    /// Whether the register belongs to the set.
    #[must_use]
    pub const fn contains(self, register: Gpr) -> bool {
        self.0 >> register.0 & 1 == 1
    }

    /// Whether both have a member in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it has no member.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The general registers of the set, by number.
    pub fn registers(self) -> impl Iterator<Item = Gpr> {
        Gpr::all().filter(move |register| self.contains(*register))
    }
}

impl BitOr for RegisterSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for RegisterSet {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for RegisterSet {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitAndAssign for RegisterSet {
    fn bitand_assign(&mut self, other: Self) {
        self.0 &= other.0;
    }
}

impl Not for RegisterSet {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }
}
