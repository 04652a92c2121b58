//! An embedded NT kernel: runs an unmodified Windows kernel driver on Linux.

mod config;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod kernel;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod machine;
mod report;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod symbols;
mod written;

pub use config::{Config, DebugFilter, Fault, OsVersion, RegValue};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use machine::{Machine, Started, run};
pub use report::{BugCheck, CallCount, ImageInfo, Inlined, Location, LogLine, Report, Violation};

/// Why a driver could not be run at all. What a driver does wrong once it runs
/// is part of the [`Report`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a driver image that this kernel can load.
    #[error("{path} is not a driver that can be loaded: {reason}")]
    Image {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The child process could not be started or was lost.
    #[error("the kernel process failed: {0}")]
    Host(String),
}
