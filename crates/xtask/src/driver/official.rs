//! Building drivers on Windows: Microsoft's crates, unmodified, with the WDK that
//! they find themselves. Nothing of ours is in between.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, bail};

use crate::{context::Context, process};

/// The target that drivers are built for.
const TARGET: &str = "x86_64-pc-windows-msvc";

/// The toolchain, which was seen to have what it takes.
#[derive(Debug)]
pub struct Tools {
    target: &'static str,
}

impl Tools {
    /// Checks that the toolchain has the target: it is every MSVC toolchain's own,
    /// but not that of others.
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
