//! Builds drivers on Windows: Microsoft's unmodified crates with the installed WDK.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, bail};

use crate::{context::Context, process};

/// The target that drivers are built for.
const TARGET: &str = "x86_64-pc-windows-msvc";

/// The toolchain, which has the target.
#[derive(Debug)]
pub struct Tools {
    target: &'static str,
}

impl Tools {
    /// Checks that the toolchain has the target: MSVC toolchains have it, others may not.
    pub fn prepare(context: &Context) -> anyhow::Result<Self> {
        let mut rustc = Command::new("rustc");
        context.toolchain.apply(&mut rustc);
        rustc.args(["--print", "target-libdir", "--target", TARGET]);
        let output = process::capture(context, &mut rustc, "asking rustc for its libraries")?;
        let folder = String::from_utf8(output).context("rustc answers in no UTF-8")?;
        if !PathBuf::from(folder.trim()).is_dir() {
            bail!("no standard library for {TARGET}; run `rustup target add {TARGET}`");
        }
        Ok(Self { target: TARGET })
    }

    /// A command `cargo SUBCOMMAND` for packages of the driver.
    pub fn cargo(&self, context: &Context, subcommand: &str) -> Command {
        let mut cargo = context.cargo(subcommand);
        cargo.args(["--target", self.target]);
        cargo
    }
}
