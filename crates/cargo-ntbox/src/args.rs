//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ntbox::OsVersion;

/// Builds, runs, verifies and packages Windows kernel drivers in Rust, on Linux.
///
/// It works in the folder of any driver that follows windows-drivers-rs: a package with
/// [package.metadata.wdk.driver-model] that depends on wdk-sys. Building changes nothing
/// in the folder but `target`.
#[derive(Debug, Parser)]
#[command(
    name = "cargo ntbox",
    bin_name = "cargo ntbox",
    version,
    max_term_width = 100,
    after_help = "\
Try it:
  cargo ntbox new mydriver && cd mydriver
  cargo ntbox run           build it, load it, unload it, show its log
  cargo ntbox verify        the same, checked as Driver Verifier does
  cargo ntbox test          build it and run the tests in `tests`
  cargo ntbox package       a signed driver package for a test-signed Windows"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a driver project that builds, runs, tests and packages as it stands
    New(New),
    /// Build the drivers of the workspace
    Build(Build),
    /// Build a driver, load it, call DriverEntry, unload it, and report
    Run(Run),
    /// Run a driver with Driver Verifier's standard checks
    Verify(Run),
    /// Run a driver once for each call that can fail, and let that call fail
    Sweep(Run),
    /// Build a driver, load it, send requests to its device, unload it, and report
    Ioctl(Run),
    /// Build a driver, and list what it imports from the kernel
    Imports(Run),
    /// Check the drivers' images without running them: imports against --min-os, sections,
    /// flags, checksum, identity of the PDB
    Check(Check),
    /// Build the drivers, and run the tests of the workspace's other packages
    Test(Test),
    /// Build a driver package: the driver, its INF, a catalogue, signed with a test
    /// certificate
    Package(Build),
    /// Report what building needs, what is missing, and how to install it
    Doctor,
    /// Remove what this program keeps in the user's cache folder, the test certificate too
    Clean,
    /// Run a command of ntbox itself, as in `cargo ntbox exec exports`
    #[command(disable_help_flag = true)]
    Exec {
        /// Arguments of ntbox
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// The kernel interface of a new driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Interface {
    /// The raw bindings of wdk-sys
    Raw,
    /// The safe crate wdm
    Safe,
}

#[derive(Debug, Args)]
pub struct New {
    /// The folder to create; its last part is the driver's name
    pub path: PathBuf,
    /// Use the raw bindings of wdk-sys, or the safe crate wdm
    #[arg(long, value_enum, default_value_t = Interface::Raw)]
    pub interface: Interface,
    /// With `--interface safe`, the folder of the crate wdm
    #[arg(long, value_name = "FOLDER", required_if_eq("interface", "safe"))]
    pub wdm: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own on the command line"
)]
pub struct Build {
    /// The driver package; by default all of the workspace
    #[arg(short, long, value_name = "SPEC")]
    pub package: Vec<String>,
    /// Build with the release profile
    #[arg(short, long)]
    pub release: bool,
    /// Build with this profile
    #[arg(long, value_name = "NAME", conflicts_with = "release")]
    pub profile: Option<String>,
    /// Features to activate
    #[arg(short = 'F', long, value_name = "FEATURES")]
    pub features: Vec<String>,
    /// Activate all features
    #[arg(long)]
    pub all_features: bool,
    /// Do not activate the feature `default`
    #[arg(long)]
    pub no_default_features: bool,
    /// Require that Cargo.lock is up to date
    #[arg(long)]
    pub locked: bool,
    /// Do not access the network
    #[arg(long)]
    pub offline: bool,
    /// The architecture to build for
    #[arg(long, value_name = "ARCH", default_value = "amd64", value_parser = ["amd64", "arm64"])]
    pub target_arch: String,
    /// The manifest
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
    /// The oldest Windows that the drivers must load on: an import of what came later is an
    /// error
    #[arg(long, value_name = "MAJOR.MINOR.BUILD", value_parser = ntbox::parse::version)]
    pub min_os: Option<OsVersion>,
    /// Show what cargo prints about each crate
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub build: Build,
    /// Arguments of `ntbox` after the driver's file, such as `--param Size=dword:4096`;
    /// see `cargo ntbox exec run --help`
    #[arg(last = true)]
    pub arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub build: Build,
    /// Check this image in place of building
    pub file: Option<PathBuf>,
    /// Write JSON instead of text, one object for each driver
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Test {
    #[command(flatten)]
    pub build: Build,
    /// Arguments of the test programs
    #[arg(last = true)]
    pub arguments: Vec<OsString>,
}

/// Reads the command line. Cargo passes the name of the subcommand first.
pub fn parse() -> Cli {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|name| name == "ntbox") {
        arguments.remove(1);
    }
    Cli::parse_from(arguments)
}
