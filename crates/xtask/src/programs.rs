//! `cargo xtask build --programs` and `cargo xtask test --host wine`: the harness
//! built for Windows, and the driver driven by it in Wine.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::Context as _;
#[cfg(not(windows))]
use cross_builder::{Places, Rust, programs};

use crate::{
    context::{Context, say},
    process,
};

/// Builds `ntmemctl.exe`; returns where it is.
#[cfg(not(windows))]
pub fn build(context: &Context) -> anyhow::Result<PathBuf> {
    say("building ntmemctl.exe");
    let places = Places {
        repository: context.root.clone(),
        work: context.target.join("cross"),
    };
    let name = context.toolchain.rustup_name().map(str::to_owned);
    let rust = Rust::detect(name, &places.work)?;
    let programs = programs::Programs::prepare(&places, &rust, &say)?;
    let mut cargo = build_command(context);
    programs.configure(&mut cargo);
    process::quietly(context, &mut cargo, "building ntmemctl.exe")?;
    Ok(programs.program("ntmemctl"))
}

/// Builds `ntmemctl.exe`; returns where it is.
#[cfg(windows)]
pub fn build(context: &Context) -> anyhow::Result<PathBuf> {
    say("building ntmemctl.exe");
    process::quietly(
        context,
        &mut build_command(context),
        "building ntmemctl.exe",
    )?;
    Ok(context.target.join("debug/ntmemctl.exe"))
}

fn build_command(context: &Context) -> Command {
    let mut cargo = context.cargo("build");
    cargo.args(["--package", "harness", "--bin", "ntmemctl"]);
    cargo
}

/// Runs the suite for Wine.
#[cfg(not(windows))]
pub fn test_on_wine(context: &Context, arguments: &[String]) -> anyhow::Result<ExitCode> {
    use crate::driver::{self, Profile, Tools};

    programs::ensure_wine(&context.target.join("cross"), &say)?;
    let image = driver::build(context, &Tools::prepare(context)?, Profile::Release)?;
    let program = build(context)?;
    say("cargo test --test wine");
    let mut cargo = context.host_cargo("test");
    cargo
        .args(["--package", "suites", "--test", "wine"])
        .args(["--features", "wine"])
        .env("NTMEM_SYS", &image.sys)
        .env("NTMEM_WINDOWS_PROGRAM", &program)
        .env("NTMEM_WINE_PREFIX", context.target.join("wine"))
        .args(arguments);
    let status = cargo
        .status()
        .with_context(|| format!("cannot run `{}`", process::line(&cargo)))?;
    anyhow::ensure!(status.success(), "failed: cargo test --test wine");
    say("everything passed");
    Ok(ExitCode::SUCCESS)
}

/// Refused: Windows is the better host.
#[cfg(windows)]
pub fn test_on_wine(_: &Context, _: &[String]) -> anyhow::Result<ExitCode> {
    anyhow::bail!("the host wine needs Linux; on Windows there is `ntmemctl run --host scm`")
}
