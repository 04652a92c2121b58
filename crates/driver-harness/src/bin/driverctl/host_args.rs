//! The options that select and configure a host.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::NtboxArgs;

/// The host and its options.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// The host that runs the driver.
    #[arg(long, value_enum, default_value_t = HostName::native())]
    pub host: HostName,
    #[command(flatten)]
    pub ntbox: NtboxArgs,
    #[command(flatten)]
    pub scm: ScmArgs,
    #[command(flatten)]
    pub wine: WineArgs,
}

/// The name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HostName {
    /// The embedded kernel (Linux, x86-64).
    Ntbox,
    /// The Service Control Manager of Windows, from an elevated prompt.
    Scm,
    /// The Service Control Manager and I/O manager of Wine.
    Wine,
}

impl HostName {
    /// The default host of this system.
    fn native() -> Self {
        if cfg!(windows) {
            Self::Scm
        } else {
            Self::Ntbox
        }
    }
}

/// Options of the host scm.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of the host scm")]
pub struct ScmArgs {
    /// File with the driver's debug output: the log of DebugView, or of a debugger
    /// (`-logo FILE`). Without it and --debugview the log cannot be checked.
    #[arg(long, value_name = "FILE", conflicts_with = "debugview")]
    pub log: Option<PathBuf>,
    /// `dbgviewcli.exe` or `Dbgview.exe`, which is started to write the debug output.
    #[arg(long, value_name = "PROGRAM")]
    pub debugview: Option<PathBuf>,
}

/// Options of the host wine.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of the host wine")]
pub struct WineArgs {
    /// `driverctl.exe`, built for Windows.
    #[arg(long, value_name = "PROGRAM", default_value = "driverctl.exe")]
    pub program: PathBuf,
    /// Folder of the Wine prefix, created if missing; no other program may use it
    /// [default: in the folder for temporary files].
    #[arg(long, value_name = "FOLDER")]
    pub prefix: Option<PathBuf>,
}
