//! `cargo xtask build --programs` and `cargo xtask test --host wine`: the harness
//! and `vq` built for Windows, and what they do in Wine.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::Context as _;
#[cfg(not(windows))]
use cargo_metadata::Message;
#[cfg(not(windows))]
use cross_builder::programs;

use crate::{
    context::{Context, say},
    process,
};

const BUILDING: &str = "building driverctl.exe and vq.exe";

/// What is built, and of which package. The last one is what the tests list.
const PROGRAMS: [(&str, &str); 3] = [
    ("driver-harness", "driverctl"),
    ("vq", "vq"),
    ("vq", "vq-subject"),
];

/// All that building for Windows needs.
#[cfg(not(windows))]
fn prepare(context: &Context) -> anyhow::Result<programs::Programs> {
    let (places, rust) = crate::driver::places(context)?;
    Ok(programs::Programs::prepare(&places, &rust, &say)?)
}

/// Builds the programs for Windows; returns the folder that they are in.
#[cfg(not(windows))]
pub fn build(context: &Context) -> anyhow::Result<PathBuf> {
    say(BUILDING);
    let programs = prepare(context)?;
    let mut cargo = build_command(context);
    programs.configure(&mut cargo);
    process::quietly(context, &mut cargo, BUILDING)?;
    Ok(programs.folder())
}

/// Builds the programs for Windows; returns the folder that they are in.
#[cfg(windows)]
pub fn build(context: &Context) -> anyhow::Result<PathBuf> {
    say(BUILDING);
    process::quietly(context, &mut build_command(context), BUILDING)?;
    Ok(context.target.join("debug"))
}

fn build_command(context: &Context) -> Command {
    let mut cargo = context.cargo("build");
    for (package, program) in PROGRAMS {
        cargo.args(["--package", package, "--bin", program]);
    }
    cargo
}

/// Runs the tests for Wine.
#[cfg(not(windows))]
pub fn test_on_wine(context: &Context, arguments: &[String]) -> anyhow::Result<ExitCode> {
    use crate::driver::{self, Profile, Tools};

    programs::ensure_wine(&context.target.join("cross"), &say)?;
    let image = driver::build(context, &Tools::prepare(context)?, Profile::Release)?;
    let programs = build(context)?;
    say("cargo test --test wine");
    let mut cargo = context.host_cargo("test");
    cargo
        .args(["--package", "integration-tests", "--test", "wine"])
        .args(["--features", "wine"])
        .env("NTMEM_SYS", &image.sys)
        .env("NTMEM_WINDOWS_PROGRAM", programs.join("driverctl.exe"))
        .env("NTMEM_WINDOWS_PROGRAMS", &programs)
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
    anyhow::bail!("the host wine needs Linux; on Windows there is `driverctl run --host scm`")
}

/// Builds the benchmark that asks Windows, and runs it in Wine.
#[cfg(not(windows))]
pub fn bench_in_wine(context: &Context, arguments: &[String]) -> anyhow::Result<ExitCode> {
    programs::ensure_wine(&context.target.join("cross"), &say)?;
    let what = "building the benchmark of vq for Windows";
    say(what);
    let mut cargo = context.cargo("bench");
    // The standard library is built for aborting alone, so the benchmark is too.
    cargo.args([
        "--package",
        "vq",
        "--bench",
        "process",
        "--no-run",
        "-Zpanic-abort-tests",
    ]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    prepare(context)?.configure(&mut cargo);
    let messages = process::capture(context, &mut cargo, what)?;
    let program = Message::parse_stream(messages.as_slice())
        .filter_map(Result::ok)
        .find_map(|message| match message {
            Message::CompilerArtifact(artifact) if artifact.target.name == "process" => {
                artifact.executable
            }
            _ => None,
        })
        .context("cargo made no benchmark")?;
    let mut wine = Command::new("wine");
    wine.arg(&program)
        .arg("--bench")
        .args(arguments)
        .env("WINEPREFIX", context.target.join("wine"))
        .env("WINEDEBUG", "-all")
        // Nothing is measured but what is printed.
        .env("CRITERION_HOME", context.target.join("tmp/criterion"));
    let status = wine
        .status()
        .with_context(|| format!("cannot run `{}`", process::line(&wine)))?;
    anyhow::ensure!(status.success(), "the benchmark failed: {status}");
    Ok(ExitCode::SUCCESS)
}
