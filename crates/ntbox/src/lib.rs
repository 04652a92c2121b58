//! An embedded NT kernel: runs an unmodified Windows kernel driver on Linux.
//!
//! [`run`] loads a driver, calls its DriverEntry and DriverUnload, and returns a
//! [`Report`]; [`Machine`] does the same in steps. The kernel itself needs Linux
//! on x86-64; what a run takes and gives compiles everywhere.

#[cfg(all(feature = "cli", target_os = "linux", target_arch = "x86_64"))]
pub mod cli;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod exit_reason;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod imports;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod kernel_process;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod start;

pub use ntbox_api::config::{
    Config, DebugFilter, Instrument, MAXIMUM_PROCESSORS, Time, VolumeFile,
};
pub use ntbox_api::report::text::Text;
pub use ntbox_api::report::{
    BugCheck, CallCount, FaultPoint, HistoryEntry, ImageInfo, Inlined, Location, LogLine, Report,
    Violation,
};
pub use ntbox_api::request::{Account, Handle, Operation, Process, Progress, Reply, Ticket};
pub use ntbox_api::{Fault, Guard, OsVersion, RegValue, Verdict, Verify, host_file, parse, rules};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use crate::imports::{
    Export, ExportKind, Import, MissingExport, describe_module, exports, imports, imports_on,
    missing_exports,
};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use crate::kernel_process::{Machine, Started, run};

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
    /// The configuration asks for what this kernel cannot do.
    #[error("{0}")]
    Config(String),
    /// The driver stopped the kernel; the report of
    /// [`finish`](crate::kernel_process::Machine::finish) says how.
    #[error("the driver stopped the kernel; its report says how")]
    Stopped,
    /// The child process could not be started or was lost.
    #[error("the kernel process failed: {0}")]
    Host(String),
}
