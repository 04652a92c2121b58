//! The hosts, and what can be said to each.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::NtboxArgs;

/// Where a driver runs.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// Where to run it.
    #[arg(long, value_enum, default_value_t = HostName::native())]
    pub host: HostName,
    #[command(flatten)]
    pub ntbox: NtboxArgs,
    #[command(flatten)]
    pub scm: ScmArgs,
    #[command(flatten)]
    pub wine: WineArgs,
}

/// The hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HostName {
    /// The embedded kernel of this project (Linux, x86-64).
    Ntbox,
    /// Windows: its Service Control Manager, from an elevated prompt.
    Scm,
    /// Wine's Service Control Manager and I/O manager.
    Wine,
}

impl HostName {
    /// The host that this machine has.
    fn native() -> Self {
        if cfg!(windows) {
            Self::Scm
        } else {
            Self::Ntbox
        }
    }
}

/// What only Windows needs to be told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of the host scm")]
pub struct ScmArgs {
    /// File in which the driver's debug output appears: a log that DebugView is
    /// saving, or one that a debugger writes (`-logo FILE`). Without it and
    /// --debugview nothing that the driver logs can be checked.
    #[arg(long, value_name = "FILE", conflicts_with = "debugview")]
    pub log: Option<PathBuf>,
    /// `dbgviewcli.exe` or `Dbgview.exe`, started to write the debug output.
    #[arg(long, value_name = "PROGRAM")]
    pub debugview: Option<PathBuf>,
}

/// What only Wine needs to be told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of the host wine")]
pub struct WineArgs {
    /// `ntmemctl.exe`, built for Windows.
    #[arg(long, value_name = "PROGRAM", default_value = "ntmemctl.exe")]
    pub program: PathBuf,
    /// Folder of the Wine prefix to use, made if it is missing; no other program
    /// may use it meanwhile [default: in the folder for temporary files].
    #[arg(long, value_name = "FOLDER")]
    pub prefix: Option<PathBuf>,
}
