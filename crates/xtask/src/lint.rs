//! `cargo xtask lint`: formatting, lints and documentation.

use std::process::{Command, ExitCode};

use crate::{
    context::{Context, say},
    driver::{self, Tools},
    process,
};

/// Checks everything.
pub fn lint(context: &Context) -> anyhow::Result<ExitCode> {
    with_tools(context, &Tools::prepare(context)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Checks everything, with the means to build drivers at hand.
pub fn with_tools(context: &Context, tools: &Tools) -> anyhow::Result<()> {
    let mut format = context.cargo("fmt");
    format.args(["--all", "--check"]);
    check(context, "cargo fmt", format)?;

    let mut host = context.host_cargo("clippy");
    for_host(&mut host).arg("--all-targets");
    check(context, "cargo clippy, for this host", denying(host))?;
    let mut host = context.host_cargo("doc");
    for_host(&mut host);
    check(context, "cargo doc, for this host", documenting(host))?;

    let mut driver = tools.cargo(context, "clippy");
    for_driver(&mut driver);
    check(context, "cargo clippy, for the driver", denying(driver))?;
    let mut driver = tools.cargo(context, "doc");
    for_driver(&mut driver);
    check(context, "cargo doc, for the driver", documenting(driver))?;

    #[cfg(not(windows))]
    {
        let mut format = stand_in_cargo(context, "fmt");
        format.arg("--check");
        check(context, "cargo fmt, for cross/wdk-build", format)?;
        let mut stand_in = stand_in_cargo(context, "clippy");
        stand_in.arg("--all-targets");
        check(
            context,
            "cargo clippy, for cross/wdk-build",
            denying(stand_in),
        )?;
    }
    Ok(())
}

/// Runs one check.
fn check(context: &Context, what: &str, mut command: Command) -> anyhow::Result<()> {
    say(what);
    process::quietly(context, &mut command, what)
}

/// Every package that is for this host.
fn for_host(cargo: &mut Command) -> &mut Command {
    cargo.arg("--workspace");
    for package in driver::PACKAGES {
        cargo.args(["--exclude", package]);
    }
    cargo
}

/// Every package that is for Windows' kernel.
fn for_driver(cargo: &mut Command) -> &mut Command {
    for package in driver::PACKAGES {
        cargo.args(["--package", package]);
    }
    cargo
}

/// Clippy whose warnings are errors.
fn denying(mut clippy: Command) -> Command {
    clippy.args(["--", "-D", "warnings"]);
    clippy
}

/// rustdoc whose warnings are errors, for our own packages.
fn documenting(mut doc: Command) -> Command {
    doc.args(["--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings");
    doc
}

/// A command `cargo SUBCOMMAND` for the stand-in for wdk-build, which is no
/// member of the workspace. Its lock file, which nobody needs, goes below target.
#[cfg(not(windows))]
pub fn stand_in_cargo(context: &Context, subcommand: &str) -> Command {
    let folder = context.target.join("cross/wdk-build");
    let mut cargo = context.host_cargo(subcommand);
    cargo
        .arg("--manifest-path")
        .arg(context.root.join("cross/wdk-build/Cargo.toml"));
    if subcommand != "fmt" {
        cargo
            .arg("--target-dir")
            .arg(&folder)
            .arg("--config")
            .arg(format!(
                "resolver.lockfile-path='{}/Cargo.lock'",
                folder.display()
            ))
            .args(["-Z", "lockfile-path"])
            .env("RUSTC_BOOTSTRAP", "1");
    }
    cargo
}
