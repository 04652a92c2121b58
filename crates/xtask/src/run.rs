//! `cargo xtask run`: builds a driver, loads, checks and unloads it.

use std::process::{Command, ExitCode};

use anyhow::Context as _;
#[cfg(not(windows))]
use anyhow::bail;

use crate::{
    context::{Context, say},
    driver::{self, Profile, Tools},
    process,
};

/// Builds the driver and runs it with `driverctl run`; returns its exit status.
pub fn run(context: &Context, profile: Profile, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let image = driver::build(context, &Tools::prepare(context)?, profile)?;
    let mut command = program(context, "driver-harness", "driverctl")?;
    command.arg("run").arg(&image.sys).args(arguments);
    finish(&mut command)
}

/// Builds the driver `name` of the folder `examples` and runs it with `ntbox run
/// --verify`; returns its exit status.
#[cfg(not(windows))]
pub fn example(
    context: &Context,
    name: &str,
    profile: Profile,
    arguments: &[String],
) -> anyhow::Result<ExitCode> {
    let examples = driver::examples(context)?;
    if !examples.iter().any(|example| example == name) {
        bail!("no example '{name}'; there are: {}", examples.join(", "));
    }
    let image = driver::build_package(context, &Tools::prepare(context)?, name, profile)?;
    let mut command = program(context, "ntbox", "ntbox")?;
    command
        .arg("run")
        .arg(&image.sys)
        .arg("--verify")
        .args(arguments);
    finish(&mut command)
}

/// Builds a program of the workspace; returns a command that runs it.
fn program(context: &Context, package: &str, name: &str) -> anyhow::Result<Command> {
    let what = format!("building {name}");
    say(&what);
    let selection = ["--package", package, "--bin", name];
    process::quietly(context, context.host_cargo("build").args(selection), &what)?;
    let mut command = context.host_cargo("run");
    command.arg("--quiet").args(selection).arg("--");
    Ok(command)
}

/// Runs a command; returns its exit status.
fn finish(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("cannot run `{}`", process::line(command)))?;
    // A program that a signal ended has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(u8::MAX)))
}
