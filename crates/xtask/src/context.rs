//! The context of a command: workspace, toolchain, verbosity.

use std::{path::PathBuf, process::Command};

use anyhow::Context as _;
use cargo_metadata::MetadataCommand;

use crate::toolchain::{self, Toolchain};

/// The context of a command.
#[derive(Debug)]
pub struct Context {
    /// The repository.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// The toolchain to use.
    pub toolchain: Toolchain,
    /// Whether to show what other programs print.
    pub verbose: bool,
}

impl Context {
    /// Reads the workspace's metadata and selects the toolchain.
    pub fn new(verbose: bool) -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .no_deps()
            .exec()
            .context("cannot read the workspace's manifests")?;
        let toolchain = Toolchain::select(toolchain::RELEASE)?;
        Ok(Self {
            root: metadata.workspace_root.into(),
            target: metadata.target_directory.into(),
            toolchain,
            verbose,
        })
    }

    /// A command `cargo SUBCOMMAND` in the repository, for programs of this host.
    ///
    /// The workspace's profiles abort on panic, for the driver. Tests need unwinding; all host
    /// programs use it, so that their dependencies are built once.
    pub fn host_cargo(&self, subcommand: &str) -> Command {
        let mut cargo = self.cargo(subcommand);
        cargo.env("CARGO_PROFILE_DEV_PANIC", "unwind");
        cargo
    }

    /// A command `cargo SUBCOMMAND` in the repository.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.arg(subcommand).current_dir(&self.root);
        self.toolchain.apply(&mut cargo);
        cargo
    }
}

/// Prints a line of progress.
pub fn say(line: &str) {
    eprintln!("xtask: {line}");
}
