//! What a bug check consists of, and its codes that lower layers need.

/// A bug check: the code, its parameters, and what happened.
#[derive(Debug)]
pub struct BugCheckData {
    /// Bug check code.
    pub code: u32,
    /// Its parameters.
    pub parameters: [u64; 4],
    /// What happened.
    pub message: String,
}

/// The kind of a memory access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

impl Access {
    /// Its number in an exception record.
    #[must_use]
    pub fn code(self) -> u64 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Execute => 8,
        }
    }

    /// As a participle.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "written",
            Self::Execute => "executed",
        }
    }
}

/// `DPC_WATCHDOG_VIOLATION`, for a driver that does not return. Windows only has a
/// bug check for those that do so at a raised IRQL.
pub const HUNG: u32 = 0x133;
