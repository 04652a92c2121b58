//! The interface that `ntbox` and `driverctl` share: option values (registry values,
//! injected failures, masks of the debug print filter, versions, times), verdicts and
//! exit statuses.
//!
//! It builds on every system; `driverctl` runs on Windows too, where the embedded
//! kernel does not.

pub mod config;
pub mod exit_status;
pub mod hex_serde;
pub mod host_file;
pub mod ipc;
pub mod parse;
pub mod report;
pub mod request;
pub mod rules;
mod value;

use serde::{Deserialize, Serialize};

pub use self::exit_status::{ExitStatus, Verdict};
pub use self::parse::{Mask, ParseError};
pub use self::rules::{Guard, Verify};
pub use self::value::RegValue;

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

/// Versions that functions of the kernel came with.
impl OsVersion {
    /// Windows 7.
    pub const WINDOWS_7: Self = Self::new(6, 1, 7600);
    /// Windows 8.
    pub const WINDOWS_8: Self = Self::new(6, 2, 9200);
    /// Windows 8.1.
    pub const WINDOWS_8_1: Self = Self::new(6, 3, 9600);
    /// Windows 10.
    pub const WINDOWS_10: Self = Self::new(10, 0, 10240);
    /// Windows 10, version 1703.
    pub const VERSION_1703: Self = Self::new(10, 0, 15063);
    /// Windows 10, version 1709.
    pub const VERSION_1709: Self = Self::new(10, 0, 16299);
    /// Windows 10, version 2004.
    pub const VERSION_2004: Self = Self::new(10, 0, 19041);

    const fn new(major: u32, minor: u32, build: u32) -> Self {
        Self {
            major,
            minor,
            build,
        }
    }
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
