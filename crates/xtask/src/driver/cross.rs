//! Building drivers on hosts that are not Windows, with what `cross` provides.

use std::{path::PathBuf, process::Command};

use anyhow::Context as _;
use cross_builder::{Places, Rust, c_drivers};

use crate::context::{Context, say};

/// Everything that this host lacked, put together.
#[derive(Debug)]
pub struct Tools(cross_builder::Tools);

impl Tools {
    /// Puts together what this host lacks.
    pub fn prepare(context: &Context) -> anyhow::Result<Self> {
        let places = Places {
            repository: context.root.clone(),
            work: context.target.join("cross"),
        };
        let name = context.toolchain.rustup_name().map(str::to_owned);
        let rust = Rust::detect(name, &places.work)?;
        let program = std::env::current_exe().context("cannot find the running program")?;
        Ok(Self(cross_builder::prepare(&places, rust, &program, &say)?))
    }

    /// A command `cargo SUBCOMMAND` for packages of the driver.
    pub fn cargo(&self, context: &Context, subcommand: &str) -> Command {
        let mut cargo = context.cargo(subcommand);
        self.0.configure(&mut cargo);
        cargo
    }

    /// Sees to it that the programs are here that sign a driver package.
    pub fn ensure_signing(&self) -> anyhow::Result<()> {
        Ok(self.0.ensure_signing(&say)?)
    }

    /// Builds the drivers in `tests/drivers`; returns the folder that they are in.
    pub fn build_test_drivers(&self, context: &Context) -> anyhow::Result<PathBuf> {
        say("building the test drivers in tests/drivers");
        let sources = context.root.join("tests/drivers");
        let output = context.target.join("drivers");
        c_drivers::build(&self.0, &sources, &output, &say)?;
        Ok(output)
    }
}
