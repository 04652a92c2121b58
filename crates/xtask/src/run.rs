//! `cargo xtask run`: the driver, built, loaded, checked and unloaded.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::{
    context::{Context, say},
    driver::{self, Profile, Tools},
    process,
};

/// Builds the driver and runs it with `ntmemctl run`; ends as that ends.
pub fn run(context: &Context, profile: Profile, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let image = driver::build(context, &Tools::prepare(context)?, profile)?;
    say("building ntmemctl");
    let program = ["--package", "harness", "--bin", "ntmemctl"];
    process::quietly(
        context,
        context.host_cargo("build").args(program),
        "building ntmemctl",
    )?;
    let mut ntmemctl = context.host_cargo("run");
    ntmemctl
        .arg("--quiet")
        .args(program)
        .args(["--", "run"])
        .arg(&image.sys)
        .args(arguments);
    let status = ntmemctl
        .status()
        .with_context(|| format!("cannot run `{}`", process::line(&ntmemctl)))?;
    // Ended by a signal, it has no code; that is a failure like any other.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(u8::MAX)))
}
