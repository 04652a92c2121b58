//! `cargo xtask miri`: `wdm` on the host, against a stand-in for wdk-sys, under Miri.
//!
//! Miri detects undefined behaviour, and runs the tests of threads once per seed, each with
//! another schedule. It is a component of nightly toolchains. Without one the tests run
//! natively, which is reported; with CI=true it is installed and required. Loom explores
//! every interleaving of a few steps.

use std::{
    env,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};

use crate::{
    context::{Context, say},
    process,
};

/// The default number of seeds.
pub const SEEDS: u32 = 16;

/// The components of the nightly toolchain.
const COMPONENTS: [&str; 2] = ["miri", "rust-src"];

/// Runs the tests, and names those that failed.
pub fn miri(context: &Context, seeds: u32, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let failed = test(context, seeds, arguments)?;
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("failed: {}", failed.join("; "));
}

/// Runs the tests under Miri, or natively without it; returns the failed ones.
pub fn test(
    context: &Context,
    seeds: u32,
    arguments: &[String],
) -> anyhow::Result<Vec<&'static str>> {
    let is_ci = env::var("CI").is_ok_and(|value| value == "true");
    let mut missing = what_is_missing();
    if missing.is_some() && is_ci {
        install(context)?;
        missing = what_is_missing();
    }
    let mut steps = match &missing {
        None => under_miri(context, seeds),
        Some(reason) if is_ci => bail!("wdm is not tested under Miri: {reason}"),
        Some(reason) => {
            say(&format!(
                "Miri is skipped, for {reason}; `rustup toolchain install nightly \
                 --profile minimal --component {}` installs it",
                COMPONENTS.join(",")
            ));
            vec![("wdm on the host, without Miri", natively(context))]
        }
    };
    steps.push((
        "the rundown protection of wdm, under loom",
        under_loom(context),
    ));
    steps.push(("the examples in wdm's documentation", examples(context)));
    let mut failed = Vec::new();
    for (what, mut command) in steps {
        say(what);
        command.args(arguments);
        let status = command
            .status()
            .with_context(|| format!("cannot run `{}`", process::line(&command)))?;
        if !status.success() {
            failed.push(what);
        }
    }
    Ok(failed)
}

/// The reason why Miri is unavailable, if it is.
fn what_is_missing() -> Option<String> {
    let output = Command::new("rustup")
        .args(["component", "list", "--toolchain", "nightly", "--installed"])
        .output();
    match output {
        Err(_) => Some(String::from("rustup, which knows of it, is not here")),
        Ok(output) if !output.status.success() => {
            Some(String::from("there is no nightly toolchain"))
        }
        Ok(output) => lacks(&String::from_utf8_lossy(&output.stdout))
            .map(|component| format!("the nightly toolchain lacks {component}")),
    }
}

/// The first component that a list of rustup lacks.
fn lacks(list: &str) -> Option<&'static str> {
    // Components for a target have a suffix.
    let has = |component: &str| {
        list.lines().any(|line| {
            line.strip_prefix(component)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    };
    COMPONENTS.into_iter().find(|component| !has(component))
}

/// Installs Miri, on a build server only. An installed nightly toolchain is kept: a newer
/// one may lack Miri or be unreachable.
fn install(context: &Context) -> anyhow::Result<()> {
    say("rustup component add miri rust-src: Miri is missing");
    let mut add = Command::new("rustup");
    add.args(["component", "add", "--toolchain", "nightly"])
        .args(COMPONENTS);
    if process::quietly(context, &mut add, "adding Miri").is_ok() {
        return Ok(());
    }
    say("rustup toolchain install nightly: there is none that Miri can be added to");
    let mut rustup = Command::new("rustup");
    rustup.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    rustup.arg("--no-self-update");
    rustup.args(["--component", &COMPONENTS.join(",")]);
    process::quietly(context, &mut rustup, "installing Miri")
}

/// Two runs: tests of one thread with one schedule, tests of several with many.
fn under_miri(context: &Context, seeds: u32) -> Vec<(&'static str, Command)> {
    let command = |flags: &str| {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "cargo", "miri", "test"]);
        command.args(["--quiet", "--no-fail-fast"]);
        for_tests(context, &mut command, "wdm-miri").env(
            "MIRIFLAGS",
            // The kernel's functions take addresses as integers.
            format!("-Zmiri-permissive-provenance {flags}"),
        );
        command
    };
    let mut alone = command("");
    for target in ["failures", "lists", "pool", "requests"] {
        alone.args(["--test", target]);
    }
    let mut together = command(&format!("-Zmiri-many-seeds=0..{seeds}"));
    together.args(["--test", "schedules"]);
    vec![
        ("wdm on the host, under Miri", alone),
        ("wdm on the host, under Miri with many schedules", together),
    ]
}

/// The tests under loom.
fn under_loom(context: &Context) -> Command {
    let mut command = cargo(context, "test");
    command.args(["--quiet", "--package", "rundown-model", "--lib"]);
    command
}

/// Compiles the documentation examples of `wdm`, and runs those that need no kernel.
fn examples(context: &Context) -> Command {
    let mut command = cargo(context, "test");
    command.args(["--quiet", "--package", "wdm", "--doc"]);
    command
}

/// The tests, natively.
fn natively(context: &Context) -> Command {
    let mut command = cargo(context, "test");
    command.args(["--quiet", "--no-fail-fast", "--tests"]);
    command
}

/// A command `cargo SUBCOMMAND` for the tests, which are a separate workspace.
pub fn cargo(context: &Context, subcommand: &str) -> Command {
    let mut command = context.host_cargo(subcommand);
    if subcommand == "fmt" {
        command.args(["--manifest-path", MANIFEST]);
    } else {
        for_tests(context, &mut command, "wdm-host");
    }
    command
}

/// The workspace of the tests.
const MANIFEST: &str = "tests/wdm/Cargo.toml";

/// Where the tests are, and where what is built of them goes.
fn for_tests<'c>(context: &Context, command: &'c mut Command, folder: &str) -> &'c mut Command {
    command
        .args(["--locked", "--manifest-path", MANIFEST, "--target-dir"])
        .arg(context.target.join(folder))
        .current_dir(&context.root)
}

#[cfg(test)]
mod tests {
    use super::lacks;

    #[test]
    fn lacks_component_matches_the_whole_name() {
        let list = "cargo-x86_64-unknown-linux-gnu\nmiri-x86_64-unknown-linux-gnu\nrust-src\n";
        assert_eq!(lacks(list), None);
        assert_eq!(lacks("mirikit\nrust-src\n"), Some("miri"));
        assert_eq!(lacks("miri-x86_64-unknown-linux-gnu\n"), Some("rust-src"));
    }
}
