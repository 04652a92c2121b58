//! What is written into translated code beside the program's own instructions.

/// How much is translated at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unit {
    /// What direct branches reach from the target, within its function.
    #[default]
    Function,
    /// To the first branch, call or trap.
    Block,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Coverage {
    /// Nothing.
    #[default]
    Off,
    /// Each block sets its byte to 1 when it runs.
    Blocks,
    /// Each block adds 1 to its byte, which wraps.
    BlockCounts,
    /// As `BlockCounts`, and each edge of a conditional branch has a byte too.
    EdgeCounts,
}

/// Which memory accesses are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MemoryChecks {
    /// None.
    #[default]
    Off,
    /// Each access that is not provably to the function's frame or the own image, by
    /// the shadow: 0 says that eight bytes may be accessed; anything else asks the host.
    Shadow,
}

/// The choices together. [`Policy::default`] is plain translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// How much is translated at a time.
    pub unit: Unit,
    /// What is counted.
    pub coverage: Coverage,
    /// Which accesses are checked.
    pub memory: MemoryChecks,
    /// Treats the arithmetic flags as read by everything, so that a fault reports the
    /// program's flags even where the program overwrites them before it reads them.
    pub exact_flags: bool,
}
