//! Places in translated code that call the host: checks and traps.

use std::fmt;

use iced_x86::Mnemonic;

use crate::{RegisterSet, TrapReason};

/// How many bytes an access touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessExtent {
    /// Exactly `Access::size` bytes at the address in the state block.
    Fixed,
    /// A repeated string instruction: RCX elements of `Access::size` bytes, upwards
    /// from the address or, with the direction flag set, downwards. `repe` and `repne`
    /// may stop earlier.
    Repeated,
    /// By rules of the instruction that the translator does not evaluate: gathers,
    /// bit strings, masks, saved processor state. The host decodes the instruction.
    Computed,
}

/// An instruction's mnemonic, shown in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InstructionName(pub(crate) Mnemonic);

impl fmt::Display for InstructionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{:?}", self.0).to_lowercase())
    }
}

/// What a site asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SiteKind {
    /// May the instruction access this memory? After the answer, code goes on at
    /// [`Site::resume`] with the registers and flags as they are.
    Access {
        /// Bytes of one element.
        size: u16,
        /// Whether it writes.
        write: bool,
        /// How many elements.
        extent: AccessExtent,
    },
    /// The instruction was not carried over. All registers are the program's. A host
    /// that emulates it goes on with the translation of [`Site::next`].
    Trap {
        /// Why.
        reason: TrapReason,
        /// Which instruction.
        instruction: InstructionName,
    },
}

/// A place that calls the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// The original instruction.
    pub original: u64,
    /// The original address behind it.
    pub next: u64,
    /// What is asked.
    pub kind: SiteKind,
    /// Where code goes on in the cache after an [`SiteKind::Access`].
    pub resume: u64,
    /// As in [`Location::spilled`](crate::Location).
    pub spilled: RegisterSet,
    /// As in [`Location::flags_in_ax`](crate::Location).
    pub flags_in_ax: bool,
}
