//! What people say about a run of a driver, and what it means: registry values,
//! calls that are to fail, masks of the debug print filter, versions, times.
//!
//! `ntbox` and `ntmemctl` take the same words; `ntmemctl` also on Windows, where the
//! embedded kernel is not.

pub mod parse;
pub mod rules;
mod value;

use serde::{Deserialize, Serialize};

pub use self::{
    parse::{Mask, ParseError},
    rules::{Guard, Verify},
    value::RegValue,
};

/// One call that is made to fail in the way that this function fails: NULL, an
/// error status, or a raised one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Name of the export, as the driver imports it.
    pub export: String,
    /// Which of its calls, counted from 1 over the whole run.
    pub nth: u32,
}

/// What `RtlGetVersion` and `PsGetVersion` answer. Versions are in the order in which
/// they came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OsVersion {
    /// Major version, 10 for Windows 10 and 11.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
    /// Build number.
    pub build: u32,
}

impl std::fmt::Display for OsVersion {
    /// As it is written on a command line, `10.0.19045`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            major,
            minor,
            build,
        } = self;
        write!(f, "{major}.{minor}.{build}")
    }
}

impl Default for OsVersion {
    /// Windows 10 22H2.
    fn default() -> Self {
        Self {
            major: 10,
            minor: 0,
            build: 19045,
        }
    }
}
