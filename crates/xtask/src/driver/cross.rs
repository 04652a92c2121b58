//! Building drivers on hosts that are not Windows, with what `cross` provides.

use std::{path::PathBuf, process::Command};

use anyhow::Context as _;
use cross_builder::{Places, Rust, Workspace, c_drivers};

use crate::context::{Context, say};

/// Everything that this host lacked, put together.
#[derive(Debug)]
pub struct Tools {
    tools: cross_builder::Tools,
    workspace: Workspace,
}

/// Where the kit's sources lie, and what is made of them.
pub fn places(context: &Context) -> anyhow::Result<(Places, Rust)> {
    let work = context.target.join("cross");
    let name = context.toolchain.rustup_name().map(str::to_owned);
    let rust = Rust::detect(name, &work)?;
    let archive = format!("../shared/toolchain/rust-library-{}.tar.xz", rust.release);
    let places = Places {
        sources: context.root.join("cross"),
        library_archive: Some(context.root.join(archive)),
        work,
    };
    Ok((places, rust))
}

impl Tools {
    /// Puts together what this host lacks.
    pub fn prepare(context: &Context) -> anyhow::Result<Self> {
        let (places, rust) = places(context)?;
        let program = std::env::current_exe().context("cannot find the running program")?;
        let cross = &places.sources;
        let workspace = Workspace {
            root: context.root.clone(),
            lock_file: cross.join("Cargo.lock"),
            target: places.work.join("cargo"),
            name: "ntmem".to_owned(),
            stand_ins: vec![cross.join("wdk-build")],
            overrides: Vec::new(),
            rust_flags: Vec::new(),
        };
        Ok(Self {
            tools: cross_builder::prepare(&places, rust, &program, &say)?,
            workspace,
        })
    }

    /// A command `cargo SUBCOMMAND` for packages of the driver.
    pub fn cargo(&self, context: &Context, subcommand: &str) -> Command {
        let mut cargo = context.cargo(subcommand);
        self.tools.configure(&mut cargo, &self.workspace);
        cargo
    }

    /// Sees to it that the programs are here that sign a driver package.
    pub fn ensure_signing(&self) -> anyhow::Result<()> {
        Ok(self.tools.ensure_signing(&say)?)
    }

    /// Builds the drivers in `tests/drivers`; returns the folder that they are in.
    pub fn build_test_drivers(&self, context: &Context) -> anyhow::Result<PathBuf> {
        say("building the test drivers in tests/drivers");
        let sources = context.root.join("tests/drivers");
        let output = context.target.join("drivers");
        c_drivers::build(&self.tools, &sources, &output, &say)?;
        Ok(output)
    }
}
