//! `cargo xtask lint`: checks formatting, lints, documentation, and text.

use std::process::{Command, ExitCode};

use anyhow::bail;

#[cfg(not(windows))]
use crate::miri;
use crate::{
    context::{Context, say},
    documents,
    driver::{self, Tools},
    process, safety,
};

/// A set of checks.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// Everything that works from the package registry alone.
    All,
    /// Comments and documents.
    Text,
    /// Checks by other programs, as far as they are installed.
    Extra,
}

impl Scope {
    /// The scope that the options select.
    pub const fn of(text: bool, extra: bool) -> Self {
        match (text, extra) {
            (true, _) => Self::Text,
            (_, true) => Self::Extra,
            _ => Self::All,
        }
    }
}

/// Runs the checks.
pub fn lint(context: &Context, scope: Scope) -> anyhow::Result<ExitCode> {
    let failed = match scope {
        Scope::All => with_tools(context, &Tools::prepare(context)?),
        Scope::Text => text(context),
        Scope::Extra => extra(context),
    };
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("failed: {}", failed.join("; "));
}

/// Runs all checks; returns which failed. The others run if one fails.
pub fn with_tools(context: &Context, tools: &Tools) -> Vec<&'static str> {
    let mut failed = text(context);
    let others = checks(context, tools)
        .into_iter()
        .filter_map(|(what, mut command)| {
            say(what);
            let error = process::quietly(context, &mut command, what).err()?;
            say(&format!("{error:#}"));
            Some(what)
        });
    failed.extend(others);
    failed
}

/// Checks what needs no compiler; returns which checks failed.
fn text(context: &Context) -> Vec<&'static str> {
    let checks = [
        ("SAFETY comments", safety::check as fn(&_) -> _),
        ("links of documents", documents::check),
    ];
    let failed = checks.into_iter().filter_map(|(what, check)| {
        say(what);
        let error: anyhow::Error = check(context).err()?;
        say(&format!("{error:#}"));
        Some(what)
    });
    failed.collect()
}

/// Runs the checks of programs that are not part of Rust, and skips one whose program is
/// not installed; returns which checks failed.
fn extra(context: &Context) -> Vec<&'static str> {
    let mut typos = Command::new("typos");
    typos.current_dir(&context.root);
    let mut deny = context.cargo("deny");
    deny.args(["check", "licenses", "bans", "sources"]);
    let checks = [
        ("cargo deny", "cargo-deny", deny),
        ("cargo shear", "cargo-shear", context.cargo("shear")),
        ("typos", "typos", typos),
    ];
    let failed = checks
        .into_iter()
        .filter_map(|(what, program, mut command)| {
            let is_installed = Command::new(program).arg("--version").output().is_ok();
            if !is_installed {
                say(&format!("{what}: skipped, {program} is not installed"));
                return None;
            }
            say(what);
            let error = process::quietly(context, &mut command, what).err()?;
            say(&format!("{error:#}"));
            Some(what)
        });
    failed.collect()
}

/// The checks that compile, each with its command.
fn checks(context: &Context, tools: &Tools) -> Vec<(&'static str, Command)> {
    let mut format = context.cargo("fmt");
    format.args(["--all", "--check"]);
    let mut host_clippy = context.host_cargo("clippy");
    for_host(&mut host_clippy).args(["--all-targets", "--all-features"]);
    let mut host_doc = context.host_cargo("doc");
    for_host(&mut host_doc);
    let mut driver_clippy = tools.cargo(context, "clippy");
    for_driver(&mut driver_clippy);
    let mut driver_doc = tools.cargo(context, "doc");
    for_driver(&mut driver_doc);
    #[cfg_attr(
        windows,
        expect(unused_mut, reason = "cross/wdk-build is not for Windows")
    )]
    let mut checks = vec![
        ("cargo fmt", format),
        ("cargo clippy, for this host", denying(host_clippy)),
        ("cargo doc, for this host", documenting(host_doc)),
        ("cargo clippy, for the driver", denying(driver_clippy)),
        ("cargo doc, for the driver", documenting(driver_doc)),
    ];
    #[cfg(not(windows))]
    {
        let mut format = stand_in_cargo(context, "fmt");
        format.arg("--check");
        checks.push(("cargo fmt, for cross/wdk-build", format));
        let mut clippy = stand_in_cargo(context, "clippy");
        clippy.arg("--all-targets");
        checks.push(("cargo clippy, for cross/wdk-build", denying(clippy)));
        let mut format = miri::cargo(context, "fmt");
        format.args(["--all", "--check"]);
        checks.push(("cargo fmt, for tests/wdm", format));
        let mut clippy = miri::cargo(context, "clippy");
        clippy.args(["--workspace", "--all-targets"]);
        checks.push(("cargo clippy, for tests/wdm", denying(clippy)));
    }
    checks
}

/// Selects the packages for this host.
fn for_host(cargo: &mut Command) -> &mut Command {
    cargo.arg("--workspace");
    for package in driver::PACKAGES {
        cargo.args(["--exclude", package]);
    }
    cargo
}

/// Selects the packages for the Windows kernel.
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
/// member of the workspace. Its lock file, which is not committed, goes below target.
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
